//! The other services as far as the auction asks them: one listing whose disclosure has ended, and who applied.

use std::sync::{Arc, Mutex};

use kernel::{Actor, Id, Money};
use tonic::{Request, Response, Status, service::Routes};
use wire::{
    Clients,
    id::{ListingId, OrganizationId, TransferApplicationId},
    v1::{
        self, ListingStatus, TransferApplicationStatus,
        brokerage_server::{Brokerage, BrokerageServer},
        catalog_server::{Catalog, CatalogServer},
        identity_server::{Identity, IdentityServer},
    },
};

#[derive(Clone)]
pub struct World {
    pub listing: v1::Listing,
    pub applications: Vec<v1::TransferApplication>,
    /// Applicants that stand on the other side.
    pub conflicts: Arc<Mutex<Vec<String>>>,
    /// Organizations with a member of theirs.
    pub members: Vec<(String, String)>,
}

impl World {
    /// A listing of the transferor in the centre's charge, with these eligible bidders.
    pub fn of(transferor: OrganizationId, centre: OrganizationId, bidders: &[OrganizationId]) -> World {
        let listing = v1::Listing {
            id: ListingId::fresh().text(),
            organization_id: transferor.text(),
            centre_id: centre.text(),
            title: "测试".into(),
            status: ListingStatus::PeriodEnded.into(),
            floor_price: Some(Money(100)),
            increment: Some(Money(1)),
            free_seconds: 3_600,
            timed_seconds: 60,
            bidding: Some(v1::BiddingTerms {
                increments: vec![v1::IncrementStep { from: Some(Money(0)), increment: Some(Money(1)) }],
                free_seconds: 3_600,
                timed_seconds: 60,
                ..v1::BiddingTerms::default()
            }),
            ..v1::Listing::default()
        };
        let application = |(n, bidder): (usize, &OrganizationId)| v1::TransferApplication {
            id: TransferApplicationId::fresh().text(),
            listing_id: listing.id.clone(),
            organization_id: bidder.text(),
            status: TransferApplicationStatus::Eligible.into(),
            bidder_code: Some(format!("B{n:02}")),
            ..v1::TransferApplication::default()
        };
        let applications = bidders.iter().enumerate().map(application).collect();
        World { listing, applications, conflicts: Arc::default(), members: Vec::new() }
    }

    /// Clients that find it.
    pub fn clients(&self) -> Clients {
        Clients::new(|_| {
            let routes = Routes::new(CatalogServer::new(self.clone()));
            let routes = routes.add_service(BrokerageServer::new(self.clone()));
            kernel::local(routes.add_service(IdentityServer::new(self.clone())))
        })
    }
}

macro_rules! world {
    ($trait:ident { $($asked:tt)* } $($rpc:ident($input:ident) -> $reply:ident;)*) => {
        #[tonic::async_trait]
        impl $trait for World {
            $($asked)*
            $(async fn $rpc(&self, _: Request<v1::$input>) -> Result<Response<v1::$reply>, Status> {
                Err(Status::unimplemented("not asked here"))
            })*
        }
    };
}

world! {
    Catalog {
        async fn get_reserve(
            &self,
            _: Request<v1::ReserveRequest>,
        ) -> Result<Response<v1::ReserveReply>, Status> {
            Ok(Response::new(v1::ReserveReply::default()))
        }

        async fn get_listings(&self, request: Request<v1::Ids>) -> Result<Response<v1::Listings>, Status> {
            let known = request.into_inner().ids.contains(&self.listing.id);
            Ok(Response::new(v1::Listings { items: known.then(|| self.listing.clone()).into_iter().collect() }))
        }

        async fn list_transfer_applications(
            &self,
            request: Request<v1::ListTransferApplicationsRequest>,
        ) -> Result<Response<v1::TransferApplicationPage>, Status> {
            assert!(Actor::read(request.metadata()).is_exchange());
            let wanted = request.into_inner().organization_id;
            let theirs = |found: &&v1::TransferApplication| wanted.as_ref().is_none_or(|id| *id == found.organization_id);
            let items = self.applications.iter().filter(theirs).cloned().collect();
            Ok(Response::new(v1::TransferApplicationPage { items, end: None }))
        }
    }
    create_listing(CreateListingInput) -> CreateListingPayload;
    submit_listing(SubmitListingInput) -> SubmitListingPayload;
    review_listing(ReviewListingInput) -> ReviewListingPayload;
    apply_for_transfer(ApplyForTransferInput) -> ApplyForTransferPayload;
    conclude_disclosure(ConcludeDisclosureInput) -> ConcludeDisclosurePayload;
    relist(RelistInput) -> RelistPayload;
    answer_consortium(AnswerConsortiumInput) -> AnswerConsortiumPayload;
    review_transfer_application(ReviewTransferApplicationInput) -> ReviewTransferApplicationPayload;
    get_open_business(OpenBusinessRequest) -> OpenBusinessReply;
    get_achievements(Ids) -> Achievements;
    list_achievements(ListAchievementsRequest) -> AchievementPage;
    list_listings(ListListingsRequest) -> ListingPage;
    get_transfer_applications(Ids) -> TransferApplications;
    import(ImportRequest) -> ImportReply;
    get_totals(TotalsRequest) -> CentreTotals;
    list_audit(ListAuditRequest) -> AuditRecordPage;
}

