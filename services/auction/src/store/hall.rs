//! Tables of the hall: sessions with their lots, paddles, terminals. The lines that terminals enter are next door.

use kernel::{Id, Instant, Result, Transaction};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use wire::{
    id::{BiddingSessionId, HallDeviceId, HallSessionId, OrganizationId},
    v1::{self, HallStatus},
};

pub mod hall_session {
    use kernel::Instant;
    use sea_orm::entity::prelude::*;
    use wire::{id, v1::HallStatus};

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "hall_session")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: id::HallSessionId,
        pub centre_id: id::OrganizationId,
        pub status: HallStatus,
        pub auctioneer: String,
        pub auctioneer_licence: String,
        pub house_licence: Option<String>,
        pub heartbeat_seconds: i32,
        pub opened_at: Instant,
        pub closed_at: Option<Instant>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod hall_lot {
    use sea_orm::entity::prelude::*;
    use wire::id;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "hall_lot")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub hall_session_id: id::HallSessionId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub session_id: id::BiddingSessionId,
        pub place: i32,
        pub open: bool,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod paddle {
    use kernel::Instant;
    use sea_orm::entity::prelude::*;
    use wire::id;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "paddle")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub hall_session_id: id::HallSessionId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i32,
        pub organization_id: id::OrganizationId,
        pub issued_at: Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod hall_device {
    use kernel::Instant;
    use sea_orm::entity::prelude::*;
    use wire::id;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "hall_device")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: id::HallDeviceId,
        pub hall_session_id: id::HallSessionId,
        pub name: String,
        pub public_key: Vec<u8>,
        pub last_number: i64,
        pub uploaded_number: i64,
        pub heard_at: Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl hall_session::Model {
    /// As clients see it, with its lots.
    pub fn shown(self, lots: Vec<BiddingSessionId>) -> v1::HallSession {
        v1::HallSession {
            id: self.id.text(),
            centre_id: self.centre_id.text(),
            status: self.status.into(),
            session_ids: lots.into_iter().map(Id::text).collect(),
            auctioneer_licence: self.auctioneer_licence,
            house_licence: self.house_licence,
            heartbeat_seconds: self.heartbeat_seconds,
            opened_at: Some(self.opened_at),
            closed_at: self.closed_at,
        }
    }
}

impl From<paddle::Model> for v1::Paddle {
    fn from(row: paddle::Model) -> Self {
        v1::Paddle {
            hall_session_id: row.hall_session_id.text(),
            number: row.number,
            organization_id: row.organization_id.text(),
            issued_at: Some(row.issued_at),
        }
    }
}

impl From<hall_device::Model> for v1::HallDevice {
    fn from(row: hall_device::Model) -> Self {
        v1::HallDevice {
            id: row.id.text(),
            hall_session_id: row.hall_session_id.text(),
            name: row.name,
            public_key: data_encoding::BASE64URL_NOPAD.encode(&row.public_key),
            last_number: row.last_number,
            heard_at: Some(row.heard_at),
        }
    }
}

