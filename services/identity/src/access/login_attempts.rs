//! How often somebody may guess: five times at one account, and a few times more from one address. A guess is taken
//! before it is evaluated, so that parallel ones cannot outrun the count, and given back if it was right.
//!
//! Both counts lie in the database, beside what they guard: losing Redis loses none. The brake in front of them is the
//! limiter's, which is away when Redis is: then nobody guesses at all.

use kernel::{Db, ErrorCode, Refusal, Result, Verdict};
use sea_orm::ConnectionTrait;

use crate::{identities::Identities, store::login_attempt as store};

/// Guesses at one account that are evaluated in a row (check S3).
const MOST_GUESSES: i32 = 5;
/// How long an account rests after the last of them, and an address until all its guesses are forgotten.
const REST_SECONDS: i64 = 15 * 60;
/// Evaluations that one address may ask for in a minute, the right ones included: each costs 19 MiB and a core's time.
const BRAKE: u32 = 1_200;

/// One guess that was taken.
#[must_use]
pub struct Guess {
    subject: Option<Vec<u8>>,
    address: Option<Vec<u8>>,
    /// How long the address's bucket takes to forget one guess.
    each: i64,
}

impl Guess {
    /// Takes a guess at an account: a person's id, or a login that nobody has.
    pub async fn at(identities: &Identities, address: &str, account: &str) -> Result<Guess> {
        let cx = &identities.cx;
        let subject = cx.vault.index("guess", account).to_vec();
        let now = cx.clock.now();
        let window_start = now.plus_seconds(-REST_SECONDS);
        // Whoever floods an account that rests makes the database read, not write.
        if store::rests(cx.db.read(), &subject, window_start, MOST_GUESSES).await? {
            return Err(too_many());
        }
        let mut guess = Self::from(identities, address).await?;
        let tx = cx.db.begin().await?;
        let taken = store::take(&tx, &subject, now, window_start, MOST_GUESSES).await?;
        if !taken {
            // Nothing is evaluated, so the address pays nothing.
            guess.spare_address(&tx).await?;
        }
        tx.commit().await?;
        if !taken {
            return Err(too_many());
        }
        guess.subject = Some(subject);
        Ok(guess)
    }

    /// Takes a guess from an address alone, where no account is known yet. Inside the exchange there is no address.
    pub async fn from(identities: &Identities, address: &str) -> Result<Guess> {
        let Identities { cx, entrance, .. } = identities;
        let each = REST_SECONDS * 1_000 / i64::from(entrance.guesses_per_address.max(1));
        let nobody = Guess { subject: None, address: None, each };
        if address.is_empty() || entrance.guesses_per_address == 0 {
            return Ok(nobody);
        }
        if let Verdict::Refused(_) = entrance.limiter.take_strict(&format!("guess:{address}"), 1, BRAKE).await? {
            return Err(too_many());
        }
        let index = cx.vault.index("guess from", address).to_vec();
        let now = cx.clock.now();
        let tx = cx.db.begin().await?;
        let taken = store::take_from(&tx, &index, now, each, REST_SECONDS * 1_000).await?;
        tx.commit().await?;
        if !taken {
            return Err(too_many());
        }
        Ok(Guess { address: Some(index), ..nobody })
    }

    /// It was right in every respect: the account's other guesses are forgotten with it.
    pub async fn right(self, db: &impl ConnectionTrait) -> Result<()> {
        if let Some(subject) = &self.subject {
            store::clear(db, subject).await?;
        }
        self.spare_address(db).await
    }

    /// It was right as far as it went, which must not make room for guesses at the rest: only this one is forgotten.
    pub async fn give_back(self, db: &impl ConnectionTrait) -> Result<()> {
        if let Some(subject) = &self.subject {
            store::give_back(db, subject).await?;
        }
        self.spare_address(db).await
    }

    /// It goes on counting at the account, not at the address; in a transaction of its own.
    pub async fn spared(&self, db: &Db) -> Result<()> {
        let tx = db.begin().await?;
        self.spare_address(&tx).await?;
        tx.commit().await
    }

    /// It goes on counting at the account, not at the address.
    pub async fn spare_address(&self, db: &impl ConnectionTrait) -> Result<()> {
        match &self.address {
            Some(address) => store::give_back_from(db, address, self.each).await,
            None => Ok(()),
        }
    }
}

/// Forgets what no longer counts, so that made-up logins do not fill the tables.
pub async fn forget_old(identities: &Identities) -> Result<()> {
    let now = identities.cx.clock.now();
    let tx = identities.cx.db.begin().await?;
    store::forget(&tx, now, now.plus_seconds(-REST_SECONDS)).await?;
    tx.commit().await
}

fn too_many() -> kernel::Error {
    Refusal::new(ErrorCode::TooManyAttempts).accepting("15 分钟后 / after 15 minutes").into()
}
