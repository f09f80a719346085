//! Whatever comes in whatever order: one winner by the order key, a price that rises, an end that never moves back, and
//! a log that decides the same again.

use proptest::prelude::*;

use super::*;
use wire::v1::{CloseRule, PreemptionRule};

fn any_terms() -> impl Strategy<Value = BiddingTerms> {
    let close = prop::sample::select(vec![CloseRule::TwoStage, CloseRule::SoftClose, CloseRule::InquiryThenTimed]);
    let rule =
        prop::sample::select(vec![PreemptionRule::None, PreemptionRule::InSession, PreemptionRule::AfterSession]);
    (close, rule, any::<bool>(), 0..3).prop_map(|(close, rule, proxy_allowed, limit)| BiddingTerms {
        close_rule: close.into(),
        preemption: rule.into(),
        proxy_allowed,
        max_extensions: limit,
        inquiry_seconds: 5,
        extension_window_seconds: 20,
        preemption_seconds: 10,
        ..terms()
    })
}

fn any_command() -> impl Strategy<Value = Command> {
    let code = || (1..5).prop_map(|n| format!("B0{n}"));
    let fen = || (18_i64..60).prop_map(|steps| Money(steps * 500));
    prop_oneof![
        6 => (code(), fen()).prop_map(|(code, amount)| bid(&code, amount.0)),
        2 => (code(), fen()).prop_map(|(code, maximum)| Command::Proxy { code, maximum, commitment: "c".into() }),
        1 => code().prop_map(|code| Command::Continue { code }),
        1 => (code(), any::<bool>()).prop_map(|(code, exercise)| Command::AnswerPreemption { code, exercise }),
        1 => Just(Command::Pause { reason: "演练".into() }),
        2 => Just(Command::Resume),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_interleaving_ends_with_one_admissible_winner(
        announced in any_terms(),
        commands in prop::collection::vec((any_command(), 0_i64..25_000), 1..60),
    ) {
        let mut drive = Drive::with_holders(announced);
        let mut now = 0;
        for (command, wait) in commands {
            now += wait;
            let _ = drive.go(command, now);
        }
        let _ = drive.go(Command::Resume, now);
        drive.pass(now + 10_000_000);
        prop_assert!(drive.lot.is_closed());

        let bids: Vec<&AuctionEvent> = drive.log.iter().filter(|event| event.kind() == Kind::Bid).collect();
        for pair in bids.windows(2) {
            let matched = pair[1].preemption_rank.is_some() && pair[1].amount == pair[0].amount;
            prop_assert!(pair[1].amount > pair[0].amount || matched, "the price rises, or a right matches it");
        }
        let mut end = None;
        for event in &drive.log {
            if matches!(event.kind(), Kind::Bid | Kind::ProxySet | Kind::Continued) {
                prop_assert!(event.closes_at >= end, "no bid moves the end back");
            }
            end = event.closes_at;
        }
        let sales: Vec<&AuctionEvent> = drive.log.iter().filter(|event| event.kind() == Kind::Sold).collect();
        match sales.as_slice() {
            [] => prop_assert!(bids.is_empty()),
            [sale] => {
                let key = |bid: &&&AuctionEvent| {
                    (bid.amount, std::cmp::Reverse(bid.preemption_rank.unwrap_or(i32::MAX)), std::cmp::Reverse(bid.seq))
                };
                let best = bids.iter().max_by_key(key).unwrap();
                prop_assert_eq!(sale.amount, best.amount);
                let exercised = drive.log.iter().any(|event| event.kind() == Kind::PreemptionExercised);
                prop_assert!(exercised || sale.bidder_code == best.bidder_code);
            }
            more => prop_assert!(false, "{} sales", more.len()),
        }
    }

    /// One event changed, left out, doubled or moved: `replay` does not take it.
    #[test]
    fn a_bent_log_is_refused(
        commands in prop::collection::vec((any_command(), 0_i64..9_000), 8..40),
        place in any::<prop::sample::Index>(),
        how in 0..6,
    ) {
        let mut drive = Drive::with_holders(BiddingTerms { proxy_allowed: true, ..terms() });
        let mut now = 1_000;
        for (command, wait) in commands {
            now += wait;
            let _ = drive.go(command, now);
        }
        let _ = drive.go(Command::Resume, now);
        drive.pass(now + 10_000_000);
        let mut bent = drive.log.clone();
        let place = place.index(bent.len() - 1);
        match how {
            0 => drop(bent.remove(place)),
            1 => bent.insert(place, bent[place].clone()),
            2 => bent.swap(place, place + 1),
            3 => bent[place].at = bent[place].at.map(|at| Instant(at.0 + 1_000_000_000)),
            4 => bent[place].amount = bent[place].amount.map_or(Some(Money(7)), |amount| Some(Money(amount.0 + 1))),
            _ => bent[place].closes_at = Some(Instant(bent[place].closes_at.unwrap_or_default().0 + 1)),
        }
        prop_assert!(replay(drive.lot.terms.clone(), &bent).is_err(), "{how} at {place}");
    }
}

/// What a log may not say, whoever wrote it: a maximum where none is taken, an end that keeps the reserve to itself.
#[test]
fn a_log_shows_its_rights() {
    let with = |event: AuctionEvent, drive: &Drive| [&drive.log[..], &[event]].concat();
    for (announced, at) in [(terms(), 2_000), (BiddingTerms { proxy_allowed: true, ..terms() }, 500)] {
        let mut drive = Drive::new(announced);
        drive.pass(at);
        let told = AuctionEvent { commitment: Some("c".into()), ..drive.lot.event(Kind::ProxySet, Instant(at)) };
        let flaw = replay(drive.lot.terms.clone(), &with(told, &drive)).unwrap_err();
        assert_eq!(flaw.seq, drive.lot.state.seq + 1);
    }
    let mut drive = Drive::with_reserve(terms(), 10_500);
    drive.bid("B01", 11_000, 1_000).unwrap();
    drive.pass(500_000);
    let place = drive.log.iter().position(|event| event.kind() == Kind::ReserveRevealed).unwrap();
    let mut silent = drive.log.clone();
    silent.remove(place);
    silent[place..].iter_mut().for_each(|event| event.seq -= 1);
    assert!(replay(drive.lot.terms.clone(), &silent).is_err());
    let mut lower = drive.log.clone();
    lower[place].amount = Some(Money(10_000));
    assert!(replay(drive.lot.terms.clone(), &lower).is_err());
}
