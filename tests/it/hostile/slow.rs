//! S8: 500 slow connections are cut within 15 seconds, and keep nobody else waiting.

use std::collections::BTreeMap;

use exchange_tests::{Lane, attacks::crowd};

use super::{Memory, Regular, production, seconds};

const CROWD: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_and_keep_nobody_waiting() {
    let mut exchange = production(Lane::Sqlite).await.unwrap();
    let memory = Memory::of(&mut exchange);
    let before = memory.resident();
    let regular = Regular::comes_to(&exchange).await;
    let dawdled = crowd(&exchange.http, CROWD, seconds(20)).join_all().await;
    let (answers, longest) = regular.leaves().await;

    let mut slowest = BTreeMap::new();
    for (slow, cut) in &dawdled {
        let kept = slowest.entry(format!("{slow:?}")).or_insert(*cut);
        // None, not cut at all, is the longest.
        *kept = if kept.is_none() || cut.is_none() { None } else { (*kept).max(*cut) };
    }
    println!(
        "S8: {CROWD} slow connections, the last of each kind cut after {slowest:?}; {answers} ordinary answers, \
         the slowest in {longest:?}; {before} MiB before, {} at most",
        memory.peak()
    );
    for (slow, cut) in dawdled {
        assert!(cut.is_some_and(|cut| cut <= seconds(15)), "{slow:?} was cut after {cut:?}");
        assert!(cut.is_some_and(|cut| !cut.is_zero()), "{slow:?} was not let in");
    }
    assert!(answers > 0 && exchange.process("gateway").is_running());
}
