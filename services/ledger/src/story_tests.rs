//! One deal from the first receipt to the settlement, through the gRPC trait, with every refusal on the way.

use kernel::{ActingFor, Actor, Id, Instant, Money, Role};
use tonic::Request;
use wire::{
    id::{ContractId, DealId, ListingId, OrganizationId, TransferApplicationId},
    v1::{self, DealStatus, ListingStatus, OrganizationStatus, TransferApplicationStatus, ledger_server::Ledger},
};

use crate::{
    Accounts,
    store::fresh::{self, Lane},
    stub::World,
};

mod forfeit;

const SELLER: usize = 0;
const WINNER: usize = 1;
const LOSER: usize = 2;
const UNVERIFIED: usize = 3;

/// A ledger among stubs: a seller, two bidders with an application each, an organization under review.
struct Exchange {
    ledger: Accounts,
    world: World,
    organizations: Vec<String>,
    listing: String,
    applications: Vec<String>,
    deal: String,
}

fn actor(organization_id: &str, role: Role, centre: bool) -> Actor {
    let membership = ActingFor {
        organization_id: organization_id.into(),
        roles: vec![role as i32],
        centre,
        verified: true,
        hub: centre,
        ..ActingFor::default()
    };
    let person_id = format!("person of {organization_id}");
    Actor { person_id, memberships: vec![membership], second_factor: true, ..Actor::default() }
}

fn staff(role: Role) -> Actor {
    actor("the centre", role, true)
}

fn by<T>(actor: &Actor, message: T) -> Request<T> {
    let mut request = Request::new(message);
    actor.write(None, request.metadata_mut());
    request
}

/// The code and the accepted value of the one refusal.
fn refused(errors: &[kernel::Refusal]) -> (&str, &str) {
    assert_eq!(errors.len(), 1);
    (&errors[0].code, errors[0].accepted.as_deref().unwrap_or_default())
}

impl Exchange {
    fn new(lane: &Lane) -> Exchange {
        let world = World::default();
        let organizations: Vec<String> = (0..4).map(|_| OrganizationId::fresh().text()).collect();
        let listing = ListingId::fresh().text();
        let applications: Vec<String> = (0..2).map(|_| TransferApplicationId::fresh().text()).collect();
        let deal = DealId::fresh().text();
        let contract = ContractId::fresh().text();
        let mut facts = world.0.lock().unwrap();
        facts.organizations.extend((0..4).map(|n| v1::Organization {
            id: organizations[n].clone(),
            status: if n == UNVERIFIED { OrganizationStatus::Applied } else { OrganizationStatus::Verified }.into(),
            ..v1::Organization::default()
        }));
        facts.listings.push(v1::Listing {
            id: listing.clone(),
            organization_id: organizations[SELLER].clone(),
            status: ListingStatus::PeriodEnded.into(),
            ..v1::Listing::default()
        });
        facts.applications.extend([WINNER, LOSER].into_iter().zip(&applications).map(|(n, id)| {
            v1::TransferApplication {
                id: id.clone(),
                listing_id: listing.clone(),
                organization_id: organizations[n].clone(),
                status: TransferApplicationStatus::DepositDue.into(),
                deposit: Some(Money(30_000)),
                ..v1::TransferApplication::default()
            }
        }));
        facts.deals.push(v1::Deal {
            id: deal.clone(),
            listing_id: listing.clone(),
            transferor_id: organizations[SELLER].clone(),
            transferee_id: organizations[WINNER].clone(),
            price: Some(Money(1_000_000)),
            transfer_application_id: applications[0].clone(),
            contract_id: contract.clone(),
            ..v1::Deal::default()
        });
        let signatures = [1_700_000_000_000, 1_700_000_100_000]
            .map(|at| v1::Signature { signed_at: Some(Instant(at)), ..v1::Signature::default() });
        facts.contracts.push(v1::Contract { id: contract, signatures: signatures.into(), ..v1::Contract::default() });
        drop(facts);
        let ledger = Accounts { cx: lane.cx.clone(), clients: world.clients() };
        Exchange { ledger, world, organizations, listing, applications, deal }
    }

    async fn receive(
        &self,
        actor: &Actor,
        organization: &str,
        fen: i64,
        reference: &str,
    ) -> v1::RecordBankReceiptPayload {
        let input = v1::RecordBankReceiptInput {
            organization_id: organization.into(),
            amount: Some(Money(fen)),
            bank_reference: reference.into(),
            received_at: Some(Instant(1_700_000_000_000)),
        };
        self.ledger.record_bank_receipt(by(actor, input)).await.unwrap().into_inner()
    }

