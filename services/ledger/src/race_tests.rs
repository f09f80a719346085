//! R7: many callers at one account. 20 accounts × 8 racers × 3 rounds; `TEST_NIGHTLY` makes it
//! 200 × 8 × 20.

use futures::{StreamExt, future::join_all, stream};
use kernel::{Actor, Consumer, Context, ErrorCode, Id, Instant, Money};
use tonic::Request;
use wire::{
    id::{AwardId, DealId, ListingId, OrganizationId, TransferApplicationId},
    v1,
};

use crate::{
    account, deal_end, deposit, feed, receipt,
    rules::{arrival::Arrival, deal::Agreed, due::Due},
    settlement,
    store::fresh,
};

const RACERS: i64 = 8;
/// Calls at once: all racers of eight accounts. A caller gives up a connection it waits for too long.
const LOAD: usize = 64;
const DEPOSIT: i64 = 30;
/// Enough for three deposits and not for a fourth.
const INCOME: i64 = 100;

pub async fn fund(cx: &Context, organization: OrganizationId, fen: i64) {
    let request = Request::new(v1::RecordBankReceiptInput::default());
    let arrival = Arrival {
        organization,
        amount: Money(fen),
        bank_reference: kernel::fresh_uuid().to_string(),
        received_at: Instant(0),
    };
    let payload: v1::RecordBankReceiptPayload =
        cx.mutate(request, "fund", |call, _| Box::pin(receipt::post(call, arrival))).await.unwrap().into_inner();
    assert_eq!(payload.user_errors, []);
}

/// A hold by one racer. Anything but success or a refusal is a failure of the test.
pub async fn hold(cx: &Context, due: Due) -> Option<ErrorCode> {
    let request = Request::new(v1::PayDepositInput::default());
    let payload: v1::PayDepositPayload =
        cx.mutate(request, "hold", |call, _| Box::pin(deposit::hold(call, due))).await.unwrap().into_inner();
    payload.user_errors.first().map(kernel::Refusal::error_code)
}

pub async fn settle(cx: &Context, agreed: Agreed) -> Option<ErrorCode> {
    let request = Request::new(v1::SettleInput::default());
    let payload: v1::SettlePayload =
        cx.mutate(request, "settle", |call, _| Box::pin(settlement::post(call, agreed))).await.unwrap().into_inner();
    payload.user_errors.first().map(kernel::Refusal::error_code)
}

fn due(bidder: OrganizationId, transferor: OrganizationId, listing: ListingId) -> Due {
    Due {
        application: TransferApplicationId::fresh(),
        listing,
        bidder,
        transferor,
        amount: Money(DEPOSIT),
        open_licence: false,
    }
}

