use async_graphql::{Context, Object};
use prost::Message;
use tonic::{Code, Status};

use crate::{ErrorCode, Instant, Money};

/// The result of anything that can be refused or can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The rules say no. Told to the caller in full.
    #[error("refused: {}", .0.code)]
    Refused(Box<Refusal>),
    /// Nobody is signed in, or the session is over.
    #[error("unauthenticated")]
    Unauthenticated,
    /// Something needed is away. The outcome may be unknown: ask again under the same key.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A bug or a broken invariant. The text goes to the log, never to the caller.
    #[error("internal: {0}")]
    Internal(String),
}

/// One refusal, as the caller sees it.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Refusal {
    /// The name of an [`ErrorCode`].
    #[prost(string, tag = "1")]
    pub code: String,
    /// The message in Chinese.
    #[prost(string, tag = "2")]
    pub message_zh: String,
    /// The message in English.
    #[prost(string, tag = "3")]
    pub message_en: String,
    /// Where in the input, such as `["input", "amount"]`; empty if no single field is to blame.
    #[prost(string, repeated, tag = "4")]
    pub field: Vec<String>,
    /// The id of the rule that was applied, such as `SM-5` or `G10`.
    #[prost(string, optional, tag = "5")]
    pub rule: Option<String>,
    /// What would be accepted.
    #[prost(string, optional, tag = "6")]
    pub accepted: Option<String>,
    /// The price that leads now, where a bid was refused.
    #[prost(message, optional, tag = "7")]
    pub current_price: Option<Money>,
    /// The least amount that would be accepted now.
    #[prost(message, optional, tag = "8")]
    pub minimum_amount: Option<Money>,
    /// The exchange's time of the decision, where time matters.
    #[prost(message, optional, tag = "9")]
    pub server_time: Option<Instant>,
    /// When the phase ends, where a bid was refused.
    #[prost(message, optional, tag = "10")]
    pub closes_at: Option<Instant>,
    /// Whether the bidder's deposit stays on hold, where a bid was refused.
    #[prost(bool, optional, tag = "11")]
    pub deposit_held: Option<bool>,
}

/// The language that a caller asked for (`Accept-Language`); Chinese unless English is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
}

/// One refusal: business refusals are data, never top-level errors.
#[Object(name = "UserError")]
impl Refusal {
    /// Why the exchange refused; stable.
    #[graphql(name = "code")]
    async fn gql_code(&self) -> ErrorCode {
        self.error_code()
    }

    /// The message in the caller's language (`Accept-Language`; Chinese unless English is preferred).
    async fn message(&self, ctx: &Context<'_>) -> &str {
        match ctx.data_opt::<Language>() {
            Some(Language::En) => &self.message_en,
            _ => &self.message_zh,
        }
    }

    /// The message in Chinese.
    async fn message_zh(&self) -> &str {
        &self.message_zh
    }

    /// The message in English.
    async fn message_en(&self) -> &str {
        &self.message_en
    }

    /// Where in the input, such as `["input", "amount"]`; empty if no single field is to blame.
    async fn field(&self) -> &[String] {
        &self.field
    }

    /// The id of the rule that was applied, such as `SM-5` or `G10`.
    #[graphql(name = "rule")]
    async fn gql_rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// What would be accepted.
    #[graphql(name = "accepted")]
    async fn gql_accepted(&self) -> Option<&str> {
        self.accepted.as_deref()
    }

    /// The price that leads now, where a bid was refused.
    async fn current_price(&self) -> Option<Money> {
        self.current_price
    }

    /// The least amount that would be accepted now.
    async fn minimum_amount(&self) -> Option<Money> {
        self.minimum_amount
    }

    /// The exchange's time of the decision, where time matters.
    async fn server_time(&self) -> Option<Instant> {
        self.server_time
    }

    /// When the phase ends, where a bid was refused.
    async fn closes_at(&self) -> Option<Instant> {
        self.closes_at
    }

    /// Whether the bidder's deposit stays on hold, where a bid was refused.
    #[graphql(name = "depositHeld")]
    async fn gql_deposit_held(&self) -> Option<bool> {
        self.deposit_held
    }
}

impl Refusal {
    /// A refusal with the code's own messages.
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        let (zh, en) = code.messages();
        let name: &'static str = code.into();
        Self { code: name.into(), message_zh: zh.into(), message_en: en.into(), ..Self::default() }
    }

    /// Names the input field, in the GraphQL spelling; dots separate the path below `input`.
    #[must_use]
    pub fn at_field(mut self, path: &str) -> Self {
        self.field = std::iter::once("input").chain(path.split('.')).map(str::to_owned).collect();
        self
    }

    /// Names the rule.
    #[must_use]
    pub fn by_rule(mut self, id: &str) -> Self {
        self.rule = Some(id.into());
        self
    }

    /// Says what would be accepted.
    #[must_use]
    pub fn accepting(mut self, what: impl Into<String>) -> Self {
        self.accepted = Some(what.into());
        self
    }

    /// The code as an enum; an unknown name (a newer peer) reads as `INVALID_INPUT`.
    #[must_use]
    pub fn error_code(&self) -> ErrorCode {
        self.code.parse().unwrap_or(ErrorCode::InvalidInput)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(Box::new(refusal))
    }
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Refusal::new(code).into()
    }
}

