//! Whether the databases write and keep what they are told.

use std::time::{Duration, Instant};

use kernel::Db;
use tokio::sync::Mutex;

/// For so long an answer stands: anybody may ask, and each proof writes.
const STANDS: Duration = Duration::from_secs(1);

/// The proof that a process can do its work.
pub struct Proof {
    databases: Vec<Db>,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Proof {
    /// Of all these.
    pub fn of(databases: Vec<Db>) -> Proof {
        Proof { databases, last: Mutex::new(None) }
    }

    /// Whether each of them wrote and kept a row, now or within the last second.
    pub async fn holds(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, held)) = *last
            && at.elapsed() < STANDS
        {
            return held;
        }
        let mut holds = true;
        for db in &self.databases {
            if let Err(error) = db.prove().await {
                tracing::error!(%error, "not ready: a database does not keep what it is told");
                holds = false;
            }
        }
        *last = Some((Instant::now(), holds));
        holds
    }
}
