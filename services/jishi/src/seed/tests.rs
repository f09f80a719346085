use kernel::{ActingFor, Actor, Clock, Db, Id, Vault};
use tonic::Request;
use wire::{
    id::OrganizationId,
    v1::{self, ListingStatus},
};

use super::*;
use crate::offline;

fn by_exchange<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    Actor::exchange().write(None, request.metadata_mut());
    request
}

fn by_auditor<T>(message: T) -> Request<T> {
    let organization_id = OrganizationId::fresh().text();
    let auditor = ActingFor {
        organization_id,
        roles: vec![Role::Auditor.into()],
        centre: true,
        verified: true,
        hub: true,
        ..ActingFor::default()
    };
    let mut request = Request::new(message);
    Actor { person_id: "auditor".into(), memberships: vec![auditor], second_factor: true, ..Actor::default() }
        .write(None, request.metadata_mut());
    request
}

#[test]
fn the_data_is_made_up_and_says_so() {
    let demo = Demo::read().unwrap();
    assert_eq!(demo.listing.len(), 12);
    for listing in &demo.listing {
        let length = listing.summary.chars().count();
        assert!((80..=200).contains(&length), "{}: {length}", listing.title);
        assert!(listing.summary.ends_with("（示例数据，纯属虚构）"), "{}", listing.title);
    }
    for organization in demo.organizations().unwrap() {
        assert!(organization.name.ends_with("（示例）"));
        assert!(organization.members.iter().all(|member| member.name.ends_with("（示例）")));
    }
    assert!(demo_accounts().unwrap().len() >= 13);
}

#[tokio::test]
async fn a_second_seeding_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::connect(&format!("sqlite://{}", folder.path().join("seed.db").display())).await.unwrap();
    migrations::migrate(&db).await.unwrap();
    let cx = Context::open("identity", db, Clock::system(), Vault::development()).await.unwrap();
    let clients = offline::clients(&cx, &cx.with_service("catalog"), &cx.with_service("financing"));
    // A day on which the longest disclosure of the demo lies within the loaded calendar.
    cx.clock.set_offset(1_790_000_000_000 - cx.clock.now().0);

    let mut before = None;
    for _ in 0..2 {
        demo(&cx, &clients).await.unwrap();
        let page = Some(v1::Page { first: Some(100), after: None, count: true });
        let asked = v1::ListListingsRequest { page: page.clone(), ..Default::default() };
        let listings = clients.catalog.clone().list_listings(by_exchange(asked)).await.unwrap().into_inner().items;
        let count = |status| listings.iter().filter(|listing| listing.status() == status).count();
        assert_eq!(count(ListingStatus::Draft), 2);
        assert_eq!(count(ListingStatus::Submitted), 2);
        assert_eq!(count(ListingStatus::Disclosed), 8);
        let asked = v1::ListFinancingProjectsRequest { page: page.clone(), ..Default::default() };
        let projects =
            clients.financing.clone().list_financing_projects(by_exchange(asked)).await.unwrap().into_inner();
        assert_eq!(projects.items.len(), 2);
        let asked = || by_auditor(v1::ListAuditRequest { page: page.clone(), subject: None });
        let records = clients.identity.clone().list_audit(asked()).await.unwrap().into_inner().items.len()
            + clients.catalog.clone().list_audit(asked()).await.unwrap().into_inner().items.len()
            + clients.financing.clone().list_audit(asked()).await.unwrap().into_inner().items.len();
        if let Some(before) = before.replace(records) {
            assert_eq!(before, records, "the second seeding left a record");
        }
    }
    cx.db.close().await.unwrap();
}