pub async fn assert_sound(cx: &Context, held: i64) {
    let trial = account::trial_balance(cx, &Actor::exchange()).await.unwrap();
    assert_eq!((trial.total, trial.held, trial.faulty_accounts), (Some(Money(0)), Some(Money(held)), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_deposits_never_overdraw() {
    let nightly = std::env::var_os("TEST_NIGHTLY").is_some();
    let (accounts, rounds) = if nightly { (200, 20) } else { (20, 3) };
    for lane in fresh::lanes().await {
        let bidders: Vec<OrganizationId> = (0..accounts).map(|_| OrganizationId::fresh()).collect();
        let (mut funded, mut holds) = (0, 0);
        for _ in 0..rounds {
            stream::iter(&bidders).for_each_concurrent(LOAD, |bidder| fund(&lane.cx, *bidder, INCOME)).await;
            funded += INCOME;
            // Each racer bids for another listing of another seller, so that only the bidder's account is shared.
            let racers = bidders.iter().flat_map(|bidder| (0..RACERS).map(|_| *bidder));
            let race = stream::iter(racers).map(|bidder| {
                let (cx, due) = (lane.cx.clone(), due(bidder, OrganizationId::fresh(), ListingId::fresh()));
                async move { tokio::spawn(async move { hold(&cx, due).await }).await.unwrap() }
            });
            let outcomes: Vec<_> = race.buffer_unordered(LOAD).collect().await;
            assert!(outcomes.iter().flatten().all(|code| *code == ErrorCode::InsufficientFunds), "{}", lane.name);
            holds += outcomes.iter().map(|outcome| i64::from(outcome.is_none())).sum::<i64>();
            assert_sound(&lane.cx, holds * DEPOSIT).await;
        }
        // As many as the income allows: neither more (overdrawn) nor fewer (lost).
        assert_eq!(holds, i64::from(accounts) * (funded / DEPOSIT), "{}", lane.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_application_has_one_deposit() {
    for lane in fresh::lanes().await {
        let (bidder, transferor) = (OrganizationId::fresh(), OrganizationId::fresh());
        fund(&lane.cx, bidder, 1_000).await;
        let due = due(bidder, transferor, ListingId::fresh());
        let outcomes = join_all((0..RACERS).map(|_| hold(&lane.cx, due.clone()))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), 1, "{}", lane.name);
        assert!(outcomes.iter().flatten().all(|code| *code == ErrorCode::DepositPaid));
        assert_sound(&lane.cx, DEPOSIT).await;
    }
}

/// Two organizations sell to each other, with the same bidders: every lock is wanted in both directions.
#[tokio::test(flavor = "multi_thread")]
async fn crossing_settlements_happen_once_and_block_nobody() {
    for lane in fresh::lanes().await {
        let parties = [OrganizationId::fresh(), OrganizationId::fresh()];
        let losers: Vec<OrganizationId> = (0..3).map(|_| OrganizationId::fresh()).collect();
        join_all(parties.iter().chain(&losers).map(|organization| fund(&lane.cx, *organization, 100_000))).await;
        let mut deals = Vec::new();
        for n in 0..10 {
            let (transferor, transferee) = (parties[n % 2], parties[(n + 1) % 2]);
            let listing = ListingId::fresh();
            let winner = due(transferee, transferor, listing);
            let application = winner.application;
            assert_eq!(hold(&lane.cx, winner).await, None);
            for loser in &losers {
                assert_eq!(hold(&lane.cx, due(*loser, transferor, listing)).await, None);
            }
            let (deal, price) = (DealId::fresh(), Money(1_000));
            deals.push(Agreed {
                deal,
                listing,
                application,
                transferor,
                transferee,
                price,
                effective_at: None,
                open_licence: false,
            });
        }
        let tasks = deals.iter().chain(&deals).chain(&deals).map(|agreed| {
            let (cx, agreed) = (lane.cx.clone(), agreed.clone());
            tokio::spawn(async move { settle(&cx, agreed).await })
        });
        let outcomes = join_all(tasks).await;
        let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), deals.len(), "{}", lane.name);
        assert!(outcomes.iter().flatten().all(|code| *code == ErrorCode::AlreadySettled));
        assert_sound(&lane.cx, 0).await;
    }
}

/// A default and a settlement of the same deal, each told by many at once: the deposit pays for one of the two.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_forfeited_once_or_pays_the_price() {
    for lane in fresh::lanes().await {
        for round in 0..6 {
            let [seller, winner, next] = [(); 3].map(|()| OrganizationId::fresh());
            let listing = ListingId::fresh();
            for bidder in [winner, next] {
                fund(&lane.cx, bidder, 1_000).await;
            }
            let (lost, kept) = (due(winner, seller, listing), due(next, seller, listing));
            let agreed = Agreed {
                deal: DealId::fresh(),
                listing,
                application: lost.application,
                transferor: seller,
                transferee: winner,
                price: Money(1_000),
                effective_at: None,
                open_licence: false,
            };
            for due in [lost.clone(), kept.clone()] {
                assert_eq!(hold(&lane.cx, due).await, None);
            }
            let told = defaulted(&lost, Money(1_000), Some(Money(900)));
            let same = event_of(&told);
            let deliveries =
                (0..RACERS).map(|n| if n % 2 == 0 { same.clone() } else { event_of(&told) }).map(|event| {
                    let cx = lane.cx.clone();
                    tokio::spawn(async move { feed::Releases(cx).receive(&event).await })
                });
            let deliveries: Vec<_> = deliveries.collect();
            // In every second round nobody settles.
            let settled = if round % 2 == 0 { None } else { Some(settle(&lane.cx, agreed.clone()).await) };
            for delivery in join_all(deliveries).await {
                // One that met a move is delivered again.
                if let Err(error) = delivery.unwrap() {
                    assert!(matches!(error, kernel::Error::Unavailable(_)), "{error}");
                    feed::Releases(lane.cx.clone()).receive(&event_of(&told)).await.unwrap();
                }
            }
            let paid = settled == Some(None);
            assert!(settled.is_none_or(|code| code.is_none_or(|code| code == ErrorCode::DealCancelled)));
            let announced = announcements(&lane.cx, &lost.deposit_id().text()).await;
            assert_eq!(announced, usize::from(!paid), "{}", lane.name);
            let held = if paid { 0 } else { DEPOSIT };
            assert_sound(&lane.cx, held).await;
            // The next bidder's deposit is still there for the next deal, and nothing is bound after it.
            if !paid {
                let deal = DealId::fresh();
                let (application, transferee, price) = (kept.application, next, Money(900));
                let following = Agreed { deal, application, transferee, price, ..agreed };
                assert_eq!(settle(&lane.cx, following).await, None);
            }
            assert_sound(&lane.cx, 0).await;
        }
    }
}

/// Whoever settles a deal and whoever declares its transferee in default agree on which came first.
#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_settled_or_in_default_never_both() {
    for lane in fresh::lanes().await {
        for round in 0..12 {
            let [transferor, transferee] = [(); 2].map(|()| OrganizationId::fresh());
            fund(&lane.cx, transferee, 1_000).await;
            let (deal, listing, application) = (DealId::fresh(), ListingId::fresh(), TransferApplicationId::fresh());
            let agreed = Agreed {
                deal,
                listing,
                application,
                transferor,
                transferee,
                price: Money(1_000),
                effective_at: None,
                open_licence: false,
            };
            let declare = || {
                let cx = lane.cx.clone();
                let wanted =
                    v1::EndInDefaultRequest { deal_id: deal.text(), transfer_application_id: Some(application.text()) };
                tokio::spawn(async move { deal_end::end(&cx, &Actor::exchange(), wanted).await.unwrap().settled })
            };
            let pay = || {
                let (cx, agreed) = (lane.cx.clone(), agreed.clone());
                tokio::spawn(async move { settle(&cx, agreed).await })
            };
            // Who is asked first takes turns.
            let (declared, paid): (Vec<_>, Vec<_>) = match round % 2 {
                0 => (0..RACERS).map(|_| (declare(), pay())).unzip(),
                _ => (0..RACERS).map(|_| (pay(), declare())).map(|(pay, declare)| (declare, pay)).unzip(),
            };
            let settled: Vec<bool> = join_all(declared).await.into_iter().map(Result::unwrap).collect();
            let paid: Vec<_> = join_all(paid).await.into_iter().map(Result::unwrap).collect();
            let is_paid = paid.iter().filter(|code| code.is_none()).count();
            assert!(
                is_paid == usize::from(settled[0]) && settled.iter().all(|told| *told == settled[0]),
                "{}",
                lane.name
            );
            let refusal = if is_paid == 1 { ErrorCode::AlreadySettled } else { ErrorCode::DealCancelled };
            assert!(paid.iter().flatten().all(|code| *code == refusal));
            assert_sound(&lane.cx, 0).await;
        }
    }
}

async fn announcements(cx: &Context, deposit: &str) -> usize {
    let events = kernel::audit_page(&cx.db, "ledger", Some(deposit), Some(100), None).await.unwrap();
    events.items.iter().filter(|event| event.kind == "DepositForfeited").count()
}

/// The event by which the auction tells a default.
pub fn defaulted(lost: &Due, price: Money, next_price: Option<Money>) -> v1::AwardDefaulted {
    v1::AwardDefaulted {
        award_id: AwardId::derived(lost.application.0, "award").text(),
        listing_id: lost.listing.text(),
        transfer_application_id: lost.application.text(),
        organization_id: lost.bidder.text(),
        transferor_id: lost.transferor.text(),
        price: Some(price),
        passed_on: next_price.is_some(),
        next_price,
        reverse: false,
        unconfirmed: false,
    }
}

/// A delivery of it.
pub fn event_of<A: kernel::Announcement>(told: &A) -> kernel::Event {
    kernel::Event {
        id: kernel::fresh_uuid(),
        service: "auction".into(),
        kind: A::KIND.into(),
        subject: "award".into(),
        actor: "exchange".into(),
        at: Instant(1_790_000_000_000),
        facts: serde_json::to_string(told).unwrap(),
    }
}
