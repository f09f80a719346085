//! Random sequences of holds, defaults, ends without an award, settlements and distributions against a model that knows
//! only the rules: money is conserved, and every hold is resolved once. 12 sequences of 40 steps on SQLite;
//! `PROPTEST_CASES` makes it more.

use std::collections::BTreeMap;

use kernel::{Consumer, Context, ErrorCode, Id, Money};
use proptest::prelude::*;
use tonic::Request;
use wire::{
    id::{DealId, ListingId, OrganizationId, TransferApplicationId},
    v1::{self, DepositStatus, ForfeitureStatus},
};

use crate::{
    feed::Releases,
    forfeiture,
    race_tests::{defaulted, event_of, fund, hold},
    rules::{book::State, deal::Agreed, due::Due, holder::Holder},
    settlement,
    store::{self, fresh},
};

const BIDDERS: usize = 3;
const LISTINGS: usize = 2;
/// Of which the second is an open licence.
const OPEN_LICENCE: usize = 1;
const DEPOSIT: i64 = 30;

#[derive(Clone, Debug)]
enum Step {
    Fund(usize, i64),
    Hold(usize, usize),
    Default(usize, usize, i64, Option<i64>),
    End(usize, bool),
    Settle(usize, usize, i64),
    GiveOut(usize, usize, i64, Option<i64>),
}

fn step() -> impl Strategy<Value = Step> {
    let bidder = || 0..BIDDERS;
    let listing = || 0..LISTINGS;
    let price = || 1..150_i64;
    let maybe = move || prop::option::of(price());
    prop_oneof![
        3 => (bidder(), price()).prop_map(|(b, fen)| Step::Fund(b, fen)),
        6 => (bidder(), listing()).prop_map(|(b, l)| Step::Hold(b, l)),
        4 => (bidder(), listing(), price(), maybe()).prop_map(|(b, l, p, next)| Step::Default(b, l, p, next)),
        1 => (listing(), any::<bool>()).prop_map(|(l, cancelled)| Step::End(l, cancelled)),
        2 => (bidder(), listing(), price()).prop_map(|(b, l, p)| Step::Settle(b, l, p)),
        5 => (bidder(), listing(), -1..35_i64, maybe()).prop_map(|(b, l, c, resale)| Step::GiveOut(b, l, c, resale)),
    ]
}

/// What the exchange has of one lost deposit.
#[derive(Clone, Copy, Debug)]
struct Lost {
    price: i64,
    resale: Option<i64>,
    costs: Option<i64>,
    gap: Option<i64>,
}

/// What the rules say.
#[derive(Default)]
struct Model {
    balance: [i64; BIDDERS],
    seller: i64,
    deposits: BTreeMap<(usize, usize), DepositStatus>,
    lost: BTreeMap<(usize, usize), Lost>,
    settled: Vec<(usize, usize)>,
    /// Listings whose bidding is over without a buyer: deposits for them are due no more.
    closed: [bool; LISTINGS],
}

impl Model {
    fn held(&self, bidder: usize) -> i64 {
        let held = |(at, status): (&(usize, usize), &DepositStatus)| at.0 == bidder && *status == DepositStatus::Held;
        self.deposits.iter().filter(|entry| held(*entry)).map(|_| DEPOSIT).sum()
    }

    fn release(&mut self, listing: usize, but: Option<usize>) {
        for (at, status) in &mut self.deposits {
            if at.1 == listing && Some(at.0) != but && *status == DepositStatus::Held {
                *status = DepositStatus::Released;
            }
        }
    }

    fn is_sold(&self, listing: usize) -> bool {
        listing != OPEN_LICENCE && self.settled.iter().any(|at| at.1 == listing)
    }

    fn hold(&mut self, at: (usize, usize)) -> Option<ErrorCode> {
        if self.deposits.contains_key(&at) {
            return Some(ErrorCode::DepositPaid);
        }
        if self.closed[at.1] || self.is_sold(at.1) {
            return Some(ErrorCode::DepositNotDue);
        }
        if self.balance[at.0] - self.held(at.0) < DEPOSIT {
            return Some(ErrorCode::InsufficientFunds);
        }
        self.deposits.insert(at, DepositStatus::Held);
        None
    }

    fn take_default(&mut self, at: (usize, usize), price: i64, next: Option<i64>) {
        if self.deposits.get(&at) == Some(&DepositStatus::Held) {
            self.deposits.insert(at, DepositStatus::Forfeited);
            self.balance[at.0] -= DEPOSIT;
            self.lost.insert(at, Lost { price, resale: next, costs: None, gap: None });
        }
        if next.is_none() && at.1 != OPEN_LICENCE && self.deposits.contains_key(&at) {
            self.end(at.1);
        }
    }

