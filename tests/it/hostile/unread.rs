//! Who asks and does not read takes no memory for long: neither by HTTP/2, where a client says how much it will read and may
//! say nothing at all, nor by many connections.

use std::{net::SocketAddr, time::Duration};

use exchange_tests::{Exchange, Lane};
use futures::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{Memory, ask, client, limited, seconds};

/// A long answer that costs nothing to ask for.
const LONG: &str =
    "{__schema{types{name description fields{name description args{name description}}inputFields{name description}}}}";

const CONNECTIONS: usize = 10;
/// Of one connection; odd, as a client's are.
const STREAMS: u32 = 100;
/// What ten connections of a hundred unread answers may add to a process, in MiB.
const MORE: u64 = 64;

/// A frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal header field of HPACK, under a name of the static table (below 15) or its own.
fn field(name: u8, value: &str) -> Vec<u8> {
    [&[name, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
}

/// What a client sends that knows beforehand that HTTP/2 is spoken, opens no window, and asks on many streams.
fn prior_knowledge() -> Vec<u8> {
    // SETTINGS_INITIAL_WINDOW_SIZE is 0.
    let mut said = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[0, 4, 0, 0, 0, 0])].concat();
    let body = json!({ "query": LONG }).to_string();
    // POST, http, then :authority, :path, and content-type under a new name.
    let kind = [&[0, 12][..], b"content-type", &[16], b"application/json"].concat();
    let headers = [vec![0x83, 0x86], field(1, "x"), field(4, "/graphql"), kind].concat();
    for stream in (1..).step_by(2).take(STREAMS as usize) {
        said.extend(frame(1, 4, stream, &headers));
        said.extend(frame(0, 1, stream, body.as_bytes()));
    }
    said
}

/// The kinds of the frames that came, and the code of the last GOAWAY.
fn frames(mut said: &[u8]) -> (Vec<u8>, Option<u32>) {
    let (mut kinds, mut code) = (Vec::new(), None);
    while let Some((head, rest)) = said.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (payload, after) = rest.split_at(length.min(rest.len()));
        if head[3] == 7 {
            code = payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().unwrap()));
        }
        kinds.push(head[3]);
        said = after;
    }
    (kinds, code)
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_streams_of_http_2_take_no_memory() {
    let mut exchange = limited(Lane::Sqlite).await.unwrap();
    let memory = Memory::of(&mut exchange);
    // It has been asked once, so that what is made once is there.
    assert!(ask(&client(), &exchange.http, LONG).await.to_string().len() > 100_000);
    let before = memory.resident();
    memory.reset_peak();
    let address: SocketAddr = exchange.http.trim_start_matches("http://").parse().unwrap();
    let visits = (0..CONNECTIONS).map(async |_| {
        let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
        let (asked, mut said) = (prior_knowledge(), Vec::new());
        // Who is cut off while it writes may be told by a reset.
        let (_, _) = tokio::join!(write.write_all(&asked), async {
            timeout(seconds(20), read.read_to_end(&mut said)).await.expect("the connection is closed")
        });
        frames(&said)
    });
    let ends = join_all(visits).await;
    let peak = memory.peak();
    println!("C4: {before} MiB before, {peak} at most; {ends:?}");
    // SETTINGS, and GOAWAY with HTTP_1_1_REQUIRED.
    assert!(ends.iter().all(|end| *end == (vec![4, 7], Some(13))), "{ends:?}");
    assert!(peak <= before + MORE, "{before} MiB before, {peak} at most");
    assert!(ask(&client(), &exchange.http, "{ serverTime }").await["data"]["serverTime"].is_string());
}

/// One connection that asks for something long and reads nothing.
async fn deaf(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let body = json!({ "query": LONG }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // As many as it takes for the system's own buffers to be full.
    let asked = format!("{head}{body}").repeat(4);
    stream.write_all(asked.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_does_not_read_is_answered_no_more() {
    let exchange = Exchange::start_with(Lane::Sqlite, &[("JISHI_UNREAD_PER_ADDRESS", "400000")]).await.unwrap();
    let address: SocketAddr = exchange.http.trim_start_matches("http://").parse().unwrap();
    let (mut crowd, mut is_refused) = (Vec::new(), false);
    let refused =
        |answer: &serde_json::Value| answer.pointer("/errors/0/extensions/code") == Some(&json!("RATE_LIMITED"));
    // It waits for its turn among the long answers.
    let patient = reqwest::Client::builder().no_proxy().timeout(seconds(60)).build().unwrap();
    let asked = async || ask(&patient, &exchange.http, LONG).await;
    // Each is cut off after ten seconds; the others come meanwhile.
    while crowd.len() < 40 && !is_refused {
        crowd.push(deaf(address).await);
        is_refused = refused(&asked().await);
    }
    println!("C4: refused after {} connections", crowd.len());
    assert!(is_refused && crowd.len() > 1, "after {} connections", crowd.len());
    drop(crowd);
    let again = async {
        while refused(&asked().await) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(seconds(20), again).await.expect("who left is owed nothing");
}
