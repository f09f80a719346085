//! A lot beyond its first disclosure: concluded, cancelled, defaulted on, offered again.

use kernel::{Actor, ErrorCode, Id, Money, Role};
use wire::{
    id::OrganizationId,
    v1::{
        self, BiddingMode, BiddingTermsInput, DisclosureConclusion, ListingStatus, ReviewDecision,
        TransferApplicationStatus,
    },
};

use crate::story_tests::{Town, ask, by, person, town};

fn concluding(id: &str, conclusion: DisclosureConclusion, days: Option<i32>) -> v1::ConcludeDisclosureInput {
    v1::ConcludeDisclosureInput {
        listing_id: id.into(), conclusion: conclusion.into(), days, note: "无人报名".into()
    }
}

impl Town {
    async fn conclude(&self, id: &str, conclusion: DisclosureConclusion) -> Result<v1::Listing, ErrorCode> {
        ask!(self, conclude_disclosure, &self.qualifier, listing, concluding(id, conclusion, None))
    }

    async fn relist(&self, id: &str, fen: i64, approval: Option<&str>) -> Result<v1::Listing, ErrorCode> {
        let input = v1::RelistInput {
            listing_id: id.into(),
            floor_price: Some(Money(fen)),
            approval: approval.map(str::to_owned),
        };
        ask!(self, relist, &self.broker, listing, input)
    }

    async fn disclose_again(&self, id: &str) {
        ask!(self, submit_listing, &self.broker, listing, v1::SubmitListingInput { listing_id: id.into() }).unwrap();
        self.review(&self.reviewer, id, ReviewDecision::Approve).await.unwrap();
    }

    async fn awarded(&self, listing: &str, application: &str) {
        let award = v1::AwardConfirmed {
            listing_id: listing.into(),
            transfer_application_id: application.into(),
            ..Default::default()
        };
        self.deliver(&award).await.unwrap();
    }

    async fn at(&self, id: &str) -> TransferApplicationStatus {
        self.application(&Actor::exchange(), id).await.unwrap().status()
    }

    async fn announced(&self, kind: &str) -> usize {
        use sea_orm::ConnectionTrait;
        let sql = format!("SELECT 1 FROM event WHERE service = 'catalog' AND kind = '{kind}' AND announce");
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, sql);
        self.cx.db.read().query_all_raw(statement).await.unwrap().len()
    }
}

/// All deposits for a listing that is sold to nobody are free.
fn released(listing: &str) -> v1::DepositsReleased {
    v1::DepositsReleased { listing_id: listing.into(), ..Default::default() }
}