impl Error {
    /// An unknown object, or one that the caller may not know of: both answer alike (promise P-6).
    #[must_use]
    pub fn not_found(field: &str) -> Self {
        Refusal::new(ErrorCode::NotFound).at_field(field).into()
    }

    /// The code of the refusal, if this is one.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::Refused(refusal) => refusal.error_code(),
            Error::Unauthenticated => ErrorCode::Unauthenticated,
            Error::Unavailable(_) => ErrorCode::Unavailable,
            Error::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        match error {
            Error::Refused(refusal) => {
                Status::with_details(Code::FailedPrecondition, refusal.code.clone(), refusal.encode_to_vec().into())
            }
            Error::Unauthenticated => Status::unauthenticated("unauthenticated"),
            Error::Unavailable(why) => {
                tracing::warn!(why, "unavailable");
                Status::unavailable("unavailable")
            }
            Error::Internal(why) => {
                tracing::error!(why, "internal fault");
                Status::internal("internal")
            }
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        match status.code() {
            Code::FailedPrecondition => Refusal::decode(status.details())
                .map_or_else(|_| Error::Internal(status.message().to_owned()), Error::from),
            Code::Unauthenticated => Error::Unauthenticated,
            // A deadline reaches us as Cancelled over a channel and as DeadlineExceeded in process.
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
                Error::Unavailable(status.message().to_owned())
            }
            _ => Error::Internal(status.message().to_owned()),
        }
    }
}

/// How the query builder is told that a record was altered.
const RECORD_ALTERED: &str = "record altered";

/// An error that goes through the query builder and comes out as what it was.
pub(crate) fn within_query(error: Error) -> sea_orm::DbErr {
    use sea_orm::{DbErr, RuntimeErr};
    match error {
        Error::Refused(_) => DbErr::Custom(RECORD_ALTERED.to_owned()),
        Error::Unavailable(why) => DbErr::Conn(RuntimeErr::Internal(why)),
        fault => DbErr::Custom(fault.to_string()),
    }
}

impl From<sea_orm::DbErr> for Error {
    fn from(error: sea_orm::DbErr) -> Error {
        use sea_orm::DbErr;
        match error {
            DbErr::Custom(words) if words == RECORD_ALTERED => {
                Refusal::new(ErrorCode::RecordAltered).by_rule("P-5").into()
            }
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Error::Unavailable(error.to_string()),
            other if passes(&other) => Error::Unavailable(other.to_string()),
            other => Error::Internal(other.to_string()),
        }
    }
}

/// PostgreSQL's codes for what has nothing to do with what it was asked: the line is down, something is used up, the
/// server stops or takes no writes, a lock did not come in time, a transaction was idle for too long, two of them were in
/// each other's way.
const PASSING: [&str; 7] = ["08", "53", "57P", "55P03", "25P03", "25006", "40"];

/// The same of SQLite: busy, locked, read-only, input or output failed, the disk is full, the file does not open.
const PASSING_SQLITE: [u32; 6] = [5, 6, 8, 10, 13, 14];

/// What the driver says of a statement that failed.
fn cause(error: &sea_orm::DbErr) -> Option<&sea_orm::sqlx::Error> {
    use sea_orm::{DbErr, RuntimeErr};
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => Some(cause),
        _ => None,
    }
}

/// Whether the line to the database is cut, or the server ends it.
pub(crate) fn is_cut_off(error: &sea_orm::DbErr) -> bool {
    use sea_orm::sqlx::Error;
    match cause(error) {
        Some(Error::Io(_)) => true,
        Some(Error::Database(told)) => told.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}

/// Whether it may go well when it is asked for again.
fn passes(error: &sea_orm::DbErr) -> bool {
    use sea_orm::sqlx;
    let Some(cause) = cause(error) else { return false };
    match cause {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(told) => {
            let Some(code) = told.code() else { return false };
            // SQLite's codes are shorter, and the lowest byte of one is its kind.
            if code.len() == 5 {
                return PASSING.iter().any(|class| code.starts_with(class));
            }
            code.parse::<u32>().is_ok_and(|code| PASSING_SQLITE.contains(&(code & 0xff)))
        }
        _ => false,
    }
}
