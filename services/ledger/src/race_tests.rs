//! R7: many callers at one account. 20 accounts × 8 racers × 3 rounds; `TEST_NIGHTLY` makes it
//! 200 × 8 × 20.

use futures::{StreamExt, future::join_all, stream};
use kernel::{Actor, Context, ErrorCode, Id, Instant, Money};
use tonic::Request;
use wire::{
    id::{DealId, ListingId, OrganizationId, TransferApplicationId},
    v1,
};

use crate::{account, deposit, receipt, settlement, store::fresh};

const RACERS: i64 = 8;
/// Calls at once: all racers of eight accounts. A caller gives up a connection it waits for too long.
const LOAD: usize = 64;
const DEPOSIT: i64 = 30;
/// Enough for three deposits and not for a fourth.
const INCOME: i64 = 100;

async fn fund(cx: &Context, organization: OrganizationId, fen: i64) {
    let request = Request::new(v1::RecordBankReceiptInput::default());
    let arrival = receipt::Arrival {
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
async fn hold(cx: &Context, due: deposit::Due) -> Option<ErrorCode> {
    let request = Request::new(v1::PayDepositInput::default());
    let payload: v1::PayDepositPayload =
        cx.mutate(request, "hold", |call, _| Box::pin(deposit::hold(call, due))).await.unwrap().into_inner();
    payload.user_errors.first().map(kernel::Refusal::error_code)
}

async fn settle(cx: &Context, agreed: settlement::Agreed) -> Option<ErrorCode> {
    let request = Request::new(v1::SettleInput::default());
    let payload: v1::SettlePayload =
        cx.mutate(request, "settle", |call, _| Box::pin(settlement::post(call, agreed))).await.unwrap().into_inner();
    payload.user_errors.first().map(kernel::Refusal::error_code)
}

fn due(bidder: OrganizationId, transferor: OrganizationId, listing: ListingId) -> deposit::Due {
    deposit::Due { application: TransferApplicationId::fresh(), listing, bidder, transferor, amount: Money(DEPOSIT) }
}

async fn assert_sound(cx: &Context, held: i64) {
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
            deals.push(settlement::Agreed {
                deal,
                listing,
                application,
                transferor,
                transferee,
                price,
                effective_at: None,
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
