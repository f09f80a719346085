//! P-5: nothing is decided on a lot that somebody altered, and nobody is shown it.

use super::*;

#[tokio::test]
async fn a_lot_that_somebody_altered_is_neither_shown_nor_decided_on() {
    let ground = ground(BiddingMode::SealedSingle, 2, |_, _| {}).await;
    ground.bid(0, 1, 123_456_789).await;
    let envelope = ground.envelope(1, 1, Some(987_654_321), &[]);
    ground.cx.db.run("UPDATE bidding_session SET seq = seq + 1").await.unwrap();
    assert_eq!(ground.hand_in(1, (1, &envelope), None).await.unwrap_err(), ErrorCode::RecordAltered);
    let wanted = v1::GetBiddingSessionsRequest { ids: vec![ground.session.id.clone()], listing_ids: Vec::new() };
    assert!(ground.auction.clone().get_bidding_sessions(Actor::default().asks(wanted)).await.is_err());
    ground.cx.db.run("UPDATE bidding_session SET seq = seq - 1").await.unwrap();
    ground.hand_in(1, (1, &envelope), None).await.unwrap();
    ground.open(1).await;
    assert_eq!(ground.winner().await.2, Some(987_654_321));
}
