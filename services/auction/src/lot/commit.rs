//! Group commit: everything one batch decided becomes one transaction, fenced by the lot's version.

use kernel::{Context, Id, Idempotency, Result, Transaction};
use sea_orm::DbBackend;

use crate::{
    lot::outcome::Outcome,
    store::{self, bidder, exclusion, flush::BatchCommit, log},
};

impl BatchCommit<'_> {
    /// Writes the round, and returns when the database has answered that it is committed. False if it is fenced: another
    /// writer has moved the lot, took a key, or our clock was off; then nothing is written. `held` is a transaction in which
    /// the lot was held when the round was decided.
    pub async fn commit(self, cx: &Context, bidders: &[bidder::Model], held: Option<Transaction>) -> Result<bool> {
        let tx = match held {
            None if self.is_plain() && cx.db.backend() == DbBackend::Postgres => return self.flush_alone(cx).await,
            None => cx.db.begin().await?,
            Some(tx) => tx,
        };
        self.vouch(&tx);
        if !self.write(cx, bidders, &tx).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn write(self, cx: &Context, bidders: &[bidder::Model], tx: &Transaction) -> Result<bool> {
        let ends_phase = self.ends_phase();
        if !self.fence(tx, cx).await? {
            return Ok(false);
        }
        log::insert(tx, self.after.id, self.events).await?;
        if !Idempotency::store_all(tx, self.replies, self.now).await? {
            return Ok(false);
        }
        // A lot that passes on stays SOLD, to another bidder: that end is signed too.
        if ends_phase || self.beside.defaulted.is_some() {
            log::sign(tx, cx, self.after.id, (self.tree, self.now)).await?;
        }
        for late in &self.beside.admitted {
            store::insert_bidder(tx, late.clone()).await?;
        }
        for (organization, person) in &self.beside.excluded {
            exclusion::confirm(tx, (self.after.id, *organization), (person, self.now)).await?;
        }
        for (actor, kind, facts) in self.beside.facts {
            cx.record_by(tx, (&actor, self.now), &self.after.id.text(), (kind, facts)).await?;
        }
        let lot = Outcome { row: self.after, lot: self.lot, bidders };
        for event in self.events {
            lot.follow(cx, tx, (event, self.beside.defaulted)).await?;
        }
        Ok(true)
    }
}
