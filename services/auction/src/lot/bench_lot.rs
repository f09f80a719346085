//! A lot that is open for bidding, without a listing behind it: for measurements and for tests of the sequencer.

use kernel::{Context, Id, Instant, Money, Result};
use prost::Message;
use wire::{
    id::{BiddingSessionId, ListingId, OrganizationId, TransferApplicationId},
    v1::{AuctionEventKind, BiddingTerms, IncrementStep},
};

use crate::{
    engine::{Command, Lot, Secrets, Terms},
    store::{self, bidder, log, session},
};

/// From one yuan in steps of one fen, free for ten hours from now on.
fn open_terms(now: Instant) -> Terms {
    let step = IncrementStep { from: Some(Money(0)), increment: Some(Money(1)) };
    let announced =
        BiddingTerms { increments: vec![step], free_seconds: 36_000, timed_seconds: 60, ..BiddingTerms::default() };
    Terms { announced, starting_price: Money(100), starts_at: now, ..Terms::default() }
}

/// Stores such a lot with so many bidders: its id, and who they are.
pub async fn open_lot(cx: &Context, bidders: usize) -> Result<(BiddingSessionId, Vec<OrganizationId>)> {
    // What is decided when time has come must not be decided before it: it was scheduled a second earlier.
    let now = cx.clock.now().plus_seconds(-1);
    let mut lot = Lot::scheduled(open_terms(now.plus_seconds(1)), Secrets::default(), now);
    let first = lot.event(AuctionEventKind::Scheduled, now);
    lot.state.apply(&first);
    let mut events = vec![first];
    let id = BiddingSessionId::fresh();
    let bidder = |n: usize| bidder::Model {
        session_id: id,
        code: format!("B{n:03}"),
        organization_id: OrganizationId::fresh(),
        transfer_application_id: TransferApplicationId::fresh(),
        preemption_rank: None,
    };
    let rows: Vec<_> = (0..bidders).map(bidder).collect();
    for row in &rows {
        events.extend(lot.take(&Command::Admit { code: row.code.clone(), rank: None }, now).events);
    }
    let mut row = session::Model {
        id,
        listing_id: ListingId::fresh(),
        transferor_id: OrganizationId::fresh(),
        centre_id: OrganizationId::fresh(),
        title: "lot".into(),
        licence: false,
        rules_version: cx.rules.version().to_owned(),
        terms: lot.terms.encode_to_vec(),
        status: lot.status(),
        seq: 0,
        state: Vec::new(),
        secrets: None,
        peaks: log::grow(&[], 0, &events)?.peaks(),
        halted: false,
        version: 0,
        created_at: now,
        mark: None,
    };
    row.put(&lot);
    let organizations = rows.iter().map(|row| row.organization_id).collect();
    let tx = cx.db.begin().await?;
    store::insert_session(&tx, &cx.vault, row, rows, &events).await?;
    tx.commit().await?;
    Ok((id, organizations))
}
