//! Checks of single values that callers enter.

use kernel::{Error, ErrorCode, Money, Refusal, Result};

/// A proto enum's value; an unknown number is refused.
pub fn known<E: TryFrom<i32>>(value: i32, field: &str) -> Result<E> {
    E::try_from(value).map_err(|_| Refusal::new(ErrorCode::InvalidInput).at_field(field).into())
}

/// Proto enum values, each once, in the order of entry.
pub fn all_known<E: TryFrom<i32> + PartialEq>(values: &[i32], field: &str) -> Result<Vec<E>> {
    let mut found = Vec::new();
    for value in values {
        let value = known(*value, field)?;
        if !found.contains(&value) {
            found.push(value);
        }
    }
    Ok(found)
}

/// An amount that must be there.
pub fn present(amount: Option<Money>, field: &str) -> Result<Money> {
    amount.ok_or_else(|| required(field))
}

/// An administrative division (GB/T 2260) of one of the given lengths.
pub fn division(code: &str, lengths: &[usize], field: &str) -> Result<String> {
    if lengths.contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(code.to_owned());
    }
    let lengths: Vec<String> = lengths.iter().map(ToString::to_string).collect();
    let accepted = format!("{} 位数字 / digits (GB/T 2260)", lengths.join(" | "));
    Err(Refusal::new(ErrorCode::InvalidInput).at_field(field).accepting(accepted).into())
}

/// A field left empty that must not be.
pub fn required(field: &str) -> Error {
    Refusal::new(ErrorCode::Required).at_field(field).into()
}
