use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::sync::watch;

use crate::{Db, Error, Instant, Result};

/// The only source of time. Everything that depends on time asks this, so that a drill, a demo or a
/// test can move it.
///
/// Between two anchors it runs on the machine's monotonic clock: a step of the wall clock changes
/// nothing. On PostgreSQL it is anchored to the database's clock, which is the authority there.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    anchor: RwLock<Anchor>,
    /// Milliseconds added on top; moved only in drills, demos and tests.
    offset: watch::Sender<i64>,
}

#[derive(Clone, Copy)]
struct Anchor {
    at: std::time::Instant,
    millis: i64,
}

impl Clock {
    /// A clock anchored to the process's wall clock, once.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    #[must_use]
    pub fn system() -> Clock {
        let anchor = Anchor { at: std::time::Instant::now(), millis: chrono::Utc::now().timestamp_millis() };
        Clock(Arc::new(Inner { anchor: RwLock::new(anchor), offset: watch::Sender::new(0) }))
    }

    /// Now, by the exchange.
    #[must_use]
    pub fn now(&self) -> Instant {
        let anchor = *self.0.anchor.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let elapsed = i64::try_from(anchor.at.elapsed().as_millis()).unwrap_or(i64::MAX);
        Instant(anchor.millis.saturating_add(elapsed).saturating_add(self.offset()))
    }

    /// How far the clock is moved, in milliseconds; zero outside drills.
    #[must_use]
    pub fn offset(&self) -> i64 {
        *self.0.offset.borrow()
    }

    /// Moves the clock to an absolute offset (drills, demos, tests) and wakes every sleeper.
    pub fn set_offset(&self, millis: i64) {
        self.0.offset.send_replace(millis);
    }

    /// Returns when `until` has come, also when the clock is moved there.
    pub async fn sleep_until(&self, until: Instant) {
        let mut moved = self.0.offset.subscribe();
        loop {
            let left = until.0.saturating_sub(self.now().0);
            let Ok(left @ 1..) = u64::try_from(left) else { return };
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(left.min(3_600_000))) => {}
                _ = moved.changed() => {}
            }
        }
    }

    /// Anchors to the database's clock; on SQLite the process's clock is the authority.
    ///
    /// Half of the round trip is taken as the answer's age, so the error is below the round trip.
    pub async fn anchor(&self, db: &Db) -> Result<()> {
        if db.backend() != DbBackend::Postgres {
            return Ok(());
        }
        let asked = std::time::Instant::now();
        let query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS millis";
        let row = db.read().query_one_raw(Statement::from_string(DbBackend::Postgres, query)).await?;
        let millis: i64 = row.ok_or_else(|| Error::Internal("no clock".into()))?.try_get("", "millis")?;
        let anchor = Anchor { at: asked + asked.elapsed() / 2, millis };
        *self.0.anchor.write().unwrap_or_else(std::sync::PoisonError::into_inner) = anchor;
        Ok(())
    }
}
