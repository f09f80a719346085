//! An event as it is stored: what happened, which rows it left, and the marks that prove both.

use prost::Message;
use sea_orm::{ColumnTrait, Condition};
use uuid::Uuid;

use crate::{
    Error, Instant, Result, Vault, fresh_uuid,
    merkle::{self, Hash},
};

/// The events behind this one, or all of them.
pub(crate) fn behind(after: Option<Uuid>) -> Condition {
    Condition::all().add_option(after.map(|id| row::Column::Id.gt(id)))
}

pub(crate) mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "event")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub service: String,
        pub kind: String,
        pub subject: String,
        pub actor: String,
        pub at: crate::Instant,
        pub facts: String,
        pub announce: bool,
        pub claimed_until: i64,
        pub published_at: Option<i64>,
        pub sealed: bool,
        pub rows: Option<Vec<u8>>,
        pub mark: Option<Vec<u8>>,
        pub published_mark: Option<Vec<u8>>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The kind of event that says of nothing but rows: those of a transaction that recorded nothing else.
pub(crate) const ROWS_WRITTEN: &str = "RowsWritten";

/// The rows that a transaction wrote.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Rows {
    #[prost(message, repeated, tag = "1")]
    pub rows: Vec<WrittenRow>,
}

/// A row as it was left.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WrittenRow {
    #[prost(string, tag = "1")]
    pub table: String,
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    /// How often it was written, from 1.
    #[prost(int64, tag = "3")]
    pub version: i64,
    /// Of what it holds; none once it is deleted.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub mark: Option<Vec<u8>>,
    /// Of what it held before; none if it was not there.
    #[prost(bytes = "vec", optional, tag = "5")]
    pub before: Option<Vec<u8>>,
}

impl row::Model {
    /// That rows were written, and nothing else to tell.
    pub fn rows_written(service: &str, now: Instant) -> row::Model {
        row::Model {
            id: fresh_uuid(),
            service: service.to_owned(),
            kind: ROWS_WRITTEN.to_owned(),
            subject: String::new(),
            actor: "exchange".to_owned(),
            at: now,
            facts: "{}".to_owned(),
            announce: false,
            claimed_until: 0,
            published_at: None,
            sealed: false,
            rows: None,
            mark: None,
            published_mark: None,
        }
    }

    /// Its leaf in the audit log: every column but those of its delivery, each with its length before it.
    pub fn leaf(&self) -> Hash {
        self.hashed(self.rows.as_deref())
    }

    /// Its leaf where a program sealed it that knows nothing of rows; the event's own mark covers them then.
    pub fn leaf_without_rows(&self) -> Hash {
        self.hashed(None)
    }

    fn hashed(&self, rows: Option<&[u8]>) -> Hash {
        let row::Model { id, service, kind, subject, actor, at, facts, announce, .. } = self;
        let (at, announce) = (at.0.to_be_bytes(), [u8::from(*announce)]);
        let columns: [&[u8]; 8] = [
            id.as_bytes(),
            service.as_bytes(),
            kind.as_bytes(),
            subject.as_bytes(),
            actor.as_bytes(),
            &at,
            facts.as_bytes(),
            &announce,
        ];
        let mut entry = Vec::new();
        for column in columns.into_iter().chain(rows) {
            entry.extend_from_slice(&(column.len() as u64).to_be_bytes());
            entry.extend_from_slice(column);
        }
        merkle::leaf(&entry)
    }

    /// The mark that only the exchange makes.
    pub fn made_mark(&self, vault: &Vault) -> Hash {
        vault.mark(&[b"event", &self.leaf()])
    }

    /// Whether the exchange wrote it.
    pub fn is_ours(&self, vault: &Vault) -> bool {
        self.mark.as_deref().is_some_and(|mark| mark == self.made_mark(vault))
    }

    /// The rows that it tells of.
    pub(crate) fn written_rows(&self) -> Result<Vec<WrittenRow>> {
        let Some(rows) = &self.rows else { return Ok(Vec::new()) };
        let read = Rows::decode(rows.as_slice());
        Ok(read.map_err(|error| Error::Internal(format!("event {}: {error}", self.id)))?.rows)
    }
}
