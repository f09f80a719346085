//! The wire: unpack, call, pack.

use async_trait::async_trait;
use kernel::query;
use tonic::{Request, Response};
use wire::v1;

use super::Reply;
use crate::{
    access::authenticate,
    identities::Identities,
    organization::{centre, invitation, member, registration, standing},
};

#[async_trait]
impl v1::identity_server::Identity for Identities {
    async fn register_organization(
        &self,
        request: Request<v1::RegisterOrganizationInput>,
    ) -> Reply<v1::RegisterOrganizationPayload> {
        self.cx
            .mutate(request, "RegisterOrganization", |call, input| Box::pin(registration::register(call, input)))
            .await
    }

    async fn verify_organization(
        &self,
        request: Request<v1::VerifyOrganizationInput>,
    ) -> Reply<v1::VerifyOrganizationPayload> {
        self.cx.mutate(request, "VerifyOrganization", |call, input| Box::pin(standing::verify(call, input))).await
    }

    async fn suspend_organization(
        &self,
        request: Request<v1::SuspendOrganizationInput>,
    ) -> Reply<v1::SuspendOrganizationPayload> {
        self.cx.mutate(request, "SuspendOrganization", |call, input| Box::pin(standing::suspend(call, input))).await
    }

    async fn reinstate_organization(
        &self,
        request: Request<v1::ReinstateOrganizationInput>,
    ) -> Reply<v1::ReinstateOrganizationPayload> {
        self.cx.mutate(request, "ReinstateOrganization", |call, input| Box::pin(standing::reinstate(call, input))).await
    }

    async fn close_organization(
        &self,
        request: Request<v1::CloseOrganizationInput>,
    ) -> Reply<v1::CloseOrganizationPayload> {
        let clients = self.clients.clone();
        self.cx
            .mutate(request, "CloseOrganization", |call, input| {
                Box::pin(async move { standing::close(call, &clients, input).await })
            })
            .await
    }

    async fn open_centre(&self, request: Request<v1::OpenCentreInput>) -> Reply<v1::OpenCentrePayload> {
        self.cx.mutate(request, "OpenCentre", |call, input| Box::pin(centre::open(call, input))).await
    }

    async fn close_centre(&self, request: Request<v1::CloseCentreInput>) -> Reply<v1::CloseCentrePayload> {
        self.cx.mutate(request, "CloseCentre", |call, input| Box::pin(centre::close(call, input))).await
    }

    async fn assign_centre(&self, request: Request<v1::AssignCentreInput>) -> Reply<v1::AssignCentrePayload> {
        self.cx.mutate(request, "AssignCentre", |call, input| Box::pin(centre::assign(call, input))).await
    }

    async fn invite_member(&self, request: Request<v1::InviteMemberInput>) -> Reply<v1::InviteMemberPayload> {
        self.cx.mutate(request, "InviteMember", |call, input| Box::pin(invitation::invite(call, input))).await
    }

    async fn answer_invitation(
        &self,
        request: Request<v1::AnswerInvitationInput>,
    ) -> Reply<v1::AnswerInvitationPayload> {
        self.cx.mutate(request, "AnswerInvitation", |call, input| Box::pin(invitation::answer(call, input))).await
    }

    async fn revoke_invitation(
        &self,
        request: Request<v1::RevokeInvitationInput>,
    ) -> Reply<v1::RevokeInvitationPayload> {
        self.cx.mutate(request, "RevokeInvitation", |call, input| Box::pin(invitation::revoke(call, input))).await
    }

    async fn change_member_roles(
        &self,
        request: Request<v1::ChangeMemberRolesInput>,
    ) -> Reply<v1::ChangeMemberRolesPayload> {
        self.cx.mutate(request, "ChangeMemberRoles", |call, input| Box::pin(member::change_roles(call, input))).await
    }

    async fn remove_member(&self, request: Request<v1::RemoveMemberInput>) -> Reply<v1::RemoveMemberPayload> {
        self.cx.mutate(request, "RemoveMember", |call, input| Box::pin(member::remove(call, input))).await
    }

    async fn get_viewer(&self, request: Request<v1::Nothing>) -> Reply<v1::ViewerReply> {
        let (actor, _) = query(request);
        Ok(Response::new(authenticate::viewer(&self.cx, &actor).await?))
    }

    async fn get_organizations(&self, request: Request<v1::Ids>) -> Reply<v1::Organizations> {
        let (actor, ids) = query(request);
        Ok(Response::new(registration::organizations(&self.cx, &actor, ids).await?))
    }

    async fn list_organizations(&self, request: Request<v1::ListOrganizationsRequest>) -> Reply<v1::OrganizationPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(registration::list(&self.cx, &actor, wanted).await?))
    }

    async fn list_centres(&self, _: Request<v1::Nothing>) -> Reply<v1::Centres> {
        Ok(Response::new(centre::list(&self.cx).await?))
    }

    async fn list_members(&self, request: Request<v1::ListMembersRequest>) -> Reply<v1::MemberPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(member::list(&self.cx, &actor, wanted).await?))
    }

    async fn list_invitations(&self, request: Request<v1::ListInvitationsRequest>) -> Reply<v1::InvitationPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(invitation::list(&self.cx, &actor, wanted).await?))
    }

    async fn get_totals(&self, request: Request<v1::TotalsRequest>) -> Reply<v1::CentreTotals> {
        let (actor, wanted) = query(request);
        Ok(Response::new(centre::totals(&self.cx, &actor, wanted).await?))
    }

    async fn list_audit(&self, request: Request<v1::ListAuditRequest>) -> Reply<v1::AuditRecordPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(wire::list_audit(&self.cx, &actor, wanted).await?))
    }
}
