//! One award on a temporary database, from the event to the certificate.

use std::sync::Arc;

use kernel::{
    ActingFor, Actor, Clock, Consumer, Context, Db, ErrorCode, Event, Id, Instant, Money, Role, Vault, fresh_uuid,
};
use tonic::Request;
use wire::{
    id::{AwardId, ContractId, DealId, ListingId, OrganizationId, TransferApplicationId},
    v1::{self, ContractKind, ContractStatus, DealStatus, contracting_server::Contracting},
};

use crate::{Contracts, SERVICE, feed, number::RegistrationNumber};

struct Stage {
    contracts: Contracts,
    consumer: Arc<dyn Consumer>,
    cx: Context,
    seller: OrganizationId,
    buyer: OrganizationId,
    centre: OrganizationId,
    _folder: tempfile::TempDir,
}

const PRICE: Money = Money(350_000_000);

async fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::connect(&format!("sqlite://{}", folder.path().join("jishi.db").display())).await.unwrap();
    migrations::migrate(&db).await.unwrap();
    let cx = Context::open(SERVICE, db, Clock::system(), Vault::development()).await.unwrap();
    Stage {
        contracts: Contracts::new(cx.clone()),
        consumer: Arc::new(feed::Deals::new(cx.clone())),
        cx,
        seller: OrganizationId::fresh(),
        buyer: OrganizationId::fresh(),
        centre: OrganizationId::fresh(),
        _folder: folder,
    }
}

fn person(name: &str, organizations: &[(OrganizationId, Role)], centre: bool) -> Actor {
    let member = |(organization, role): &(OrganizationId, Role)| ActingFor {
        organization_id: organization.text(),
        roles: vec![*role as i32],
        centre: centre && *role != Role::Signatory,
        hub: centre && *role != Role::Signatory,
        verified: true,
        ..ActingFor::default()
    };
    let memberships = organizations.iter().map(member).collect();
    Actor { person_id: name.into(), memberships, second_factor: true, ..Actor::default() }
}

fn request<T>(actor: &Actor, message: T) -> Request<T> {
    let mut request = Request::new(message);
    actor.write(None, request.metadata_mut());
    request
}

impl Stage {
    fn award(&self, award: AwardId) -> v1::AwardConfirmed {
        v1::AwardConfirmed {
            award_id: award.text(),
            listing_id: ListingId(award.0).text(),
            title: "锂电池隔膜".into(),
            transferor_id: self.seller.text(),
            transferee_id: self.buyer.text(),
            transferor_name: "四川大学".into(),
            transferee_name: "成都某公司".into(),
            transfer_application_id: TransferApplicationId::fresh().text(),
            price: Some(PRICE),
            licence: false,
            centre_id: self.centre.text(),
            open_licence: false,
        }
    }

    async fn deliver<A: kernel::Announcement>(&self, announcement: &A) -> kernel::Result<()> {
        let event = Event {
            id: fresh_uuid(),
            service: "auction".into(),
            kind: A::KIND.into(),
            subject: "award".into(),
            actor: "exchange".into(),
            at: Instant(1_790_000_000_000),
            facts: serde_json::to_string(announcement).unwrap(),
        };
        self.consumer.receive(&event).await
    }

    async fn deal(&self, actor: &Actor, id: DealId) -> Option<v1::Deal> {
        let wanted = v1::GetDealsRequest { ids: vec![id.text()], listing_ids: Vec::new() };
        self.contracts.get_deals(request(actor, wanted)).await.unwrap().into_inner().items.pop()
    }

    /// The one deal that stands for the listing.
    async fn of_listing(&self, actor: &Actor, id: ListingId) -> Option<v1::Deal> {
        let wanted = v1::GetDealsRequest { ids: Vec::new(), listing_ids: vec![id.text()] };
        self.contracts.get_deals(request(actor, wanted)).await.unwrap().into_inner().items.pop()
    }

    async fn contract(&self, actor: &Actor, id: ContractId) -> Option<v1::Contract> {
        let wanted = v1::Ids { ids: vec![id.text()] };
        self.contracts.get_contracts(request(actor, wanted)).await.unwrap().into_inner().items.pop()
    }

    async fn sign(
        &self,
        actor: &Actor,
        side: OrganizationId,
        id: ContractId,
        hash: &str,
    ) -> Result<v1::Contract, ErrorCode> {
        let (contract_id, organization_id) = (id.text(), side.text());
        let input = v1::SignContractInput { contract_id, organization_id, document_hash: hash.into() };
        let payload = self.contracts.sign_contract(request(actor, input)).await.unwrap().into_inner();
        payload.contract.ok_or_else(|| payload.user_errors[0].error_code())
    }

