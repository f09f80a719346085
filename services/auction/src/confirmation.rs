//! The transaction confirmation (成交确认书, domain.md SM-5): anonymous codes end with it. Two persons confirmed the
//! award; from then on everybody may read who acquired what from whom, and check our signature of it.

use data_encoding::BASE64URL_NOPAD;
use kernel::{Call, Context, Error, Id, Result, Vault};
use wire::{
    id::ListingId,
    v1::{self, ConfirmedParty, TransactionConfirmation},
};

use crate::{
    api::Auctions,
    foreign,
    store::{award, confirmation, hall},
};

/// The names under which the two sides acted, transferor first.
pub type Names = [String; 2];

/// Publishes an award that two persons confirmed, in the transaction that says so.
pub async fn publish(auctions: &Auctions, call: &Call, row: &award::Model, names: &Names) -> Result<()> {
    let bidder_code = match row.session_id {
        None => None,
        Some(session) => hall::code(&call.tx, session, row.winner_id).await?,
    };
    let [transferor, winner] = names;
    let mut document = TransactionConfirmation {
        award_id: row.id.text(),
        listing_id: row.listing_id.text(),
        title: row.title.clone(),
        session_id: row.session_id.map(Id::text),
        bidder_code,
        transferor: Some(party(row.transferor_id.text(), transferor.clone(), None)),
        transferees: transferees(auctions, row, winner).await?,
        price: Some(row.price),
        decided_at: Some(row.decided_at),
        confirmed_at: Some(call.now),
        status: row.status.into(),
        signature: String::new(),
    };
    document.signature = sign(&auctions.cx.vault, &document);
    confirmation::insert(&call.tx, row, call.now, &document).await
}

/// What was published of a listing: of an open licence one for every licensee, after a default also the one before.
pub async fn of_listing(cx: &Context, listing_id: &str) -> Result<v1::TransactionConfirmations> {
    let id = ListingId::parse(listing_id, "listingId")?;
    let found = confirmation::of_listing(cx.db.read(), id).await?;
    let told = |(document, status): (TransactionConfirmation, v1::AwardStatus)| TransactionConfirmation {
        status: status.into(),
        ..document
    };
    Ok(v1::TransactionConfirmations { items: found.into_iter().map(told).collect() })
}

/// What the signature stands for: everything but where the award stands now.
#[must_use]
pub fn statement(document: &TransactionConfirmation) -> String {
    let mut lines = vec![
        "jishi transaction confirmation v1".to_owned(),
        document.award_id.clone(),
        document.listing_id.clone(),
        document.title.clone(),
        document.session_id.clone().unwrap_or_default(),
        document.bidder_code.clone().unwrap_or_default(),
        document.price.unwrap_or_default().to_string(),
        document.decided_at.unwrap_or_default().to_string(),
        document.confirmed_at.unwrap_or_default().to_string(),
    ];
    for party in document.transferor.iter().chain(&document.transferees) {
        let share = party.share_bp.map(|share| share.to_string()).unwrap_or_default();
        lines.extend([party.organization_id.clone(), party.name.clone(), share]);
    }
    lines.join("\n")
}

fn sign(vault: &Vault, document: &TransactionConfirmation) -> String {
    BASE64URL_NOPAD.encode(&vault.sign(statement(document).as_bytes()))
}

/// Who acquires: the winner alone, or with it those of its consortium (联合受让).
async fn transferees(auctions: &Auctions, row: &award::Model, winner: &str) -> Result<Vec<ConfirmedParty>> {
    let winner_id = row.winner_id.text();
    let applications = foreign::applications(auctions, &row.listing_id.text(), Some(&winner_id)).await?;
    let application = applications.into_iter().find(|found| found.id == row.transfer_application_id.text());
    let application = application.ok_or_else(|| Error::Internal(format!("{} has no application", row.id)))?;
    if application.members.is_empty() {
        return Ok(vec![party(winner_id, winner.to_owned(), None)]);
    }
    let mut transferees = Vec::with_capacity(application.members.len());
    for member in application.members {
        let [name] = foreign::names(auctions, [&member.organization_id]).await?;
        transferees.push(party(member.organization_id, name, Some(member.share_bp)));
    }
    Ok(transferees)
}

fn party(organization_id: String, name: String, share_bp: Option<i32>) -> ConfirmedParty {
    ConfirmedParty { organization_id, name, share_bp }
}
