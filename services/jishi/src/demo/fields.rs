//! What a story reads out of answers, by JSON pointer.

use chrono::DateTime;
use kernel::{Instant, Money};
use serde_json::Value;

use super::{Error, Result};

/// Typed reading of one answer. What is absent or of another type is an error that shows the whole answer.
pub trait Fields {
    /// Whatever is there.
    fn at(&self, pointer: &str) -> Result<&Value>;

    /// A text, an id or the name of an enum's value.
    fn text_at(&self, pointer: &str) -> Result<&str>;

    /// A whole number.
    fn number_at(&self, pointer: &str) -> Result<i64>;

    /// An amount in yuan.
    fn money_at(&self, pointer: &str) -> Result<Money>;

    /// A point in time.
    fn instant_at(&self, pointer: &str) -> Result<Instant>;
}

impl Fields for Value {
    fn at(&self, pointer: &str) -> Result<&Value> {
        self.pointer(pointer).ok_or_else(|| Error::answer(format!("something at {pointer}"), self.clone()))
    }

    fn text_at(&self, pointer: &str) -> Result<&str> {
        let text = self.at(pointer)?.as_str();
        text.ok_or_else(|| Error::answer(format!("a text at {pointer}"), self.clone()))
    }

    fn number_at(&self, pointer: &str) -> Result<i64> {
        let number = self.at(pointer)?.as_i64();
        number.ok_or_else(|| Error::answer(format!("a number at {pointer}"), self.clone()))
    }

    fn money_at(&self, pointer: &str) -> Result<Money> {
        let money = Money::parse_yuan(self.text_at(pointer)?);
        money.ok_or_else(|| Error::answer(format!("an amount at {pointer}"), self.clone()))
    }

    fn instant_at(&self, pointer: &str) -> Result<Instant> {
        let instant = instant(self.text_at(pointer)?);
        instant.ok_or_else(|| Error::answer(format!("a time at {pointer}"), self.clone()))
    }
}

/// Reads RFC 3339.
pub fn instant(text: &str) -> Option<Instant> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| Instant(at.timestamp_millis()))
}