    fn end(&mut self, listing: usize) {
        self.release(listing, None);
        self.closed[listing] = true;
    }

    fn settle(&mut self, at: (usize, usize), price: i64, fee: i64) -> Option<ErrorCode> {
        if self.settled.contains(&at) || self.is_sold(at.1) {
            return Some(ErrorCode::AlreadySettled);
        }
        let own = self.deposits.get(&at).copied();
        if own == Some(DepositStatus::Forfeited) {
            return Some(ErrorCode::DealCancelled);
        }
        let bound = self.held(at.0) - if own == Some(DepositStatus::Held) { DEPOSIT } else { 0 };
        if self.balance[at.0] - bound < price {
            return Some(ErrorCode::InsufficientFunds);
        }
        self.balance[at.0] -= price;
        self.seller += price - fee;
        if own == Some(DepositStatus::Held) {
            self.deposits.insert(at, DepositStatus::Applied);
        }
        if at.1 != OPEN_LICENCE {
            self.release(at.1, Some(at.0));
        }
        self.settled.push(at);
        None
    }

    fn give_out(&mut self, at: (usize, usize), costs: i64, resale: Option<i64>) -> Option<ErrorCode> {
        let Some(lost) = self.lost.get_mut(&at) else { return Some(ErrorCode::NotFound) };
        if lost.gap.is_some() {
            return Some(ErrorCode::AlreadyDistributed);
        }
        if !(0..=DEPOSIT).contains(&costs) {
            return Some(ErrorCode::AmountOutOfRange);
        }
        if lost.costs.is_some_and(|paid| paid != costs) || (lost.resale.is_some() && resale.is_some()) {
            return Some(ErrorCode::InvalidInput);
        }
        let Some(price) = lost.resale.or(resale) else {
            let again = lost.costs.replace(costs).is_some();
            return again.then_some(ErrorCode::Required);
        };
        let gap = (lost.price - price).clamp(0, DEPOSIT - costs);
        *lost = Lost { costs: Some(costs), resale: Some(price), gap: Some(gap), ..*lost };
        self.seller += gap;
        None
    }
}

/// One exchange of its own within the shared database.
struct Town {
    cx: Context,
    seller: OrganizationId,
    bidders: [OrganizationId; BIDDERS],
    listings: [ListingId; LISTINGS],
    applications: [[TransferApplicationId; LISTINGS]; BIDDERS],
}

impl Town {
    fn new(cx: &Context) -> Town {
        Town {
            cx: cx.clone(),
            seller: OrganizationId::fresh(),
            bidders: [(); BIDDERS].map(|()| OrganizationId::fresh()),
            listings: [(); LISTINGS].map(|()| ListingId::fresh()),
            applications: [(); BIDDERS].map(|()| [(); LISTINGS].map(|()| TransferApplicationId::fresh())),
        }
    }

    fn due(&self, (bidder, listing): (usize, usize)) -> Due {
        Due {
            application: self.applications[bidder][listing],
            listing: self.listings[listing],
            bidder: self.bidders[bidder],
            transferor: self.seller,
            amount: Money(DEPOSIT),
            open_licence: listing == OPEN_LICENCE,
        }
    }

    /// Tells the same thing twice by one event, and once more by another.
    async fn tell<A: kernel::Announcement>(&self, told: &A) {
        let event = event_of(told);
        for event in [&event, &event, &event_of(told)] {
            Releases(self.cx.clone()).receive(event).await.unwrap();
        }
    }

    async fn settle(&self, at: (usize, usize), price: i64) -> v1::SettlePayload {
        let agreed = Agreed {
            deal: DealId::derived(self.due(at).application.0, "deal"),
            listing: self.listings[at.1],
            application: self.due(at).application,
            transferor: self.seller,
            transferee: self.bidders[at.0],
            price: Money(price),
            effective_at: None,
            open_licence: at.1 == OPEN_LICENCE,
        };
        let request = Request::new(v1::SettleInput::default());
        self.cx
            .mutate(request, "settle", |call, _| Box::pin(settlement::post(call, agreed)))
            .await
            .unwrap()
            .into_inner()
    }

    async fn give_out(&self, at: (usize, usize), costs: i64, resale: Option<i64>) -> v1::DistributeForfeitPayload {
        let (application, resale) = (self.due(at).application, resale.map(Money));
        let request = Request::new(v1::DistributeForfeitInput::default());
        self.cx
            .mutate(request, "give out", |call, _| {
                Box::pin(forfeiture::give_out(call, application, Money(costs), resale))
            })
            .await
            .unwrap()
            .into_inner()
    }

