//! The transaction confirmation (成交确认书, domain.md SM-5): anonymous codes end with it. Two persons confirmed the
//! award; from then on everybody may read who acquired what from whom, and check our signature of it.

use data_encoding::BASE64URL_NOPAD;
use kernel::{Call, Context, Error, Id, Result, Vault};
use wire::{
    id::ListingId,
    v1::{self, ConfirmedParty, TransactionConfirmation},
};

use crate::{
    auctions::Auctions,
    peers,
    store::{self, award, confirmation},
};

/// Publishes an award that two persons confirmed, in the transaction that says so; who acquires, and from whom.
pub async fn publish(auctions: &Auctions, call: &Call, row: &award::Model) -> Result<TransactionConfirmation> {
    let bidder_code = match row.session_id {
        None => None,
        Some(session) => store::code_of(&call.tx, session, row.winner_id).await?,
    };
    let (transferor, transferees) = sides(auctions, call, row).await?;
    let mut document = TransactionConfirmation {
        award_id: row.id.text(),
        listing_id: row.listing_id.text(),
        title: row.title.clone(),
        session_id: row.session_id.map(Id::text),
        bidder_code,
        transferor: Some(transferor),
        transferees,
        price: Some(row.price),
        decided_at: Some(row.decided_at),
        confirmed_at: Some(call.now),
        status: row.status.into(),
        signature: String::new(),
    };
    document.signature = sign(&auctions.cx.vault, &document);
    confirmation::insert(&call.tx, row, call.now, &document).await?;
    Ok(document)
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

/// Who sells, and who acquires: the winner alone, or the members of its consortium (联合受让). Where the listing asks for
/// technology (REVERSE) the winner is who sells.
async fn sides(auctions: &Auctions, call: &Call, row: &award::Model) -> Result<(ConfirmedParty, Vec<ConfirmedParty>)> {
    let winner_id = row.winner_id.text();
    let applications = peers::applications(&auctions.clients, &row.listing_id.text(), Some(&winner_id)).await?;
    let application = applications.into_iter().find(|found| found.id == row.transfer_application_id.text());
    let application = application.ok_or_else(|| Error::Internal(format!("{} has no application", row.id)))?;
    let members = application.members.into_iter().map(|member| (member.organization_id, Some(member.share_bp)));
    let mut named: Vec<_> = members.collect();
    if named.is_empty() {
        named.push((winner_id, None));
    }
    let sold_by_winner = match row.session_id {
        None => false,
        Some(session) => store::is_reverse(&call.tx, session).await?,
    };
    named.insert(if sold_by_winner { named.len() } else { 0 }, (row.transferor_id.text(), None));
    let names = peers::names(&auctions.clients, named.iter().map(|(id, _)| id.clone()).collect()).await?;
    let party = |((organization_id, share_bp), name)| ConfirmedParty { organization_id, name, share_bp };
    let mut parties = named.into_iter().zip(names).map(party);
    let transferor = parties.next().ok_or_else(|| Error::Internal(format!("{} has no transferor", row.id)))?;
    Ok((transferor, parties.collect()))
}
