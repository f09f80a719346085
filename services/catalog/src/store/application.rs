//! Transfer applications: their table, who applies, and their queries.

use kernel::{Error, Id, Paging, Result, Slice, Transaction, page};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use wire::{
    id::{ListingId, OrganizationId, TransferApplicationId},
    v1::{self, TransferApplicationStatus},
};

use super::{Listing, listings_under_way, locked_listing};
use crate::{
    application::consortium::{self, Member},
    sight::Sight,
    transition::early,
};

mod entity {
    use sea_orm::entity::prelude::*;
    use wire::{id, v1};

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "transfer_application")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: id::TransferApplicationId,
        pub listing_id: id::ListingId,
        pub organization_id: id::OrganizationId,
        /// The listing's.
        pub centre_id: id::OrganizationId,
        pub status: v1::TransferApplicationStatus,
        pub deposit: kernel::Money,
        pub bidder_code: Option<String>,
        pub review_note: Option<String>,
        /// A JSON list, see [`Member`](crate::application::consortium::Member).
        pub members: String,
        pub preemption_ground: Option<v1::PreemptionGround>,
        pub preemption_rank: Option<i32>,
        pub created_at: kernel::Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod applicant {
    use sea_orm::entity::prelude::*;
    use wire::id;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "applicant")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub listing_id: id::ListingId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: id::OrganizationId,
        pub transfer_application_id: id::TransferApplicationId,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod named_member {
    use sea_orm::entity::prelude::*;
    use wire::id;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "named_member")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub transfer_application_id: id::TransferApplicationId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: id::OrganizationId,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub use entity::Model as Application;

impl Application {
    /// Whether a caller with this sight may see it: those who bid by it and those whom it names; never the transferor or
    /// a rival.
    #[must_use]
    pub fn is_open_to(&self, sight: &Sight) -> bool {
        let bidders = self.bidders().unwrap_or_else(|_| vec![self.organization_id]);
        let bidders: Vec<_> = bidders.into_iter().map(Id::uuid).collect();
        sight.places.covers(&bidders, self.centre_id.uuid())
    }

    /// Who bids together; empty if it bids alone.
    pub fn members(&self) -> Result<Vec<Member>> {
        serde_json::from_str(&self.members)
            .map_err(|error| Error::Internal(format!("the members of {}: {error}", self.id)))
    }

    /// Every organization that bids by it.
    pub fn bidders(&self) -> Result<Vec<OrganizationId>> {
        let members = self.members()?.into_iter().map(|member| member.organization());
        let mut bidders: Vec<_> = members.collect::<Result<_>>()?;
        if !bidders.contains(&self.organization_id) {
            bidders.push(self.organization_id);
        }
        Ok(bidders)
    }
}

impl From<Application> for v1::TransferApplication {
    fn from(row: Application) -> Self {
        let members = row.members().unwrap_or_default();
        v1::TransferApplication {
            id: row.id.text(),
            listing_id: row.listing_id.text(),
            organization_id: row.organization_id.text(),
            status: row.status.into(),
            available_transitions: crate::application::application_status::next(row.status)
                .iter()
                .map(|next| i32::from(*next))
                .collect(),
            deposit: Some(row.deposit),
            bidder_code: row.bidder_code,
            review_note: row.review_note,
            created_at: Some(row.created_at),
            consortium: consortium::status(&members).into(),
            members: members.into_iter().map(Into::into).collect(),
            preemption_ground: row.preemption_ground.map(i32::from),
            preemption_rank: row.preemption_rank,
        }
    }
}

pub async fn applications(
    db: &impl ConnectionTrait,
    ids: Vec<TransferApplicationId>,
    sight: &Sight,
) -> Result<Vec<Application>> {
    let select = entity::Entity::find().filter(entity::Column::Id.is_in(ids));
    Ok(select.filter(applied(sight)).all(db).await?)
}

/// The SQL form of [`Application::is_open_to`].
fn applied(sight: &Sight) -> Condition {
    let places = sight.places.filter(&[entity::Column::OrganizationId], entity::Column::CentreId);
    if sight.places.is_everything() {
        return places;
    }
    let naming = named_member::Entity::find().select_only().column(named_member::Column::TransferApplicationId);
    let naming = naming.filter(sight.places.own(named_member::Column::OrganizationId));
    Condition::any().add(places).add(entity::Column::Id.in_subquery(naming.into_query()))
}

pub async fn application_page(
    db: &impl ConnectionTrait,
    listing: Option<ListingId>,
    organization: Option<OrganizationId>,
    sight: &Sight,
    paging: Paging,
) -> Result<Slice<Application>> {
    use entity::Column;
    let narrowed = Condition::all()
        .add(applied(sight))
        .add_option(listing.map(|listing| Column::ListingId.eq(listing)))
        .add_option(organization.map(|organization| Column::OrganizationId.eq(organization)));
    page(db, entity::Entity::find().filter(narrowed), Column::Id, paging).await
}

