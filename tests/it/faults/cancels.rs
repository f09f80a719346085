//! Calls from one role to another that are given up in the middle, by a deadline or because whoever asked has gone, while
//! others are at work: nothing that the others were told is lost.

use std::time::Duration;

use exchange_tests::{Exchange, LOGS, Lane};
use futures::future::join_all;
use jishi::demo::{cast::fresh_login, person::fresh_key};
use kernel::{ActingFor, Actor, Id, Money, Role};
use tokio::time::timeout;
use tonic::{IntoRequest, Request};
use wire::{
    Clients,
    id::{ContractId, OrganizationId, TransferApplicationId},
    v1,
};

use super::{
    Dice,
    hang_ups::{Course, LONGEST_STAY, all_told, at_work, none_met_open},
    histories::steps,
    works::{BIDDERS, Works},
};

const CALLERS: usize = 2;
/// What the roles of an exchange in development share.
const SECRET: &str = "development-only";

#[tokio::test(flavor = "multi_thread")]
async fn calls_given_up() {
    let logs = tempfile::tempdir().unwrap();
    let told = [(LOGS, logs.path().to_str().unwrap())];
    let Some(mut exchange) = Exchange::start_with(Lane::Networked, &told).await else { return };
    let works = Works::open(&exchange, 1).await;
    let gateway = &*exchange.process("gateway");
    let clients = Clients::new(|role| {
        let peer = format!("JISHI_{}_PEER", role.to_uppercase());
        kernel::remote(gateway.setting(&peer).unwrap(), SECRET).unwrap()
    });
    let people = People::of(&works).await;
    let mut dice = Dice::of("calls given up");
    let course = Course::default();
    let callers = join_all((0..CALLERS).map(|_| {
        let dice = Dice::seeded(dice.below(u64::MAX));
        give_up_again_and_again((&works, &people), clients.clone(), dice, &course)
    }));
    tokio::join!(callers, at_work(&works, &course));
    all_told(&works, &mut exchange).await;
    none_met_open(logs.path());
    course.require_far_enough();
}

/// Who calls, as the gateway would tell the other roles.
struct People {
    stranger: Actor,
    cashier: Actor,
}

impl People {
    async fn of(works: &Works) -> People {
        let (house, hub) = (&works.market.buyers[BIDDERS], works.market.hub().await);
        let of_house = ActingFor {
            organization_id: house.id.clone(),
            roles: vec![Role::Administrator.into(), Role::Bidder.into(), Role::Signatory.into()],
            verified: true,
            ..ActingFor::default()
        };
        let of_hub = ActingFor {
            organization_id: hub.id.clone(),
            roles: vec![Role::Cashier.into()],
            centre: true,
            verified: true,
            centres: vec![hub.id],
            hub: true,
            ..ActingFor::default()
        };
        let actor = async |person: &jishi::demo::person::Person, membership| Actor {
            person_id: person.id().await.unwrap(),
            memberships: vec![membership],
            second_factor: true,
            ..Actor::default()
        };
        let stranger = actor(&house.person, of_house).await;
        People { stranger, cashier: actor(&works.market.staff.cashier, of_hub).await }
    }
}

async fn give_up_again_and_again(
    (works, people): (&Works, &People),
    mut clients: Clients,
    mut dice: Dice,
    course: &Course,
) {
    while !course.is_over() {
        let stay = Duration::from_micros(1 + dice.below(LONGEST_STAY));
        let deadline = (dice.below(2) == 0).then_some(stay);
        // A caller that goes drops the call, whatever deadline it has.
        drop(timeout(stay, whatever((works, people), &mut clients, dice.below(7), deadline)).await);
        course.note_one_gone().await;
    }
}

/// A call by somebody, with a deadline of its own or none.
fn call<M>(actor: &Actor, deadline: Option<Duration>, message: M) -> Request<M> {
    let mut request = message.into_request();
    actor.write(Some(&fresh_key()), request.metadata_mut());
    if let Some(deadline) = deadline {
        request.set_timeout(deadline);
    }
    request
}

async fn whatever((works, people): (&Works, &People), clients: &mut Clients, kind: u64, deadline: Option<Duration>) {
    let (session_id, organization_id) = (works.session.clone(), works.market.buyers[BIDDERS].id.clone());
    let next = Some(steps(works.floor.heard().max(0) + 1));
    let by = &people.stranger;
    match kind {
        0 => {
            let input = v1::PlaceBidInput { session_id, organization_id, amount: next };
            drop(clients.auction.place_bid(call(by, deadline, input)).await);
        }
        1 => {
            let input = v1::SetProxyBidInput { session_id, organization_id, maximum: next };
            drop(clients.auction.set_proxy_bid(call(by, deadline, input)).await);
        }
        2 => {
            let received_at = Some(works.market.stage.client.now().plus_seconds(-60));
            let bank_reference = fresh_key();
            let input =
                v1::RecordBankReceiptInput { organization_id, amount: Some(Money(1)), bank_reference, received_at };
            drop(clients.ledger.record_bank_receipt(call(&people.cashier, deadline, input)).await);
        }
        3 => {
            let input = v1::PayDepositInput { transfer_application_id: TransferApplicationId::fresh().text() };
            drop(clients.ledger.pay_deposit(call(by, deadline, input)).await);
        }
        4 => {
            let (login, password, name) = (fresh_login(), "correct horse battery".to_owned(), "来客".to_owned());
            let input = v1::SignUpInput { login, password, name };
            drop(clients.access.sign_up(call(&Actor::default(), deadline, input)).await);
        }
        5 => {
            let (other_organization_id, nature) = (OrganizationId::fresh().text(), "同一控制人".to_owned());
            let input = v1::DeclareConflictInput { organization_id, other_organization_id, nature };
            drop(clients.brokerage.declare_conflict(call(by, deadline, input)).await);
        }
        _ => {
            let (contract_id, document_hash) = (ContractId::fresh().text(), "0".to_owned());
            let input = v1::SignContractInput { contract_id, organization_id, document_hash };
            drop(clients.contracting.sign_contract(call(by, deadline, input)).await);
        }
    }
}
