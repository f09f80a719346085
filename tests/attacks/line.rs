//! Attacks by the way in which bytes come, or do not come.
#![expect(clippy::expect_used, reason = "an attack that cannot be told fails its test")]

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{interval, sleep, timeout},
};

/// Sends a body on a line of its own; the status and the answer. Unlike a client it reads while it writes, and so hears the
/// answer to a body that is not taken to its end.
pub async fn strike(http: &str, body: &[u8]) -> std::io::Result<(u16, Value)> {
    let (mut read, mut write) = connect(http).await?.into_split();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let writing = async {
        drop(write.write_all(head.as_bytes()).await);
        drop(write.write_all(body).await);
    };
    let mut said = Vec::new();
    let ((), read) = tokio::join!(writing, read.read_to_end(&mut said));
    let text = String::from_utf8_lossy(&said);
    let told = text.split_once("\r\n\r\n").and_then(|(head, body)| {
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).unwrap_or(Value::String(body.to_owned()))))
    });
    // Who is cut off while it writes may be told by a reset, after the answer.
    told.ok_or_else(|| read.err().unwrap_or(std::io::ErrorKind::UnexpectedEof.into()))
}

/// How a body of a hundred megabytes is sent.
#[derive(Clone, Copy, Debug)]
pub enum Flood {
    /// With its length.
    Announced,
    /// In chunks, without one.
    Chunked,
    /// With a length that is too small.
    Understated,
    /// As chunks whose extensions are longer than themselves.
    Extended,
}

impl Flood {
    /// All ways.
    pub const ALL: [Flood; 4] = [Flood::Announced, Flood::Chunked, Flood::Understated, Flood::Extended];

    /// Sends a hundred megabytes, or as much as is taken; the first line of what came back, and how much was taken.
    pub async fn pour(self, http: &str) -> std::io::Result<(String, usize)> {
        const PIECE: usize = 64 * 1024;
        let length = match self {
            Flood::Announced => "Content-Length: 104857600",
            Flood::Understated => "Content-Length: 24",
            Flood::Chunked | Flood::Extended => "Transfer-Encoding: chunked",
        };
        let (mut read, mut write) = connect(http).await?.into_split();
        let head = format!("POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n\r\n");
        write.write_all(head.as_bytes()).await?;
        let piece = match self {
            Flood::Chunked => format!("{PIECE:x}\r\n{}\r\n", " ".repeat(PIECE)),
            Flood::Extended => format!("1;{}\r\n \r\n", "x".repeat(PIECE)),
            Flood::Announced => " ".repeat(PIECE),
            Flood::Understated => "{\"query\":\"{serverTime}\"}".repeat(PIECE / 24),
        };
        let pouring = tokio::spawn(async move {
            let mut taken = 0;
            while taken < 104_857_600 && write.write_all(piece.as_bytes()).await.is_ok() {
                taken += piece.len();
            }
            taken
        });
        let mut said = Vec::new();
        // Who is cut off while it writes may be told by a reset.
        drop(read.read_to_end(&mut said).await);
        let said = String::from_utf8_lossy(&said);
        Ok((said.lines().next().unwrap_or_default().to_owned(), pouring.await.unwrap_or_default()))
    }
}

/// How a client is slow.
#[derive(Clone, Copy, Debug)]
pub enum Slow {
    /// It says nothing.
    Silent,
    /// Its headers come byte by byte.
    Headers,
    /// Its headers come at once, its body byte by byte.
    Body,
    /// Its body comes byte by byte in chunks.
    Chunks,
    /// It asks again and again and reads no answer.
    Deaf,
}

impl Slow {
    const SPEAKERS: [Slow; 4] = [Slow::Silent, Slow::Headers, Slow::Body, Slow::Chunks];

    /// Comes in and dawdles until it is cut off, at most so long; after how long that was. Who reads nothing counts from
    /// when nothing more was taken.
    pub async fn dawdle(self, http: &str, longest: Duration) -> std::io::Result<Option<Duration>> {
        let stream = connect(http).await?;
        if let Slow::Deaf = self {
            return Ok(unread(stream, longest).await);
        }
        let began = Instant::now();
        Ok(timeout(longest, self.drip(stream)).await.ok().map(|()| began.elapsed()))
    }

    async fn drip(self, stream: TcpStream) {
        let head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        let (at_once, byte) = match self {
            Slow::Silent | Slow::Deaf => (String::new(), ""),
            Slow::Headers => (head.to_owned(), "X-a: b\r\n"),
            Slow::Body => (format!("{head}Content-Length: 100000\r\n\r\n"), " "),
            Slow::Chunks => (format!("{head}Transfer-Encoding: chunked\r\n\r\n"), "1\r\n \r\n"),
        };
        let (mut read, mut write) = stream.into_split();
        let dripping = async {
            let mut ticks = interval(Duration::from_millis(500));
            if write.write_all(at_once.as_bytes()).await.is_ok() {
                while write.write_all(byte.as_bytes()).await.is_ok() {
                    ticks.tick().await;
                }
            }
            // Cut off for writing; the reader sees the end.
            std::future::pending::<()>().await;
        };
        let mut said = Vec::new();
        tokio::select! {
            _ = read.read_to_end(&mut said) => {}
            () = dripping => {}
        }
    }
}

/// Asks on one connection for GraphiQL, which costs little, and reads none of the answers, until it is cut off.
async fn unread(mut stream: TcpStream, longest: Duration) -> Option<Duration> {
    let ask = "GET /graphiql HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    // What is not read backs up to the server, which then reads no more either: from then on this waits for the end.
    loop {
        let waiting = Instant::now();
        if !matches!(timeout(longest, stream.write(ask.as_bytes())).await.ok()?, Ok(1..)) {
            return Some(waiting.elapsed());
        }
    }
}

/// So many slow clients at once, of all kinds in turn; few read no answers, as they make the exchange work.
pub fn crowd(http: &str, size: usize, longest: Duration) -> JoinSet<(Slow, Option<Duration>)> {
    let mut crowd = JoinSet::new();
    for (place, slow) in (0..size).zip(Slow::SPEAKERS.into_iter().cycle()) {
        let (http, slow) = (http.to_owned(), if place % 125 == 0 { Slow::Deaf } else { slow });
        // Clients of many machines do not speak in step.
        let later = Duration::from_millis(u64::try_from(place % 50).unwrap_or_default() * 10);
        crowd.spawn(async move {
            sleep(later).await;
            (slow, slow.dawdle(&http, longest).await.unwrap_or(Some(Duration::ZERO)))
        });
    }
    crowd
}

async fn connect(http: &str) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // Little is kept on the way, so that who does not read, or is not read, feels it soon.
    socket.set_recv_buffer_size(16 * 1024)?;
    socket.set_send_buffer_size(64 * 1024)?;
    socket.connect(http.strip_prefix("http://").and_then(|address| address.parse().ok()).expect("an address")).await
}
