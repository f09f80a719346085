//! The lines between the services and PostgreSQL fail at a chosen moment of a transaction: when it is begun, in the middle,
//! when it is ended. Whatever the database made of it, whoever asks again under the key is told, and what was told is there.

use std::time::Duration;

use exchange_tests::{Exchange, Lane};
use futures::future::join_all;

use super::{
    Dice,
    cable::{Cable, Cut, Fault, Moment},
    outage::{all_clean, contracts, outage},
    times,
    torn::End,
    works::{BIDDERS, Works, judge_after_restart},
};

/// How soon after healing callers are told what came of it.
const RECOVERY: Duration = Duration::from_secs(10);

/// All roles in one process, with a line to the database that can be cut. What is judged goes around it.
async fn behind_a_cable() -> Option<(Exchange, Cable)> {
    let mut exchange = Exchange::start(Lane::Postgres).await?;
    let url = exchange.database_url.clone();
    let (scheme, rest) = url.split_once('@').unwrap();
    let (far, path) = rest.split_once('/').unwrap();
    let cable = Cable::to(far).await;
    let through = format!("{scheme}@{}/{path}", cable.address());
    tokio::task::block_in_place(|| {
        exchange.process("gateway").set("JISHI_DATABASE_URL", &through);
        exchange.kill_and_restart("gateway");
    });
    Some((exchange, cable))
}

#[tokio::test(flavor = "multi_thread")]
async fn at_each_moment_of_a_transaction() {
    let Some((mut exchange, cable)) = behind_a_cable().await else { return };
    let mut cuts: Vec<(Moment, Cut)> = Vec::new();
    for _ in 0..times(2, 6) {
        cuts.extend(Moment::ALL.iter().flat_map(|moment| [(*moment, Cut::Before), (*moment, Cut::After)]));
    }
    // A half-open line is waited for as long as a call may last.
    let silent = Moment::ALL.map(|moment| (moment, Cut::Silent));
    cuts.extend(silent.iter().cycle().skip(2).take(times(1, 6)));
    let works = Works::open(&exchange, cuts.len().div_ceil(2)).await;
    let mut dice = Dice::of("cuts");
    for (number, (moment, cut)) in cuts.into_iter().enumerate() {
        at(&works, &cable, (moment, cut), (number % BIDDERS, &mut dice)).await;
        works.judge(&exchange.database_url, &format!("{cut:?} {moment:?}")).await;
    }
    assert_eq!(works.faults(), Vec::<String>::new());
    judge_after_restart(&works, &mut exchange).await;
}

/// One of each kind while every line fails at the moment; then the line is whole, and all are told.
async fn at(works: &Works, cable: &Cable, (moment, cut): (Moment, Cut), (buyer, dice): (usize, &mut Dice)) {
    let before = cable.broken();
    let asked = works.one_of_each(buyer).await;
    cable.set(Fault::At(moment, cut));
    let said = join_all(asked.iter().map(|asked| works.say(asked))).await;
    let unknown: Vec<&str> =
        asked.iter().zip(&said).filter(|(_, end)| **end == End::Unknown).map(|(asked, _)| asked.verb).collect();
    let met = cable.broken() - before;
    if cut == Cut::Silent && dice.below(2) == 0 {
        cable.set(Fault::Reset);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cable.set(Fault::Clear);
    eprintln!("{cut:?} {moment:?}: {met} lines, unknown: {unknown:?}");
    assert!(met > 0, "{cut:?} {moment:?} befell nobody");
    let (_, left) = works.settle(RECOVERY).await;
    assert_eq!(left, 0, "{cut:?} {moment:?}: nobody knows what came of these, {RECOVERY:?} after healing");
}

/// Lines break and whoever dials is refused, as while a database is started anew elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_dials_is_refused() {
    let Some((mut exchange, cable)) = behind_a_cable().await else { return };
    let rounds = times(1, 5);
    let works = Works::open(&exchange, contracts(rounds)).await;
    let cable = tokio::sync::Mutex::new(cable);
    let mut outages = Vec::new();
    for _ in 0..rounds {
        let breaks = async || cable.lock().await.refuse().await;
        let heals = async || cable.lock().await.listen().await;
        outages.push(outage(&works, breaks, heals).await);
        works.judge(&exchange.database_url, "refused").await;
    }
    judge_after_restart(&works, &mut exchange).await;
    all_clean(&works, &outages);
}
