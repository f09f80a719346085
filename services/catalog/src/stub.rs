//! Identity as far as the catalog asks it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use kernel::{Actor, Id};
use tonic::{Request, Response, Status, service::Routes};
use wire::{
    Clients,
    id::OrganizationId,
    v1::{
        self, OrganizationStatus,
        brokerage_server::{Brokerage, BrokerageServer},
        identity_server::{Identity, IdentityServer},
    },
};

/// Every organization is verified and sits in Chengdu.
#[derive(Clone)]
pub struct Registry {
    /// Who looks after whom does not say otherwise.
    pub centre: OrganizationId,
    /// Who looks after whom.
    pub centres: Arc<Mutex<HashMap<String, OrganizationId>>>,
    /// Applicants that stand on the other side.
    pub conflicts: Arc<Mutex<Vec<String>>>,
    /// Who is not verified after all.
    pub unverified: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// Where this centre looks after everybody.
    pub fn of(centre: OrganizationId) -> Registry {
        Registry { centre, centres: Arc::default(), conflicts: Arc::default(), unverified: Arc::default() }
    }

    /// Clients that find it.
    pub fn clients(&self) -> Clients {
        Clients::new(|_| {
            let routes = Routes::new(IdentityServer::new(self.clone()));
            kernel::local(routes.add_service(BrokerageServer::new(self.clone())))
        })
    }

    fn organization(&self, id: String) -> v1::Organization {
        let centre = self.centres.lock().unwrap().get(&id).copied().unwrap_or(self.centre);
        let verified = !self.unverified.lock().unwrap().contains(&id);
        let status = if verified { OrganizationStatus::Verified } else { OrganizationStatus::Suspended };
        v1::Organization {
            id,
            region: "510100".into(),
            status: status.into(),
            centre_id: centre.text(),
            ..v1::Organization::default()
        }
    }
}

macro_rules! not_asked {
    ($trait:ident { $($asked:tt)* } $($rpc:ident($input:ident) -> $reply:ident;)*) => {
        #[tonic::async_trait]
        impl $trait for Registry {
            $($asked)*
            $(async fn $rpc(&self, _: Request<v1::$input>) -> Result<Response<v1::$reply>, Status> {
                Err(Status::unimplemented("not asked here"))
            })*
        }
    };
}

not_asked! {
    Identity {
        async fn get_organizations(&self, request: Request<v1::Ids>) -> Result<Response<v1::Organizations>, Status> {
            assert!(Actor::read(request.metadata()).is_exchange());
            let ids = request.into_inner().ids;
            Ok(Response::new(v1::Organizations { items: ids.into_iter().map(|id| self.organization(id)).collect() }))
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
    list_members(ListMembersRequest) -> MemberPage;
    list_invitations(ListInvitationsRequest) -> InvitationPage;
    get_totals(TotalsRequest) -> CentreTotals;
    list_audit(ListAuditRequest) -> AuditRecordPage;
}

not_asked! {
    Brokerage {
        async fn find_conflicts(
            &self,
            request: Request<v1::FindConflictsRequest>,
        ) -> Result<Response<v1::FindConflictsReply>, Status> {
            assert!(Actor::read(request.metadata()).is_exchange());
            let conflict = self.conflicts.lock().unwrap().contains(&request.into_inner().applicant_id);
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
