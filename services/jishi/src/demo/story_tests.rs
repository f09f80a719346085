use std::sync::Arc;

use tokio::sync::Mutex;

use super::{client::Door, deal, show::Folder, stage::Stage, timeline::Silent};
use crate::{
    config::Config,
    serve::{Running, start},
};

fn door(running: &Running) -> Door {
    Door::at(running.http.trim_start_matches("http://"))
}

/// One database sees the deal twice. The second time the exchange stops while bids are under way and opens elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_told_again_on_the_same_database_and_across_a_restart() {
    let folder = Folder::fresh().unwrap();
    let config = Config::embedded(&folder.0).unwrap();
    let running = start(config.clone(), None).await.unwrap();
    let mut stage = Stage::new(door(&running), &Silent).await.unwrap();
    let first = deal::play(&stage).await.unwrap();

    let running = Arc::new(Mutex::new(Some(running)));
    let held = running.clone();
    stage.interruption = Some(Box::new(move || {
        let (held, config) = (held.clone(), config.clone());
        Box::pin(async move {
            let mut held = held.lock().await;
            held.take().unwrap().shutdown().await;
            let again = start(config, None).await.unwrap();
            let door = door(&again);
            *held = Some(again);
            Ok(Some(door))
        })
    }));
    let second = deal::play(&stage).await.unwrap();
    assert_ne!(first.listing_id, second.listing_id);
    for check in first.checks.iter().chain(&second.checks) {
        assert!(check.passed, "{}: {}", check.en, check.found);
    }
    running.lock().await.take().unwrap().shutdown().await;
}
