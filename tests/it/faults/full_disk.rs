//! SQLite on a disk that gets full and has room again, that does not take what is written or synced, or that is slow. SQLite
//! ends a transaction by itself on such an error; whoever then believes that it is still open, or never ends another one,
//! acknowledges what nobody keeps.

use std::{path::Path, time::Duration};

use exchange_tests::{Exchange, Lane};
use futures::future::join_all;

use super::{
    disk::{Failing, Failure, Mount, is_inside_own_mounts},
    outage::{all_clean, contracts, outage},
    times,
    works::{Works, judge_after_restart},
};

const MEBIBYTES: u64 = 24;

#[tokio::test(flavor = "multi_thread")]
async fn full_and_free_on_tmpfs() {
    if is_inside_own_mounts("faults::full_disk::full_and_free_on_tmpfs") {
        full_and_free(Mount::tmpfs).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_and_free_on_ext4() {
    if is_inside_own_mounts("faults::full_disk::full_and_free_on_ext4") {
        full_and_free(Mount::ext4).await;
    }
}

async fn full_and_free(mount: impl FnOnce(std::path::PathBuf, u64) -> Result<Mount, String>) {
    let folder = tempfile::tempdir().unwrap();
    let disk = match mount(folder.path().join("disk"), MEBIBYTES) {
        Ok(disk) => disk,
        Err(reason) => return eprintln!("skipped: no such disk here: {reason}"),
    };
    let mut exchange = on_disk(&disk.folder, &[]).await;
    let rounds = times(3, 10);
    let works = Works::open(&exchange, contracts(rounds)).await;
    let mut outages = Vec::new();
    for round in 1..=rounds {
        outages.push(outage(&works, async || disk.fill(), async || disk.free()).await);
        works.judge(&exchange.database_url, &format!("round {round}, another connection")).await;
        judge_after_restart(&works, &mut exchange).await;
    }
    all_clean(&works, &outages);
}

/// The same without mounts: the system calls fail. A machine that lets nobody mount anything has this one.
#[tokio::test(flavor = "multi_thread")]
async fn failing_calls() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Failing::new(folder.path()) else { return eprintln!("skipped: no C compiler here") };
    let mut exchange = on_disk(&folder.path().join("disk"), &disk.environment(&folder.path().join("disk"))).await;
    let kinds = [Failure::Full, Failure::Write, Failure::Sync];
    let rounds = times(1, 4) * kinds.len();
    let works = Works::open(&exchange, contracts(rounds)).await;
    let mut outages = Vec::new();
    for round in 0..rounds {
        let kind = kinds[round % kinds.len()];
        outages.push(outage(&works, async || disk.set(kind), async || disk.set(Failure::None)).await);
        works.judge(&exchange.database_url, &format!("after {kind:?}, another connection")).await;
        judge_after_restart(&works, &mut exchange).await;
    }
    assert!(disk.count() > 0, "no call has failed");
    all_clean(&works, &outages);
}

/// Each write and sync takes its time: calls end, as done or as unknown, and what was told is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Failing::new(folder.path()) else { return eprintln!("skipped: no C compiler here") };
    let mut exchange = on_disk(&folder.path().join("disk"), &disk.environment(&folder.path().join("disk"))).await;
    let works = Works::open(&exchange, 2).await;
    for micros in [20_000, 200_000] {
        disk.set(Failure::Slow(micros));
        for buyer in 0..times(2, 20) {
            let asked = works.one_of_each(buyer % super::works::BIDDERS).await;
            join_all(asked.iter().map(|asked| works.say(asked))).await;
        }
        disk.set(Failure::None);
    }
    assert!(disk.count() > 0, "no call was slow");
    let (unknown, left) = works.settle(Duration::from_secs(10)).await;
    eprintln!("{} slow calls, {unknown} unknown", disk.count());
    assert_eq!(left, 0, "nobody knows what came of these");
    assert_eq!(works.faults(), Vec::<String>::new());
    judge_after_restart(&works, &mut exchange).await;
}

async fn on_disk(folder: &Path, more: &[(&'static str, String)]) -> Exchange {
    std::fs::create_dir_all(folder).unwrap();
    let url = format!("sqlite://{}", folder.join("jishi.db").display());
    let more = more.iter().map(|(key, value)| (*key, value.as_str()));
    let settings: Vec<_> = [("JISHI_DATABASE_URL", url.as_str())].into_iter().chain(more).collect();
    Exchange::start_with(Lane::Sqlite, &settings).await.unwrap()
}