world! {
    Brokerage {
        async fn find_conflicts(
            &self,
            request: Request<v1::FindConflictsRequest>,
        ) -> Result<Response<v1::FindConflictsReply>, Status> {
            assert!(Actor::read(request.metadata()).is_exchange());
            let wanted = request.into_inner();
            assert_eq!([&wanted.transferor_id, &wanted.centre_id], [&self.listing.organization_id, &self.listing.centre_id]);
            let conflict = self.conflicts.lock().unwrap().contains(&wanted.applicant_id);
            Ok(Response::new(v1::FindConflictsReply { conflict }))
        }
    }
    register_broker_credential(RegisterBrokerCredentialInput) -> RegisterBrokerCredentialPayload;
    review_broker_credential(ReviewBrokerCredentialInput) -> ReviewBrokerCredentialPayload;
    offer_mandate(OfferMandateInput) -> OfferMandatePayload;
    answer_mandate(AnswerMandateInput) -> AnswerMandatePayload;
    end_mandate(EndMandateInput) -> EndMandatePayload;
    confirm_commission_paid(ConfirmCommissionPaidInput) -> ConfirmCommissionPaidPayload;
    declare_conflict(DeclareConflictInput) -> DeclareConflictPayload;
    confirm_conflict(ConfirmConflictInput) -> ConfirmConflictPayload;
    lift_conflict(LiftConflictInput) -> LiftConflictPayload;
    get_mandates(Ids) -> Mandates;
    get_broker_credentials(Ids) -> BrokerCredentials;
    list_broker_credentials(ListBrokerCredentialsRequest) -> BrokerCredentialPage;
    list_mandates(ListMandatesRequest) -> MandatePage;
    list_conflicts(ListConflictsRequest) -> ConflictPage;
}

world! {
    Identity {
        async fn list_members(&self, request: Request<v1::ListMembersRequest>) -> Result<Response<v1::MemberPage>, Status> {
            assert!(Actor::read(request.metadata()).is_exchange());
            let wanted = request.into_inner().organization_id;
            let theirs = self.members.iter().filter(|(organization, _)| *organization == wanted);
            let member = |(organization_id, person_id): &(String, String)| v1::Member {
                organization_id: organization_id.clone(),
                person_id: person_id.clone(),
                ..v1::Member::default()
            };
            Ok(Response::new(v1::MemberPage { items: theirs.map(member).collect(), end: None }))
        }

        async fn get_organizations(&self, request: Request<v1::Ids>) -> Result<Response<v1::Organizations>, Status> {
            let organization = |id| v1::Organization { id, name: "某公司".into(), status: v1::OrganizationStatus::Verified.into(), ..v1::Organization::default() };
            Ok(Response::new(v1::Organizations { items: request.into_inner().ids.into_iter().map(organization).collect() }))
        }
    }
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
    list_organizations(ListOrganizationsRequest) -> OrganizationPage;
    list_centres(Nothing) -> Centres;
    list_invitations(ListInvitationsRequest) -> InvitationPage;
    get_totals(TotalsRequest) -> CentreTotals;
    list_audit(ListAuditRequest) -> AuditRecordPage;
}
