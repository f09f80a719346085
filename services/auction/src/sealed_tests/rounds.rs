//! Ties, further rounds, weights and panels.

use super::*;
use wire::{
    id::PersonId,
    v1::{Criterion, CriterionKind, TieRule},
};

#[tokio::test]
async fn of_equal_offers_the_earlier_wins_unless_there_is_an_extra_round() {
    let ground = ground(BiddingMode::SealedSingle, 3, |_, _| {}).await;
    ground.bid(2, 1, 50_000).await;
    ground.bid(0, 1, 50_000).await;
    ground.open(1).await;
    assert_eq!(ground.winner().await, (BiddingStatus::Sold, Some("B02".into()), Some(50_000)));
}

#[tokio::test]
async fn an_extra_round_is_among_the_equals_and_sealed_to_a_key_of_its_own() {
    let ground = ground(BiddingMode::SealedSingle, 3, |terms, _| terms.set_tie_rule(TieRule::ExtraRound)).await;
    assert_ne!(ground.session.sealed_keys[0].public_key, ground.session.sealed_keys[1].public_key);
    for (bidder, fen) in [(0, 50_000), (1, 50_000), (2, 40_000)] {
        ground.bid(bidder, 1, fen).await;
    }
    ground.open(1).await;
    let session = ground.now().await;
    assert_eq!((session.status(), session.round), (BiddingStatus::Free, 2));
    let shut_out = ground.envelope(2, 2, Some(99_000), &[]);
    assert_eq!(ground.hand_in(2, (2, &shut_out), None).await, Err(ErrorCode::NotEligible));
    // The first round's key is public by now: what it opens must not be the second round's.
    ground.bid(1, 2, 55_000).await;
    let old = ground.shares[0].clone();
    let key = crate::sealed::PublicKey::parse(&ground.session.sealed_keys[0].public_key).unwrap();
    let broken = crate::sealed::shares::combine(&key, &old[..2]).unwrap();
    let places = crate::sealed::boxes::places(&ground.cx, ground.cx.db.read(), ground.id()).await.unwrap();
    let second: Vec<_> = places.iter().filter(|(name, _)| name.round == 2).collect();
    assert_eq!(second.len(), 3);
    for (name, held) in second {
        let code = Ground::code(usize::try_from(name.place).unwrap() - 1);
        assert!(crate::sealed::envelope::open(&broken, &ground.session.id, &code, 2, &held.envelope).is_err());
    }
    ground.wait(3_600).await;
    assert_eq!(ground.give(0, &old[0]).await, Err(ErrorCode::FalseShare));
    for trustee in [1, 2] {
        ground.give(trustee, &ground.shares[1][trustee]).await.unwrap();
    }
    assert_eq!(ground.winner().await, (BiddingStatus::Sold, Some("B01".into()), Some(55_000)));
    assert_eq!(ground.openings().await.len(), 2);
}

/// A second replica on the same database takes envelopes and shares as well as the first; both open at once.
async fn replicas_share_a_box(mut ground: Ground) {
    let cx = context(&ground.url).await;
    cx.clock.set_offset(ground.clock().offset());
    let (clock, stop) = (cx.clock.clone(), ground.stop.clone());
    let routes = crate::serve(cx, ground.world.clients(), (TaskTracker::new(), stop), Routes::default());
    let (here, there) = (ground.sealed.clone(), SealedBidsClient::new(kernel::local(routes)));
    let envelopes: Vec<_> =
        (0..6).map(|n| ground.envelope(n, 1, Some(50_000 + i64::try_from(n).unwrap()), &[])).collect();
    let mut receipts = Vec::new();
    for (n, envelope) in envelopes.iter().enumerate() {
        ground.sealed = if n % 2 == 0 { here.clone() } else { there.clone() };
        receipts.push(ground.hand_in(n, (1, envelope), Some(&format!("call {n}"))).await.unwrap());
    }
    // The other one knows the calls that this one took.
    for (n, envelope) in envelopes.iter().enumerate() {
        ground.sealed = if n % 2 == 1 { here.clone() } else { there.clone() };
        assert_eq!(ground.hand_in(n, (1, envelope), Some(&format!("call {n}"))).await.unwrap(), receipts[n]);
    }
    ground.wait(3_600).await;
    clock.set_offset(ground.clock().offset());
    ground.sealed = here;
    ground.give(2, &ground.shares[0][2]).await.unwrap();
    ground.sealed = there;
    ground.give(1, &ground.shares[0][1]).await.unwrap();
    tokio::time::sleep(BEAT * 4).await;
    assert_eq!(ground.winner().await, (BiddingStatus::Sold, Some("B05".into()), Some(50_005)));
    let opened = ground.told(Kind::EnvelopeOpened).await;
    let codes: Vec<_> = opened.iter().map(AuctionEvent::bidder_code).collect();
    assert_eq!(codes, ["B00", "B01", "B02", "B03", "B04", "B05"], "each once, as they came");
}

