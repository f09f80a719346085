//! A default from the event to the last fen, through the gRPC trait.

use kernel::Consumer;

use super::*;
use crate::{
    feed::Releases,
    race_tests::{defaulted, event_of},
};

impl Exchange {
    async fn default(&self, application: usize, bidder: usize, price: i64, next_price: Option<i64>) {
        let lost = crate::rules::due::Due {
            application: TransferApplicationId::parse(&self.applications[application], "id").unwrap(),
            listing: ListingId::parse(&self.listing, "id").unwrap(),
            bidder: OrganizationId::parse(&self.organizations[bidder], "id").unwrap(),
            transferor: OrganizationId::parse(&self.organizations[SELLER], "id").unwrap(),
            amount: Money(30_000),
            open_licence: false,
        };
        let told = defaulted(&lost, Money(price), next_price.map(Money));
        Releases(self.ledger.cx.clone()).receive(&event_of(&told)).await.unwrap();
    }

    async fn give_out(&self, actor: &Actor, costs: i64, resale: Option<&str>) -> v1::DistributeForfeitPayload {
        let input = v1::DistributeForfeitInput {
            transfer_application_id: self.applications[0].clone(),
            costs: Some(Money(costs)),
            resale_deal_id: resale.map(str::to_owned),
        };
        self.ledger.distribute_forfeit(by(actor, input)).await.unwrap().into_inner()
    }

    async fn forfeiture(&self, actor: &Actor) -> Option<v1::Forfeiture> {
        let wanted = v1::GetForfeitureRequest { transfer_application_id: self.applications[0].clone() };
        self.ledger.get_forfeiture(by(actor, wanted)).await.unwrap().into_inner().forfeiture
    }

    /// Both bidders with their deposits on hold.
    async fn with_deposits(lane: &Lane) -> Exchange {
        let exchange = Exchange::new(lane);
        for (n, application, reference) in [(WINNER, 0, "BANK-1"), (LOSER, 1, "BANK-2")] {
            exchange.fund(n, 30_000, reference).await;
            let bidder = actor(&exchange.organizations[n], Role::Bidder, false);
            exchange.pay(&bidder, application).await.deposit.unwrap();
        }
        exchange
    }
}

#[tokio::test]
async fn the_defaulter_pays_costs_and_gap_and_the_next_bidder_settles() {
    for lane in fresh::lanes().await {
        let exchange = Exchange::with_deposits(&lane).await;
        let cashier = staff(Role::Cashier);
        assert_eq!(refused(&exchange.give_out(&cashier, 0, None).await.user_errors).0, "NOT_FOUND");
        exchange.set_deal(DealStatus::Registered);
        exchange.default(0, WINNER, 1_000_000, Some(985_000)).await;
        assert_eq!(exchange.account(WINNER).await, (0, 0));
        assert_eq!(exchange.account(LOSER).await, (30_000, 30_000), "the next bidder's deposit stays on hold");
        assert_eq!(refused(&exchange.settle(&cashier).await.user_errors).0, "DEAL_CANCELLED");
        exchange.set_deal(DealStatus::Cancelled);
        assert_eq!(refused(&exchange.settle(&cashier).await.user_errors).0, "DEAL_CANCELLED");

        let [defaulter, loser, seller] =
            [WINNER, LOSER, SELLER].map(|n| actor(&exchange.organizations[n], Role::Administrator, false));
        let lost = exchange.forfeiture(&defaulter).await.unwrap();
        assert_eq!((lost.price_gap, lost.costs, lost.remainder), (Some(Money(15_000)), None, Some(Money(30_000))));
        assert_eq!(exchange.forfeiture(&seller).await.as_ref(), Some(&lost));
        assert_eq!(exchange.forfeiture(&staff(Role::Auditor)).await.as_ref(), Some(&lost));
        for stranger in [&loser, &staff(Role::Reviewer)] {
            assert_eq!(exchange.forfeiture(stranger).await, None);
        }

        assert_eq!(refused(&exchange.give_out(&defaulter, 0, None).await.user_errors).0, "FORBIDDEN");
        let mut partial = cashier.clone();
        partial.memberships.extend(seller.memberships.clone());
        assert_eq!(refused(&exchange.give_out(&partial, 0, None).await.user_errors).0, "SAME_PERSON");
        let above = exchange.give_out(&cashier, 30_001, None).await;
        assert_eq!(refused(&above.user_errors), ("AMOUNT_OUT_OF_RANGE", "0.00–300.00"));
        let given = exchange.give_out(&cashier, 2_000, None).await.forfeiture.unwrap();
        assert_eq!((given.costs, given.gap_paid), (Some(Money(2_000)), Some(Money(15_000))));
        assert_eq!((given.remainder, given.status()), (Some(Money(13_000)), v1::ForfeitureStatus::Distributed));
        assert_eq!(exchange.account(SELLER).await, (15_000, 0));
        assert_eq!(refused(&exchange.give_out(&cashier, 2_000, None).await.user_errors).0, "ALREADY_DISTRIBUTED");

        {
            let mut facts = exchange.world.0.lock().unwrap();
            let deal = &mut facts.deals[0];
            deal.id = DealId::fresh().text();
            deal.transferee_id = exchange.organizations[LOSER].clone();
            deal.transfer_application_id = exchange.applications[1].clone();
            deal.price = Some(Money(985_000));
            deal.status = DealStatus::Registered.into();
        }
        exchange.fund(LOSER, 955_000, "BANK-3").await;
        let deal = exchange.world.0.lock().unwrap().deals[0].id.clone();
        let exchange = Exchange { deal, ..exchange };
        let settlement = exchange.settle(&cashier).await.settlement.unwrap();
        assert_eq!((settlement.deposit_applied, settlement.deposits_released), (Some(Money(30_000)), 0));
        // A default that comes after the settlement moves nothing.
        exchange.default(1, LOSER, 985_000, None).await;
        assert_eq!(exchange.account(LOSER).await, (0, 0));
        let trial = exchange.trial().await;
        assert_eq!((trial.total, trial.held, trial.faulty_accounts), (Some(Money(0)), Some(Money(0)), 0));
        let audit = v1::ListAuditRequest::default();
        let audit = exchange.ledger.list_audit(by(&staff(Role::Auditor), audit)).await.unwrap().into_inner();
        let count = |kind| audit.items.iter().filter(|record| record.kind == kind).count();
        for (kind, times) in [
            ("ForfeitureBooked", 1),
            ("DepositForfeited", 1),
            ("ForfeitureDistributed", 1),
            ("DefaultIgnored", 1),
            ("DepositReleased", 0),
        ] {
            assert_eq!(count(kind), times, "{kind}");
        }
    }
}

