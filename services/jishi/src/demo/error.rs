use std::fmt;

use serde_json::Value;

/// The result of anything in a story.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a story ended before its end.
pub enum Error {
    /// The exchange could not be reached, or did not speak as agreed.
    Line(String),
    /// Another answer than the story expects, with all that was said.
    Answer {
        /// What the story expects.
        expected: String,
        /// What was said: the request and the whole answer.
        said: Box<Value>,
    },
    /// Something that had to happen did not in the time given.
    Late(String),
}

impl Error {
    /// An answer other than `expected`.
    pub fn answer(expected: impl Into<String>, said: impl Into<Value>) -> Error {
        Error::Answer { expected: expected.into(), said: Box::new(said.into()) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Line(what) => f.write_str(what),
            Error::Answer { expected, said } => write!(f, "expected {expected}; said was {said:#}"),
            Error::Late(what) => write!(f, "waited in vain for {what}"),
        }
    }
}

/// As a failed test shows it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl From<kernel::Error> for Error {
    fn from(error: kernel::Error) -> Error {
        match error {
            kernel::Error::Refused(refusal) => Error::Line(format!("refused: {refusal:?}")),
            other => Error::Line(other.to_string()),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::Line(error.to_string())
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Error {
        Error::Line(error.to_string())
    }
}
