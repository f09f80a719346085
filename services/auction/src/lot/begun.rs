use std::time::{Duration, Instant};

use kernel::{Result, Transaction};

/// So long a transaction is kept for a round that writes; PostgreSQL ends one that is idle for longer.
const KEPT: Duration = Duration::from_millis(500);

/// A transaction in which nothing is written yet.
pub struct Begun {
    tx: Box<Transaction>,
    since: Instant,
}

impl Begun {
    /// It has begun just now.
    pub fn now(tx: Transaction) -> Begun {
        Begun { tx: Box::new(tx), since: Instant::now() }
    }

    /// Whether it may wait for another round.
    pub fn is_fresh(&self) -> bool {
        self.since.elapsed() < KEPT
    }

    /// To be written in.
    pub fn tx(self) -> Transaction {
        *self.tx
    }

    /// Nothing is written.
    pub async fn leave(begun: Option<Begun>) -> Result<()> {
        match begun {
            Some(begun) => begun.tx.rollback().await,
            None => Ok(()),
        }
    }
}
