//! PostgreSQL fails over to its standby as docs/operating.md has it done, under people at work. Where replication is
//! synchronous the exchange goes on, without a restart, and all that was told is there; where it is not, what is missing is
//! found.

use std::{mem, time::Duration};

use exchange_tests::{Exchange, Lane};
use tokio::sync::Mutex;

use super::{
    cable::{Cable, Fault},
    outage::{all_clean, contracts, outage, rush},
    server::{Postgres, RELOAD},
    times,
    told::{Found, counted},
    works::{BIDDERS, Works, judge_after_restart},
};

/// How much is told under load before the primary dies.
const TOLD: usize = 12;

/// An exchange whose database has a standby, and an address that moves from one to the other.
struct Followed {
    // It ends before its database does.
    exchange: Exchange,
    works: Works,
    address: Mutex<Cable>,
    primary: Postgres,
    standby: Postgres,
}

impl Followed {
    async fn start(outages: usize) -> Option<Followed> {
        let primary = Postgres::start().await?;
        let standby = primary.standby().await;
        let cable = Cable::to(&primary.address()).await;
        let url = format!("postgres://postgres@{}/postgres", cable.address());
        let exchange = Exchange::start_with(Lane::Postgres, &[("JISHI_DATABASE_URL", url.as_str())]).await?;
        let works = Works::open(&exchange, contracts(outages)).await;
        Some(Followed { exchange, works, address: Mutex::new(cable), primary, standby })
    }

    /// From now on nothing is told that the standby has not on its disk. Both have one configuration, as a rule.
    async fn synchronize(&self) {
        for server in [&self.primary, &self.standby] {
            server.say(&["ALTER SYSTEM SET synchronous_standby_names = '*'", RELOAD]).await;
        }
        self.primary.until("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'").await;
    }

    /// Holds the database to heads that somebody noted.
    fn verified(&self, heads: &str) -> Result<(), String> {
        let output = tokio::task::block_in_place(|| self.exchange.run(&["verify", "--against", heads]));
        output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

async fn heads(exchange: &Exchange) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let told = client.get(format!("{}/heads", exchange.metrics)).send().await.unwrap();
    told.error_for_status().unwrap().text().await.unwrap()
}

/// The standby is to wait for no standby of its own, and takes over; then the address moves to it.
async fn take_over(standby: &Postgres, address: &Mutex<Cable>) {
    standby.say(&["ALTER SYSTEM SET synchronous_standby_names = ''", RELOAD, "SELECT pg_promote()"]).await;
    standby.until("NOT pg_is_in_recovery() AND current_setting('synchronous_standby_names') = ''").await;
    address.lock().await.move_to(&standby.address()).await;
}

/// The primary's machine dies, and nobody hears of any line to it again; in the longer lane its process is killed before
/// that, and the lines end.
#[tokio::test(flavor = "multi_thread")]
async fn to_a_synchronous_standby() {
    let deaths = &[Fault::Clear, Fault::Silent][times(1, 0)..];
    let Some(mut followed) = Followed::start(deaths.len()).await else { return };
    // Their sessions are fresh: one that was renewed and not told of would be over.
    assert_eq!(rush(&followed.works, BIDDERS, false).await, 0);
    let (mut outages, mut noted) = (Vec::new(), String::new());
    for death in deaths.iter().copied() {
        followed.synchronize().await;
        let Followed { primary, standby, address, exchange, works } = &mut followed;
        let breaks = async || {
            let people = async || while rush(works, BIDDERS, false).await == 0 {};
            let dies = async {
                let wanted = works.told().len() + TOLD;
                while works.told().len() < wanted {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                noted += &heads(exchange).await;
                address.lock().await.set(death);
                primary.kill();
            };
            tokio::join!(people(), people(), dies);
        };
        outages.push(outage(works, breaks, async || take_over(standby, address).await).await);
        works.judge(&exchange.database_url, "on the standby").await;
        followed.verified(&noted).unwrap();
        let next = followed.standby.standby().await;
        followed.primary = mem::replace(&mut followed.standby, next);
    }
    judge_after_restart(&followed.works, &mut followed.exchange).await;
    all_clean(&followed.works, &outages);
}

/// The same judgement finds what a standby has not that lags behind, and the noted heads tell an operator.
#[tokio::test(flavor = "multi_thread")]
async fn to_a_standby_that_lags() {
    let Some(mut followed) = Followed::start(1).await else { return };
    rush(&followed.works, BIDDERS, true).await;
    let before = heads(&followed.exchange).await;
    let follows = "SELECT count(*) = 1 FROM pg_stat_replication WHERE flush_lsn >= pg_current_wal_flush_lsn()";
    followed.primary.until(follows).await;
    followed.standby.say(&["ALTER SYSTEM SET primary_conninfo = ''", RELOAD]).await;
    followed.primary.until("SELECT count(*) = 0 FROM pg_stat_replication").await;
    let behind = heads(&followed.exchange).await;
    assert_eq!(rush(&followed.works, BIDDERS, true).await, 0);
    let mut noted = behind.clone();
    while noted == behind {
        tokio::time::sleep(Duration::from_millis(50)).await;
        noted = heads(&followed.exchange).await;
    }
    followed.exchange.process("gateway").kill();
    followed.primary.kill();
    take_over(&followed.standby, &followed.address).await;
    let (told, found) = (followed.works.told(), Found::at(&followed.exchange.database_url).await);
    let lost = found.contradicts(&told);
    let missed = followed.verified(&noted).unwrap_err();
    eprintln!("told {}; lost: {}; {missed}", counted(&told), counted(lost.iter().copied()));
    assert!(!lost.is_empty() && missed.contains("deleted: there once were"), "{missed}");
    followed.verified(&before).unwrap();
}
