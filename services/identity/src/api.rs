//! The wire: unpack, call, pack.

use async_trait::async_trait;
use kernel::{Actor, Error, Payload, query};
use tonic::{Request, Response, Status};
use wire::v1;

use crate::{Identities, authenticate, member, registration, session, sign_in, sign_up};

type Reply<T> = Result<Response<T>, Status>;

/// The reply of a mutation that leaves no idempotency record, since its answer is a secret.
fn unrecorded<P: Payload>(outcome: kernel::Result<P::Object>) -> Reply<P> {
    match outcome {
        Ok(object) => Ok(Response::new(P::of(Ok(object)))),
        Err(Error::Refused(refusal)) => Ok(Response::new(P::of(Err(*refusal)))),
        Err(fault) => Err(fault.into()),
    }
}

#[async_trait]
impl v1::identity_server::Identity for Identities {
    async fn sign_up(&self, mut request: Request<v1::SignUpInput>) -> Reply<v1::SignUpPayload> {
        let key = Actor::read_key(request.metadata());
        let hash = sign_up::hash_password(request.get_mut(), key.as_deref()).await;
        self.cx.mutate(request, "SignUp", |call, input| Box::pin(sign_up::sign_up(call, input, hash))).await
    }

    async fn sign_in(&self, request: Request<v1::SignInInput>) -> Reply<v1::SignInPayload> {
        unrecorded(sign_in::sign_in(&self.cx, &self.keys, request.into_inner()).await)
    }

    async fn refresh_session(&self, request: Request<v1::RefreshSessionInput>) -> Reply<v1::RefreshSessionPayload> {
        unrecorded(session::refresh(&self.cx, &self.keys, request.into_inner()).await)
    }

    async fn sign_out(&self, request: Request<v1::SignOutInput>) -> Reply<v1::SignOutPayload> {
        self.cx.mutate(request, "SignOut", |call, input| Box::pin(session::sign_out(call, input))).await
    }

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
        self.cx.mutate(request, "VerifyOrganization", |call, input| Box::pin(registration::verify(call, input))).await
    }

    async fn add_member(&self, request: Request<v1::AddMemberInput>) -> Reply<v1::AddMemberPayload> {
        self.cx.mutate(request, "AddMember", |call, input| Box::pin(member::add(call, input))).await
    }

    async fn authenticate(&self, request: Request<v1::AuthenticateRequest>) -> Reply<v1::AuthenticateReply> {
        Ok(Response::new(authenticate::authenticate(&self.cx, &self.keys, request.into_inner()).await?))
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

    async fn list_audit(&self, request: Request<v1::ListAuditRequest>) -> Reply<v1::AuditRecordPage> {
        let (actor, wanted) = query(request);
        Ok(Response::new(wire::list_audit(&self.cx, &actor, wanted).await?))
    }
}