#[tokio::test]
async fn two_replicas_share_a_box_on_sqlite() {
    replicas_share_a_box(ground(BiddingMode::SealedSingle, 6, |_, _| {}).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_a_box_on_postgres() {
    if let Some(ground) = postgres_ground(BiddingMode::SealedSingle, 6, |_, _| {}).await {
        replicas_share_a_box(ground).await;
    }
}

#[tokio::test]
async fn every_round_has_its_box_and_its_key_and_the_last_decides() {
    rounds(ground(BiddingMode::MultiRoundSealed, 2, |terms, _| terms.rounds = 2).await).await;
    if let Some(ground) = postgres_ground(BiddingMode::MultiRoundSealed, 2, |terms, _| terms.rounds = 2).await {
        rounds(ground).await;
    }
}

async fn rounds(ground: Ground) {
    ground.bid(0, 1, 80_000).await;
    ground.bid(1, 1, 50_000).await;
    ground.open(1).await;
    let first = ground.envelope(0, 1, Some(1_000_000), &[]);
    assert_eq!(ground.hand_in(0, (1, &first), None).await, Err(ErrorCode::WrongRound));
    ground.bid(0, 2, 81_000).await;
    ground.bid(1, 2, 90_000).await;
    ground.open(2).await;
    assert_eq!(ground.winner().await, (BiddingStatus::Sold, Some("B01".into()), Some(90_000)));
    // One key, or the same twice, does not do.
    let terms = BiddingTerms { rounds: 2, mode: BiddingMode::MultiRoundSealed.into(), ..BiddingTerms::default() };
    let listing = v1::Listing { bidding: Some(terms), ..v1::Listing::default() };
    let (key, _) = dealt();
    for keys in [vec![key.clone()], vec![key.clone(), key.clone()], vec![]] {
        assert!(crate::sealed::round_keys::read(&listing, keys).is_err());
    }
    assert_eq!(crate::sealed::round_keys::read(&listing, vec![key, dealt().0]).unwrap().len(), 2);
}

fn criterion(name: &str, kind: CriterionKind, weight_bp: i32, lower_is_better: bool) -> Criterion {
    Criterion { name: name.into(), kind: kind.into(), weight_bp, lower_is_better }
}

#[tokio::test]
async fn the_best_composite_wins() {
    let ground = ground(BiddingMode::Weighted, 4, |terms, _| {
        terms.criteria = vec![
            criterion("价格", CriterionKind::Price, 6_000, false),
            criterion("年限", CriterionKind::Number, 4_000, true),
        ];
    })
    .await;
    // B00: 60 × 1 + 40 × 2.5/5 = 80. B01: 60 × 160/200 + 40 × 1 = 88. B02 says nothing of the years; B03's are too fine.
    for (bidder, fen, values) in [
        (0, 20_000, vec![("年限", "5")]),
        (1, 16_000, vec![("年限", "2.5")]),
        (2, 90_000, vec![]),
        (3, 90_000, vec![("年限", "0.00001")]),
    ] {
        let envelope = ground.envelope(bidder, 1, Some(fen), &values);
        ground.hand_in(bidder, (1, &envelope), None).await.unwrap();
    }
    ground.open(1).await;
    assert_eq!(ground.winner().await, (BiddingStatus::Sold, Some("B01".into()), Some(16_000)));
    let invalid = ground.told(Kind::EnvelopeInvalid).await;
    let reasons: Vec<_> = invalid.iter().map(AuctionEvent::reason).collect();
    assert_eq!(reasons, ["VALUES_DIFFER", "VALUE_TOO_FINE"]);
}

#[tokio::test]
async fn a_panel_of_the_impartial_decides() {
    let [one, two, tied, insider] = [(); 4].map(|()| PersonId::fresh().text());
    let inside = insider.clone();
    let change = |terms: &mut BiddingTerms, world: &mut World| {
        terms.criteria = vec![
            criterion("价格", CriterionKind::Price, 3_000, false),
            criterion("团队", CriterionKind::Panel, 7_000, false),
        ];
        world.members = vec![(world.listing.organization_id.clone(), inside.clone())];
    };
    scored(ground(BiddingMode::Evaluation, 2, &change).await, [&one, &two, &tied, &insider]).await;
    if let Some(ground) = postgres_ground(BiddingMode::Evaluation, 2, &change).await {
        scored(ground, [&one, &two, &tied, &insider]).await;
    }
}

async fn scored(ground: Ground, [one, two, tied, insider]: [&String; 4]) {
    use ErrorCode::{AlreadyAnswered, ConflictOfInterest, IllegalTransition, InvalidInput, NotFound};
    let qualifier = ground.qualifier();
    let appoint = async |actor: &Actor, ids: &[&String]| {
        let person_ids = ids.iter().map(|id| (*id).clone()).collect();
        let input = v1::AppointPanelInput { session_id: ground.session.id.clone(), person_ids };
        told!(ground.sealed, appoint_panel, actor.asks(input), bidding_session).map(|_| ())
    };
    assert_eq!(appoint(&outsider("clerk"), &[one]).await, Err(ErrorCode::Forbidden));
    assert_eq!(appoint(&qualifier, &[one, insider]).await, Err(ConflictOfInterest));
    assert_eq!(appoint(&qualifier, &[]).await, Err(InvalidInput));
    appoint(&qualifier, &[one]).await.unwrap();
    appoint(&qualifier, &[two, tied]).await.unwrap();
    assert_eq!(appoint(&qualifier, &[two]).await, Err(ErrorCode::AlreadyExists));
    let declare = async |actor: Actor, impartial: bool| {
        let input = v1::DeclareImpartialityInput { session_id: ground.session.id.clone(), impartial };
        told!(ground.sealed, declare_impartiality, actor.asks(input), panel_member)
    };
    let score = async |name: &str, code: &str, points: &str| {
        let points = vec![v1::PointsInput { criterion: "团队".into(), points: points.into() }];
        let session_id = ground.session.id.clone();
        let input = v1::ScoreOfferInput { session_id, bidder_code: code.into(), points };
        told!(ground.sealed, score_offer, outsider(name).asks(input), bidding_session).map(|_| ())
    };
    ground.bid(0, 1, 20_000).await;
    ground.bid(1, 1, 10_000).await;
    ground.open(1).await;
    assert_eq!(ground.now().await.status(), BiddingStatus::Scoring);
    assert_eq!(score("stranger", "B00", "60").await, Err(NotFound));
    assert_eq!(score(one, "B00", "60").await, Err(IllegalTransition), "nobody has declared");
    assert_eq!(declare(outsider("stranger"), true).await.unwrap_err(), NotFound);
    let joined = person(one, &ground.bidders[0].text(), Role::Signatory);
    assert_eq!(declare(joined, true).await.unwrap_err(), ConflictOfInterest);
    let declared = declare(outsider(one), true).await.unwrap();
    assert_eq!((declared.name.as_str(), declared.impartial), ("P01", Some(true)));
    assert_eq!(declare(outsider(one), false).await.unwrap_err(), AlreadyAnswered);
    declare(outsider(two), true).await.unwrap();
    assert_eq!(score(one, "B00", "60").await, Err(IllegalTransition), "one has not declared");
    declare(outsider(tied), false).await.unwrap();
    assert_eq!(score(tied, "B00", "100").await, Err(ConflictOfInterest));
    for points in ["101", "-1", "1.00001", "x"] {
        assert_eq!(score(one, "B00", points).await, Err(InvalidInput), "{points}");
    }
    score(one, "B00", "60").await.unwrap();
    assert_eq!(score(one, "B00", "61").await, Err(AlreadyAnswered));
    score(two, "B00", "50.5").await.unwrap();
    // The last two at once: one of them is the last.
    let (three, four) = tokio::join!(score(one, "B01", "90"), score(two, "B01", "80"));
    three.unwrap();
    four.unwrap();
    // B00: 30 + 0.7 × 55.25 = 68.675. B01: 15 + 0.7 × 85 = 74.5.
    assert_eq!(ground.winner().await, (BiddingStatus::Sold, Some("B01".into()), Some(10_000)));
    assert_eq!(appoint(&qualifier, &[insider]).await, Err(IllegalTransition));
}