    async fn fund(&self, organization: usize, fen: i64, reference: &str) {
        let cashier = staff(Role::Cashier);
        let payload = self.receive(&cashier, &self.organizations[organization], fen, reference).await;
        assert_eq!(payload.bank_receipt.unwrap().amount, Some(Money(fen)));
    }

    async fn pay(&self, actor: &Actor, application: usize) -> v1::PayDepositPayload {
        let input = v1::PayDepositInput { transfer_application_id: self.applications[application].clone() };
        self.ledger.pay_deposit(by(actor, input)).await.unwrap().into_inner()
    }

    async fn settle(&self, actor: &Actor) -> v1::SettlePayload {
        let input = v1::SettleInput { deal_id: self.deal.clone() };
        self.ledger.settle(by(actor, input)).await.unwrap().into_inner()
    }

    fn set_deal(&self, status: DealStatus) {
        self.world.0.lock().unwrap().deals[0].status = status.into();
    }

    /// Balance and held of an organization.
    async fn account(&self, organization: usize) -> (i64, i64) {
        let wanted = v1::GetLedgerAccountRequest {
            organization_id: Some(self.organizations[organization].clone()),
            ..v1::GetLedgerAccountRequest::default()
        };
        let reply = self.ledger.get_ledger_account(by(&staff(Role::Auditor), wanted)).await.unwrap().into_inner();
        let account = reply.account.unwrap();
        let [balance, held, available] = [account.balance, account.held, account.available].map(Option::unwrap);
        assert_eq!(balance.minus(held).unwrap(), available);
        (balance.0, held.0)
    }

    async fn trial(&self) -> v1::TrialBalance {
        self.ledger.get_trial_balance(by(&Actor::exchange(), v1::Nothing {})).await.unwrap().into_inner()
    }
}

#[tokio::test]
async fn receipts_are_credited_once() {
    for lane in fresh::lanes().await {
        let exchange = Exchange::new(&lane);
        let (cashier, payer) = (staff(Role::Cashier), exchange.organizations[WINNER].clone());
        assert_eq!(exchange.account(WINNER).await, (0, 0), "an account without entries is a zero account");
        exchange.fund(WINNER, 500, "BANK-1").await;
        for (actor, organization, fen, reference, code) in [
            (&cashier, &payer, 500, "BANK-1", "DUPLICATE_RECEIPT"),
            (&cashier, &payer, 0, "BANK-2", "AMOUNT_OUT_OF_RANGE"),
            (&cashier, &exchange.organizations[UNVERIFIED], 1, "BANK-2", "ORGANIZATION_NOT_VERIFIED"),
            (&cashier, &OrganizationId::fresh().text(), 1, "BANK-2", "NOT_FOUND"),
            (&staff(Role::Auditor), &payer, 1, "BANK-2", "FORBIDDEN"),
            // A role in an organization that is no centre is no staff role.
            (&actor(&payer, Role::Cashier, false), &payer, 1, "BANK-2", "FORBIDDEN"),
        ] {
            let payload = exchange.receive(actor, organization, fen, reference).await;
            assert_eq!(refused(&payload.user_errors).0, code, "{}", lane.name);
        }
        assert_eq!(exchange.account(WINNER).await, (500, 0));
        let trial = exchange.trial().await;
        assert_eq!((trial.total, trial.accounts, trial.transfers), (Some(Money(0)), 2, 1));
    }
}

/// Nor is a receipt refused for one that the exchange did not write: its cashier would believe that the money is booked.
#[tokio::test]
async fn no_receipt_is_refused_because_of_a_forged_one() {
    for lane in fresh::lanes().await {
        let exchange = Exchange::new(&lane);
        exchange.fund(WINNER, 500, "BANK-1").await;
        let receive = async || {
            let input = v1::RecordBankReceiptInput {
                organization_id: exchange.organizations[WINNER].clone(),
                amount: Some(Money(700)),
                bank_reference: "BANK-2".into(),
                received_at: Some(Instant(1_700_000_000_000)),
            };
            let mut request = Request::new(input);
            staff(Role::Cashier).write(Some("key"), request.metadata_mut());
            exchange.ledger.record_bank_receipt(request).await.unwrap().into_inner().user_errors
        };
        lane.cx.db.run("UPDATE bank_receipt SET bank_reference = 'BANK-2'").await.unwrap();
        assert_eq!(refused(&receive().await).0, "RECORD_ALTERED", "{}", lane.name);
        lane.cx.db.run("UPDATE bank_receipt SET bank_reference = 'BANK-1'").await.unwrap();
        assert_eq!(receive().await, [], "nothing was kept under the key: {}", lane.name);
        assert_eq!(exchange.account(WINNER).await, (1_200, 0));
    }
}

