//! A retry is harmless (promise P-7): the reply is stored under (actor, method, key) in the very
//! transaction of the effect, refusals included.
//!
//! At rest it tells nothing: its scope, its seal and the mark of its request are derived from the caller's key and the
//! exchange's, and neither of the two lies in the database.

use data_encoding::HEXLOWER;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait, SqlErr,
    sea_query::{Expr, OnConflict},
};

use crate::{
    Acknowledged, Error, ErrorCode, Instant, Refusal, Result, Transaction, Vault,
    vault::{NONCE, Secret},
};

pub(crate) mod row {
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
    seal: Secret,
}

/// One nonce for all: a scope's key seals one reply. If a round that nobody saw is decided again, it seals another one
/// under the same key and nonce, which AES-GCM-SIV allows.
const ONLY: [u8; NONCE] = [0; NONCE];

/// What is known of a keyed call.
pub enum Claim {
    /// First time: go on, then `store` the reply in the same transaction.
    Fresh,
    /// Done before: this was the reply.
    Done(Vec<u8>),
}

impl Idempotency {
    /// A call of `method` by `actor` under `key`.
    #[must_use]
    pub fn new(vault: &Vault, [actor, method, key]: [&str; 3], request: &[u8]) -> Self {
        let secrets = vault.of_call(&[actor, method, key]);
        let scope = HEXLOWER.encode(Secret::derived(&secrets, "scope").bytes());
        let request_hash = Secret::derived(&secrets, "request").mac(&[request]).to_vec();
        Self { scope, request_hash, seal: Secret::derived(&secrets, "reply") }
    }

    /// Under what the call is stored: it names (actor, method, key) to nobody.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// By which another request under the same key is told.
    #[must_use]
    pub fn request_hash(&self) -> &[u8] {
        &self.request_hash
    }

    /// The reply as it is stored.
    pub fn seal(&self, reply: &[u8]) -> Result<Vec<u8>> {
        self.seal.seal(ONLY, self.scope.as_bytes(), reply)
    }

    /// The reply from its stored form.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        Ok(self.seal.open(ONLY, self.scope.as_bytes(), sealed)?.to_vec())
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
        found.reply.map(|reply| self.open(&reply)).transpose()
    }

    /// Stores the reply of a claimed key.
    pub async fn store(&self, tx: &Transaction, reply: &[u8]) -> Result<()> {
        tx.vouch(|| {
            let stored = row::Entity::find_by_id(&self.scope).filter(row::Column::Reply.is_not_null());
            Acknowledged { what: format!("reply {}", self.scope), query: stored.build(tx.get_database_backend()) }
        });
        row::Entity::update_many()
            .col_expr(row::Column::Reply, Expr::value(self.seal(reply)?))
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
        let row = |(call, reply): (Idempotency, Vec<u8>)| Ok(call.row(Some(call.seal(&reply)?), now));
        let rows = replies.into_iter().map(row).collect::<Result<Vec<_>>>()?;
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
                    call.open(&row.reply.unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The same call finds and opens its reply; every other call, exchange or request is another one.
        #[test]
        fn a_call_is_known_by_all_of_it(parts in prop::array::uniform3(".{0,12}"), request: Vec<u8>, reply: Vec<u8>, which in 0_usize..3) {
            let vault = Vault::development();
            let call = |parts: &[String; 3]| Idempotency::new(&vault, parts.each_ref().map(String::as_str), &request);
            let first = call(&parts);
            let sealed = first.seal(&reply).unwrap();
            prop_assert_eq!(&sealed, &first.seal(&reply).unwrap());
            prop_assert_eq!(call(&parts).open(&sealed).unwrap(), reply);
            let mut others = parts.clone();
            others[which].push('x');
            let elsewhere = Idempotency::new(&Vault::new(&[7; 32]), parts.each_ref().map(String::as_str), &request);
            for other in [call(&others), elsewhere] {
                prop_assert_ne!(other.scope(), first.scope());
                prop_assert_ne!(other.request_hash(), first.request_hash());
                prop_assert!(other.open(&sealed).is_err());
            }
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let vault = Vault::development();
        let scope = |parts| Idempotency::new(&vault, parts, b"").scope().to_owned();
        assert_ne!(scope(["ab", "c", "d"]), scope(["a", "bc", "d"]));
        assert!(!format!("{:?}", Idempotency::new(&vault, ["a", "b", "c"], b"")).contains("seal: Secret("));
    }
}