    async fn register(&self, actor: &Actor, id: ContractId, amounts: [i64; 2]) -> Result<v1::Contract, ErrorCode> {
        let input = v1::RegisterContractInput {
            contract_id: id.text(),
            kind: ContractKind::Assignment.into(),
            contract_amount: Some(Money(amounts[0])),
            technical_amount: Some(Money(amounts[1])),
        };
        let payload = self.contracts.register_contract(request(actor, input)).await.unwrap().into_inner();
        payload.contract.ok_or_else(|| payload.user_errors[0].error_code())
    }
}

#[tokio::test]
async fn an_award_becomes_a_registered_contract() {
    let stage = stage().await;
    let award = AwardId::fresh();
    let (deal, contract) = (DealId::derived(award.0, "deal"), ContractId::derived(award.0, "contract"));
    stage.deliver(&stage.award(award)).await.unwrap();
    stage.deliver(&stage.award(award)).await.unwrap();

    let seller = person("person_seller", &[(stage.seller, Role::Signatory)], false);
    let broker = person("person_broker", &[(stage.seller, Role::Broker)], false);
    let buyer = person("person_buyer", &[(stage.buyer, Role::Signatory)], false);
    let both = person("person_seller", &[(stage.seller, Role::Signatory), (stage.buyer, Role::Signatory)], false);
    let stranger = person("person_other", &[(OrganizationId::fresh(), Role::Signatory)], false);
    let registrar = person("person_registrar", &[(stage.centre, Role::Registrar)], true);
    let partial = person("person_partial", &[(stage.centre, Role::Registrar), (stage.buyer, Role::Signatory)], true);

    let drafted = stage.contract(&broker, contract).await.unwrap();
    assert!(drafted.document.contains("叁佰伍拾万元整"));
    assert!(stage.contract(&stranger, contract).await.is_none() && stage.deal(&stranger, deal).await.is_none());
    assert!(stage.deal(&Actor::default(), deal).await.is_none());
    assert!(stage.deal(&Actor::exchange(), deal).await.is_some());
    let hash = drafted.document_hash.as_str();

    assert_eq!(stage.sign(&stranger, stage.seller, contract, hash).await, Err(ErrorCode::NotFound));
    assert_eq!(stage.sign(&buyer, stage.seller, contract, hash).await, Err(ErrorCode::NotFound));
    assert_eq!(stage.sign(&broker, stage.seller, contract, hash).await, Err(ErrorCode::Forbidden));
    assert_eq!(stage.sign(&seller, stage.seller, contract, "0").await, Err(ErrorCode::DocumentChanged));
    let half = stage.sign(&seller, stage.seller, contract, hash).await.unwrap();
    assert_eq!(half.status(), ContractStatus::HalfSigned);
    assert_eq!(stage.sign(&seller, stage.seller, contract, hash).await, Err(ErrorCode::AlreadySigned));
    assert_eq!(stage.sign(&both, stage.buyer, contract, hash).await, Err(ErrorCode::SamePerson));
    assert_eq!(stage.register(&registrar, contract, [PRICE.0, 1]).await, Err(ErrorCode::ContractNotSigned));
    let signed = stage.sign(&buyer, stage.buyer, contract, hash).await.unwrap();
    assert_eq!((signed.status(), signed.signatures.len()), (ContractStatus::Signed, 2));
    assert_eq!(stage.deal(&seller, deal).await.unwrap().status(), DealStatus::Signed);

    let settled = v1::DealSettled { deal_id: deal.text(), ..v1::DealSettled::default() };
    assert!(matches!(stage.deliver(&settled).await, Err(kernel::Error::Unavailable(_))));

    assert_eq!(stage.register(&seller, contract, [PRICE.0, 1]).await, Err(ErrorCode::Forbidden));
    assert_eq!(stage.register(&partial, contract, [PRICE.0, 1]).await, Err(ErrorCode::SamePerson));
    assert_eq!(stage.register(&registrar, contract, [PRICE.0 - 1, 1]).await, Err(ErrorCode::InvalidInput));
    let above = stage.register(&registrar, contract, [PRICE.0, PRICE.0 + 1]).await;
    assert_eq!(above, Err(ErrorCode::TechnicalAmountAboveContract));
    let registered = stage.register(&registrar, contract, [PRICE.0, PRICE.0 - 100]).await.unwrap();
    let certificate = registered.certificate.clone().unwrap();
    assert!(RegistrationNumber::parse(&certificate.number).is_some() && certificate.number.ends_with("510001000001"));
    assert_eq!(stage.register(&registrar, contract, [PRICE.0, 1]).await, Err(ErrorCode::IllegalTransition));
    assert_eq!(stage.contract(&buyer, contract).await.unwrap(), registered);
    assert_eq!(stage.deal(&buyer, deal).await.unwrap().status(), DealStatus::Registered);

    stage.deliver(&settled).await.unwrap();
    stage.deliver(&settled).await.unwrap();
    assert_eq!(stage.deal(&buyer, deal).await.unwrap().status(), DealStatus::Settled);

    let audit = kernel::audit_page(&stage.cx.db, SERVICE, None, Some(100), None).await.unwrap();
    let kinds: Vec<String> = audit.items.into_iter().map(|event| event.kind).collect();
    let expected = [
        "ContractDrafted",
        "ContractSignatureMade",
        "ContractSignatureMade",
        "ContractSigned",
        "ContractRegistered",
        "DealClosed",
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn serials_follow_each_other_and_an_altered_document_is_found() {
    let stage = stage().await;
    let seller = person("person_seller", &[(stage.seller, Role::Signatory)], false);
    let buyer = person("person_buyer", &[(stage.buyer, Role::Signatory)], false);
    let registrar = person("person_registrar", &[(stage.centre, Role::Registrar)], true);
    for serial in 1..=3 {
        let award = AwardId::fresh();
        let id = ContractId::derived(award.0, "contract");
        stage.deliver(&stage.award(award)).await.unwrap();
        let hash = stage.contract(&seller, id).await.unwrap().document_hash;
        stage.sign(&buyer, stage.buyer, id, &hash).await.unwrap();
        stage.sign(&seller, stage.seller, id, &hash).await.unwrap();
        let certificate = stage.register(&registrar, id, [PRICE.0, 0]).await.unwrap().certificate.unwrap();
        assert!(certificate.number.ends_with(&format!("{serial:06}")), "{}", certificate.number);
    }

    let award = AwardId::fresh();
    let id = ContractId::derived(award.0, "contract");
    stage.deliver(&stage.award(award)).await.unwrap();
    let hash = stage.contract(&seller, id).await.unwrap().document_hash;
    let tx = stage.cx.db.begin().await.unwrap();
    crate::store::alter_document(&tx, id, "改过的文本").await.unwrap();
    tx.commit().await.unwrap();
    let input =
        v1::SignContractInput { contract_id: id.text(), organization_id: stage.buyer.text(), document_hash: hash };
    let status = stage.contracts.sign_contract(request(&buyer, input)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Internal);
}

/// The auction's news that the award is in default.
fn default_of(award: AwardId, listing: ListingId) -> v1::AwardDefaulted {
    v1::AwardDefaulted { award_id: award.text(), listing_id: listing.text(), ..v1::AwardDefaulted::default() }
}

#[tokio::test]
async fn a_default_cancels_deal_and_contract_and_makes_room_for_the_next_bidder() {
    let stage = stage().await;
    let seller = person("person_seller", &[(stage.seller, Role::Signatory)], false);
    let buyer = person("person_buyer", &[(stage.buyer, Role::Signatory)], false);
    let registrar = person("person_registrar", &[(stage.centre, Role::Registrar)], true);
    // Unsigned, half signed, signed and registered.
    for steps in 0..=3 {
        let (award, next) = (AwardId::fresh(), AwardId::fresh());
        let listing = ListingId(award.0);
        let ids = |award: AwardId| (DealId::derived(award.0, "deal"), ContractId::derived(award.0, "contract"));
        let ((deal, contract), (next_deal, _)) = (ids(award), ids(next));
        stage.deliver(&stage.award(award)).await.unwrap();
        let hash = stage.contract(&seller, contract).await.unwrap().document_hash;
        if steps > 0 {
            stage.sign(&seller, stage.seller, contract, &hash).await.unwrap();
        }
        if steps > 1 {
            stage.sign(&buyer, stage.buyer, contract, &hash).await.unwrap();
        }
        if steps > 2 {
            stage.register(&registrar, contract, [PRICE.0, 1]).await.unwrap();
        }
        // The next award has overtaken the default: it waits.
        let following = v1::AwardConfirmed { listing_id: listing.text(), ..stage.award(next) };
        assert!(matches!(stage.deliver(&following).await, Err(kernel::Error::Unavailable(_))));
        stage.deliver(&default_of(award, listing)).await.unwrap();
        stage.deliver(&default_of(award, listing)).await.unwrap();
        let cancelled = stage.deal(&seller, deal).await.unwrap();
        assert_eq!((cancelled.status(), cancelled.available_transitions.len()), (DealStatus::Cancelled, 0));
        assert_eq!(stage.contract(&buyer, contract).await.unwrap().status(), ContractStatus::Cancelled);
        for (actor, side) in [(&seller, stage.seller), (&buyer, stage.buyer)] {
            assert_eq!(stage.sign(actor, side, contract, &hash).await, Err(ErrorCode::DealCancelled));
        }
        assert_eq!(stage.register(&registrar, contract, [PRICE.0, 1]).await, Err(ErrorCode::DealCancelled));
        // Money that moved in the same moment leaves a record and no second status.
        let settled = v1::DealSettled { deal_id: deal.text(), ..v1::DealSettled::default() };
        stage.deliver(&settled).await.unwrap();
        assert_eq!(stage.deal(&seller, deal).await.unwrap().status(), DealStatus::Cancelled);

        stage.deliver(&stage.award(award)).await.unwrap();
        assert_eq!(stage.of_listing(&seller, listing).await.unwrap().id, deal.text(), "until there is another");
        stage.deliver(&following).await.unwrap();
        stage.deliver(&following).await.unwrap();
        assert_eq!(stage.of_listing(&seller, listing).await.unwrap().id, next_deal.text());
        assert_eq!(stage.deal(&seller, next_deal).await.unwrap().status(), DealStatus::Drafted);
    }
    let wanted = v1::TotalsRequest::default();
    let totals = stage.contracts.get_totals(request(&Actor::exchange(), wanted)).await.unwrap().into_inner();
    assert_eq!((totals.deals, totals.registered_contracts), (4, 0), "cancelled ones count no more");
}

#[tokio::test]
async fn a_default_that_overtakes_its_award_leaves_no_deal() {
    let stage = stage().await;
    let award = AwardId::fresh();
    let deal = DealId::derived(award.0, "deal");
    stage.deliver(&default_of(award, ListingId(award.0))).await.unwrap();
    stage.deliver(&stage.award(award)).await.unwrap();
    assert!(stage.deal(&Actor::exchange(), deal).await.is_none());
    // A settled deal stays settled.
    let award = AwardId::fresh();
    let (deal, contract) = (DealId::derived(award.0, "deal"), ContractId::derived(award.0, "contract"));
    stage.deliver(&stage.award(award)).await.unwrap();
    let hash = stage.contract(&Actor::exchange(), contract).await.unwrap().document_hash;
    for (name, side) in [("person_a", stage.seller), ("person_b", stage.buyer)] {
        stage.sign(&person(name, &[(side, Role::Signatory)], false), side, contract, &hash).await.unwrap();
    }
    let registrar = person("person_registrar", &[(stage.centre, Role::Registrar)], true);
    stage.register(&registrar, contract, [PRICE.0, 1]).await.unwrap();
    stage.deliver(&v1::DealSettled { deal_id: deal.text(), ..v1::DealSettled::default() }).await.unwrap();
    stage.deliver(&default_of(award, ListingId(award.0))).await.unwrap();
    assert_eq!(stage.deal(&Actor::exchange(), deal).await.unwrap().status(), DealStatus::Settled);
    let audit = kernel::audit_page(&stage.cx.db, SERVICE, Some(&deal.text()), Some(100), None).await.unwrap();
    assert!(audit.items.iter().any(|event| event.kind == "DefaultIgnored"));
}

#[tokio::test]
async fn an_open_licence_has_a_deal_for_each_acceptor() {
    let stage = stage().await;
    let (listing, awards) = (ListingId::fresh(), [(); 3].map(|()| AwardId::fresh()));
    for award in awards {
        let confirmed =
            v1::AwardConfirmed { listing_id: listing.text(), licence: true, open_licence: true, ..stage.award(award) };
        stage.deliver(&confirmed).await.unwrap();
    }
    let deals = awards.map(|award| DealId::derived(award.0, "deal"));
    let wanted = v1::GetDealsRequest {
        ids: deals.iter().map(|id| id.text()).collect(),
        listing_ids: vec![listing.text(), ListingId::fresh().text()],
    };
    let found = stage.contracts.get_deals(request(&Actor::exchange(), wanted)).await.unwrap().into_inner().items;
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|deal| deal.licence));
    let first = found[2].id.clone();
    assert_eq!(stage.of_listing(&Actor::exchange(), listing).await.unwrap().id, first);
    let at = deals.iter().position(|id| id.text() == first).unwrap();
    stage.deliver(&default_of(awards[at], listing)).await.unwrap();
    assert_ne!(stage.of_listing(&Actor::exchange(), listing).await.unwrap().id, first, "the others stand");
}
