//! What a login and a password must look like.

use kernel::{ErrorCode, Refusal, Result};

/// The login as stored: lower case, 3–64 characters of a-z 0-9 . _ @ + -.
pub fn login(text: &str, field: &str) -> Result<String> {
    let login = normal(text);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._@+-".contains(&b);
    if (3..=64).contains(&login.len()) && login.bytes().all(plain) {
        return Ok(login);
    }
    Err(Refusal::new(ErrorCode::InvalidInput).at_field(field).accepting("3–64: a-z 0-9 . _ @ + -").into())
}

/// The login as compared, whatever was typed.
pub fn normal(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

/// A password has 10–128 characters, any at all, and is not the login.
pub fn password(password: &str, typed_login: &str, field: &str) -> Result<()> {
    if (10..=128).contains(&password.chars().count()) && normal(password) != normal(typed_login) {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::WeakPassword).at_field(field).accepting("10–128 字 / characters, ≠ login").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_plain_and_without_case() {
        assert_eq!(login(" Zhang.San+1@Uni_X-y ", "login").unwrap(), "zhang.san+1@uni_x-y");
        for bad in ["ab", "张三丰", "a b c", "a\0bc", "аdmin", &"x".repeat(65)] {
            assert_eq!(login(bad, "login").unwrap_err().code(), ErrorCode::InvalidInput, "{bad:?}");
        }
    }

    #[test]
    fn passwords_are_counted_in_characters() {
        assert!(password("天王盖地虎宝塔镇河妖", "zhang", "password").is_ok());
        assert!(password(&"x".repeat(128), "zhang", "password").is_ok());
        for bad in ["ninechars", &"x".repeat(129), "Zhang.San.1"] {
            assert_eq!(
                password(bad, "zhang.san.1", "password").unwrap_err().code(),
                ErrorCode::WeakPassword,
                "{bad:?}"
            );
        }
    }
}
