//! The other services as the ledger's tests need them: they answer from one table of facts.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use kernel::{Actor, query};
use tonic::{Request, Response, Status, service::Routes};
use wire::v1::{self, catalog_server, contracting_server, identity_server};

/// What the other services know.
#[derive(Clone, Default)]
pub struct Facts {
    pub organizations: Vec<v1::Organization>,
    pub listings: Vec<v1::Listing>,
    pub applications: Vec<v1::TransferApplication>,
    pub deals: Vec<v1::Deal>,
    pub contracts: Vec<v1::Contract>,
}

#[derive(Clone, Default)]
pub struct World(pub Arc<Mutex<Facts>>);

impl World {
    /// Clients of services that answer from this world.
    pub fn clients(&self) -> wire::Clients {
        wire::Clients::new(|role| {
            let world = self.clone();
            kernel::local(match role {
                "identity" => Routes::new(identity_server::IdentityServer::new(world)),
                "catalog" => Routes::new(catalog_server::CatalogServer::new(world)),
                _ => Routes::new(contracting_server::ContractingServer::new(world)),
            })
        })
    }

    fn of<T: Clone>(&self, table: fn(&Facts) -> &Vec<T>, wanted: impl Fn(&T) -> bool) -> Vec<T> {
        table(&self.0.lock().unwrap()).iter().filter(|item| wanted(item)).cloned().collect()
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

fn ready<'a, T: Send + 'a>(reply: T) -> Answer<'a, T> {
    Box::pin(async { Ok(Response::new(reply)) })
}

macro_rules! rpcs {
    ($($name:ident($request:ident) -> $reply:ident $(= $answer:expr)?;)*) => {$(
        fn $name<'life0, 'async_trait>(&'life0 self, request: Request<v1::$request>) -> Answer<'async_trait, v1::$reply>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            rpcs!(@ self request $($answer)?)
        }
    )*};
    (@ $self:ident $request:ident) => {{
        drop($request);
        Box::pin(async { Err(Status::unimplemented("not in this world")) })
    }};
    (@ $self:ident $request:ident $answer:expr) => {{
        let answer: fn(&World, &Actor, _) -> _ = $answer;
        let (actor, wanted) = query($request);
        ready(answer($self, &actor, wanted))
    }};
}

#[rustfmt::skip]
impl identity_server::Identity for World {
    rpcs! {
        register_organization(RegisterOrganizationInput) -> RegisterOrganizationPayload;
        verify_organization(VerifyOrganizationInput) -> VerifyOrganizationPayload;
        suspend_organization(SuspendOrganizationInput) -> SuspendOrganizationPayload;
        reinstate_organization(ReinstateOrganizationInput) -> ReinstateOrganizationPayload;
        close_organization(CloseOrganizationInput) -> CloseOrganizationPayload;
        open_centre(OpenCentreInput) -> OpenCentrePayload;
        close_centre(CloseCentreInput) -> CloseCentrePayload;
        assign_centre(AssignCentreInput) -> AssignCentrePayload;
        invite_member(InviteMemberInput) -> InviteMemberPayload;
        answer_invitation(AnswerInvitationInput) -> AnswerInvitationPayload;
        revoke_invitation(RevokeInvitationInput) -> RevokeInvitationPayload;
        change_member_roles(ChangeMemberRolesInput) -> ChangeMemberRolesPayload;
        remove_member(RemoveMemberInput) -> RemoveMemberPayload;
        get_viewer(Nothing) -> ViewerReply;
        get_organizations(Ids) -> Organizations = |world, actor, wanted: v1::Ids| {
            let seen = actor.is_exchange();
            v1::Organizations { items: world.of(|facts| &facts.organizations, |item| seen && wanted.ids.contains(&item.id)) }
        };
        list_organizations(ListOrganizationsRequest) -> OrganizationPage;
        list_centres(Nothing) -> Centres;
        list_members(ListMembersRequest) -> MemberPage;
        list_invitations(ListInvitationsRequest) -> InvitationPage;
        get_totals(TotalsRequest) -> CentreTotals;
        list_audit(ListAuditRequest) -> AuditRecordPage;
    }
}

#[rustfmt::skip]
impl catalog_server::Catalog for World {
    rpcs! {
        create_listing(CreateListingInput) -> CreateListingPayload;
        submit_listing(SubmitListingInput) -> SubmitListingPayload;
        review_listing(ReviewListingInput) -> ReviewListingPayload;
        apply_for_transfer(ApplyForTransferInput) -> ApplyForTransferPayload;
        answer_consortium(AnswerConsortiumInput) -> AnswerConsortiumPayload;
        review_transfer_application(ReviewTransferApplicationInput) -> ReviewTransferApplicationPayload;
        conclude_disclosure(ConcludeDisclosureInput) -> ConcludeDisclosurePayload;
        relist(RelistInput) -> RelistPayload;
        get_reserve(ReserveRequest) -> ReserveReply;
        get_open_business(OpenBusinessRequest) -> OpenBusinessReply;
        get_achievements(Ids) -> Achievements;
        list_achievements(ListAchievementsRequest) -> AchievementPage;
        get_listings(Ids) -> Listings = |world, _, wanted: v1::Ids| {
            v1::Listings { items: world.of(|facts| &facts.listings, |item| wanted.ids.contains(&item.id)) }
        };
        list_listings(ListListingsRequest) -> ListingPage;
        get_transfer_applications(Ids) -> TransferApplications = |world, actor, wanted: v1::Ids| {
            let seen = |item: &v1::TransferApplication| actor.is_member(&item.organization_id);
            let items = world.of(|facts| &facts.applications, |item| seen(item) && wanted.ids.contains(&item.id));
            v1::TransferApplications { items }
        };
        list_transfer_applications(ListTransferApplicationsRequest) -> TransferApplicationPage;
        import(ImportRequest) -> ImportReply;
        get_totals(TotalsRequest) -> CentreTotals;
        list_audit(ListAuditRequest) -> AuditRecordPage;
    }
}

#[rustfmt::skip]
impl contracting_server::Contracting for World {
    rpcs! {
        sign_contract(SignContractInput) -> SignContractPayload;
        register_contract(RegisterContractInput) -> RegisterContractPayload;
        get_open_business(OpenBusinessRequest) -> OpenBusinessReply;
        get_deals(GetDealsRequest) -> Deals = |world, actor, wanted: v1::GetDealsRequest| {
            let seen = actor.is_exchange();
            v1::Deals { items: world.of(|facts| &facts.deals, |item| seen && wanted.ids.contains(&item.id)) }
        };
        get_contracts(Ids) -> Contracts = |world, _, wanted: v1::Ids| {
            v1::Contracts { items: world.of(|facts| &facts.contracts, |item| wanted.ids.contains(&item.id)) }
        };
        get_totals(TotalsRequest) -> CentreTotals;
        list_audit(ListAuditRequest) -> AuditRecordPage;
    }
}
