use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
///
/// Stored as BIGINT so that SQLite and PostgreSQL order and round it alike.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Message, sea_orm::DeriveValueType, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Instant(#[prost(int64, tag = "1")] pub i64);

impl Instant {
    /// This much later, saturating.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Instant {
        Instant(self.0.saturating_add(millis))
    }

    /// This many seconds later, saturating.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Instant {
        self.plus_millis(seconds.saturating_mul(1_000))
    }

    /// As a calendar time, for printing.
    #[must_use]
    pub fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

impl std::fmt::Display for Instant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// A point in time in RFC 3339 with milliseconds, UTC, such as `"2026-11-24T09:30:00.000Z"`.
/// Input with another offset is converted.
#[Scalar(name = "DateTime")]
impl ScalarType for Instant {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::custom("DateTime must be an RFC 3339 string"));
        };
        let parsed = DateTime::parse_from_rfc3339(text)
            .map_err(|_| InputValueError::custom("DateTime takes RFC 3339, such as \"2026-11-24T09:30:00.000Z\""))?;
        Ok(Instant(parsed.timestamp_millis()))
    }

    fn to_value(&self) -> Value {
        Value::String(self.to_string())
    }
}