fn default_of(listing: &str, application: &str, passed_on: bool) -> v1::AwardDefaulted {
    v1::AwardDefaulted {
        listing_id: listing.into(),
        transfer_application_id: application.into(),
        passed_on,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_period_without_bidders_is_extended_or_left_unsold() {
    use DisclosureConclusion::{Extend, Terminate, Unsold};
    use ErrorCode::{Forbidden, IllegalTransition, InvalidInput, PeriodOutOfRange, PeriodTooShort, SamePerson};
    let town = town().await;
    let listing = town.disclosed().await;
    for conclusion in [Extend, Unsold, Terminate] {
        assert_eq!(town.conclude(&listing.id, conclusion).await, Err(IllegalTransition), "it is still disclosed");
    }
    town.pass_days(30);
    let days = |conclusion, days| concluding(&listing.id, conclusion, Some(days));
    for (days, code) in [(4, PeriodTooShort), (i32::MIN, PeriodTooShort), (121, PeriodOutOfRange)] {
        let input = concluding(&listing.id, Extend, Some(days));
        assert_eq!(ask!(town, conclude_disclosure, &town.qualifier, listing, input), Err(code), "{days}");
    }
    assert_eq!(ask!(town, conclude_disclosure, &town.qualifier, listing, days(Unsold, 5)), Err(InvalidInput));
    assert_eq!(ask!(town, conclude_disclosure, &town.reviewer, listing, days(Extend, 5)), Err(Forbidden));
    let mut insider = town.qualifier.clone();
    insider.memberships.extend(town.broker.memberships.clone());
    assert_eq!(ask!(town, conclude_disclosure, &insider, listing, days(Extend, 5)), Err(SamePerson));
    let silent = v1::ConcludeDisclosureInput { note: " ".into(), ..days(Extend, 5) };
    assert_eq!(ask!(town, conclude_disclosure, &town.qualifier, listing, silent), Err(ErrorCode::Required));

    let extended = town.conclude(&listing.id, Extend).await.unwrap();
    assert_eq!((extended.status(), extended.extensions), (ListingStatus::Disclosed, 1));
    assert!(extended.disclosure_ends_at > listing.disclosure_ends_at);
    let bidder = person("late", OrganizationId::fresh(), &[Role::Bidder], false);
    town.apply(&bidder, &listing.id).await.expect("the extended period takes applications");
    town.pass_days(14);
    assert_eq!(town.announced("BiddingUnsold").await, 0);
    let unsold = town.conclude(&listing.id, Unsold).await.unwrap();
    assert_eq!((unsold.status(), unsold.review_note.as_deref()), (ListingStatus::Unsold, Some("无人报名")));
    assert_eq!(town.announced("BiddingUnsold").await, 1);
    assert_eq!(town.conclude(&listing.id, Extend).await, Err(IllegalTransition));
}

#[tokio::test]
async fn a_disclosure_is_extended_as_often_as_the_rules_allow() {
    let town = town().await;
    let listing = town.disclosed().await;
    for count in 1..=24 {
        town.pass_days(9);
        // 2026 has holidays of more than a week.
        while town.status(&listing.id).await != ListingStatus::PeriodEnded {
            town.pass_days(1);
        }
        let extended = town.conclude(&listing.id, DisclosureConclusion::Extend).await.unwrap();
        assert_eq!(extended.extensions, count);
    }
    town.pass_days(20);
    let refused = town.conclude(&listing.id, DisclosureConclusion::Extend).await;
    assert_eq!(refused, Err(ErrorCode::ExtensionsUsedUp));
}

#[tokio::test]
async fn a_qualified_bidder_is_not_passed_over() {
    use DisclosureConclusion::{Extend, Terminate, Unsold};
    use ErrorCode::IllegalTransition;
    let town = town().await;
    let listing = town.disclosed().await;
    let (_, sole) = town.eligible("sole", &listing.id).await;
    town.pass_days(8);
    assert_eq!(town.status(&listing.id).await, ListingStatus::PeriodEnded);
    for conclusion in [Extend, Unsold] {
        assert_eq!(town.conclude(&listing.id, conclusion).await, Err(IllegalTransition), "it may still quote");
    }
    town.pass_days(8);
    town.conclude(&listing.id, Unsold).await.unwrap();
    assert_eq!(town.at(&sole).await, TransferApplicationStatus::Lost);
    town.deliver(&released(&listing.id)).await.unwrap();
    assert_eq!(town.at(&sole).await, TransferApplicationStatus::Refunded);

    let listing = town.disclosed().await;
    let (_, first) = town.eligible("a", &listing.id).await;
    town.eligible("b", &listing.id).await;
    town.pass_days(40);
    for conclusion in [Extend, Unsold] {
        assert_eq!(town.conclude(&listing.id, conclusion).await, Err(IllegalTransition), "two compete");
    }
    let ended = town.conclude(&listing.id, Terminate).await.unwrap();
    assert_eq!(ended.status(), ListingStatus::Terminated);
    assert_eq!(town.announced("BiddingCancelled").await, 1);
    town.deliver(&released(&listing.id)).await.unwrap();
    assert_eq!(town.at(&first).await, TransferApplicationStatus::Refunded);
}

#[tokio::test]
async fn a_cancelled_session_ends_the_listing() {
    let town = town().await;
    let listing = town.disclosed().await;
    let (_, id) = town.eligible("a", &listing.id).await;
    town.pass_days(30);
    town.deliver(&v1::BiddingScheduled { listing_id: listing.id.clone(), ..Default::default() }).await.unwrap();
    let refused = town.conclude(&listing.id, DisclosureConclusion::Terminate).await;
    assert_eq!(refused, Err(ErrorCode::IllegalTransition), "bidding has its own ways to end");
    let released = self::released(&listing.id);
    assert!(town.deliver(&released).await.is_err(), "early");
    town.deliver(&v1::BiddingCancelled { listing_id: listing.id.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(town.status(&listing.id).await, ListingStatus::Terminated);
    assert_eq!(town.at(&id).await, TransferApplicationStatus::Lost);
    town.deliver(&released).await.unwrap();
    assert_eq!(town.at(&id).await, TransferApplicationStatus::Refunded);
    assert_eq!(town.relist(&listing.id, 50_000_000, None).await, Err(ErrorCode::IllegalTransition));
}

#[tokio::test]
async fn a_dynamic_listing_is_scheduled_while_it_is_disclosed() {
    use ErrorCode::AlreadyScheduled;
    let town = town().await;
    let plain = town.disclosed().await;
    let scheduled = |id: &str| v1::BiddingScheduled { listing_id: id.into(), ..Default::default() };
    assert!(town.deliver(&scheduled(&plain.id)).await.is_err(), "early for every other mode");
    let bidding = BiddingTermsInput {
        mode: BiddingMode::DynamicListing.into(),
        preemption: Some(v1::PreemptionRule::InSession.into()),
        ..BiddingTermsInput::default()
    };
    let listing = town.disclosed_as(v1::CreateListingInput { bidding: Some(bidding), ..town.terms() }).await;
    town.deliver(&scheduled(&listing.id)).await.unwrap();
    assert_eq!(town.status(&listing.id).await, ListingStatus::Disclosed);
    let holder = person("holder", OrganizationId::fresh(), &[Role::Bidder], false);
    let input = v1::ApplyForTransferInput {
        listing_id: listing.id.clone(),
        organization_id: holder.memberships[0].organization_id.clone(),
        preemption_ground: Some(v1::PreemptionGround::Completer.into()),
        ..v1::ApplyForTransferInput::default()
    };
    let application = ask!(town, apply_for_transfer, &holder, transfer_application, input).unwrap();
    assert_eq!(town.ranked(&application.id, Some(1)).await, Err(AlreadyScheduled), "not confirmed beforehand");
    town.eligible("a", &listing.id).await;
    town.pass_days(30);
    assert_eq!(town.status(&listing.id).await, ListingStatus::Bidding);
    let at = |status: ListingStatus| v1::ListListingsRequest { status: Some(status.into()), ..Default::default() };
    let count = async |status| town.listings(&Actor::default(), at(status)).await.len();
    assert_eq!((count(ListingStatus::Bidding).await, count(ListingStatus::PeriodEnded).await), (1, 1));
    let refused = town.conclude(&listing.id, DisclosureConclusion::Extend).await;
    assert_eq!(refused, Err(ErrorCode::IllegalTransition));
    town.deliver(&v1::BiddingUnsold { listing_id: listing.id.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(town.status(&listing.id).await, ListingStatus::Unsold);
}

#[tokio::test]
async fn a_defaulter_loses_the_lot_to_the_next_bidder_and_never_comes_back() {
    use TransferApplicationStatus::{Eligible, Forfeited, Lost, Won};
    let town = town().await;
    let listing = town.disclosed().await;
    let [(defaulter, a), (_, b), (_, c)] = [
        town.eligible("a", &listing.id).await,
        town.eligible("b", &listing.id).await,
        town.eligible("c", &listing.id).await,
    ];
    town.pass_days(30);
    town.deliver(&v1::BiddingScheduled { listing_id: listing.id.clone(), ..Default::default() }).await.unwrap();
    assert!(town.deliver(&default_of(&listing.id, &a, true)).await.is_err(), "nothing is awarded yet");
    town.awarded(&listing.id, &a).await;
    let next =
        v1::AwardConfirmed { listing_id: listing.id.clone(), transfer_application_id: b.clone(), ..Default::default() };
    assert!(town.deliver(&next).await.is_err(), "the first award stands");
    town.deliver(&v1::ContractSigned { listing_id: listing.id.clone(), ..Default::default() }).await.unwrap();
    town.deliver(&default_of(&listing.id, &a, true)).await.unwrap();
    assert_eq!(town.status(&listing.id).await, ListingStatus::Bidding);
    assert_eq!([town.at(&a).await, town.at(&b).await, town.at(&c).await], [Won, Eligible, Eligible]);
    let forfeited =
        |id: &str| v1::DepositForfeited { listing_id: listing.id.clone(), transfer_application_id: id.into() };
    town.deliver(&forfeited(&a)).await.unwrap();
    town.deliver(&next).await.unwrap();
    assert_eq!(town.status(&listing.id).await, ListingStatus::TransfereeFixed);
    assert_eq!([town.at(&a).await, town.at(&b).await, town.at(&c).await], [Forfeited, Won, Lost]);

    town.deliver(&default_of(&listing.id, &b, false)).await.unwrap();
    town.deliver(&forfeited(&b)).await.unwrap();
    assert_eq!(town.status(&listing.id).await, ListingStatus::Unsold);
    town.deliver(&v1::ContractSigned { listing_id: listing.id.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(town.status(&listing.id).await, ListingStatus::Unsold, "what a defaulter signed counts no more");
    town.deliver(&released(&listing.id)).await.unwrap();
    assert_eq!([town.at(&b).await, town.at(&c).await], [Forfeited, TransferApplicationStatus::Refunded]);

    let again = town.relist(&listing.id, 45_000_000, None).await.unwrap();
    town.disclose_again(&again.id).await;
    assert_eq!(town.apply(&defaulter, &again.id).await, Err(ErrorCode::BarredAsDefaulter));
    let other = town.disclosed().await;
    town.apply(&defaulter, &other.id).await.expect("another lot");
}

#[tokio::test]
async fn every_acceptor_of_an_open_licence_is_licensed() {
    use TransferApplicationStatus::{Eligible, Won};
    let town = town().await;
    let bidding = BiddingTermsInput { mode: BiddingMode::OpenLicence.into(), ..BiddingTermsInput::default() };
    let input = v1::CreateListingInput {
        bidding: Some(bidding),
        conversion_mode: v1::ConversionMode::License.into(),
        ..town.terms()
    };
    let listing = town.disclosed_as(input).await;
    let [(_, a), (_, b), (_, c)] = [
        town.eligible("a", &listing.id).await,
        town.eligible("b", &listing.id).await,
        town.eligible("c", &listing.id).await,
    ];
    town.pass_days(30);
    town.deliver(&v1::BiddingScheduled { listing_id: listing.id.clone(), ..Default::default() }).await.unwrap();
    town.awarded(&listing.id, &a).await;
    town.awarded(&listing.id, &b).await;
    assert_eq!([town.at(&a).await, town.at(&b).await, town.at(&c).await], [Won, Won, Eligible]);
    town.deliver(&default_of(&listing.id, &a, false)).await.unwrap();
    assert_eq!(town.status(&listing.id).await, ListingStatus::TransfereeFixed, "the other licence stands");
}

#[tokio::test]
async fn an_unsold_lot_is_offered_again_once_and_for_little_less() {
    use ErrorCode::{AlreadyExists, IllegalTransition, NotFound, PeriodOutOfRange, PriceCutTooDeep};
    let town = town().await;
    let bidding = BiddingTermsInput { reserve_price: Some(Money(60_000_000)), ..BiddingTermsInput::default() };
    let deposit = Some(Money(15_000_000));
    let listing = town.disclosed_as(v1::CreateListingInput { bidding: Some(bidding), deposit, ..town.terms() }).await;
    assert_eq!(town.relist(&listing.id, 45_000_000, None).await, Err(IllegalTransition));
    town.pass_days(30);
    town.conclude(&listing.id, DisclosureConclusion::Unsold).await.unwrap();
    let stranger = person("x", OrganizationId::fresh(), &[Role::Broker], false);
    let input =
        v1::RelistInput { listing_id: listing.id.clone(), floor_price: Some(Money(45_000_000)), approval: None };
    assert_eq!(ask!(town, relist, &stranger, listing, input), Err(NotFound));
    assert_eq!(town.relist(&listing.id, 0, None).await, Err(ErrorCode::FloorNotPositive));
    assert_eq!(town.relist(&listing.id, 44_999_999, None).await, Err(PriceCutTooDeep));
    assert_eq!(town.relist(&listing.id, 60_000_001, None).await, Err(ErrorCode::ReserveBelowFloor));

    let again = town.relist(&listing.id, 45_000_000, None).await.unwrap();
    assert_eq!((again.status(), again.round, again.relists_id.as_ref()), (ListingStatus::Draft, 2, Some(&listing.id)));
    assert_eq!(again.deposit, Some(Money(13_500_000)), "the cap follows the price");
    let (before, after) = (listing.bidding.clone().unwrap(), again.bidding.clone().unwrap());
    assert_ne!(before.reserve_commitment, after.reserve_commitment);
    assert_eq!(
        v1::BiddingTerms { reserve_commitment: None, ..before },
        v1::BiddingTerms { reserve_commitment: None, ..after }
    );
    let wanted = v1::ReserveRequest { listing_id: again.id.clone() };
    let told = town.catalog.clone().get_reserve(by(&Actor::exchange(), wanted)).await.unwrap().into_inner();
    assert_eq!(told.reserve_price, Some(Money(60_000_000)));
    assert_eq!(town.relist(&listing.id, 45_000_000, None).await, Err(AlreadyExists));

    town.disclose_again(&again.id).await;
    town.pass_days(30);
    town.conclude(&again.id, DisclosureConclusion::Unsold).await.unwrap();
    assert_eq!(town.relist(&again.id, 44_999_999, None).await, Err(PriceCutTooDeep), "the lot's first price counts");
    let third = town.relist(&again.id, 20_000_000, Some("国资批〔2026〕8号")).await.unwrap();
    assert_eq!(third.round, 3);
    town.disclose_again(&third.id).await;
    town.pass_days(30);
    town.conclude(&third.id, DisclosureConclusion::Unsold).await.unwrap();
    town.pass_days(290);
    assert_eq!(town.relist(&third.id, 20_000_000, None).await, Err(PeriodOutOfRange), "a year has passed");
    town.pass_days(-290);
    town.relist(&third.id, 20_000_000, None).await.expect("an approved price stands");
}
