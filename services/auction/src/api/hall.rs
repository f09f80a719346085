use kernel::{Error, ErrorCode, Id, Refusal, Result, Sight, query};
use tonic::{Request, Response, Status};
use wire::{
    id::{HallDeviceId, HallSessionId, OrganizationId},
    policy::{self, Of, permit},
    v1::{self, hall_server::Hall},
};

use crate::{
    auctions::Auctions,
    bidding::control,
    hall::{check_in, device, floor_bid, session, upload},
    store::{hall, hall_line},
};

/// At most this many ids in one look-up.
const MOST_IDS: usize = 200;

macro_rules! mutate {
    ($self:ident, $request:ident, $method:literal, $act:path) => {
        $self.cx.mutate($request, $method, |call, input| Box::pin($act(call, input))).await
    };
}

#[tonic::async_trait]
impl Hall for Auctions {
    async fn open_hall_session(
        &self,
        request: Request<v1::OpenHallSessionInput>,
    ) -> Result<Response<v1::OpenHallSessionPayload>, Status> {
        mutate!(self, request, "OpenHallSession", session::open)
    }

    async fn close_hall_session(
        &self,
        request: Request<v1::CloseHallSessionInput>,
    ) -> Result<Response<v1::CloseHallSessionPayload>, Status> {
        mutate!(self, request, "CloseHallSession", session::close)
    }

    async fn check_in(&self, request: Request<v1::CheckInInput>) -> Result<Response<v1::CheckInPayload>, Status> {
        check_in::let_in(self, &request).await?;
        mutate!(self, request, "CheckIn", check_in::check_in)
    }

    async fn register_hall_device(
        &self,
        request: Request<v1::RegisterHallDeviceInput>,
    ) -> Result<Response<v1::RegisterHallDevicePayload>, Status> {
        mutate!(self, request, "RegisterHallDevice", device::register)
    }

    async fn enter_hall_bid(
        &self,
        request: Request<v1::EnterHallBidInput>,
    ) -> Result<Response<v1::EnterHallBidPayload>, Status> {
        Ok(Response::new(floor_bid::enter(self, request).await?))
    }

    async fn ask_price(&self, request: Request<v1::AskPriceInput>) -> Result<Response<v1::AskPricePayload>, Status> {
        Ok(Response::new(control::direct(self, request).await?))
    }

    async fn give_fair_warning(
        &self,
        request: Request<v1::GiveFairWarningInput>,
    ) -> Result<Response<v1::GiveFairWarningPayload>, Status> {
        Ok(Response::new(control::direct(self, request).await?))
    }

    async fn drop_hammer(
        &self,
        request: Request<v1::DropHammerInput>,
    ) -> Result<Response<v1::DropHammerPayload>, Status> {
        Ok(Response::new(control::direct(self, request).await?))
    }

    async fn reopen_lot(&self, request: Request<v1::ReopenLotInput>) -> Result<Response<v1::ReopenLotPayload>, Status> {
        Ok(Response::new(control::direct(self, request).await?))
    }

    async fn send_hall_heartbeat(
        &self,
        request: Request<v1::SendHallHeartbeatInput>,
    ) -> Result<Response<v1::SendHallHeartbeatPayload>, Status> {
        mutate!(self, request, "SendHallHeartbeat", device::beat)
    }

    async fn upload_hall_journal(
        &self,
        request: Request<v1::UploadHallJournalInput>,
    ) -> Result<Response<v1::UploadHallJournalPayload>, Status> {
        Ok(Response::new(upload::upload(self, request).await?))
    }

    async fn settle_journal_conflict(
        &self,
        request: Request<v1::SettleJournalConflictInput>,
    ) -> Result<Response<v1::SettleJournalConflictPayload>, Status> {
        mutate!(self, request, "SettleJournalConflict", upload::settle)
    }

    async fn get_hall_sessions(&self, request: Request<v1::Ids>) -> Result<Response<v1::HallSessions>, Status> {
        let (_, wanted) = query(request);
        let ids = wanted.ids.iter().take(MOST_IDS).filter_map(|id| HallSessionId::parse(id, "id").ok()).collect();
        let mut items = Vec::new();
        for row in hall::find(self.cx.db.read(), ids).await? {
            let lots = hall::lots(self.cx.db.read(), row.id).await?;
            items.push(row.shown(lots));
        }
        Ok(Response::new(v1::HallSessions { items }))
    }

    async fn list_paddles(&self, request: Request<v1::ListPaddlesRequest>) -> Result<Response<v1::Paddles>, Status> {
        let (actor, wanted) = query(request);
        actor.require_known()?;
        let id = HallSessionId::parse(&wanted.hall_session_id, "hallSessionId")?;
        let found = hall::find(self.cx.db.read(), vec![id]).await?.into_iter().next();
        let hall = found.ok_or_else(|| Error::not_found("hallSessionId"))?;
        let own = || {
            let places = actor.own_places();
            places.filter_map(|place| OrganizationId::parse(&place.organization_id, "organizationId").ok()).collect()
        };
        let everything = Sight::of(&actor).covers(&[], hall.centre_id.uuid());
        let rows = hall::paddles(self.cx.db.read(), id, (!everything).then(own)).await?;
        Ok(Response::new(v1::Paddles { items: rows.into_iter().map(v1::Paddle::from).collect() }))
    }

    async fn list_journal(
        &self,
        request: Request<v1::ListJournalRequest>,
    ) -> Result<Response<v1::JournalEntries>, Status> {
        let (actor, wanted) = query(request);
        actor.require_known()?;
        let id = HallSessionId::parse(&wanted.hall_session_id, "hallSessionId")?;
        let found = hall::find(self.cx.db.read(), vec![id]).await?.into_iter().next();
        let hall = found.ok_or_else(|| Error::not_found("hallSessionId"))?;
        permit(&actor, policy::HALL_JOURNAL, Of::centre(&hall.centre_id.text(), "hallSessionId"))?;
        let refused = |field, accepted| {
            Status::from(Error::from(Refusal::new(ErrorCode::InvalidInput).at_field(field).accepting(accepted)))
        };
        let limit = wanted.first.unwrap_or(100);
        let Ok(limit @ 1..=500) = usize::try_from(limit) else { return Err(refused("first", "1–500")) };
        let place = |after: String| {
            let (device, number) = after.split_once(':')?;
            Some((HallDeviceId::parse(device, "after").ok()?, number.parse().ok()?))
        };
        let after = wanted.after.map(|after| place(after).ok_or_else(|| refused("after", "cursor"))).transpose()?;
        let page = (after, limit as u64 + 1);
        let mut items: Vec<_> = hall_line::journal(self.cx.db.read(), id, wanted.conflicts, page).await?;
        let has_next = items.len() > limit;
        items.truncate(limit);
        let items = items.iter().filter_map(hall_line::Model::entry).collect();
        Ok(Response::new(v1::JournalEntries { items, has_next }))
    }
}
