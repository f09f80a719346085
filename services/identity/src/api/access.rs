//! The wire: unpack, call, pack.

use async_trait::async_trait;
use kernel::{Actor, query};
use tonic::{Request, Response};
use wire::v1;

use super::{Reply, unrecorded};
use crate::{
    access::{
        api_key, authenticate, change_password, federated, reauthenticate, second_factor, session, sign_in, sign_up,
        signing_key,
    },
    identities::Identities,
};

#[async_trait]
impl v1::access_server::Access for Identities {
    async fn sign_up(&self, request: Request<v1::SignUpInput>) -> Reply<v1::SignUpPayload> {
        let hash = sign_up::hash_password(request.get_ref()).await;
        self.cx.mutate(request, "SignUp", |call, input| Box::pin(sign_up::sign_up(call, input, hash))).await
    }

    async fn sign_in(&self, request: Request<v1::SignInInput>) -> Reply<v1::SignInPayload> {
        let (actor, input) = query(request);
        unrecorded(sign_in::sign_in(self, &actor.address, input).await)
    }

    async fn refresh_session(&self, request: Request<v1::RefreshSessionInput>) -> Reply<v1::RefreshSessionPayload> {
        unrecorded(session::refresh(&self.cx, &self.keys, request.into_inner()).await)
    }

    async fn sign_out(&self, request: Request<v1::SignOutInput>) -> Reply<v1::SignOutPayload> {
        self.cx.mutate(request, "SignOut", |call, input| Box::pin(session::sign_out(call, input))).await
    }

    async fn change_password(&self, request: Request<v1::ChangePasswordInput>) -> Reply<v1::ChangePasswordPayload> {
        let actor = Actor::read(request.metadata());
        let prepared = change_password::prepare(self, &actor, request.get_ref()).await;
        let change =
            self.cx.mutate(request, "ChangePassword", |call, _| Box::pin(change_password::change(call, prepared)));
        change.await
    }

    async fn enrol_second_factor(
        &self,
        request: Request<v1::EnrolSecondFactorInput>,
    ) -> Reply<v1::EnrolSecondFactorPayload> {
        let (actor, input) = query(request);
        unrecorded(second_factor::enrol(self, actor, input).await)
    }

    async fn confirm_second_factor(
        &self,
        request: Request<v1::ConfirmSecondFactorInput>,
    ) -> Reply<v1::ConfirmSecondFactorPayload> {
        let (actor, input) = query(request);
        unrecorded(second_factor::confirm(self, actor, input).await)
    }

    async fn remove_second_factor(
        &self,
        request: Request<v1::RemoveSecondFactorInput>,
    ) -> Reply<v1::RemoveSecondFactorPayload> {
        let actor = Actor::read(request.metadata());
        let shown = reauthenticate::again(self, &actor, &request.get_ref().password).await;
        let remove = self
            .cx
            .mutate(request, "RemoveSecondFactor", |call, input| Box::pin(second_factor::remove(call, input, shown)));
        remove.await
    }

    async fn end_session(&self, request: Request<v1::EndSessionInput>) -> Reply<v1::EndSessionPayload> {
        self.cx.mutate(request, "EndSession", |call, input| Box::pin(session::end(call, input))).await
    }

    async fn create_api_key(&self, request: Request<v1::CreateApiKeyInput>) -> Reply<v1::CreateApiKeyPayload> {
        let (actor, input) = query(request);
        unrecorded(api_key::create(self, actor, input).await)
    }

    async fn revoke_api_key(&self, request: Request<v1::RevokeApiKeyInput>) -> Reply<v1::RevokeApiKeyPayload> {
        self.cx.mutate(request, "RevokeApiKey", |call, input| Box::pin(api_key::revoke(call, input))).await
    }

    async fn start_federated_sign_in(
        &self,
        request: Request<v1::StartFederatedSignInInput>,
    ) -> Reply<v1::StartFederatedSignInPayload> {
        unrecorded(federated::start(self, request.into_inner()).await)
    }

    async fn finish_federated_sign_in(
        &self,
        request: Request<v1::FinishFederatedSignInInput>,
    ) -> Reply<v1::FinishFederatedSignInPayload> {
        let (actor, input) = query(request);
        unrecorded(federated::finish(self, &actor.address, input).await)
    }

    async fn rotate_signing_key(
        &self,
        request: Request<v1::RotateSigningKeyInput>,
    ) -> Reply<v1::RotateSigningKeyPayload> {
        let rotate =
            self.cx.mutate(request, "RotateSigningKey", |call, input| Box::pin(signing_key::rotate(call, input)));
        let reply = rotate.await;
        self.keys.forget();
        reply
    }

    async fn authenticate(&self, request: Request<v1::AuthenticateRequest>) -> Reply<v1::AuthenticateReply> {
        Ok(Response::new(authenticate::authenticate(&self.cx, &self.keys, request.into_inner()).await?))
    }

    async fn list_sessions(&self, request: Request<v1::Nothing>) -> Reply<v1::OpenSessions> {
        Ok(Response::new(session::list(&self.cx, &Actor::read(request.metadata())).await?))
    }

    async fn list_api_keys(&self, request: Request<v1::Nothing>) -> Reply<v1::ApiKeys> {
        Ok(Response::new(api_key::list(&self.cx, &Actor::read(request.metadata())).await?))
    }

    async fn list_sign_in_providers(&self, _: Request<v1::Nothing>) -> Reply<v1::SignInProviders> {
        Ok(Response::new(federated::providers(self)))
    }

    async fn list_signing_keys(&self, _: Request<v1::Nothing>) -> Reply<v1::SigningKeys> {
        Ok(Response::new(v1::SigningKeys { items: self.keys.list().await? }))
    }

    async fn get_jwks(&self, _: Request<v1::Nothing>) -> Reply<v1::JwksReply> {
        Ok(Response::new(v1::JwksReply { json: self.keys.jwks().await? }))
    }
}
