//! A deal ends once: whoever settles it and whoever declares one of its sides in default meet in the ledger (SM-3).

use kernel::{Actor, Context, Error, Id, Result};
use wire::{
    id::{DealId, TransferApplicationId},
    v1,
};

use crate::store::deal_end;

/// Ends a deal in default, so that it can no longer be settled; or says that it is. Only the exchange itself asks, before
/// it passes the lot on.
pub async fn end(cx: &Context, actor: &Actor, wanted: v1::EndInDefaultRequest) -> Result<v1::EndInDefaultReply> {
    if !actor.is_exchange() {
        return Err(Error::not_found("dealId"));
    }
    let deal = DealId::parse(&wanted.deal_id, "dealId")?;
    let application = wanted.transfer_application_id.as_deref();
    let application = application.map(|id| TransferApplicationId::parse(id, "transferApplicationId")).transpose()?;
    let tx = cx.db.begin().await?;
    let settled = deal_end::end(&tx, (deal, application), false).await?;
    tx.commit().await?;
    Ok(v1::EndInDefaultReply { settled })
}
