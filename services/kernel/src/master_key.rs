//! The operator's key and the root of a database's secrets.
//!
//! The master key opens one text in each database, the root, and nothing else: every key of what is stored is derived
//! from the root (`Vault`). So the master key can be replaced by writing one row anew, and nothing that was ever sealed,
//! marked or signed needs to be touched (docs/design/keys.md). Pseudonyms alone come from the master key itself: they are
//! made in processes without a database too.

use hkdf::Hkdf;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    Db, Error, Instant, Pseudonyms, Vault,
    vault::{DEVELOPMENT_KEY, Secret},
};

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "master_key")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub fingerprint: Vec<u8>,
        pub wrapped_root: Option<Vec<u8>>,
        pub earlier_fingerprint: Option<Vec<u8>>,
        pub replaced_at: Option<i64>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The one row.
const ONLY: i32 = 1;
/// Binds the wrapped root to its place.
const ROOT: &[u8] = b"root";

/// The key that an operator keeps outside the databases.
pub struct MasterKey {
    bytes: Zeroizing<[u8; 32]>,
    wrapping: Secret,
    pseudonyms: Pseudonyms,
    fingerprint: [u8; 32],
}

/// Why a master key does not open a database.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// It never did.
    #[error("master_key is not the one under which this database was filled")]
    Strange,
    /// It did before another one took its place.
    #[error("master_key is the one before the last rotation, which was at {0}; set the newer key")]
    Replaced(Instant),
    /// It does, but the row is not as an exchange wrote it.
    #[error("the table master_key was changed by somebody else: its root does not open")]
    Changed,
    /// The database could not be asked.
    #[error(transparent)]
    Fault(#[from] Error),
}

impl From<sea_orm::DbErr> for Unopened {
    fn from(error: sea_orm::DbErr) -> Self {
        Unopened::Fault(error.into())
    }
}

/// What came of a rotation in one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// From now on it opens under the new key only.
    Done,
    /// It did already.
    DoneBefore,
}

impl MasterKey {
    /// From its bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> MasterKey {
        let hkdf = Hkdf::<Sha256>::new(Some(b"jishi master key 2"), bytes);
        let fingerprint = Secret::derived(&hkdf, "fingerprint").mac(&[]);
        let pseudonyms = Pseudonyms::new(Secret::derived(&hkdf, "pseudonyms"));
        let bytes = Zeroizing::new(*bytes);
        MasterKey { bytes, wrapping: Secret::derived(&hkdf, "wrapping"), pseudonyms, fingerprint }
    }

    /// The key that everybody knows.
    #[must_use]
    pub fn development() -> MasterKey {
        MasterKey::new(DEVELOPMENT_KEY)
    }

    /// What hides names outside the databases: in rate counters and in the request log. A rotation gives everybody another.
    #[must_use]
    pub fn pseudonyms(&self) -> Pseudonyms {
        self.pseudonyms.clone()
    }

    /// By which the key is told from others; it tells nothing of the key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Whether a database with this fingerprint opens under this key.
    #[must_use]
    pub fn is_known_by(&self, fingerprint: &[u8]) -> bool {
        fingerprint == self.fingerprint || fingerprint == self.first_fingerprint()
    }

    /// How databases that were filled before there were roots know the key. Programs of that time refuse any other,
    /// so none of them takes a rotated key for the root.
    fn first_fingerprint(&self) -> [u8; 32] {
        Vault::new(&self.bytes).mark(&[b"fingerprint"])
    }

    /// Opens a database's secrets. A new database gets a root of its own.
    pub async fn open(&self, db: &Db) -> Result<Vault, Unopened> {
        if let Some(found) = row::Entity::find_by_id(ONLY).one(db.read()).await? {
            return Ok(Vault::new(&*self.root(&found)?));
        }
        let root = Secret::random()?;
        let first = row::ActiveModel {
            id: Set(ONLY),
            fingerprint: Set(self.fingerprint.to_vec()),
            wrapped_root: Set(Some(self.wrapping.seal_fresh(ROOT, root.bytes())?)),
            earlier_fingerprint: Set(None),
            replaced_at: Set(None),
        };
        let earlier = OnConflict::column(row::Column::Id).do_nothing().to_owned();
        let tx = db.begin().await?;
        row::Entity::insert(first).on_conflict(earlier).exec_without_returning(&tx).await?;
        // Of processes that come together, the first one's root is the database's.
        let found = row::Entity::find_by_id(ONLY).one(&tx).await?.ok_or(Unopened::Changed)?;
        tx.commit().await?;
        Ok(Vault::new(&*self.root(&found)?))
    }

    /// Lets `new` open the database in place of this key, in one transaction: a crash leaves one of both working. Who
    /// has opened it before goes on.
    pub async fn rotate(&self, db: &Db, new: &MasterKey, now: Instant) -> Result<Rotation, Unopened> {
        let tx = db.begin().await?;
        let Some(found) = row::Entity::find_by_id(ONLY).one(&tx).await? else { return Err(Unopened::Strange) };
        if found.fingerprint == new.fingerprint {
            new.root(&found)?;
            tx.rollback().await?;
            return Ok(Rotation::DoneBefore);
        }
        let root = self.root(&found)?;
        let replaced = row::Entity::update_many()
            .col_expr(row::Column::WrappedRoot, Expr::value(new.wrapping.seal_fresh(ROOT, root.as_slice())?))
            .col_expr(row::Column::Fingerprint, Expr::value(new.fingerprint.to_vec()))
            .col_expr(row::Column::EarlierFingerprint, Expr::value(found.fingerprint.clone()))
            .col_expr(row::Column::ReplacedAt, Expr::value(now.0))
            .filter(row::Column::Fingerprint.eq(found.fingerprint))
            .exec(&tx)
            .await?;
        if replaced.rows_affected != 1 {
            return Err(Error::Unavailable("another rotation is under way".into()).into());
        }
        tx.commit().await?;
        Ok(Rotation::Done)
    }

    fn root(&self, found: &row::Model) -> Result<Zeroizing<[u8; 32]>, Unopened> {
        match &found.wrapped_root {
            // Filled before there were roots: everything there was derived from this key itself.
            None if found.fingerprint == self.first_fingerprint() => Ok(self.bytes.clone()),
            Some(wrapped) if found.fingerprint == self.fingerprint => {
                let root = self.wrapping.open_fresh(ROOT, wrapped).map_err(|_| Unopened::Changed)?;
                Ok(Zeroizing::new(root.as_slice().try_into().map_err(|_| Unopened::Changed)?))
            }
            _ if found.earlier_fingerprint.as_deref().is_some_and(|earlier| self.is_known_by(earlier)) => {
                Err(Unopened::Replaced(Instant(found.replaced_at.unwrap_or_default())))
            }
            _ => Err(Unopened::Strange),
        }
    }
}

/// By what a database knows its master key; nothing if no exchange was ever started on it.
pub(crate) async fn fingerprint(db: &impl ConnectionTrait) -> crate::Result<Option<Vec<u8>>> {
    // A column by its name: a database of before there were roots has no others.
    let select = "SELECT fingerprint FROM master_key WHERE id = 1";
    let found = db.query_one_raw(sea_orm::Statement::from_string(db.get_database_backend(), select)).await?;
    Ok(found.map(|row| row.try_get("", "fingerprint")).transpose()?)
}
