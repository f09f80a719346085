//! A retry is harmless (promise P-7): the reply is stored under (actor, method, key) in the very
//! transaction of the effect, refusals included.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, SqlErr,
    sea_query::{Expr, OnConflict},
};
use sha2::{Digest, Sha256};

use crate::{Error, ErrorCode, Instant, Refusal, Result};

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub request_hash: Vec<u8>,
        pub reply: Option<Vec<u8>>,
        pub at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// One keyed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    scope: String,
    request_hash: Vec<u8>,
}

/// What is known of a keyed call.
pub enum Claim {
    /// First time: go on, then `store` the reply in the same transaction.
    Fresh,
    /// Done before: this was the reply.
    Done(Vec<u8>),
}

impl Idempotency {
    /// A call of `method` by `actor` under `key`. The scope is hashed: a key may be long or personal.
    #[must_use]
    pub fn new(actor: &str, method: &str, key: &str, request: &[u8]) -> Self {
        let mut scope = Sha256::new();
        for part in [actor, method, key] {
            scope.update(part.len().to_be_bytes());
            scope.update(part);
        }
        let scope = scope.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { scope, request_hash: Sha256::digest(request).to_vec() }
    }

    /// The hashed (actor, method, key).
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// SHA-256 of the request.
    #[must_use]
    pub fn request_hash(&self) -> &[u8] {
        &self.request_hash
    }

    /// Takes the key or finds the earlier reply. A concurrent copy waits here for the first one's
    /// commit (PostgreSQL by the unique index, SQLite by the one writer).
    pub async fn claim(&self, tx: &impl ConnectionTrait, now: Instant) -> Result<Claim> {
        let fresh = row::Entity::insert(self.row(None, now))
            .on_conflict(OnConflict::column(row::Column::Id).do_nothing().to_owned())
            .exec_without_returning(tx)
            .await?;
        if fresh == 1 {
            return Ok(Claim::Fresh);
        }
        match self.find(tx).await? {
            Some(reply) => Ok(Claim::Done(reply)),
            None => Err(Error::Unavailable("the first attempt under this key is under way".into())),
        }
    }

    /// The stored reply, if there is one; a refusal if the key belongs to another request.
    pub async fn find(&self, db: &impl ConnectionTrait) -> Result<Option<Vec<u8>>> {
        let Some(found) = row::Entity::find_by_id(&self.scope).one(db).await? else { return Ok(None) };
        if found.request_hash != self.request_hash {
            return Err(Refusal::new(ErrorCode::IdempotencyConflict).by_rule("P-7").into());
        }
        Ok(found.reply)
    }

    /// Stores the reply of a claimed key.
    pub async fn store(&self, tx: &impl ConnectionTrait, reply: Vec<u8>) -> Result<()> {
        row::Entity::update_many()
            .col_expr(row::Column::Reply, Expr::value(reply))
            .filter(row::Column::Id.eq(&self.scope))
            .exec(tx)
            .await?;
        Ok(())
    }

    /// Inserts many finished replies at once (group commit). False if a key is taken: then the caller
    /// rolls back and decides again.
    pub async fn store_all(
        tx: &impl ConnectionTrait,
        replies: Vec<(Idempotency, Vec<u8>)>,
        now: Instant,
    ) -> Result<bool> {
        if replies.is_empty() {
            return Ok(true);
        }
        let rows = replies.into_iter().map(|(call, reply)| call.row(Some(reply), now));
        match row::Entity::insert_many(rows).exec_without_returning(tx).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Finds the replies among `scopes` that are stored already, with their request hashes checked.
    pub async fn find_all(db: &impl ConnectionTrait, calls: &[&Idempotency]) -> Result<Vec<(String, Result<Vec<u8>>)>> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let scopes: Vec<&str> = calls.iter().map(|call| call.scope.as_str()).collect();
        let found = row::Entity::find().filter(row::Column::Id.is_in(scopes)).all(db).await?;
        Ok(found
            .into_iter()
            .filter_map(|row| {
                let call = calls.iter().find(|call| call.scope == row.id)?;
                let reply = if call.request_hash == row.request_hash {
                    Ok(row.reply.unwrap_or_default())
                } else {
                    Err(Refusal::new(ErrorCode::IdempotencyConflict).by_rule("P-7").into())
                };
                Some((row.id, reply))
            })
            .collect())
    }

    fn row(&self, reply: Option<Vec<u8>>, now: Instant) -> row::ActiveModel {
        row::ActiveModel {
            id: Set(self.scope.clone()),
            request_hash: Set(self.request_hash.clone()),
            reply: Set(reply),
            at: Set(now.0),
        }
    }
}