#[tokio::test]
async fn one_deal_is_paid_once_and_every_other_deposit_goes_back() {
    for lane in fresh::lanes().await {
        let exchange = Exchange::new(&lane);
        let cashier = staff(Role::Cashier);
        let bidders = [WINNER, LOSER].map(|n| actor(&exchange.organizations[n], Role::Bidder, false));
        exchange.fund(WINNER, 29_999, "BANK-1").await;
        exchange.fund(LOSER, 50_000, "BANK-2").await;

        assert_eq!(refused(&exchange.pay(&bidders[0], 0).await.user_errors), ("INSUFFICIENT_FUNDS", "0.01"));
        assert_eq!(refused(&exchange.pay(&bidders[1], 0).await.user_errors).0, "NOT_FOUND");
        let broker = actor(&exchange.organizations[WINNER], Role::Broker, false);
        assert_eq!(refused(&exchange.pay(&broker, 0).await.user_errors).0, "FORBIDDEN");
        exchange.fund(WINNER, 1, "BANK-3").await;
        let paid = exchange.pay(&bidders[0], 0).await.deposit.unwrap();
        assert_eq!((paid.amount, paid.status()), (Some(Money(30_000)), v1::DepositStatus::Held));
        assert_eq!(refused(&exchange.pay(&bidders[0], 0).await.user_errors).0, "DEPOSIT_PAID");
        exchange.pay(&bidders[1], 1).await.deposit.unwrap();
        assert_eq!(exchange.account(WINNER).await, (30_000, 30_000));
        assert_eq!(exchange.account(LOSER).await, (50_000, 30_000));
        assert_eq!(exchange.trial().await.held, Some(Money(60_000)));

        assert_eq!(refused(&exchange.settle(&cashier).await.user_errors).0, "CONTRACT_NOT_REGISTERED");
        exchange.set_deal(DealStatus::Registered);
        assert_eq!(refused(&exchange.settle(&cashier).await.user_errors), ("INSUFFICIENT_FUNDS", "9700.00"));
        assert_eq!(exchange.account(LOSER).await, (50_000, 30_000), "a refusal undoes everything");
        exchange.fund(WINNER, 970_001, "BANK-4").await;
        let mut partial = cashier.clone();
        partial.memberships.extend(bidders[0].memberships.clone());
        assert_eq!(refused(&exchange.settle(&partial).await.user_errors).0, "SAME_PERSON");
        assert_eq!(refused(&exchange.settle(&bidders[0]).await.user_errors).0, "FORBIDDEN");

        let settlement = exchange.settle(&cashier).await.settlement.unwrap();
        assert_eq!(settlement.fee, Some(Money(20_000)));
        assert_eq!(settlement.paid_to_transferor, Some(Money(980_000)));
        assert_eq!((settlement.deposit_applied, settlement.deposits_released), (Some(Money(30_000)), 1));
        assert_eq!(exchange.account(SELLER).await, (980_000, 0));
        assert_eq!(exchange.account(WINNER).await, (1, 0));
        assert_eq!(exchange.account(LOSER).await, (50_000, 0));
        assert_eq!(refused(&exchange.settle(&cashier).await.user_errors).0, "ALREADY_SETTLED");
        exchange.set_deal(DealStatus::Settled);
        assert_eq!(refused(&exchange.settle(&cashier).await.user_errors).0, "ALREADY_SETTLED");
        let trial = exchange.trial().await;
        assert_eq!((trial.total, trial.held, trial.faulty_accounts), (Some(Money(0)), Some(Money(0)), 0));

        let audit = v1::ListAuditRequest::default();
        let audit = exchange.ledger.list_audit(by(&staff(Role::Auditor), audit)).await.unwrap().into_inner();
        let count = |kind| audit.items.iter().filter(|record| record.kind == kind).count();
        for (kind, times) in [("DepositHeld", 2), ("DealSettled", 1), ("DepositReleased", 1), ("DepositApplied", 1)] {
            assert_eq!(count(kind), times, "{kind}");
        }
        let posted = audit.items.iter().find(|record| record.kind == "SettlementPosted").unwrap();
        assert!(posted.facts.contains(r#""paidLate":true"#), "{}", posted.facts);
        assert!(!exchange.listing.is_empty());
    }
}

#[tokio::test]
async fn a_deposit_larger_than_the_price_gives_the_rest_back() {
    for lane in fresh::lanes().await {
        let exchange = Exchange::new(&lane);
        exchange.world.0.lock().unwrap().deals[0].price = Some(Money(10_000));
        exchange.set_deal(DealStatus::Registered);
        exchange.fund(WINNER, 30_000, "BANK-1").await;
        let bidder = actor(&exchange.organizations[WINNER], Role::Administrator, false);
        exchange.pay(&bidder, 0).await.deposit.unwrap();
        let settlement = exchange.settle(&staff(Role::Cashier)).await.settlement.unwrap();
        assert_eq!((settlement.deposit_applied, settlement.fee), (Some(Money(10_000)), Some(Money(500))));
        assert_eq!(exchange.account(WINNER).await, (20_000, 0));
        // The listing is settled: whatever catalog still says, nothing can be put on hold for it.
        exchange.fund(LOSER, 30_000, "BANK-2").await;
        let late = actor(&exchange.organizations[LOSER], Role::Bidder, false);
        assert_eq!(refused(&exchange.pay(&late, 1).await.user_errors).0, "DEPOSIT_NOT_DUE");
    }
}

#[tokio::test]
async fn accounts_are_seen_by_those_they_concern() {
    for lane in fresh::lanes().await {
        let exchange = Exchange::new(&lane);
        exchange.fund(WINNER, 100, "BANK-1").await;
        let [own, foreign] = [WINNER, LOSER].map(|n| actor(&exchange.organizations[n], Role::Bidder, false));
        let ask =
            |organization_id: Option<String>, id: Option<String>| v1::GetLedgerAccountRequest { id, organization_id };
        let get = async |actor: &Actor, wanted| {
            exchange.ledger.get_ledger_account(by(actor, wanted)).await.map(|reply| reply.into_inner().account)
        };
        let organization = Some(exchange.organizations[WINNER].clone());
        let id = get(&own, ask(organization.clone(), None)).await.unwrap().unwrap().id;
        for actor in [&own, &staff(Role::Cashier), &staff(Role::Auditor), &Actor::exchange()] {
            for wanted in [ask(organization.clone(), None), ask(None, Some(id.clone()))] {
                assert_eq!(get(actor, wanted).await.unwrap().unwrap().id, id);
            }
        }
        for actor in [&foreign, &staff(Role::Reviewer)] {
            for wanted in [ask(organization.clone(), None), ask(None, Some(id.clone()))] {
                assert_eq!(get(actor, wanted).await.unwrap(), None);
            }
        }
        let bank = crate::rules::holder::Holder::Bank.account_id().text();
        assert_eq!(get(&own, ask(None, Some(bank.clone()))).await.unwrap(), None);
        let seen = get(&staff(Role::Cashier), ask(None, Some(bank))).await.unwrap().unwrap();
        assert_eq!((seen.kind(), seen.balance), (v1::AccountKind::Bank, Some(Money(-100))));
        assert!(get(&own, ask(None, None)).await.is_err());
        assert!(get(&Actor::default(), ask(organization, None)).await.is_err());
        let trial = exchange.ledger.get_trial_balance(by(&own, v1::Nothing {})).await;
        assert!(trial.is_err());
    }
}

#[tokio::test]
async fn the_schema_is_a_second_wall_and_the_trial_balance_finds_what_passes_it() {
    for lane in fresh::lanes().await {
        let exchange = Exchange::new(&lane);
        exchange.fund(WINNER, 100, "BANK-1").await;
        for forbidden in [
            "UPDATE account SET held = 101 WHERE kind = 'ORGANIZATION'",
            "UPDATE account SET balance = -1 WHERE kind = 'ORGANIZATION'",
            "UPDATE account SET held = -1",
            "UPDATE transfer SET posted_amount = amount + 1",
            "UPDATE transfer SET state = 'PENDING'",
            "DELETE FROM account",
            "UPDATE account SET held = 101, kind = 'FORFEITED_DEPOSITS', organization_id = NULL WHERE kind = 'ORGANIZATION'",
        ] {
            assert!(!fresh::tamper(&lane.cx, forbidden).await, "{}: {forbidden}", lane.name);
        }
        assert_eq!(exchange.trial().await.faulty_accounts, 0);
        assert!(fresh::tamper(&lane.cx, "UPDATE account SET balance = 101 WHERE kind = 'ORGANIZATION'").await);
        let trial = exchange.trial().await;
        assert_eq!((trial.total, trial.faulty_accounts), (Some(Money(1)), 1));
        assert!(fresh::tamper(&lane.cx, "DELETE FROM transfer").await);
        assert_eq!(exchange.trial().await.faulty_accounts, 2);
    }
}