    async fn take(&self, model: &mut Model, step: &Step) {
        let code = |errors: &[kernel::Refusal]| errors.first().map(kernel::Refusal::error_code);
        match *step {
            Step::Fund(bidder, fen) => {
                fund(&self.cx, self.bidders[bidder], fen).await;
                model.balance[bidder] += fen;
            }
            Step::Hold(b, l) => assert_eq!(hold(&self.cx, self.due((b, l))).await, model.hold((b, l))),
            Step::Default(b, l, price, next) => {
                self.tell(&defaulted(&self.due((b, l)), Money(price), next.map(Money))).await;
                model.take_default((b, l), price, next);
            }
            Step::End(l, cancelled) => {
                let (listing_id, transferor_id) = (self.listings[l].text(), self.seller.text());
                if cancelled {
                    self.tell(&v1::BiddingCancelled { listing_id, transferor_id, ..Default::default() }).await;
                } else {
                    self.tell(&v1::BiddingUnsold { listing_id, transferor_id, ..Default::default() }).await;
                }
                model.end(l);
            }
            Step::Settle(b, l, price) => {
                let payload = self.settle((b, l), price).await;
                let fee = payload.settlement.as_ref().and_then(|settlement| settlement.fee).unwrap_or_default();
                assert_eq!(code(&payload.user_errors), model.settle((b, l), price, fee.0));
            }
            Step::GiveOut(b, l, costs, resale) => {
                let payload = self.give_out((b, l), costs, resale).await;
                assert_eq!(code(&payload.user_errors), model.give_out((b, l), costs, resale));
            }
        }
    }

    async fn account(&self, holder: Holder) -> (i64, i64) {
        let account = store::account(self.cx.db.read(), holder.account_id()).await.unwrap().unwrap_or_default();
        (account.balance.unwrap_or_default().0, account.held.unwrap_or_default().0)
    }

    /// Every account, every deposit and every forfeiture is as the model says, and the whole ledger is sound.
    async fn compare(&self, model: &Model) {
        for bidder in 0..BIDDERS {
            let account = self.account(Holder::Organization(self.bidders[bidder])).await;
            assert_eq!(account, (model.balance[bidder], model.held(bidder)));
        }
        assert_eq!(self.account(Holder::Organization(self.seller)).await, (model.seller, 0));
        let tx = self.cx.db.begin().await.unwrap();
        for at in (0..BIDDERS).flat_map(|b| (0..LISTINGS).map(move |l| (b, l))) {
            let application = self.due(at).application;
            let row = store::deposit(&tx, application).await.unwrap();
            assert_eq!(row.as_ref().map(|row| row.status), model.deposits.get(&at).copied());
            let Some(row) = row else { continue };
            let opened = store::open(&tx, &[], &[row.transfer_id]).await.unwrap();
            let state = match row.status {
                DepositStatus::Held => State::Pending,
                DepositStatus::Applied => State::Posted,
                DepositStatus::Released | DepositStatus::Forfeited => State::Void,
            };
            assert_eq!(opened.book.transfer(row.transfer_id).unwrap().state, state);
            let lost = model.lost.get(&at);
            let forfeited = store::forfeiture::of(&tx, application).await.unwrap();
            assert_eq!(forfeited.is_some(), lost.is_some());
            let (Some(lost), Some(forfeited)) = (lost, forfeited) else { continue };
            let left = DEPOSIT - lost.costs.unwrap_or(0) - lost.gap.unwrap_or(0);
            let shown = forfeited.shown(Vec::new()).unwrap();
            assert_eq!(shown.remainder, Some(Money(left)));
            assert_eq!(shown.status() == ForfeitureStatus::Distributed, lost.gap.is_some());
        }
        drop(tx);
        for (at, lost) in &model.lost {
            let left = DEPOSIT - lost.costs.unwrap_or(0) - lost.gap.unwrap_or(0);
            assert_eq!(self.account(Holder::Forfeited(self.due(*at).application)).await, (left, 0));
        }
        let trial = crate::account::trial_balance(&self.cx, &kernel::Actor::exchange()).await.unwrap();
        assert_eq!((trial.total, trial.faulty_accounts), (Some(Money(0)), 0));
    }
}

#[test]
fn random_sequences_conserve_money_and_resolve_every_hold_once() {
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { 12 };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..asked
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let lanes = runtime.block_on(fresh::lanes());
    let cx = &lanes[0].cx;
    let steps = prop::collection::vec(step(), 40);
    let outcome = runner.run(&steps, |steps| {
        runtime.block_on(async {
            let (town, mut model) = (Town::new(cx), Model::default());
            for step in &steps {
                town.take(&mut model, step).await;
                town.compare(&model).await;
            }
        });
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
