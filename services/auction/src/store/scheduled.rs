//! The first rows of a lot.

use kernel::{Result, Transaction, Vault};
use sea_orm::{EntityTrait, IntoActiveModel, sea_query::OnConflict};
use wire::v1::AuctionEvent;

use super::{bidder, log, session};

/// Inserts a session with its bidders and its first events; false if the listing has one already.
pub async fn insert_session(
    tx: &Transaction,
    vault: &Vault,
    mut row: session::Model,
    bidders: Vec<bidder::Model>,
    first: &[AuctionEvent],
) -> Result<bool> {
    let id = row.id;
    row.mark = Some(row.made_mark(vault).to_vec());
    let inserted = session::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::column(session::Column::ListingId).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    if inserted == 0 {
        return Ok(false);
    }
    if !bidders.is_empty() {
        let bidders = bidders.into_iter().map(IntoActiveModel::into_active_model);
        bidder::Entity::insert_many(bidders).exec_without_returning(tx).await?;
    }
    log::insert(tx, id, first).await?;
    Ok(true)
}
