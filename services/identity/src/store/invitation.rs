//! Invitations as stored.

use kernel::{Id, Instant, Paging, Result, Slice, Transaction, page};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use wire::{
    id::{InvitationId, OrganizationId, PersonId},
    v1::{self, InvitationStatus},
};

use super::member::read_roles;
use crate::store::person;

mod row {
    use sea_orm::entity::prelude::*;
    use wire::v1;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "invitation")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: wire::id::InvitationId,
        pub organization_id: wire::id::OrganizationId,
        pub login_index: Vec<u8>,
        pub roles: String,
        pub status: v1::InvitationStatus,
        pub created_at: kernel::Instant,
        pub expires_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}
pub use row::Model;
use row::{Column, Entity};

impl Model {
    /// Where it stands at a time: one that nobody answered runs out.
    pub fn standing(&self, now: Instant) -> InvitationStatus {
        match self.status {
            InvitationStatus::Pending if self.expires_at <= now => InvitationStatus::Expired,
            status => status,
        }
    }

    /// As it is seen at a time.
    pub fn at(self, now: Instant) -> v1::Invitation {
        v1::Invitation {
            id: self.id.text(),
            organization_id: self.organization_id.text(),
            roles: read_roles(&self.roles).into_iter().map(Into::into).collect(),
            status: self.standing(now).into(),
            created_at: Some(self.created_at),
            expires_at: Some(self.expires_at),
        }
    }
}

pub async fn insert_invitation(tx: &impl ConnectionTrait, row: Model) -> Result<()> {
    Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

pub async fn invitation(db: &impl ConnectionTrait, id: InvitationId) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).one(db).await?)
}

/// The invitation, locked until the transaction ends.
pub async fn lock_invitation(tx: &Transaction, id: InvitationId) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

pub async fn answer(tx: &impl ConnectionTrait, id: InvitationId, status: InvitationStatus) -> Result<()> {
    let update = Entity::update_many().col_expr(Column::Status, Expr::value(status));
    update.filter(Column::Id.eq(id)).exec(tx).await?;
    Ok(())
}

/// Takes back what the organization offered to the login before.
pub async fn revoke_earlier(tx: &impl ConnectionTrait, organization: OrganizationId, login_index: &[u8]) -> Result<()> {
    let earlier = Condition::all()
        .add(Column::OrganizationId.eq(organization))
        .add(Column::LoginIndex.eq(login_index))
        .add(Column::Status.eq(InvitationStatus::Pending));
    let update = Entity::update_many().col_expr(Column::Status, Expr::value(InvitationStatus::Revoked));
    update.filter(earlier).exec(tx).await?;
    Ok(())
}

/// Those that an organization made.
pub async fn made_by(db: &impl ConnectionTrait, organization: OrganizationId, paging: Paging) -> Result<Slice<Model>> {
    page(db, Entity::find().filter(Column::OrganizationId.eq(organization)), Column::Id, paging).await
}

/// Those that were made to a login.
pub async fn made_to(db: &impl ConnectionTrait, login_index: Vec<u8>, paging: Paging) -> Result<Slice<Model>> {
    page(db, Entity::find().filter(Column::LoginIndex.eq(login_index)), Column::Id, paging).await
}

/// Those that were made to the person, the newest first, at most `most`.
pub async fn all_made_to(db: &impl ConnectionTrait, person: PersonId, most: u64) -> Result<Vec<Model>> {
    let Some(login_index) = login_index_of(db, person).await? else { return Ok(Vec::new()) };
    let all = Entity::find().filter(Column::LoginIndex.eq(login_index));
    Ok(all.order_by_desc(Column::Id).limit(most).all(db).await?)
}

/// Forgets those that were made to a login which nobody has any more.
pub async fn forget(tx: &impl ConnectionTrait, login_index: Vec<u8>) -> Result<()> {
    Entity::delete_many().filter(Column::LoginIndex.eq(login_index)).exec(tx).await?;
    Ok(())
}

/// By which the invitations made to the person are found; none for somebody erased.
pub async fn login_index_of(db: &impl ConnectionTrait, person: PersonId) -> Result<Option<Vec<u8>>> {
    let select = person::row::Entity::find_by_id(person).select_only().column(person::row::Column::LoginIndex);
    Ok(select.into_tuple::<Option<Vec<u8>>>().one(db).await?.flatten())
}
