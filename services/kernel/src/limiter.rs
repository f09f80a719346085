//! How much somebody may ask for in a minute, counted for all processes of the exchange in Redis, or in memory where
//! there is none. Nothing else rests on these counts. Whoever reads Redis learns of nobody that they asked: a bucket's key
//! is a keyed hash of its name.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use governor::{DefaultDirectRateLimiter, Quota, clock::Clock as _};
use moka::{policy::EvictionPolicy, sync::Cache};
use redis::{
    Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use crate::{Error, Pseudonyms, Result};

/// Buckets remembered in memory; the one that was longest untouched goes first.
const BUCKETS: u64 = 100_000;
/// An untouched bucket is full again after a minute, which is what an unknown one is.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Redis answers within this, or it is away.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long Redis is not asked again after it was away.
const PAUSE: Duration = Duration::from_secs(1);

/// Generic cell rate: the key holds the instant, in microseconds, at which the bucket is full again. The clock is
/// that of Redis, so that processes need not agree. Answers how long to wait; zero if the points were taken.
const TAKE: &str = r"
local each, minute, points = 60000000 / tonumber(ARGV[1]), 60000000, tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + points * each
local wait = full - now - minute
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return 0";

/// Whether somebody may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The points are taken.
    Allowed,
    /// Nothing was taken; the same may be asked again after this time.
    Refused(Duration),
}

/// Buckets of points that fill up evenly and hold a minute's worth. Clones share them.
#[derive(Clone)]
pub struct Limiter {
    shared: Option<Arc<Shared>>,
    own: Cache<(String, u32), Arc<DefaultDirectRateLimiter>>,
}

struct Shared {
    connection: ConnectionManager,
    prefix: String,
    pseudonyms: Pseudonyms,
    script: Script,
    away_until: Mutex<Option<Instant>>,
}

impl Limiter {
    /// Counts in this process alone.
    #[must_use]
    pub fn alone() -> Limiter {
        Limiter::remembering(BUCKETS)
    }

    fn remembering(buckets: u64) -> Limiter {
        let own = Cache::builder().max_capacity(buckets).time_to_idle(FORGOTTEN);
        Limiter { shared: None, own: own.eviction_policy(EvictionPolicy::lru()).build() }
    }

    /// Counts in Redis, under keys that begin with `prefix` and go on with a pseudonym of the bucket's name. It connects
    /// on first use and again after a break.
    ///
    /// # Errors
    /// The URL is none.
    pub fn shared(url: &str, prefix: &str, pseudonyms: Pseudonyms) -> Result<Limiter> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE));
        let connection = ConnectionManager::new_lazy_with_config(redis::Client::open(url)?, config)?;
        let (prefix, script) = (prefix.into(), Script::new(TAKE));
        let shared = Shared { connection, prefix, pseudonyms, script, away_until: Mutex::default() };
        Ok(Limiter { shared: Some(Arc::new(shared)), ..Limiter::alone() })
    }

    /// Takes points from a bucket that gets `per_minute` of them (0: as many as you like). More points than a bucket
    /// holds take all of it. While Redis is away each process counts by itself, so that bidding goes on.
    pub async fn take(&self, bucket: &str, points: u32, per_minute: u32) -> Verdict {
        match self.take_strict(bucket, points, per_minute).await {
            Ok(verdict) => verdict,
            Err(error) => {
                tracing::debug!(%error, "counted in memory");
                self.take_own(bucket, points, per_minute)
            }
        }
    }

    /// The same for what must not be guessed: while Redis is away it is `Unavailable`, never allowed.
    pub async fn take_strict(&self, bucket: &str, points: u32, per_minute: u32) -> Result<Verdict> {
        match &self.shared {
            _ if per_minute == 0 => Ok(Verdict::Allowed),
            Some(shared) => shared.take(bucket, points.clamp(1, per_minute), per_minute).await,
            None => Ok(self.take_own(bucket, points, per_minute)),
        }
    }

    fn take_own(&self, bucket: &str, points: u32, per_minute: u32) -> Verdict {
        let Some(most) = NonZeroU32::new(per_minute) else { return Verdict::Allowed };
        let points = NonZeroU32::new(points).unwrap_or(NonZeroU32::MIN).min(most);
        let fresh = || Arc::new(DefaultDirectRateLimiter::direct(Quota::per_minute(most)));
        let bucket = self.own.get_with((bucket.to_owned(), per_minute), fresh);
        match bucket.check_n(points) {
            Ok(Ok(())) => Verdict::Allowed,
            Ok(Err(until)) => Verdict::Refused(until.wait_time_from(bucket.clock().now())),
            // Never: there are no more points than the bucket holds.
            Err(_) => Verdict::Refused(FORGOTTEN),
        }
    }
}

