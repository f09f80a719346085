//! How serde writes, for people, what `build/readable.rs` lets it write.

use std::fmt::Display;

use async_graphql::resolver_utils::EnumType;
use serde::{Serialize, Serializer};

/// An enum's value under its name in GraphQL; a number that has no name stays a number.
pub fn name<E: EnumType + TryFrom<i32>, S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    let known = E::try_from(*value).ok().and_then(|known| E::items().iter().find(|item| item.value == known));
    match known {
        Some(item) => serializer.serialize_str(item.name),
        None => value.serialize(serializer),
    }
}

/// The same where it may be absent.
pub fn optional_name<E: EnumType + TryFrom<i32>, S: Serializer>(
    value: &Option<i32>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => name::<E, S>(value, serializer),
        None => serializer.serialize_none(),
    }
}

/// Money and instants as they are printed.
pub fn text<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// The same where it is never absent.
pub fn printed<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
