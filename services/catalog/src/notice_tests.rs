//! What a notice keeps secret, and whom it lets apply: told through the catalog's own calls.

use kernel::{Actor, ErrorCode, Id, Money, Role};
use sha2::{Digest, Sha256};
use wire::{
    id::OrganizationId,
    v1::{self, BiddingMode, BiddingTermsInput, CloseRule, PreemptionGround, PreemptionRule, SaleMethod},
};

use crate::story_tests::{Town, ask, by, person, town};

fn with(town: &Town, bidding: BiddingTermsInput) -> v1::CreateListingInput {
    v1::CreateListingInput { bidding: Some(bidding), ..town.terms() }
}

fn bidder(name: &str) -> Actor {
    person(name, OrganizationId::fresh(), &[Role::Bidder], false)
}

fn home(actor: &Actor) -> String {
    actor.memberships[0].organization_id.clone()
}

fn wish(actor: &Actor, listing_id: &str) -> v1::ApplyForTransferInput {
    v1::ApplyForTransferInput {
        listing_id: listing_id.into(),
        organization_id: home(actor),
        ..v1::ApplyForTransferInput::default()
    }
}

impl Town {
    async fn consents(&self, member: &Actor, application: &str) -> Result<v1::TransferApplication, ErrorCode> {
        let input = v1::AnswerConsortiumInput {
            transfer_application_id: application.into(),
            organization_id: home(member),
            consent: true,
        };
        ask!(self, answer_consortium, member, transfer_application, input)
    }
}

fn together(actors: &[&Actor]) -> Vec<v1::ConsortiumMemberInput> {
    let share_bp = 10_000 / i32::try_from(actors.len()).unwrap();
    actors.iter().map(|actor| v1::ConsortiumMemberInput { organization_id: home(actor), share_bp }).collect()
}

async fn reserve(town: &Town, actor: &Actor, id: &str) -> Option<v1::ReserveReply> {
    let wanted = v1::ReserveRequest { listing_id: id.into() };
    town.catalog.clone().get_reserve(by(actor, wanted)).await.ok().map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_secret_reserve_is_told_to_the_exchange_alone() {
    let town = town().await;
    let secret = Money(61_234_567);
    let asked = BiddingTermsInput { reserve_price: Some(secret), ..BiddingTermsInput::default() };
    let listing = town.disclosed_as(with(&town, asked)).await;
    let commitment = listing.bidding.clone().unwrap().reserve_commitment.unwrap();
    let told = reserve(&town, &Actor::exchange(), &listing.id).await.unwrap();
    assert_eq!((told.reserve_price, told.nonce.len()), (Some(secret), 32));
    let recomputed = Sha256::digest(format!("{}\n{}\n{}", listing.id, secret.0, told.nonce));
    assert_eq!(commitment, format!("{recomputed:x}"));
    for actor in [&town.broker, &town.reviewer, &town.qualifier, &Actor::default()] {
        assert_eq!(reserve(&town, actor, &listing.id).await, None, "{actor:?}");
    }
    // Nowhere in what is kept or shown, sealed columns aside; not in the refusal of a lower one either.
    let audit = v1::ListAuditRequest::default();
    let auditor = Actor {
        memberships: person("a", town.registry.centre, &[Role::Auditor], true).memberships,
        ..town.reviewer.clone()
    };
    let records = town.catalog.clone().list_audit(by(&auditor, audit)).await.unwrap().into_inner();
    assert!(records.items.len() >= 3);
    for text in [format!("{records:?}"), format!("{listing:?}")] {
        assert!(!text.contains("61234567") && !text.contains("612345.67") && !text.contains(&told.nonce), "{text}");
    }
    let needles = [&b"61234567"[..], b"612345.67", &secret.0.to_be_bytes()[4..], told.nonce.as_bytes()];
    for file in std::fs::read_dir(town.dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for needle in needles {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle), "{needle:?} lies in clear");
        }
    }
    let plain = town.disclosed().await;
    assert_eq!(reserve(&town, &Actor::exchange(), &plain.id).await, Some(v1::ReserveReply::default()));
    assert_eq!(plain.bidding.unwrap().reserve_commitment, None);
}

#[tokio::test]
async fn the_notice_is_fixed_when_it_is_drafted() {
    use ErrorCode::{ReserveBelowFloor, TermsContradict};
    let town = town().await;
    let low = BiddingTermsInput { reserve_price: Some(Money(1)), ..BiddingTermsInput::default() };
    assert_eq!(ask!(town, create_listing, &town.broker, listing, with(&town, low)), Err(ReserveBelowFloor));
    let dutch = BiddingTermsInput { mode: BiddingMode::Dutch.into(), ..BiddingTermsInput::default() };
    assert_eq!(ask!(town, create_listing, &town.broker, listing, with(&town, dutch)), Err(TermsContradict));
    let house = v1::CreateListingInput { sale_method: SaleMethod::AuctionHouse.into(), ..town.terms() };
    let listing = town.disclosed_as(house).await;
    let terms = listing.bidding.unwrap();
    assert_eq!((terms.close_rule(), terms.increments.len(), listing.round), (CloseRule::Hammer, 1, 1));
    assert_eq!((listing.relists_id, listing.extensions), (None, 0));
}