impl Shared {
    async fn take(&self, bucket: &str, points: u32, per_minute: u32) -> Result<Verdict> {
        if self.away_until().is_some_and(|until| Instant::now() < until) {
            return Err(Error::Unavailable("redis was away a moment ago".into()));
        }
        let mut connection = self.connection.clone();
        let mut call = self.script.key(self.key(bucket));
        call.arg(per_minute).arg(points);
        let asked = tokio::time::timeout(PATIENCE, call.invoke_async::<u64>(&mut connection));
        match asked.await.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())) {
            Ok(0) => Ok(Verdict::Allowed),
            Ok(micros) => Ok(Verdict::Refused(Duration::from_micros(micros))),
            Err(error) => {
                tracing::warn!(%error, "limits cannot be counted in Redis");
                *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
                Err(error.into())
            }
        }
    }

    /// Where a bucket is kept; half of the hash is enough for no two buckets to meet.
    fn key(&self, bucket: &str) -> String {
        format!("{}:{}", self.prefix, self.pseudonyms.of("rate", bucket, 16))
    }

    fn away_until(&self) -> Option<Instant> {
        *self.away_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MasterKey;

    /// Nothing listens there.
    const NOBODY: &str = "redis://127.0.0.1:1";

    async fn a_bucket_runs_dry_alone(one: &Limiter, other: &Limiter) {
        for _ in 0..2 {
            assert_eq!(one.take("a", 30, 60).await, Verdict::Allowed);
        }
        for dry in [one, other] {
            let Verdict::Refused(wait) = dry.take("a", 30, 60).await else { panic!("more than a minute's worth") };
            assert!(wait > Duration::from_secs(28) && wait <= Duration::from_secs(30), "{wait:?}");
        }
        assert_eq!(one.take("b", 1_000, 60).await, Verdict::Allowed, "the whole bucket, and another one");
        assert!(matches!(one.take_strict("b", 0, 60).await, Ok(Verdict::Refused(_))), "nothing is free");
        assert_eq!(one.take("b", 1_000, 0).await, Verdict::Allowed, "no limit");
        // 6,000 a minute: the 60 points of a refusal are there again after 600 ms at the latest.
        assert_eq!(one.take("c", 6_000, 6_000).await, Verdict::Allowed);
        let began = Instant::now();
        while one.take("c", 60, 6_000).await != Verdict::Allowed {
            tokio::task::yield_now().await;
        }
        assert!(began.elapsed() > Duration::from_millis(500) && began.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn in_memory() {
        let limiter = Limiter::alone();
        a_bucket_runs_dry_alone(&limiter, &limiter.clone()).await;
    }

    #[tokio::test]
    async fn in_redis_for_all_processes() {
        let Ok(url) = std::env::var("TEST_REDIS_URL") else { return };
        let prefix = format!("test-{}", crate::fresh_uuid().simple());
        let process = || Limiter::shared(&url, &prefix, MasterKey::development().pseudonyms()).unwrap();
        a_bucket_runs_dry_alone(&process(), &process()).await;
    }

    #[tokio::test]
    async fn a_key_tells_its_bucket_to_nobody_and_is_the_same_everywhere() {
        let of = |key: MasterKey| Limiter::shared(NOBODY, "p", key.pseudonyms()).unwrap().shared.unwrap();
        let key = of(MasterKey::development()).key("organization/org_1");
        assert!(key.starts_with("p:") && key.len() == 34 && !key.contains("org"), "{key}");
        assert_eq!(key, of(MasterKey::development()).key("organization/org_1"));
        assert_ne!(key, of(MasterKey::development()).key("organization/org_2"));
        assert_ne!(key, of(MasterKey::new(&[7; 32])).key("organization/org_1"));
    }

    #[tokio::test]
    async fn without_redis_ordinary_limits_go_on_and_strict_ones_fail_closed() {
        let limiter = Limiter::shared(NOBODY, "test", MasterKey::development().pseudonyms()).unwrap();
        let began = Instant::now();
        for _ in 0..50 {
            assert!(matches!(limiter.take_strict("guess", 1, 60).await, Err(Error::Unavailable(_))));
        }
        for _ in 0..60 {
            assert_eq!(limiter.take("ask", 1, 60).await, Verdict::Allowed);
        }
        assert!(matches!(limiter.take("ask", 1, 60).await, Verdict::Refused(_)), "memory counts too");
        assert!(began.elapsed() < Duration::from_secs(2), "nobody waits for it: {:?}", began.elapsed());
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let limiter = Limiter::remembering(100);
        for n in 0..10_000 {
            limiter.take_own(&n.to_string(), 1, 60);
        }
        limiter.own.run_pending_tasks();
        assert!(limiter.own.entry_count() <= 100);
    }
}
