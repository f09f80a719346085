//! A lot through all its listings: who is barred from it, and what offers it again.

use kernel::{Error, Id, Result, Transaction};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, sea_query::OnConflict};
use wire::id::{ListingId, OrganizationId};

use super::{Listing, listing};

mod defaulter {
    use sea_orm::entity::prelude::*;
    use wire::id;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "defaulter")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub origin_id: id::ListingId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: id::OrganizationId,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Bars the organizations from a lot.
pub async fn bar(tx: &Transaction, origin: ListingId, organizations: Vec<OrganizationId>) -> Result<()> {
    use defaulter::Column;
    let rows = organizations
        .into_iter()
        .map(|organization| defaulter::ActiveModel { origin_id: Set(origin), organization_id: Set(organization) });
    let known = OnConflict::columns([Column::OriginId, Column::OrganizationId]).do_nothing().to_owned();
    defaulter::Entity::insert_many(rows).on_conflict(known).exec_without_returning(tx).await?;
    Ok(())
}

/// Whether the organization defaulted on the lot.
pub async fn is_barred(tx: &Transaction, origin: ListingId, organization: OrganizationId) -> Result<bool> {
    Ok(defaulter::Entity::find_by_id((origin, organization)).one(tx).await?.is_some())
}

/// Whether the listing is offered again already.
pub async fn is_relisted(tx: &Transaction, id: ListingId) -> Result<bool> {
    Ok(listing::Entity::find().filter(listing::Column::RelistsId.eq(id)).count(tx).await? > 0)
}

/// The first listing of the lot.
pub async fn origin(tx: &Transaction, row: &Listing) -> Result<Listing> {
    let found = listing::Entity::find_by_id(row.origin_id).one(tx).await?;
    found.ok_or_else(|| Error::Internal(format!("{} has no first listing", row.id.text())))
}