#[tokio::test]
async fn a_preemption_right_is_claimed_in_time_and_confirmed_with_its_own_rank() {
    use ErrorCode::{AlreadyExists, InvalidInput, NoPreemption};
    let town = town().await;
    let plain = town.disclosed().await;
    let [first, second, third] = ["a", "b", "c"].map(bidder);
    let claims = |actor: &Actor, listing: &str| v1::ApplyForTransferInput {
        preemption_ground: Some(PreemptionGround::CoOwner.into()),
        ..wish(actor, listing)
    };
    let refused = ask!(town, apply_for_transfer, &first, transfer_application, claims(&first, &plain.id));
    assert_eq!(refused, Err(NoPreemption));
    let asked =
        BiddingTermsInput { preemption: Some(PreemptionRule::InSession.into()), ..BiddingTermsInput::default() };
    let listing = town.disclosed_as(with(&town, asked)).await;
    let mut ids = Vec::new();
    for actor in [&first, &second] {
        let made = ask!(town, apply_for_transfer, actor, transfer_application, claims(actor, &listing.id)).unwrap();
        assert_eq!((made.preemption_ground(), made.preemption_rank), (PreemptionGround::CoOwner, None));
        ids.push(made.id);
    }
    let without = town.apply(&third, &listing.id).await.unwrap();
    assert_eq!(town.ranked(&without.id, Some(1)).await, Err(NoPreemption));
    for rank in [i32::MIN, 0, 21] {
        assert_eq!(town.ranked(&ids[0], Some(rank)).await, Err(InvalidInput));
    }
    let refusing = v1::ReviewTransferApplicationInput {
        transfer_application_id: ids[0].clone(),
        approve: false,
        note: Some("不符".into()),
        preemption_rank: Some(1),
    };
    let refused = ask!(town, review_transfer_application, &town.qualifier, transfer_application, refusing);
    assert_eq!(refused, Err(InvalidInput));
    assert_eq!(town.ranked(&ids[0], Some(1)).await.unwrap().preemption_rank, Some(1));
    assert_eq!(town.ranked(&ids[1], Some(1)).await, Err(AlreadyExists));
    assert_eq!(town.ranked(&ids[1], Some(2)).await.unwrap().preemption_rank, Some(2));
    town.qualify(&without.id).await.unwrap();
}

#[tokio::test]
async fn nobody_takes_part_twice_alone_or_with_others() {
    use ErrorCode::{AlreadyApplied, ConflictOfInterest, ConsortiumNotAllowed, OrganizationNotVerified, OwnListing};
    let town = town().await;
    let [lead, other, third, alone] = ["lead", "other", "third", "alone"].map(bidder);
    let joint = |listing: &str, leader: &Actor, members: &[&Actor]| v1::ApplyForTransferInput {
        members: together(members),
        ..wish(leader, listing)
    };
    let plain = town.disclosed().await;
    let input = joint(&plain.id, &lead, &[&lead, &other]);
    assert_eq!(ask!(town, apply_for_transfer, &lead, transfer_application, input), Err(ConsortiumNotAllowed));
    let allowed = BiddingTermsInput { consortium_allowed: true, ..BiddingTermsInput::default() };
    let listing = town.disclosed_as(with(&town, allowed)).await;
    let own = person("own", town.university, &[], false);
    let input = joint(&listing.id, &lead, &[&lead, &own]);
    assert_eq!(ask!(town, apply_for_transfer, &lead, transfer_application, input), Err(OwnListing));
    let input = joint(&listing.id, &lead, &[&lead, &other]);
    for (list, code) in
        [(&town.registry.conflicts, ConflictOfInterest), (&town.registry.unverified, OrganizationNotVerified)]
    {
        list.lock().unwrap().push(home(&other));
        assert_eq!(ask!(town, apply_for_transfer, &lead, transfer_application, input.clone()), Err(code));
        list.lock().unwrap().clear();
    }
    let made = ask!(town, apply_for_transfer, &lead, transfer_application, input).unwrap();
    assert_eq!(made.members.iter().map(|member| member.share_bp).collect::<Vec<_>>(), [5_000, 5_000]);
    assert_eq!(town.apply(&lead, &listing.id).await, Err(AlreadyApplied));
    // To be named by others binds nobody until they have consented and the qualifier has confirmed it.
    let (own, more) = (town.apply(&alone, &listing.id).await.unwrap(), bidder("more"));
    let input = joint(&listing.id, &third, &[&third, &alone, &other, &more]);
    let rival = ask!(town, apply_for_transfer, &third, transfer_application, input).unwrap();
    assert_eq!(town.qualify(&rival.id).await, Err(ErrorCode::ConsentMissing));
    for member in [&alone, &other, &more] {
        town.consents(member, &rival.id).await.unwrap();
    }
    assert_eq!(town.qualify(&rival.id).await, Err(AlreadyApplied), "one of them applied alone");
    assert_eq!(town.consents(&alone, &made.id).await, Err(ErrorCode::NotFound), "it names others");
    town.consents(&other, &made.id).await.unwrap();
    town.qualify(&made.id).await.unwrap();
    assert_eq!(town.apply(&other, &listing.id).await, Err(AlreadyApplied), "confirmed with others");
    town.qualify(&own.id).await.unwrap();
    let insider = Actor {
        memberships: town.qualifier.memberships.iter().chain(&other.memberships).cloned().collect(),
        ..town.qualifier.clone()
    };
    let input = v1::ReviewTransferApplicationInput {
        transfer_application_id: rival.id,
        note: Some("重复".into()),
        ..v1::ReviewTransferApplicationInput::default()
    };
    let refused = ask!(town, review_transfer_application, &insider, transfer_application, input);
    assert_eq!(refused, Err(ErrorCode::SamePerson), "a member of one of them");
}