#[tokio::test]
async fn where_nobody_follows_the_gap_waits_for_the_resale() {
    for lane in fresh::lanes().await {
        let exchange = Exchange::with_deposits(&lane).await;
        let cashier = staff(Role::Cashier);
        exchange.default(0, WINNER, 1_000_000, None).await;
        assert_eq!(exchange.account(LOSER).await, (30_000, 0), "nobody follows: the other deposits go back");
        let first = exchange.give_out(&cashier, 5_000, None).await.forfeiture.unwrap();
        assert_eq!((first.status(), first.price_gap), (v1::ForfeitureStatus::CostsPaid, None));
        assert_eq!(refused(&exchange.give_out(&cashier, 5_000, None).await.user_errors).0, "REQUIRED");

        let (relisting, foreign) = (ListingId::fresh().text(), ListingId::fresh().text());
        let deals = [&relisting, &foreign, &relisting].map(|listing| v1::Deal {
            id: DealId::fresh().text(),
            listing_id: listing.clone(),
            transferor_id: exchange.organizations[SELLER].clone(),
            price: Some(Money(970_000)),
            status: DealStatus::Settled.into(),
            ..v1::Deal::default()
        });
        let [sold, other, mut unpaid] = deals;
        unpaid.status = DealStatus::Registered.into();
        {
            let mut facts = exchange.world.0.lock().unwrap();
            let listing =
                |id: &String, relists_id| v1::Listing { id: id.clone(), relists_id, ..v1::Listing::default() };
            facts.listings.extend([listing(&relisting, Some(exchange.listing.clone())), listing(&foreign, None)]);
            facts.deals.extend([sold.clone(), other.clone(), unpaid.clone()]);
        }
        for (deal, code) in
            [(&other.id, "INVALID_INPUT"), (&unpaid.id, "ILLEGAL_TRANSITION"), (&DealId::fresh().text(), "NOT_FOUND")]
        {
            assert_eq!(refused(&exchange.give_out(&cashier, 5_000, Some(deal)).await.user_errors).0, code);
        }
        let second = exchange.give_out(&cashier, 5_000, Some(&sold.id)).await.forfeiture.unwrap();
        assert_eq!((second.price_gap, second.gap_paid), (Some(Money(30_000)), Some(Money(25_000))));
        assert_eq!((second.remainder, second.costs), (Some(Money(0)), Some(Money(5_000))));
        assert_eq!(exchange.account(SELLER).await, (25_000, 0));
        let trial = exchange.trial().await;
        assert_eq!((trial.total, trial.faulty_accounts), (Some(Money(0)), 0));
    }
}
