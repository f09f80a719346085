//! Typed, sortable ids: `listing_01h…` outside (TypeID), a UUID version 7 inside and in the database.

use type_safe_id::{DynamicType, TypeSafeId};
use uuid::Uuid;

use crate::{Error, ErrorCode, Refusal, Result};

/// One kind of id; implemented by [`ids!`].
pub trait Id: Copy + Sized + Send + Sync {
    /// What the text form begins with, such as `listing`.
    const PREFIX: &'static str;
    /// Wraps a bare UUID.
    fn from_uuid(uuid: Uuid) -> Self;
    /// The bare UUID.
    fn uuid(self) -> Uuid;

    /// A fresh id, sortable by its time of making.
    #[must_use]
    fn fresh() -> Self {
        Self::from_uuid(fresh_uuid())
    }

    /// An id derived from another one: the same parent and step always give the same child, so that a
    /// retried step of a saga finds its own earlier effect.
    #[must_use]
    fn derived(parent: Uuid, step: &str) -> Self {
        use sha2::{Digest, Sha256};
        let digest = Sha256::new().chain_update(parent.as_bytes()).chain_update(step).finalize();
        let mut bytes = [0_u8; 16];
        for (to, from) in bytes.iter_mut().zip(digest) {
            *to = from;
        }
        Self::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The text form.
    fn text(self) -> String {
        encode(Self::PREFIX, self.uuid())
    }

    /// Reads the text form; a wrong kind or a malformed text is refused, naming `field`.
    fn parse(text: &str, field: &str) -> Result<Self> {
        match decode(text) {
            Some((prefix, uuid)) if prefix == Self::PREFIX => Ok(Self::from_uuid(uuid)),
            _ => Err(Error::from(
                Refusal::new(ErrorCode::InvalidId).at_field(field).accepting(format!("{}_…", Self::PREFIX)),
            )),
        }
    }
}

/// A fresh UUID version 7.
#[expect(clippy::disallowed_methods, reason = "the one place where ids are made")]
#[must_use]
pub fn fresh_uuid() -> Uuid {
    Uuid::now_v7()
}

/// Prefix and UUID of any id, or nothing for text that is no id.
#[must_use]
pub fn decode(text: &str) -> Option<(String, Uuid)> {
    let id: TypeSafeId<DynamicType> = text.parse().ok()?;
    Some((id.type_prefix().to_owned(), id.uuid()))
}

pub(crate) fn encode(prefix: &str, uuid: Uuid) -> String {
    match DynamicType::new(prefix) {
        Ok(kind) => TypeSafeId::from_type_and_uuid(kind, uuid).to_string(),
        Err(_) => uuid.to_string(),
    }
}

/// Declares id kinds: `ids! { /** One listing. */ ListingId = "listing"; }`.
#[macro_export]
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, sea_orm::DeriveValueType)]
        pub struct $name(pub uuid::Uuid);

        impl $crate::Id for $name {
            const PREFIX: &'static str = $prefix;
            fn from_uuid(uuid: uuid::Uuid) -> Self { Self(uuid) }
            fn uuid(self) -> uuid::Uuid { self.0 }
        }

        impl sea_orm::TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($name)))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::Id::text(*self))
            }
        }
    )*};
}