/// What the organization may still acquire, or has acquired and not paid, alone or with others: with its deposit on hold, or
/// won while the listing is under way.
pub async fn open_applications(db: &impl ConnectionTrait, organization: OrganizationId) -> Result<Vec<Application>> {
    use entity::Column;
    let entered = applicant::Entity::find()
        .select_only()
        .column(applicant::Column::TransferApplicationId)
        .filter(applicant::Column::OrganizationId.eq(organization));
    let won = Column::Status
        .eq(TransferApplicationStatus::Won)
        .and(Column::ListingId.in_subquery(listings_under_way().into_query()));
    let open = Condition::any().add(Column::Status.eq(TransferApplicationStatus::Eligible)).add(won);
    let select = entity::Entity::find().filter(Column::Id.in_subquery(entered.into_query())).filter(open);
    Ok(select.order_by_asc(Column::Id).all(db).await?)
}

/// The application that an event tells of, with its listing, both locked. It may be on its way.
pub async fn told_application(tx: &Transaction, id: TransferApplicationId) -> Result<(Listing, Application)> {
    locked_application(tx, id).await?.ok_or_else(|| early(&id.text(), "unknown"))
}

/// Loads an application and holds its row; its listing's row is held first.
pub async fn locked_application(tx: &Transaction, id: TransferApplicationId) -> Result<Option<(Listing, Application)>> {
    let Some(found) = entity::Entity::find_by_id(id).one(tx).await? else { return Ok(None) };
    let Some(listing) = locked_listing(tx, found.listing_id).await? else { return Ok(None) };
    let locked = entity::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
    Ok(locked.map(|application| (listing, application)))
}

/// Inserts an application unless the organization has one for the listing; tells whether it did.
pub async fn insert_application(tx: &Transaction, row: Application) -> Result<bool> {
    use entity::Column;
    let taken = OnConflict::columns([Column::ListingId, Column::OrganizationId]).do_nothing().to_owned();
    let insert = entity::Entity::insert(row.into_active_model().reset_all()).on_conflict(taken);
    Ok(insert.exec_without_returning(tx).await? == 1)
}

/// Names the members of a fresh application's consortium, so that they see it.
pub async fn name_members(tx: &Transaction, row: &Application, members: &[Member]) -> Result<()> {
    let named = |member: &Member| {
        let organization_id = Set(member.organization()?);
        Ok(named_member::ActiveModel { transfer_application_id: Set(row.id), organization_id })
    };
    let rows = members.iter().map(named).collect::<Result<Vec<_>>>()?;
    if !rows.is_empty() {
        named_member::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}

pub async fn save_application(tx: &Transaction, row: Application) -> Result<Application> {
    Ok(row.into_active_model().reset_all().update(tx).await?)
}

/// Moves every application of a listing that is at `from` on to `to`.
pub async fn move_applications(
    tx: &Transaction,
    listing: ListingId,
    from: TransferApplicationStatus,
    to: TransferApplicationStatus,
) -> Result<()> {
    move_others(tx, listing, (from, to), Vec::new()).await
}

/// The same for all but these.
pub async fn move_others(
    tx: &Transaction,
    listing: ListingId,
    (from, to): (TransferApplicationStatus, TransferApplicationStatus),
    but: Vec<TransferApplicationId>,
) -> Result<()> {
    entity::Entity::update_many()
        .col_expr(entity::Column::Status, Expr::value(to))
        .filter(entity::Column::ListingId.eq(listing))
        .filter(entity::Column::Status.eq(from))
        .filter(entity::Column::Id.is_not_in(but))
        .exec(tx)
        .await?;
    Ok(())
}

/// Enters organizations for the listing of the application; false if one of them is entered already.
pub async fn enter(tx: &Transaction, row: &Application, bidders: Vec<OrganizationId>) -> Result<bool> {
    use applicant::Column;
    if bidders.is_empty() {
        return Ok(true);
    }
    let rows = bidders.iter().map(|bidder| applicant::ActiveModel {
        listing_id: Set(row.listing_id),
        organization_id: Set(*bidder),
        transfer_application_id: Set(row.id),
    });
    let taken = OnConflict::columns([Column::ListingId, Column::OrganizationId]).do_nothing().to_owned();
    let entered = applicant::Entity::insert_many(rows).on_conflict(taken).exec_without_returning(tx).await?;
    Ok(usize::try_from(entered).is_ok_and(|entered| entered == bidders.len()))
}

/// Whether a holder of a preemption right for the listing has this rank.
pub async fn rank_taken(tx: &Transaction, listing: ListingId, rank: i32) -> Result<bool> {
    use entity::Column;
    let holders = entity::Entity::find().filter(Column::ListingId.eq(listing)).filter(Column::PreemptionRank.eq(rank));
    Ok(holders.count(tx).await? > 0)
}

/// How many bidders are eligible for the listing.
pub async fn count_eligible(tx: &Transaction, listing: ListingId) -> Result<u64> {
    use entity::Column;
    let eligible = entity::Entity::find()
        .filter(Column::ListingId.eq(listing))
        .filter(Column::Status.eq(TransferApplicationStatus::Eligible));
    Ok(eligible.count(tx).await?)
}
