//! What callers were told was done, held against what a database has and what its log says.

use std::collections::HashMap;

use kernel::{Db, Id, Money};
use prost::Message;
use sea_orm::{ConnectionTrait, QueryResult, Statement, TryGetable};
use wire::{
    id::{BankReceiptId, BiddingSessionId, ContractId, OrganizationId, PersonId},
    v1::{AuctionEvent, AuctionEventKind, BidOrigin},
};

/// One thing that was done, as its caller was told and as a record has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Done {
    /// Of a lot: the number, the code, the amount.
    Bid(String, i64, String, Money),
    /// Its id, and the bank's number.
    Receipt(String, String),
    /// A person's id.
    SignUp(String),
    /// A contract, and the side that signed.
    Signature(String, String),
}

impl Done {
    /// How a report calls its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Done::Bid(..) => "bids",
            Done::Receipt(..) => "receipts",
            Done::SignUp(..) => "sign-ups",
            Done::Signature(..) => "signatures",
        }
    }

    /// The kind and the subject of its event; a bid is one itself.
    fn event(&self) -> Option<(String, String)> {
        let (kind, subject) = match self {
            Done::Bid(..) => return None,
            Done::Receipt(id, _) => ("BankReceiptRecorded", id.clone()),
            Done::SignUp(id) => ("SignedUp", id.clone()),
            // Two sides sign one contract: the event names the side among its facts.
            Done::Signature(contract, side) => ("ContractSignatureMade", format!("{contract} {side}")),
        };
        Some((kind.to_owned(), subject))
    }
}

/// How many of each kind, as words.
pub fn counted<'a>(done: impl IntoIterator<Item = &'a Done>) -> String {
    let mut counts = [("bids", 0), ("receipts", 0), ("sign-ups", 0), ("signatures", 0)];
    for one in done {
        for (kind, count) in &mut counts {
            *count += usize::from(*kind == one.kind());
        }
    }
    counts.map(|(kind, count)| format!("{count} {kind}")).join(", ")
}

/// What a connection of one's own finds: how often each thing is there, and how often each event.
#[derive(Debug, Default)]
pub struct Found {
    records: HashMap<Done, usize>,
    events: HashMap<(String, String), usize>,
}

impl Found {
    pub async fn at(database_url: &str) -> Found {
        let db = Db::connect(database_url).await.unwrap();
        let mut found = Found::default();
        found.read_bids(&db).await;
        for row in rows(&db, "SELECT id, bank_reference FROM bank_receipt").await {
            found.add(Done::Receipt(id::<BankReceiptId>(&row, "id"), row.try_get("", "bank_reference").unwrap()));
        }
        for row in rows(&db, "SELECT id FROM person").await {
            found.add(Done::SignUp(id::<PersonId>(&row, "id")));
        }
        for row in rows(&db, "SELECT contract_id, organization_id FROM signature").await {
            let side = id::<OrganizationId>(&row, "organization_id");
            found.add(Done::Signature(id::<ContractId>(&row, "contract_id"), side));
        }
        found.read_events(&db).await;
        db.close().await.unwrap();
        found
    }

    fn add(&mut self, done: Done) {
        *self.records.entry(done).or_default() += 1;
    }

    async fn read_bids(&mut self, db: &Db) {
        for row in rows(db, "SELECT session_id, seq, record FROM auction_event").await {
            let event = AuctionEvent::decode(row.try_get::<Vec<u8>>("", "record").unwrap().as_slice()).unwrap();
            let (session, seq) = (id::<BiddingSessionId>(&row, "session_id"), row.try_get("", "seq").unwrap());
            assert_eq!(event.seq, seq, "an event in another's place");
            if event.kind() == AuctionEventKind::Bid && event.origin() == BidOrigin::Online {
                let (code, amount) = (event.bidder_code().to_owned(), event.amount.unwrap());
                self.add(Done::Bid(session, seq, code, amount));
            }
        }
    }

    async fn read_events(&mut self, db: &Db) {
        for row in rows(db, "SELECT kind, subject, facts FROM event").await {
            let column = |name: &str| row.try_get::<String>("", name).unwrap();
            let (kind, mut subject, facts) = (column("kind"), column("subject"), column("facts"));
            if kind == "ContractSignatureMade" {
                let facts: serde_json::Value = serde_json::from_str(&facts).unwrap();
                subject = format!("{subject} {}", facts["organizationId"].as_str().unwrap());
            }
            *self.events.entry((kind, subject)).or_default() += 1;
        }
    }

    /// What was told and is not there exactly once, as a record and as an event.
    pub fn contradicts<'a>(&self, told: &'a [Done]) -> Vec<&'a Done> {
        let once = |done: &&Done| {
            let event = done.event().map(|event| self.events.get(&event));
            self.records.get(done) == Some(&1) && event.is_none_or(|count| count == Some(&1))
        };
        told.iter().filter(|done| !once(done)).collect()
    }
}

async fn rows(db: &Db, sql: &str) -> Vec<QueryResult> {
    db.read().query_all_raw(Statement::from_string(db.backend(), sql)).await.unwrap()
}

fn id<I: Id + TryGetable>(row: &QueryResult, column: &str) -> String {
    row.try_get::<I>("", column).unwrap().text()
}
