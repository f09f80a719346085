//! S6: what an operator can read before the opening tells neither amount, nor bidder, nor count.

use std::sync::{Arc, Mutex};

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tracing::Instrument;
use tracing_subscriber::{Layer, layer::SubscriberExt, registry::LookupSpan};

use super::*;
use crate::{engine::Lot, lot::anchor::anchor_grown, sealed::boxes};

impl Ground {
    /// Every column of every row of every table, in words. Of what is under the outer seal only the length.
    async fn dump(&self) -> (Vec<String>, Vec<String>) {
        let db = self.cx.db.read();
        let ask = async |sql: String| db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
        let (mut rows, mut sealed) = (Vec::new(), Vec::new());
        for table in ask("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1".into()).await {
            let table: String = table.try_get("", "name").unwrap();
            let columns = ask(format!("SELECT name FROM pragma_table_info('{table}')")).await;
            let columns: Vec<String> = columns.iter().map(|row| row.try_get("", "name").unwrap()).collect();
            let shown = columns.iter().map(|column| match (table.as_str(), column.as_str()) {
                ("sealed_place", "wrapped") => "length(wrapped)".to_owned(),
                _ => format!("quote({column})"),
            });
            let shown = shown.collect::<Vec<_>>().join(" || '|' || ");
            for row in ask(format!("SELECT {shown} AS told FROM {table} ORDER BY 1")).await {
                let told: String = row.try_get("", "told").unwrap();
                rows.push(format!("{table}: {told}"));
            }
        }
        for row in ask("SELECT hex(wrapped) AS told FROM sealed_place ORDER BY round, place".into()).await {
            sealed.push(row.try_get("", "told").unwrap());
        }
        (rows, sealed)
    }

    /// The bytes of the database and its logs.
    fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[tokio::test]
async fn a_dump_tells_neither_who_nor_how_many_nor_what() {
    let ground = ground(BiddingMode::SealedSingle, 4, |_, _| {}).await;
    anchor_grown(&ground.cx).await.unwrap();
    let mut looks = vec![ground.dump().await];
    let envelopes: Vec<_> = [(0, 123_456_789_i64), (3, 987_654_321), (1, 555_555_555)]
        .map(|(bidder, fen)| (bidder, ground.envelope(bidder, 1, Some(fen), &[])))
        .into();
    for (n, (bidder, envelope)) in envelopes.iter().enumerate() {
        ground.hand_in(*bidder, (1, envelope), Some(&format!("key-of-call-{n}"))).await.unwrap();
        looks.push(ground.dump().await);
    }
    // Refused, it leaves as little.
    ground.hand_in(2, (2, &envelopes[0].1), Some("key-of-call-9")).await.unwrap_err();
    ground.hand_in(2, (1, &[4; 9]), Some("key-of-call-9")).await.unwrap_err();
    tokio::time::sleep(BEAT * 3).await;
    looks.push(ground.dump().await);
    tokio::time::sleep(BEAT * 3).await;
    looks.push(ground.dump().await);
    for (one, next) in looks.iter().zip(&looks[1..]) {
        assert_eq!(one.0, next.0, "all that is not under the outer seal stays as it is");
        assert_eq!(next.1.len(), 4);
        // Every place is another one at every look, whether anything came into it or not.
        assert!(one.1.iter().zip(&next.1).all(|(before, after)| before != after && before.len() == after.len()));
    }
    let bytes = ground.bytes();
    assert!(holds(&bytes, b"sealed_place"), "the files are read");
    for (_, envelope) in &envelopes {
        let commitment = crate::sealed::envelope::commitment(envelope);
        for part in envelope.chunks(64) {
            assert!(!holds(&bytes, part));
        }
        for text in [BASE64URL_NOPAD.encode(&envelope[..48]), HEXLOWER.encode(&commitment)] {
            assert!(!holds(&bytes, text.as_bytes()));
        }
        assert!(!holds(&bytes, &commitment));
    }
    for text in ["123456789", "987654321", "555555555", "1234567.89", "key-of-call", "SubmitSealedBid"] {
        assert!(!holds(&bytes, text.as_bytes()), "{text}");
    }
    for fen in [123_456_789_i64, 987_654_321, 555_555_555] {
        assert!(!holds(&bytes, &fen.to_be_bytes()) && !holds(&bytes, &fen.to_le_bytes()));
    }
    // What is published says as little.
    let session = ground.now().await;
    assert_eq!((session.bid_count, session.seq, session.bidder_count), (0, 2, None));
    assert_eq!((session.current_price, session.leading_code), (None, None));
    assert!(ground.openings().await.is_empty());
}

/// Notes what is told within the span of a request.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Ear {
    fn on_new_span(
        &self,
        told: &tracing::span::Attributes<'_>,
        _: &tracing::Id,
        context: tracing_subscriber::layer::Context<'_, S>,
    ) {
        if context.lookup_current().is_some_and(|span| span.scope().any(|span| span.name() == "request")) {
            self.0.lock().unwrap().push(told.metadata().name().to_owned());
        }
    }

