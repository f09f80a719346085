//! A bidder's deposit: a pending transfer from the bidder to the transferor, so that posting it pays the
//! price, and resolved exactly once (SM-4).

use kernel::{Actor, Call, Context, Error, ErrorCode, Id, Money, Refusal, Result};
use serde_json::json;
use wire::{
    Clients,
    id::{ListingId, OrganizationId, TransferApplicationId},
    policy::{self, Of, permit},
    v1::{self, ListingStatus, TransferApplicationStatus},
};

use crate::{
    peers,
    rules::{book::Movement, due::Due, holder::Holder},
    store::{self, Purpose},
};

/// The organization's deposits on hold, for the exchange itself. Each is resolved when its listing is.
pub async fn open_business(
    cx: &Context,
    actor: &Actor,
    wanted: v1::OpenBusinessRequest,
) -> Result<v1::OpenBusinessReply> {
    let organization = wanted.organization_for(actor)?;
    let held = store::holds(cx.db.read(), organization).await?;
    let open = held.iter().map(|id| format!("{} HELD → APPLIED | RELEASED | FORFEITED", id.text()));
    Ok(v1::OpenBusinessReply { open: open.collect() })
}

/// Puts the deposit on hold from the bidder's available balance.
pub async fn pay(call: &Call, clients: &Clients, input: v1::PayDepositInput) -> Result<v1::Deposit> {
    const FIELD: &str = "transferApplicationId";
    call.actor.require_known()?;
    let id = TransferApplicationId::parse(&input.transfer_application_id, FIELD)?;
    let application = peers::application(clients, &call.actor, &id.text()).await?;
    let application = application.ok_or_else(|| Error::not_found(FIELD))?;
    permit(&call.actor, policy::PAY_DEPOSIT, Of::organization(&application.organization_id, FIELD))?;
    let listing = peers::listing(clients, &application.listing_id).await?;
    let late = peers::takes_late_bidders(clients, &listing).await?;
    let due = due(&application, &listing, late)?;
    if let Some(conflict) = call.actor.conflict(&listing.organization_id, &listing.centre_id) {
        return Err(refusal(conflict));
    }
    hold(call, due).await
}

/// What is due on this application, or why nothing is. `late` says whether bidding takes bidders while it goes on.
fn due(application: &v1::TransferApplication, listing: &v1::Listing, late: bool) -> Result<Due> {
    use TransferApplicationStatus as Status;
    match application.status() {
        Status::DepositDue => {}
        Status::Eligible | Status::Won => return Err(refusal(ErrorCode::DepositPaid)),
        Status::Applied | Status::Rejected | Status::Lost | Status::Refunded | Status::Forfeited => {
            return Err(refusal(ErrorCode::DepositNotDue));
        }
    }
    // Once the bidding is scheduled its bidders are fixed, but where the notice admits late ones: else a deposit would
    // qualify for nothing.
    let open = match listing.status() {
        ListingStatus::Disclosed | ListingStatus::PeriodEnded => true,
        ListingStatus::Bidding => late,
        _ => false,
    };
    let amount = application.deposit.unwrap_or_default();
    if !open || amount <= Money::ZERO {
        return Err(refusal(ErrorCode::DepositNotDue));
    }
    Ok(Due {
        application: TransferApplicationId::parse(&application.id, "transferApplicationId")?,
        listing: ListingId::parse(&listing.id, "transferApplicationId")?,
        bidder: OrganizationId::parse(&application.organization_id, "transferApplicationId")?,
        transferor: OrganizationId::parse(&listing.organization_id, "transferApplicationId")?,
        amount,
        open_licence: peers::is_open_licence(listing),
    })
}

fn refusal(code: ErrorCode) -> Error {
    Refusal::new(code).at_field("transferApplicationId").by_rule("SM-4").into()
}

