//! The same call to a service in this process and over loopback gRPC: what the network costs.
//!
//! `cargo run --release -p exchange-benches -- peer`

use std::{io::Write, time::Instant};

use exchange_benches::{context, database, load, ratio};
use kernel::{Peer, local, remote};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use wire::{
    Clients,
    v1::{ListAuctionEventsRequest, auction_client::AuctionClient},
};

const CALLS: u32 = 5_000;
const ROUNDS: usize = 5;

/// Measures and prints.
pub async fn run() -> jishi::Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("peers.db").display());
    let cx = context(database(&url).await?).await?;
    let nobody: Peer = local(Routes::default());
    let server = {
        let life = (TaskTracker::new(), CancellationToken::new());
        auction::serve(cx, Clients::new(|_| nobody.clone()), life, Routes::default())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let far = remote(&format!("http://{}", listener.local_addr()?), "bench")?;
    let routes = server.clone();
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(TcpIncoming::from(listener)));
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        here.push(nanos(local(server.clone())).await);
        there.push(nanos(far.clone()).await);
    }
    here.sort_unstable();
    there.sort_unstable();
    let middle = |all: &[u64]| all.get(ROUNDS / 2).copied().unwrap_or_default();
    let (here, there) = (middle(&here), middle(&there));
    let mut out = std::io::stdout();
    writeln!(
        out,
        "in process {here} ns a call, over loopback {there} ns, {} slower, load {}",
        ratio(there, here),
        load()
    )?;
    Ok(())
}

/// One call after another; it is refused before any read, so that the way is what is measured.
async fn nanos(peer: Peer) -> u64 {
    let mut client = AuctionClient::new(peer);
    drop(client.list_auction_events(ListAuctionEventsRequest::default()).await);
    let began = Instant::now();
    for _ in 0..CALLS {
        drop(client.list_auction_events(ListAuctionEventsRequest::default()).await);
    }
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX) / u64::from(CALLS)
}
