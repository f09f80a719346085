use crate::{ErrorCode, Refusal, Result};

/// Checks one line or paragraph of caller's text: `min..=max` characters after trimming, no control
/// characters other than line breaks and tabs, no bidirectional overrides, no zero-width characters.
/// Returns it trimmed. Names keep every other character: U+00B7, rare Han, emoji.
pub fn text(value: &str, field: &str, min: usize, max: usize) -> Result<String> {
    let trimmed = value.trim();
    let length = trimmed.chars().count();
    if length < min {
        return Err(Refusal::new(ErrorCode::Required)
            .at_field(field)
            .accepting(format!("{min}–{max} 字 / characters"))
            .into());
    }
    if length > max {
        let refusal = Refusal::new(ErrorCode::TextTooLong).at_field(field);
        return Err(refusal.accepting(format!("{min}–{max} 字 / characters")).into());
    }
    if trimmed.chars().any(is_unsafe) {
        return Err(Refusal::new(ErrorCode::TextUnsafe).at_field(field).into());
    }
    Ok(trimmed.to_owned())
}

/// Characters that can hide or reorder text: trojan-source controls and their kin.
fn is_unsafe(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        || matches!(c,
            '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_real_names_and_refuses_traps() {
        assert_eq!(text(" 买买提·阿卜杜拉 ", "name", 1, 50).unwrap(), "买买提·阿卜杜拉");
        assert_eq!(text("𠮷野家", "name", 1, 50).unwrap(), "𠮷野家");
        for (bad, code) in [
            ("", ErrorCode::Required),
            ("a\0b", ErrorCode::TextUnsafe),
            ("abc\u{202E}def", ErrorCode::TextUnsafe),
            ("a\u{200B}b", ErrorCode::TextUnsafe),
            ("123456789012345678901234567890123456789012345678901", ErrorCode::TextTooLong),
        ] {
            assert_eq!(text(bad, "name", 1, 50).unwrap_err().code(), code, "{bad:?}");
        }
    }
}