/// Inserts a hall session with its lots; false if one of these is called in another hall.
pub async fn insert(tx: &Transaction, row: hall_session::Model, lots: &[BiddingSessionId]) -> Result<bool> {
    let hall_session_id = row.id;
    hall_session::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    for (place, session_id) in (1_i32..).zip(lots) {
        let lot = hall_lot::Model { hall_session_id, session_id: *session_id, place, open: true };
        let inserted = hall_lot::Entity::insert(lot.into_active_model())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(tx)
            .await?;
        if inserted == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

pub async fn find(db: &impl ConnectionTrait, ids: Vec<HallSessionId>) -> Result<Vec<hall_session::Model>> {
    Ok(hall_session::Entity::find().filter(hall_session::Column::Id.is_in(ids)).all(db).await?)
}

/// The hall session under lock.
pub async fn for_update(tx: &Transaction, id: HallSessionId) -> Result<Option<hall_session::Model>> {
    Ok(hall_session::Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

pub async fn close(tx: &Transaction, row: hall_session::Model, now: Instant) -> Result<hall_session::Model> {
    hall_lot::Entity::update_many()
        .col_expr(hall_lot::Column::Open, Expr::value(false))
        .filter(hall_lot::Column::HallSessionId.eq(row.id))
        .exec(tx)
        .await?;
    let mut change = row.into_active_model();
    change.status = sea_orm::ActiveValue::Set(HallStatus::Closed);
    change.closed_at = sea_orm::ActiveValue::Set(Some(now));
    Ok(change.update(tx).await?)
}

/// The lots of a hall session, in the order of its opening.
pub async fn lots(db: &impl ConnectionTrait, id: HallSessionId) -> Result<Vec<BiddingSessionId>> {
    let lots = hall_lot::Entity::find().filter(hall_lot::Column::HallSessionId.eq(id));
    let lots = lots.order_by_asc(hall_lot::Column::Place).all(db).await?;
    Ok(lots.into_iter().map(|lot| lot.session_id).collect())
}

/// Whether the lot is called in a hall now.
pub async fn is_called(db: &impl ConnectionTrait, session: BiddingSessionId) -> Result<bool> {
    let called = hall_lot::Column::SessionId.eq(session).and(hall_lot::Column::Open.eq(true));
    Ok(hall_lot::Entity::find().filter(called).count(db).await? > 0)
}

/// Open hall sessions with the instant at which any of their terminals was last heard; without one, since opening.
pub async fn open(db: &impl ConnectionTrait) -> Result<Vec<(hall_session::Model, Instant)>> {
    let halls = hall_session::Entity::find().filter(hall_session::Column::Status.eq(HallStatus::Open)).all(db).await?;
    let ids = halls.iter().map(|hall| hall.id);
    let devices = hall_device::Entity::find().filter(hall_device::Column::HallSessionId.is_in(ids)).all(db).await?;
    let heard = |hall: &hall_session::Model| {
        let own = devices.iter().filter(|device| device.hall_session_id == hall.id).map(|device| device.heard_at);
        own.max().unwrap_or(hall.opened_at)
    };
    Ok(halls.into_iter().map(|hall| (hall.clone(), heard(&hall))).collect())
}

pub async fn paddle(db: &impl ConnectionTrait, id: HallSessionId, number: i32) -> Result<Option<paddle::Model>> {
    Ok(paddle::Entity::find_by_id((id, number)).one(db).await?)
}

pub async fn paddle_of(
    db: &impl ConnectionTrait,
    id: HallSessionId,
    organization: OrganizationId,
) -> Result<Option<paddle::Model>> {
    let wanted = paddle::Column::HallSessionId.eq(id).and(paddle::Column::OrganizationId.eq(organization));
    Ok(paddle::Entity::find().filter(wanted).one(db).await?)
}

pub async fn insert_paddle(tx: &Transaction, row: paddle::Model) -> Result<()> {
    paddle::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

/// The paddles of a hall session; only those of `organizations` if they are given.
pub async fn paddles(
    db: &impl ConnectionTrait,
    id: HallSessionId,
    organizations: Option<Vec<OrganizationId>>,
) -> Result<Vec<paddle::Model>> {
    let mut wanted = paddle::Entity::find().filter(paddle::Column::HallSessionId.eq(id));
    if let Some(organizations) = organizations {
        wanted = wanted.filter(paddle::Column::OrganizationId.is_in(organizations));
    }
    Ok(wanted.order_by_asc(paddle::Column::Number).all(db).await?)
}

pub async fn insert_device(tx: &Transaction, row: hall_device::Model) -> Result<()> {
    hall_device::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

/// A terminal, and the hall session that it belongs to.
pub async fn device(
    db: &impl ConnectionTrait,
    id: HallDeviceId,
) -> Result<Option<(hall_device::Model, hall_session::Model)>> {
    let Some(device) = hall_device::Entity::find_by_id(id).one(db).await? else { return Ok(None) };
    let hall = hall_session::Entity::find_by_id(device.hall_session_id).one(db).await?;
    Ok(hall.map(|hall| (device, hall)))
}

/// The terminal under lock: whoever gives it numbers takes turns.
pub async fn device_for_update(tx: &Transaction, id: HallDeviceId) -> Result<Option<hall_device::Model>> {
    Ok(hall_device::Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

/// Moves a locked terminal on to what it entered and when it was heard. False if it is not where `before` says.
pub async fn move_device(tx: &Transaction, before: &hall_device::Model, after: &hall_device::Model) -> Result<bool> {
    use hall_device::Column;
    let moved = hall_device::Entity::update_many()
        .col_expr(Column::LastNumber, Expr::value(after.last_number))
        .col_expr(Column::UploadedNumber, Expr::value(after.uploaded_number))
        .col_expr(Column::HeardAt, Expr::value(after.heard_at))
        .filter(Column::Id.eq(before.id))
        .filter(Column::LastNumber.eq(before.last_number))
        .filter(Column::UploadedNumber.eq(before.uploaded_number))
        .exec(tx)
        .await?;
    Ok(moved.rows_affected == 1)
}
