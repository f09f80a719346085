//! What services say to each other, and what GraphQL clients see of it. Generated from `proto/` by
//! `build/`; by hand are only the caller, a few requests, the loaders behind the links, and the mapping of faults.

mod audit;
mod business;
mod caller;
pub mod id;
mod loader;
pub mod policy;
pub mod readable;

pub use audit::list_audit;
pub use caller::{Caller, Clients, answer, fault};
pub use loader::{Link, Loaders};

/// Messages, enums, clients and servers of package `jishi.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("jishi.v1");

    use crate::v1;

    /// Stores a proto enum as text: its name without the prefix.
    macro_rules! stored_enum {
        ($name:ident, $prefix:literal) => {
            impl $name {
                /// The name as stored and as shown by GraphQL.
                #[must_use]
                pub fn stored(self) -> &'static str {
                    self.as_str_name().strip_prefix($prefix).unwrap_or_default()
                }
            }

            impl From<$name> for sea_orm::Value {
                fn from(value: $name) -> Self {
                    value.stored().into()
                }
            }

            impl sea_orm::sea_query::Nullable for $name {
                fn null() -> sea_orm::Value {
                    <String as sea_orm::sea_query::Nullable>::null()
                }
            }

            impl sea_orm::IntoActiveValue<$name> for $name {
                fn into_active_value(self) -> sea_orm::ActiveValue<$name> {
                    sea_orm::ActiveValue::Set(self)
                }
            }

            impl sea_orm::sea_query::ValueType for $name {
                fn try_from(value: sea_orm::Value) -> Result<Self, sea_orm::sea_query::ValueTypeErr> {
                    let text = <String as sea_orm::sea_query::ValueType>::try_from(value)?;
                    Self::from_str_name(&format!("{}{text}", $prefix)).ok_or(sea_orm::sea_query::ValueTypeErr)
                }

                fn type_name() -> String {
                    stringify!($name).to_owned()
                }

                fn array_type() -> sea_orm::sea_query::ArrayType {
                    sea_orm::sea_query::ArrayType::String
                }

                fn column_type() -> sea_orm::sea_query::ColumnType {
                    sea_orm::sea_query::ColumnType::Text
                }
            }

            impl sea_orm::TryGetable for $name {
                fn try_get_by<I: sea_orm::ColIdx>(
                    row: &sea_orm::QueryResult,
                    index: I,
                ) -> Result<Self, sea_orm::TryGetError> {
                    let text = String::try_get_by(row, index)?;
                    Self::from_str_name(&format!("{}{text}", $prefix)).ok_or_else(|| {
                        sea_orm::TryGetError::DbErr(sea_orm::DbErr::Type(format!(
                            "{text:?} is no {}",
                            stringify!($name)
                        )))
                    })
                }
            }
        };
    }

    include!(concat!(env!("OUT_DIR"), "/objects.rs"));
    include!(concat!(env!("OUT_DIR"), "/stored.rs"));
}

/// Input objects and mutations: one struct per service.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]
pub mod mutation {
    use crate::{Caller, answer, v1};

    include!(concat!(env!("OUT_DIR"), "/inputs.rs"));
    include!(concat!(env!("OUT_DIR"), "/mutations.rs"));
}