/// Decides on locked accounts, so that racing holds see each other (trust.md, trap 6).
pub async fn hold(call: &Call, due: Due) -> Result<v1::Deposit> {
    let (bidder, transferor) = (Holder::Organization(due.bidder), Holder::Organization(due.transferor));
    let transfer = due.transfer_id();
    let mut opened = store::open(&call.tx, &[bidder, transferor], &[transfer]).await?;
    if store::deposit(&call.tx, due.application).await?.is_some() {
        return Err(refusal(ErrorCode::DepositPaid));
    }
    // Settlements and releases lock the transferor's account too: from then on no deposit can slip in unreleased.
    if store::is_closed(&call.tx, due.listing).await? {
        return Err(refusal(ErrorCode::DepositNotDue));
    }
    let movement = Movement { debit: bidder.account_id(), credit: transferor.account_id(), amount: due.amount };
    opened.book.hold(transfer, movement).map_err(|refused| match Error::from(refused) {
        Error::Refused(refusal) => refusal.at_field("transferApplicationId").by_rule("SM-4").into(),
        fault => fault,
    })?;
    opened.label(transfer, Purpose::Deposit, due.deposit_id().text());
    opened.save(&call.tx, call.now).await?;
    let Some(deposit) = store::add_deposit(&call.tx, &due, call.now).await? else {
        return Err(refusal(ErrorCode::DepositPaid));
    };
    let facts = json!({
        "organization": deposit.organization_id,
        "amount": due.amount.to_string(),
        "transfer": transfer.text(),
        "rules": call.cx.rules.version(),
    });
    call.record("DepositPaid", &deposit.id, facts).await?;
    let held = v1::DepositHeld {
        transfer_application_id: deposit.transfer_application_id.clone(),
        listing_id: deposit.listing_id.clone(),
    };
    call.announce(&deposit.id, &held).await?;
    Ok(deposit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deposit_is_due_once_and_in_time() {
        use TransferApplicationStatus as Status;
        let listing = v1::Listing {
            id: ListingId::fresh().text(),
            organization_id: OrganizationId::fresh().text(),
            ..v1::Listing::default()
        };
        let application = v1::TransferApplication {
            id: TransferApplicationId::fresh().text(),
            organization_id: OrganizationId::fresh().text(),
            deposit: Some(Money(1)),
            ..v1::TransferApplication::default()
        };
        let outcome = |status: Status, at: ListingStatus, late: bool| {
            let application = v1::TransferApplication { status: status.into(), ..application.clone() };
            due(&application, &v1::Listing { status: at.into(), ..listing.clone() }, late).map_err(|error| error.code())
        };
        for at in [ListingStatus::Disclosed, ListingStatus::PeriodEnded] {
            assert!(outcome(Status::DepositDue, at, false).is_ok());
        }
        assert!(outcome(Status::DepositDue, ListingStatus::Bidding, true).is_ok());
        let fixed = outcome(Status::DepositDue, ListingStatus::TransfereeFixed, true);
        assert_eq!(fixed, Err(ErrorCode::DepositNotDue));
        for at in
            [ListingStatus::Bidding, ListingStatus::TransfereeFixed, ListingStatus::Settled, ListingStatus::Unsold]
        {
            assert_eq!(outcome(Status::DepositDue, at, false), Err(ErrorCode::DepositNotDue));
        }
        for (status, code) in [
            (Status::Applied, ErrorCode::DepositNotDue),
            (Status::Rejected, ErrorCode::DepositNotDue),
            (Status::Eligible, ErrorCode::DepositPaid),
            (Status::Won, ErrorCode::DepositPaid),
            (Status::Lost, ErrorCode::DepositNotDue),
            (Status::Refunded, ErrorCode::DepositNotDue),
            (Status::Forfeited, ErrorCode::DepositNotDue),
        ] {
            assert_eq!(outcome(status, ListingStatus::Disclosed, false), Err(code), "{status:?}");
        }
        let free = v1::TransferApplication { deposit: None, status: Status::DepositDue.into(), ..application };
        let open = v1::Listing { status: ListingStatus::Disclosed.into(), ..listing };
        assert_eq!(due(&free, &open, false).unwrap_err().code(), ErrorCode::DepositNotDue);
    }
}