    fn on_event(&self, told: &tracing::Event<'_>, context: tracing_subscriber::layer::Context<'_, S>) {
        if context.event_scope(told).is_some_and(|mut spans| spans.any(|span| span.name() == "request")) {
            self.0.lock().unwrap().push(told.metadata().name().to_owned());
        }
    }
}

#[tokio::test]
async fn no_span_and_no_line_of_the_log_belongs_to_a_sealed_bid() {
    let ear = Ear::default();
    let _listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(ear.clone()));
    let ground = ground(BiddingMode::SealedSingle, 2, |_, _| {}).await;
    let envelope = ground.envelope(0, 1, Some(50_000), &[]);
    let heard = || std::mem::take(&mut *ear.0.lock().unwrap());
    // Tests beside this one, which nobody listens to, must not have silenced what both tell.
    tracing::callsite::rebuild_interest_cache();
    heard();
    ground.now().instrument(tracing::error_span!("request")).await;
    let others = heard();
    assert!(others.contains(&"call".to_owned()), "other calls are heard: {others:?}");
    ground.hand_in(0, (1, &envelope), Some("a")).instrument(tracing::error_span!("request")).await.unwrap();
    let organization_id = ground.bidders[0].text();
    let own = v1::GetSealedReceiptRequest { session_id: ground.session.id.clone(), organization_id };
    let bidder = person("bidder0", &own.organization_id, Role::Bidder);
    let asked =
        ground.sealed.clone().get_sealed_receipt(bidder.asks(own)).instrument(tracing::error_span!("request")).await;
    assert!(asked.unwrap().into_inner().receipt.is_some());
    assert_eq!(heard(), [""; 0]);
}

#[tokio::test]
async fn what_came_in_time_is_taken_and_nothing_that_came_after() {
    use ErrorCode::{NotEligible, SessionClosed, SessionNotOpen, SessionPaused, WrongRound};
    let ground = ground(BiddingMode::SealedSingle, 2, |_, _| {}).await;
    let row = store::session(ground.cx.db.read(), &ground.cx.vault, ground.id()).await.unwrap().unwrap();
    let lot = row.lot().unwrap();
    let end = lot.state.closes_at.unwrap();
    let own = (Some("B00"), 1);
    let at = |lot: &Lot, millis| boxes::admissible(lot, own, end.plus_millis(millis), Some(end));
    let scheduled = Lot { state: engine::State::default(), ..lot.clone() };
    assert_eq!(at(&scheduled, -1), Err(SessionNotOpen));
    assert_eq!(at(&lot, -1), Ok(()));
    assert_eq!(boxes::admissible(&lot, (None, 1), end, None), Err(NotEligible));
    assert_eq!(boxes::admissible(&lot, (Some("B00"), 2), end, None), Err(WrongRound));
    // The writer has not noticed the end; time has.
    let over = boxes::standing(&row, end).unwrap();
    assert_eq!(over.status(), BiddingStatus::Opening);
    assert_eq!((at(&over, -1), at(&over, 0), at(&over, 1)), (Ok(()), Err(SessionClosed), Err(SessionClosed)));
    assert_eq!(boxes::admissible(&over, own, end.plus_millis(-1), None), Err(SessionClosed));
    let mut given = over.clone();
    given.state.shares.push("甲".into());
    assert_eq!(at(&given, -1), Err(SessionClosed), "somebody may have seen something");
    let mut paused = lot.clone();
    let stopped = paused.take(&engine::Command::Pause { reason: "停电".into() }, end.plus_millis(-500));
    assert!(stopped.refusal.is_none());
    assert_eq!((at(&paused, -501), at(&paused, -499)), (Ok(()), Err(SessionPaused)));
}
