//! The opening with two of three trustees, and what must not open.

use super::*;
use crate::{
    engine::{Command, Offer},
    sealed::{envelope, receipt, shares::combine},
};

#[tokio::test]
async fn two_of_three_trustees_open_what_came_in_time_and_one_opens_nothing() {
    let ground = ground(BiddingMode::SealedSingle, 5, |_, _| {}).await;
    ground.bid(1, 1, 70_000).await;
    let receipt = ground.bid(0, 1, 50_000).await;
    // Sealed for somebody else's place.
    ground.hand_in(2, (1, &ground.envelope(3, 1, Some(90_000), &[])), None).await.unwrap();
    ground.hand_in(4, (1, &ground.envelope(4, 1, None, &[])), None).await.unwrap();

    let statement =
        receipt::statement(&receipt.session_id, (1, receipt.place), &receipt.commitment, receipt.received_at.unwrap());
    let signature = BASE64URL_NOPAD.decode(receipt.signature.as_bytes()).unwrap();
    assert!(ground.cx.vault.signed(statement.as_bytes(), &signature));
    assert!(!ground.cx.vault.signed(statement.replace(&receipt.commitment, "0").as_bytes(), &signature));

    let shares = ground.shares[0].clone();
    assert_eq!(ground.give(0, &shares[0]).await, Err(ErrorCode::IllegalTransition), "before the close");
    assert_eq!(ground.now().await.bidder_count, None);
    ground.wait(3_600).await;
    let late = ground.envelope(3, 1, Some(99_000), &[]);
    assert_eq!(ground.hand_in(3, (1, &late), None).await, Err(ErrorCode::SessionClosed));

    // A share of another key, another trustee's, and one in the name of nobody.
    let (_, others) = dealt();
    for (trustee, share) in [(0, &others[0]), (0, &shares[1]), (2, &shares[0])] {
        assert_eq!(ground.give(trustee, share).await, Err(ErrorCode::FalseShare));
    }
    let trail = kernel::audit_page(&ground.cx.db, "auction", Some(&ground.session.id), Some(50), None).await.unwrap();
    let named = trail.items.iter().filter(|record| record.kind == "FalseShareRefused");
    let named: Vec<_> = named.map(|record| record.facts.clone()).collect();
    assert_eq!(named, [r#"{"trustee":"甲"}"#, r#"{"trustee":"甲"}"#, r#"{"trustee":"丙"}"#]);
    let input = v1::ContributeShareInput {
        session_id: ground.session.id.clone(),
        trustee: "丁".into(),
        share: shares[0].text().to_string(),
    };
    let nobody = told!(ground.sealed, contribute_share, outsider("x").asks(input), bidding_session);
    assert_eq!(nobody, Err(ErrorCode::NoTrustee));

    ground.give(2, &shares[2]).await.unwrap();
    assert_eq!(ground.give(2, &shares[2]).await, Err(ErrorCode::AlreadyAnswered));
    tokio::time::sleep(BEAT * 4).await;
    assert_eq!(ground.now().await.status(), BiddingStatus::Opening);
    assert!(ground.told(Kind::EnvelopeOpened).await.is_empty() && ground.told(Kind::Admitted).await.is_empty());
    assert!(ground.openings().await.is_empty());
    // The rules themselves admit no opened envelope yet, whoever had the key.
    let row = store::session(ground.cx.db.read(), &ground.cx.vault, ground.id()).await.unwrap().unwrap();
    let mut lot = row.lot().unwrap();
    let (now, code) = (ground.clock().now(), "B00".to_owned());
    assert!(lot.take(&Command::Admit { code: code.clone(), rank: None }, now).refusal.is_none());
    let early = Command::Open { code, commitment: String::new(), offer: Offer::None, last: false };
    assert_eq!(lot.decide(&early, now).unwrap_err().error_code(), ErrorCode::IllegalTransition);

    ground.give(0, &shares[0]).await.unwrap();
    assert_eq!(ground.winner().await, (BiddingStatus::Sold, Some("B01".into()), Some(70_000)));
    let told = ground.events().await;
    let opened = told.iter().filter(|e| matches!(e.kind(), Kind::EnvelopeOpened | Kind::EnvelopeInvalid));
    let opened: Vec<_> =
        opened.map(|e| (e.bidder_code().to_owned(), e.amount.map(|a| a.0), e.reason.clone())).collect();
    // In the order in which they came; those that hold no bid by place, whoever made them.
    let expected = [
        ("B01".into(), Some(70_000), None),
        ("B00".into(), Some(50_000), None),
        ("B02".into(), None, Some("DOES_NOT_OPEN".to_owned())),
        ("B03".into(), None, None),
        ("B04".into(), None, None),
    ];
    assert_eq!(opened, expected);
    assert_eq!(ground.give(1, &shares[1]).await, Err(ErrorCode::IllegalTransition), "it is over");
    anybody_opens_them_again(&ground, &receipt).await;
}

/// With what is published, and nothing of ours.
async fn anybody_opens_them_again(ground: &Ground, receipt: &v1::SealedReceipt) {
    let openings = ground.openings().await;
    let [opening] = openings.as_slice() else { panic!("{openings:?}") };
    assert_eq!(opening.public_key, ground.session.sealed_keys[0].public_key);
    let names: Vec<_> = opening.shares.iter().map(|share| share.name.as_str()).collect();
    assert_eq!(names, ["甲", "丙"]);
    let shares: Vec<_> = opening.shares.iter().map(|share| Share::parse(&share.share).unwrap()).collect();
    let public = crate::sealed::PublicKey::parse(&opening.public_key).unwrap();
    let key = combine(&public, &shares).unwrap();
    let own = opening.envelopes.iter().find(|held| held.commitment == receipt.commitment).unwrap();
    assert_eq!((own.place, own.received_at), (receipt.place, receipt.received_at));
    let bytes = BASE64URL_NOPAD.decode(own.envelope.as_bytes()).unwrap();
    assert_eq!(HEXLOWER.encode(&envelope::commitment(&bytes)), own.commitment);
    let held = envelope::open(&key, &opening.session_id, &own.bidder_code, 1, &bytes).unwrap();
    assert_eq!(held.amount, Some(Money(50_000)));
    let log = ground.told(Kind::EnvelopeOpened).await;
    assert!(log.iter().all(|event| opening.envelopes.iter().any(|held| held.commitment == event.commitment())));
    assert_eq!(opening.envelopes.iter().filter(|held| held.received_at.is_none()).count(), 1, "one decoy");
}

#[tokio::test]
async fn only_its_bidder_hands_in_an_envelope_of_the_round_and_a_retry_changes_nothing() {
    use ErrorCode::{BadEnvelope, IdempotencyConflict, ModeMismatch, NotEligible, NotFound, Required, WrongRound};
    let ground = ground(BiddingMode::SealedSingle, 2, |_, _| {}).await;
    let first = ground.envelope(0, 1, Some(50_000), &[]);
    let second = ground.envelope(0, 1, Some(60_000), &[]);
    assert_eq!(ground.hand_in(0, (2, &first), None).await, Err(WrongRound));
    assert_eq!(ground.hand_in(0, (1, &first[1..]), None).await, Err(BadEnvelope));
    assert_eq!(ground.hand_in(0, (1, &[4; envelope::ENVELOPE]), None).await, Err(BadEnvelope));
    let stranger = OrganizationId::fresh().text();
    let input = |organization_id: &str| v1::SubmitSealedBidInput {
        session_id: ground.session.id.clone(),
        organization_id: organization_id.to_owned(),
        round: 1,
        envelope: BASE64URL_NOPAD.encode(&first),
    };
    let strange = person("stranger", &stranger, Role::Bidder);
    let asked = told!(ground.sealed, submit_sealed_bid, strange.asks(input(&stranger)), sealed_receipt);
    assert_eq!(asked, Err(NotEligible));
    let other = ground.bidders[0].text();
    assert_eq!(told!(ground.sealed, submit_sealed_bid, strange.asks(input(&other)), sealed_receipt), Err(NotFound));

    let receipt = ground.hand_in(0, (1, &first), Some("a")).await.unwrap();
    let later = ground.hand_in(0, (1, &second), Some("b")).await.unwrap();
    assert_eq!(ground.hand_in(0, (1, &first), Some("a")).await.unwrap(), receipt);
    assert_eq!(ground.hand_in(0, (1, &second), Some("a")).await, Err(IdempotencyConflict));
    let own = v1::GetSealedReceiptRequest { session_id: ground.session.id.clone(), organization_id: other.clone() };
    let bidder = person("bidder0", &other, Role::Bidder);
    for (actor, seen) in
        [(&bidder, Some(&later)), (&strange, None), (&ground.qualifier(), None), (&Actor::default(), None)]
    {
        let reply = ground.sealed.clone().get_sealed_receipt(actor.asks(own.clone())).await.unwrap().into_inner();
        assert_eq!(reply.receipt.as_ref(), seen);
    }
    ground.wait(3_600).await;
    assert_eq!(ground.hand_in(0, (1, &first), Some("a")).await.unwrap(), receipt, "also after the close");
    for trustee in [0, 1] {
        ground.give(trustee, &ground.shares[0][trustee]).await.unwrap();
    }
    assert_eq!(ground.winner().await.2, Some(60_000), "the later one counts");

    let refused = crate::sealed::round_keys::read(&ground.world.listing, Vec::new()).unwrap_err();
    assert!(matches!(refused, kernel::Error::Refused(refusal) if refusal.error_code() == Required));
    let open = v1::Listing { bidding: Some(BiddingTerms::default()), ..v1::Listing::default() };
    let refused = crate::sealed::round_keys::read(&open, vec![dealt().0]).unwrap_err();
    assert!(matches!(refused, kernel::Error::Refused(refusal) if refusal.error_code() == ModeMismatch));
}
