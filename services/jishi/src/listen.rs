//! The accept loop: `axum::serve` sets no timer, so slow clients would hold their connections for ever.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use gateway::{Addresses, Seat};
use http::Request;
use hyper::server::conn::http1::Builder;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// The most connections at a time; further ones wait.
const CONNECTIONS: usize = 10_000;

/// A client that has not sent its headers by then is closed, and so is an idle connection.
const HEADERS: Duration = Duration::from_secs(10);

/// A client that takes no bytes of an answer for this long is closed.
const UNREAD: Duration = Duration::from_secs(10);

/// Connections that may wait to be let in. Where fewer may, a burst of them turns ordinary callers away, who come again a
/// second later.
const WAITING: u32 = 4_096;

/// Bytes of an answer that the system keeps for a client that does not read them yet. Where it may choose, it keeps
/// megabytes, all written for nobody.
const UNREAD_BYTES: u32 = 256 * 1024;

/// How HTTP/2 begins where a client does not ask first whether it is spoken (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// The answer to it: empty SETTINGS, then GOAWAY with HTTP_1_1_REQUIRED, in the frames that such a client reads.
const HTTP_1_1_REQUIRED: [u8; 26] = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13];

/// No more of what such a client sends is read before it is cut off.
const PREFACE_AND_MORE: u64 = 64 * 1024;

/// A connection that was let in, and its places among all and among those of its address.
type Accepted = (TcpStream, SocketAddr, (OwnedSemaphorePermit, Seat));

/// Takes an address, before anything else is begun. Nobody is let in, nor kept waiting, before the socket listens.
pub fn bind(at: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Elsewhere it would let another program take the port over.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Connections have it from their listener.
    socket.set_send_buffer_size(UNREAD_BYTES)?;
    socket.bind(at)?;
    Ok(socket)
}

/// Lets callers in from now on.
pub fn listen(socket: TcpSocket) -> std::io::Result<TcpListener> {
    socket.listen(WAITING)
}

/// Serves HTTP/1.1 with upgrades until stopped; requests under way are answered. HTTP/2 is for the TLS proxy in front: here
/// a client that opens no window would have the answers of all its streams kept for it, and no write would ever time out.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    addresses: Addresses,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(64 * 1024);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = accept(&listener, &places, &addresses) => accepted,
        };
        let Some(accepted) = accepted else { return };
        tasks.spawn(converse(builder.clone(), accepted, app.clone(), stop.clone()));
    }
}

async fn converse(builder: Builder, accepted: Accepted, app: Router, stop: CancellationToken) {
    let (stream, peer, _places) = accepted;
    // Hyper's timer begins with the first byte.
    let mut first = [0; PREFACE.len()];
    let spoken = tokio::select! {
        spoken = timeout(HEADERS, stream.peek(&mut first)) => matches!(spoken, Ok(Ok(1..))),
        () = stop.cancelled() => false,
    };
    if !spoken {
        return;
    }
    if first == PREFACE {
        // Whether it is heard or not, the connection ends here.
        drop(timeout(HEADERS, turn_away(stream)).await);
        return;
    }
    let app = app.map_request(move |mut request: Request<_>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let service = TowerToHyperService::new(app);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(UNREAD));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(Box::pin(stream)), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Tells a client of HTTP/2 that it is not spoken. What it has sent is read, since the system would otherwise cut the
/// connection before the answer has arrived.
async fn turn_away(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(&HTTP_1_1_REQUIRED).await?;
    stream.shutdown().await?;
    copy(&mut stream.take(PREFACE_AND_MORE), &mut sink()).await.map(drop)
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>, addresses: &Addresses) -> Option<Accepted> {
    let place = places.clone().acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(seat) = addresses.enter(peer.ip()) else {
                    tracing::debug!(%peer, "too many connections from this address");
                    continue;
                };
                // A small answer must not wait for the client's acknowledgement of an earlier one.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY");
                }
                return Some((stream, peer, (place, seat)));
            }
            // Out of file descriptors, or a client that left at once: neither ends the exchange.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
