//! The accept loop: `axum::serve` sets no timer, so slow clients would hold their connections for ever.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The most connections at a time; further ones wait.
const CONNECTIONS: usize = 10_000;

/// A client that has not sent its headers by then is closed, and so is an idle connection.
const HEADERS: Duration = Duration::from_secs(10);

/// Serves HTTP/1.1 with upgrades until stopped; requests under way are answered. HTTP/2 is for the TLS proxy in
/// front: the builder waits without a timer for the bytes that tell the two apart.
pub async fn serve(listener: TcpListener, app: Router, stop: CancellationToken, tasks: TaskTracker) {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(64 * 1024);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else { return };
        let (builder, app, stop) = (builder.clone(), app.clone(), stop.clone());
        tasks.spawn(async move {
            converse(builder, stream, app, stop).await;
            drop(place);
        });
    }
}

async fn converse(builder: Builder<TokioExecutor>, stream: TcpStream, app: Router, stop: CancellationToken) {
    // Hyper's timer begins with the first byte.
    let mut first = [0];
    let spoken = tokio::select! {
        spoken = timeout(HEADERS, stream.peek(&mut first)) => matches!(spoken, Ok(Ok(1))),
        () = stop.cancelled() => false,
    };
    if !spoken {
        return;
    }
    let service = TowerToHyperService::new(app);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended early");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A small answer must not wait for the client's acknowledgement of an earlier one.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY");
                }
                return Some((stream, place));
            }
            // Out of file descriptors, or a client that left at once: neither ends the exchange.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
