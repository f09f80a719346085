//! A PostgreSQL of a test's own that stops, is killed, is read-only or has no connection left, under people at work.

use std::time::Duration;

use exchange_tests::{Exchange, Lane};
use kernel::Db;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    outage::{all_clean, contracts, outage},
    server::{Postgres, RELOAD},
    times,
    works::{Works, judge_after_restart},
};

/// All connections of a server, while it is kept.
struct Taken {
    db: Db,
    taken: Vec<TcpStream>,
}

impl Postgres {
    /// Takes all connections, those that others have as well.
    async fn take_all(&self) -> Taken {
        const OTHERS: &str = "pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'taken'
            AND pid <> pg_backend_pid()";
        let (db, mut taken) = (Db::connect(&self.url()).await.unwrap(), Vec::new());
        // Whoever is put out comes back at once, so it is a race.
        for _ in 0..200 {
            while let Some(stream) = self.connection().await {
                taken.push(stream);
            }
            let ended = format!("SELECT count(pg_terminate_backend(pid)) AS ended FROM {OTHERS}");
            let asked = Statement::from_string(DbBackend::Postgres, ended);
            let row = db.read().query_one_raw(asked).await.unwrap().unwrap();
            if row.try_get::<i64>("", "ended").unwrap() == 0 {
                return Taken { db, taken };
            }
        }
        panic!("others keep their connections");
    }

    /// A connection that was let in, or nothing where none is left.
    async fn connection(&self) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let said = b"\0\x03\0\0user\0postgres\0database\0postgres\0application_name\0taken\0\0";
        let length = u32::try_from(said.len() + 4).unwrap();
        stream.write_all(&[&length.to_be_bytes()[..], said].concat()).await.unwrap();
        let mut first = [0];
        let read = timeout(Duration::from_secs(5), stream.read_exact(&mut first)).await;
        (read.is_ok_and(|read| read.is_ok()) && first == *b"R").then_some(stream)
    }
}

async fn at_work(outages: usize) -> Option<(Postgres, Exchange, Works)> {
    let postgres = Postgres::start().await?;
    let url = postgres.url();
    let exchange = Exchange::start_with(Lane::Postgres, &[("JISHI_DATABASE_URL", url.as_str())]).await?;
    let works = Works::open(&exchange, contracts(outages)).await;
    Some((postgres, exchange, works))
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_and_started() {
    let rounds = times(2, 10);
    let Some((mut postgres, mut exchange, works)) = at_work(rounds).await else { return };
    let mut outages = Vec::new();
    for round in 0..rounds {
        let signal = if round % 2 == 0 { "-QUIT" } else { "-INT" };
        let server = tokio::sync::Mutex::new(&mut postgres);
        let breaks = async || server.lock().await.stop(signal);
        let heals = async || server.lock().await.restart().await;
        outages.push(outage(&works, breaks, heals).await);
        works.judge(&exchange.database_url, signal).await;
    }
    judge_after_restart(&works, &mut exchange).await;
    all_clean(&works, &outages);
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only() {
    let rounds = times(1, 5);
    let Some((postgres, mut exchange, works)) = at_work(rounds).await else { return };
    let mut outages = Vec::new();
    for _ in 0..rounds {
        let breaks = async || postgres.say(&["ALTER SYSTEM SET default_transaction_read_only = on", RELOAD]).await;
        let heals = async || postgres.say(&["ALTER SYSTEM RESET default_transaction_read_only", RELOAD]).await;
        outages.push(outage(&works, breaks, heals).await);
        works.judge(&exchange.database_url, "read-only").await;
    }
    judge_after_restart(&works, &mut exchange).await;
    all_clean(&works, &outages);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_left() {
    let rounds = times(1, 5);
    let Some((postgres, mut exchange, works)) = at_work(rounds).await else { return };
    let mut outages = Vec::new();
    for _ in 0..rounds {
        let taken = tokio::sync::Mutex::new(None);
        let breaks = async || *taken.lock().await = Some(postgres.take_all().await);
        let heals = async || {
            let Taken { db, taken } = taken.lock().await.take().unwrap();
            drop(taken);
            db.close().await.unwrap();
        };
        outages.push(outage(&works, breaks, heals).await);
        works.judge(&exchange.database_url, "no connection left").await;
    }
    judge_after_restart(&works, &mut exchange).await;
    all_clean(&works, &outages);
}
