//! A client that is light enough to share a machine with the server that it measures: raw HTTP/1.1, one connection a
//! caller, kept alive, one request at a time; the request is ready but for the amount.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jishi::Result;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Mutex,
    time::timeout,
};

use crate::{Run, drive};

/// Where the amount goes in the variables of a call.
pub const AMOUNT: &str = "{amount}";
/// An answer that has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// One bidder's request.
pub struct Call {
    head: String,
    before: String,
    after: String,
}

impl Call {
    /// The variables hold [`AMOUNT`] once.
    pub fn new(address: &str, token: Option<&str>, query: &str, variables: &Value) -> Result<Call> {
        let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!(
            "POST /graphql HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             accept: application/json\r\n{bearer}content-length: "
        );
        let body = json!({ "query": query, "variables": variables }).to_string();
        let (before, after) = body.split_once(AMOUNT).ok_or("a call with an amount")?;
        Ok(Call { head, before: before.to_owned(), after: after.to_owned() })
    }

    fn with(&self, amount: &str) -> String {
        let Call { head, before, after } = self;
        let length = before.len() + amount.len() + after.len();
        format!("{head}{length}\r\n\r\n{before}{amount}{after}")
    }
}

/// What stands in the answers of a server.
#[derive(Clone, Copy)]
pub struct Marks {
    /// In that to a bid that was accepted.
    pub accepted: &'static str,
    /// In those to bids that came too late; any other answer ends the measuring.
    pub refused: &'static [&'static str],
}

/// Who bids where: callers take the next higher amount, and the bidders take turns with the amounts.
pub struct Bidders {
    /// Host and port.
    pub address: String,
    /// One for each bidder.
    pub calls: Vec<Call>,
    /// The amount of the so-manieth step.
    pub amount: Box<dyn Fn(i64) -> String + Send + Sync>,
    /// How the server answers.
    pub marks: Marks,
}

impl Bidders {
    /// Bids over so many connections for `span`.
    pub async fn bid(self, callers: usize, span: Duration) -> Result<Run> {
        let mut connections = Vec::new();
        for _ in 0..callers {
            connections.push(Mutex::new(Connection::open(&self.address).await?));
        }
        let shared = Arc::new((self, connections, OnceLock::new()));
        let caller = shared.clone();
        let run = drive(callers, span, move |number, step| {
            let shared = caller.clone();
            async move {
                let (bidders, connections, failed) = &*shared;
                match bidders.one(connections, number, step).await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        failed.get_or_init(|| error.to_string());
                        // Nothing that this caller does is an answer any more.
                        tokio::time::sleep(span).await;
                        false
                    }
                }
            }
        })
        .await;
        shared.2.get().map_or(Ok(run), |failed| Err(failed.clone().into()))
    }

    async fn one(&self, connections: &[Mutex<Connection>], number: usize, step: i64) -> Result<bool> {
        let turn = usize::try_from(step)? % self.calls.len().max(1);
        let (Some(call), Some(connection)) = (self.calls.get(turn), connections.get(number)) else {
            return Err("nobody bids".into());
        };
        let request = call.with(&(self.amount)(step));
        let mut connection = connection.lock().await;
        let answer = timeout(PATIENCE, connection.ask(&request)).await??;
        if answer.contains(self.marks.accepted) {
            return Ok(true);
        }
        let refused = self.marks.refused.iter().any(|mark| answer.contains(mark));
        if refused { Ok(false) } else { Err(format!("neither accepted nor overtaken: {answer}").into()) }
    }
}

struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    async fn open(address: &str) -> Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, read: Vec::new() })
    }

    /// The body of the answer.
    async fn ask(&mut self, request: &str) -> Result<&str> {
        self.stream.write_all(request.as_bytes()).await?;
        self.read.clear();
        loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the server hung up".into());
            }
            if let Some(body) = body(&self.read)? {
                return Ok(std::str::from_utf8(self.read.get(body).unwrap_or_default())?);
            }
        }
    }
}

/// Where the body stands, once all of it has come.
fn body(read: &[u8]) -> Result<Option<Range<usize>>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = response.parse(read)? else { return Ok(None) };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length: usize = std::str::from_utf8(length.ok_or("an answer without a length")?.value)?.parse()?;
    let end = start.saturating_add(length);
    if read.len() < end {
        return Ok(None);
    }
    match response.code {
        Some(200) => Ok(Some(start..end)),
        code => {
            let told = String::from_utf8_lossy(read.get(start..end).unwrap_or_default());
            Err(format!("status {code:?}: {told}").into())
        }
    }
}
