//! What a writer holds on PostgreSQL it does not hold for ever, and whoever waits for it does not wait for ever.

#![cfg(test)]

use std::time::Duration;

use kernel::{Db, Error, WriteLimits};
use sea_orm::ConnectionTrait;

#[tokio::test]
async fn a_lock_is_neither_held_nor_waited_for_without_end() {
    let Ok(url) = std::env::var("TEST_POSTGRES_URL") else {
        eprintln!("skipped: TEST_POSTGRES_URL is not set; run ./test");
        return;
    };
    let (second, limits) = (Duration::from_secs(1), WriteLimits::default());
    let patient = Db::connect_within(&url, WriteLimits { idle: second, lock: Duration::ZERO, ..limits }).await.unwrap();
    let hasty = Db::connect_within(&url, WriteLimits { idle: second * 60, lock: second / 20, ..limits }).await.unwrap();
    let lock = "SELECT pg_advisory_xact_lock(81320)";
    let frozen = patient.begin().await.unwrap();
    frozen.execute_unprepared(lock).await.unwrap();
    let late: Error = hasty.run(lock).await.unwrap_err();
    assert!(matches!(late, Error::Unavailable(_)), "{late:?}");
    // It comes when the other one is undone.
    patient.run(lock).await.unwrap();
    let undone: Error = frozen.execute_unprepared("SELECT 1").await.unwrap_err().into();
    assert!(matches!(undone, Error::Unavailable(_)), "{undone:?}");
}
