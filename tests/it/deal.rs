//! The main job, from listing to settlement; the lots of the hall and under seal; and the line of financing beside it.

use std::sync::{Arc, Mutex};

use exchange_tests::{Exchange, Lane};
use jishi::demo::{client::Door, deal, financing, lots, stage::Stage, timeline::Silent};

lanes! { whole_deal hall_and_sealed_lots financing_line }

fn door(exchange: &Exchange) -> Door {
    Door::at(exchange.http.trim_start_matches("http://"))
}

/// The deal that `jishi demo` plays, with every check that it makes.
async fn whole_deal(exchange: Exchange) {
    let stage = Stage::new(door(&exchange), &Silent).await.unwrap();
    let outcome = deal::play(&stage).await.unwrap();
    assert!(outcome.checks.len() >= 5);
    for check in &outcome.checks {
        assert!(check.passed, "{}: {}", check.en, check.found);
    }
}

/// The two lots that `jishi demo` plays after it: hall and online bids in one order, and sealed offers.
async fn hall_and_sealed_lots(exchange: Exchange) {
    let stage = Stage::new(door(&exchange), &Silent).await.unwrap();
    let outcome = lots::play(&stage).await.unwrap();
    assert_eq!(outcome.checks.len(), 9);
    for check in &outcome.checks {
        assert!(check.passed, "{}: {}", check.en, check.found);
    }
}

/// Details stay closed until the investor is verified, has accepted the agreement and is answered (F5).
async fn financing_line(exchange: Exchange) {
    let stage = Stage::new(door(&exchange), &Silent).await.unwrap();
    let outcome = financing::play(&stage).await.unwrap();
    for check in &outcome.checks {
        assert!(check.passed, "{}: {}", check.en, check.found);
    }
}

/// The same deal as processes that talk gRPC, the auction killed and started again while a bid is under
/// way: nothing acknowledged is lost.
#[tokio::test(flavor = "multi_thread")]
async fn networked_deal_survives_the_death_of_the_auction() {
    let Some(exchange) = Exchange::start(Lane::Networked).await else { return };
    let door = door(&exchange);
    let exchange = Arc::new(Mutex::new(exchange));
    let mut stage = Stage::new(door, &Silent).await.unwrap();
    stage.interruption = Some(Box::new(move || {
        let exchange = exchange.clone();
        Box::pin(async move {
            let kill = move || exchange.lock().unwrap().kill_and_restart("auction");
            tokio::task::spawn_blocking(kill).await.unwrap();
            Ok(None)
        })
    }));
    let outcome = deal::play(&stage).await.unwrap();
    for check in &outcome.checks {
        assert!(check.passed, "{}: {}", check.en, check.found);
    }
    assert!(outcome.retries > 0, "the interruption was not felt, so it proved nothing");
}
