//! The wire: unpack, call, pack.

use async_trait::async_trait;
use kernel::{Actor, query};
use tonic::{Request, Response};
use wire::v1;

use super::{Reply, unrecorded};
use crate::{
    identities::Identities,
    privacy::{erase, export, personal, reading},
};

#[async_trait]
impl v1::privacy_server::Privacy for Identities {
    async fn update_personal_data(
        &self,
        request: Request<v1::UpdatePersonalDataInput>,
    ) -> Reply<v1::UpdatePersonalDataPayload> {
        self.cx.mutate(request, "UpdatePersonalData", |call, input| Box::pin(personal::update(call, input))).await
    }

    async fn read_personal_data(
        &self,
        request: Request<v1::ReadPersonalDataInput>,
    ) -> Reply<v1::ReadPersonalDataPayload> {
        let (actor, input) = query(request);
        unrecorded(reading::read(&self.cx, actor, input).await)
    }

    async fn search_personal_data(
        &self,
        request: Request<v1::SearchPersonalDataInput>,
    ) -> Reply<v1::SearchPersonalDataPayload> {
        let (actor, input) = query(request);
        unrecorded(reading::search(&self.cx, actor, input).await)
    }

    async fn export_my_data(&self, request: Request<v1::ExportMyDataInput>) -> Reply<v1::ExportMyDataPayload> {
        let (actor, input) = query(request);
        unrecorded(export::export(self, actor, input).await)
    }

    async fn erase_person(&self, request: Request<v1::ErasePersonInput>) -> Reply<v1::ErasePersonPayload> {
        let actor = Actor::read(request.metadata());
        let prepared = erase::prepare(self, &actor, request.get_ref()).await;
        let erased =
            self.cx.mutate(request, "ErasePerson", |call, input| Box::pin(erase::erase(call, input, prepared)));
        let reply = erased.await?;
        // It is erased already; this only overwrites the remains, and the next one would do it too.
        if let Err(error) = self.cx.db.scrub(&erase::TABLES).await {
            tracing::warn!(%error, "the remains of an erased person were not overwritten");
        }
        Ok(reply)
    }

    async fn get_personal_data(&self, request: Request<v1::Ids>) -> Reply<v1::OwnPersonalData> {
        let (actor, ids) = query(request);
        Ok(Response::new(personal::of_caller(&self.cx, &actor, &ids.ids).await?))
    }
}
