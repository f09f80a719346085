use futures::TryStreamExt;
use kernel::{Context, Db, Id};
use wire::{
    id::{BiddingSessionId, ListingId, OrganizationId},
    v1::EvidenceRequest,
};

use super::*;
use crate::{
    evidence::publish,
    fence_tests::context,
    store::{self, session},
};

struct Ground {
    _folder: tempfile::TempDir,
    cx: Context,
    id: BiddingSessionId,
}

impl Ground {
    /// A database with this lot, signed where its phase changed.
    async fn with(story: &Story) -> Ground {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        migrations::migrate(&Db::connect(&url).await.unwrap()).await.unwrap();
        let cx = context(&url).await;
        let id = BiddingSessionId::fresh();
        let tx = cx.db.begin().await.unwrap();
        let mut tree = merkle::Tree::default();
        for event in &story.log {
            tree.push(merkle::leaf(&log::record(event)));
            if story.heads().contains(&event.seq) {
                log::sign(&tx, &cx, id, (&tree, event.at.unwrap())).await.unwrap();
            }
        }
        let mut row = session::Model {
            id,
            listing_id: ListingId::parse(&story.lot.terms.listing_id, "listingId").unwrap(),
            transferor_id: OrganizationId::fresh(),
            centre_id: OrganizationId::fresh(),
            title: "测试".into(),
            licence: false,
            rules_version: "test".into(),
            terms: story.lot.terms.encode_to_vec(),
            status: story.lot.status(),
            seq: 0,
            state: Vec::new(),
            secrets: None,
            peaks: tree.peaks(),
            halted: false,
            version: 0,
            created_at: Instant(0),
            mark: None,
        };
        row.put(&story.lot);
        for events in story.log.chunks(100) {
            log::insert(&tx, id, events).await.unwrap();
        }
        assert!(store::insert_session(&tx, &cx.vault, row, Vec::new(), &[]).await.unwrap());
        tx.commit().await.unwrap();
        Ground { _folder: folder, cx, id }
    }

    fn wanted(&self) -> EvidenceRequest {
        EvidenceRequest { session_id: self.id.text() }
    }

    async fn parts(&self) -> Vec<Vec<u8>> {
        let parts = publish::download(self.cx.clone(), self.wanted()).await.unwrap();
        parts.map_ok(|part| part.lines).try_collect().await.unwrap()
    }
}

/// A lot of so many bids, its listing under a real id.
fn contested(bids: i64) -> Story {
    let mut story = Story::of(steps(), None);
    story.lot.terms.listing_id = ListingId::fresh().text();
    for n in 0..bids {
        story.bid(["B01", "B02"][usize::from(n % 2 == 1)], 10_000 + 500 * n, 2_000 + n);
    }
    story
}

#[tokio::test]
async fn nothing_is_published_before_the_result_is() {
    let ground = Ground::with(&contested(3)).await;
    assert_eq!(publish::evidence(&ground.cx, ground.wanted()).await.unwrap().evidence, None);
    assert!(publish::download(ground.cx.clone(), ground.wanted()).await.is_err());
    let unknown = EvidenceRequest { session_id: BiddingSessionId::fresh().text() };
    assert!(publish::download(ground.cx.clone(), unknown).await.is_err());
}

#[tokio::test]
async fn a_finished_lot_is_published_in_parts_and_verifies() {
    let mut story = contested(700);
    story.pass(1_000_000);
    let ground = Ground::with(&story).await;
    let evidence = publish::evidence(&ground.cx, ground.wanted()).await.unwrap().evidence.unwrap();
    let parts = ground.parts().await;
    assert!(parts.len() > 2 && parts.iter().all(|part| part.len() < 200_000));
    let verdict = verify(parts.concat().as_slice(), Some(ground.cx.vault.verifying_key().as_bytes())).unwrap();
    assert_eq!((verdict.size, &verdict.root), (evidence.size, &evidence.root));
    assert_eq!(verdict.verifying_key, evidence.verifying_key);
    assert_eq!(evidence.heads.last().map(|head| (head.size, &head.root)), Some((evidence.size, &evidence.root)));
    assert_eq!(evidence.url, format!("/evidence/{}", ground.id.text()));
    assert_eq!(verdict.outcome.winner, story.lot.state.lead.map(|lead| lead.code));
    assert_eq!(parts, ground.parts().await, "the same bytes whenever it is asked for");
}

/// Whoever changes the database behind our back is found in what we publish (P-5, S7).
#[tokio::test]
async fn a_row_changed_in_the_database_is_named_by_the_bundle() {
    let mut story = contested(300);
    story.pass(1_000_000);
    for (change, seq) in [
        ("DELETE FROM auction_event WHERE seq = 40", 40),
        ("UPDATE auction_event SET record = (SELECT record FROM auction_event WHERE seq = 50) WHERE seq = 52", 52),
        ("DELETE FROM auction_event WHERE seq = (SELECT max(seq) FROM auction_event)", 307),
    ] {
        let ground = Ground::with(&story).await;
        ground.cx.db.run(change).await.unwrap();
        let flaw = check(&ground.parts().await.concat()).unwrap_err();
        assert_eq!(flaw.seq, Some(seq), "{change}: {flaw}");
    }
}
