//! S2: nothing is executed but one JSON operation by POST, and sockets end with whoever opened them.
//!
//! Proven elsewhere and not again here: `edge.rs` (missing content type, text/plain, form, multipart, GET, PUT, DELETE,
//! batches), `sockets.rs` (foreign Origins, the legacy protocol, subscribing without `connection_init`, queries and
//! mutations over a socket, a forged token, signing out). What follows is what other exchanges fell to besides.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use exchange_tests::Lane;
use futures::{SinkExt, StreamExt, future::join_all};
use jishi::demo::{
    person::{Person, fresh_key},
    stage::Stage,
    timeline::{SPECTATOR, Silent},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{interval, timeout};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use super::{Memory, Regular, limited, seconds};
use crate::{
    edge::{post, sign_up},
    market::{Market, door},
    sockets::{Socket, closed, dial, hear, introduced, say},
};

const PROTOCOL: &str = "graphql-transport-ws";

#[tokio::test(flavor = "multi_thread")]
async fn no_other_door_executes_anything() {
    let exchange = limited(Lane::Sqlite).await.unwrap();
    let login = format!("door-{}", fresh_key());
    let body = sign_up(&login);
    let (text, query) = (body.to_string(), body["query"].as_str().unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let to = |method: Method, path: &str| client.request(method, format!("{}{path}", exchange.http)).body(text.clone());
    let mut requests = Vec::new();
    for kind in [
        "application/graphql+json",
        "application/json-seq",
        "application/x-ndjson",
        "application/jsonp",
        "text/json",
        "*/*",
        "text/plain, application/json",
        "application/x-www-form-urlencoded; application/json",
        "application/json/",
        "",
        "multipart/form-data; boundary=x; type=application/json",
        "applicatıon/json",
    ] {
        requests.push((kind.to_owned(), to(Method::POST, "/graphql").header("Content-Type", kind)));
    }
    let twice =
        to(Method::POST, "/graphql").header("Content-Type", "text/plain").header("Content-Type", "application/json");
    requests.push(("two content types".into(), twice));
    let mut url = reqwest::Url::parse(&format!("{}/graphql", exchange.http)).unwrap();
    url.query_pairs_mut().append_pair("query", query).append_pair("variables", &body["variables"].to_string());
    let json = |request: reqwest::RequestBuilder| request.header("Content-Type", "application/json");
    requests.push(("in the address, by POST".into(), json(client.post(url.clone()))));
    requests
        .push(("in the address, by POST, an empty object beside".into(), json(client.post(url.clone()).body("{}"))));
    requests.push(("in the address, by HEAD".into(), client.head(url.clone())));
    for method in ["HEAD", "PATCH", "OPTIONS", "TRACE", "QUERY", "post", "SUBSCRIBE"] {
        requests.push((method.to_owned(), json(to(Method::from_bytes(method.as_bytes()).unwrap(), "/graphql"))));
    }
    for header in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        requests.push((header.to_owned(), json(client.get(url.clone()).body(text.clone())).header(header, "POST")));
    }
    for path in [
        "/",
        "/graphql/",
        "/graphql/ws",
        "//graphql",
        "/GraphQL",
        "/graphiql",
        "/graphql%2f",
        "/dev/graphql",
        "/healthz",
        "/metrics",
    ] {
        requests.push((path.to_owned(), json(to(Method::POST, path))));
    }
    for (what, request) in requests {
        let response = request.send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        let refused = status.is_client_error() || text.starts_with("{\"data\":null,\"errors\"");
        assert!(refused || (what == "OPTIONS" && text.is_empty()), "{what}: {status} {text}");
    }
    // None of these was executed: the login is free.
    let (status, answer) = post(&exchange, &body).await;
    assert_eq!((status, &answer["data"]["signUp"]["userErrors"]), (StatusCode::OK, &json!([])), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_are_told_nothing() {
    let exchange = limited(Lane::Sqlite).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let host = exchange.http.trim_start_matches("http://");
    for origin in ["https://evil.example", "null", "http://localhost", "file://"] {
        for method in [Method::OPTIONS, Method::POST] {
            let request = client.request(method.clone(), format!("{}/graphql", exchange.http)).header("Origin", origin);
            let request = request.header("Access-Control-Request-Method", "POST");
            let request = request.header("Access-Control-Request-Headers", "content-type,authorization");
            let response = request.json(&json!({ "query": "{ serverTime }" })).send().await.unwrap();
            let allowed = response.headers().get("Access-Control-Allow-Origin");
            assert!(allowed.is_none(), "{origin} by {method}: {allowed:?}");
            assert!(!response.headers().contains_key("Access-Control-Allow-Credentials"));
        }
    }
    for foreign in [
        format!("http://{host}.evil.example"),
        format!("http://evil.example/{host}"),
        format!("http://evil@{host}"),
        format!("http://{host}/"),
        "http://".into(),
    ] {
        assert!(matches!(dial(&exchange, PROTOCOL, Some(foreign.clone())).await, Err(Error::Http(_))), "{foreign}");
    }
    let mut two = door(&exchange).ws.into_client_request().unwrap();
    two.headers_mut().insert("Sec-WebSocket-Protocol", PROTOCOL.parse().unwrap());
    two.headers_mut().append("Origin", exchange.http.parse().unwrap());
    two.headers_mut().append("Origin", "https://evil.example".parse().unwrap());
    assert!(matches!(connect_async(two).await, Err(Error::Http(_))), "two origins");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_introduce_itself_is_closed_within_three_seconds() {
    let exchange = limited(Lane::Sqlite).await.unwrap();
    let regular = Regular::comes_to(&exchange).await;
    let visits = (0..300).map(async |visit| {
        let mut socket = dial(&exchange, PROTOCOL, None).await.unwrap();
        let began = Instant::now();
        let mut ticks = interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                code = closed(&mut socket) => return (code, began.elapsed()),
                // Pings, of WebSocket and of the protocol, are no introduction.
                _ = ticks.tick() => drop(match visit % 3 {
                    0 => Ok(()),
                    1 => socket.send(Message::Ping(Vec::new().into())).await,
                    _ => socket.send(Message::text(json!({ "type": "ping" }).to_string())).await,
                }),
            }
        }
    });
    let ends = join_all(visits).await;
    let (answers, longest) = regular.leaves().await;
    let slowest = ends.iter().map(|(_, after)| *after).max().unwrap();
    println!(
        "S2: 300 sockets without init, the last closed after {slowest:?}; {answers} ordinary answers, the slowest in {longest:?}"
    );
    assert!(ends.iter().all(|(code, _)| *code == 4408), "{ends:?}");
    assert!(slowest <= seconds(3), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_ends_with_its_token() {
    let exchange = limited(Lane::Sqlite).await.unwrap();
    let stage = Stage::new(door(&exchange), &Silent).await.unwrap();
    let person = async || {
        let login = format!("door-{}", fresh_key());
        let person = Person::new(&stage.client, SPECTATOR, login, "correct horse battery");
        person.sign_up("访客").await.unwrap();
        let token = person.token().await.unwrap();
        (person, token)
    };
    let open = async |token: &str| introduced(&exchange, json!({ "Authorization": format!("Bearer {token}") })).await;
    let ends = async |socket: &mut Socket, what: &str| {
        let began = Instant::now();
        assert_eq!(closed(socket).await, 4401, "{what}");
        println!("S2: {what}: closed after {:?}", began.elapsed());
        assert!(began.elapsed() <= seconds(5), "{what}");
    };
    let (here, token) = person().await;
    let mut own = [open(&token).await, open(&token).await];
    here.act("signOut", "done", json!({ "everywhere": false })).await.unwrap();
    for socket in &mut own {
        ends(socket, "signed out").await;
    }
    let (elsewhere, token) = person().await;
    let mut own = open(&token).await;
    elsewhere.sign_in().await.unwrap();
    elsewhere.act("signOut", "done", json!({ "everywhere": true })).await.unwrap();
    ends(&mut own, "signed out from elsewhere").await;

    let (_, token) = person().await;
    let (mut own, mut anonymous) = (open(&token).await, introduced(&exchange, json!({})).await);
    stage.client.move_clock(stage.client.now().plus_seconds(11 * 60)).await.unwrap();
    ends(&mut own, "expired").await;
    let mut late = dial(&exchange, PROTOCOL, None).await.unwrap();
    say(&mut late, json!({ "type": "connection_init", "payload": { "Authorization": format!("Bearer {token}") } }))
        .await;
    ends(&mut late, "expired before it came").await;
    say(&mut anonymous, json!({ "type": "ping" })).await;
    assert_eq!(hear(&mut anonymous).await["type"], "pong", "whoever showed no token stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_bounded() {
    const MEGABYTES: usize = 15;
    let mut exchange = limited(Lane::Sqlite).await.unwrap();
    let memory = Memory::of(&mut exchange);
    memory.reset_peak();
    let before = memory.resident();
    let large = "x".repeat(MEGABYTES << 20);
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": large } }).to_string();
    for (what, message) in
        [("text", Message::text(subscribe.clone())), ("binary", Message::binary(subscribe.into_bytes()))]
    {
        let mut socket = introduced(&exchange, json!({})).await;
        // The other side hangs up while this is being sent.
        drop(timeout(seconds(2), socket.send(message)).await.expect("not taken and not refused either"));
        closed(&mut socket).await;
        println!("S2: {MEGABYTES} MB of {what}: closed");
    }
    let mut socket = introduced(&exchange, json!({})).await;
    let piece = "x".repeat(60_000);
    for piece_number in 0..(MEGABYTES << 20) / piece.len() {
        let code = if piece_number == 0 { Data::Text } else { Data::Continue };
        let frame = Message::Frame(Frame::message(piece.clone(), OpCode::Data(code), false));
        if timeout(seconds(2), socket.send(frame)).await.expect("not taken and not refused either").is_err() {
            break;
        }
    }
    closed(&mut socket).await;
    let mut deep = introduced(&exchange, json!({})).await;
    drop(deep.send(Message::text("[".repeat(60_000))).await);
    assert!(closed(&mut deep).await >= 4400);
    let growth = memory.peak().saturating_sub(before);
    println!("S2: large messages: {growth} MiB at most");
    assert!(growth <= 64 && exchange.process("gateway").is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_has_so_many_subscriptions() {
    const ASKED: usize = 1_000;
    const MOST: usize = 20;
    let exchange = limited(Lane::Sqlite).await.unwrap();
    let market = Market::open(&exchange, 2).await;
    let listing = market.disclosed(market.draft()).await;
    for buyer in &market.buyers {
        market.eligible(buyer, &listing).await;
    }
    let (session, _) = market.scheduled(&listing).await;
    let query = "subscription($id: ID!) { auctionEvents(sessionId: $id) { snapshot { seq } event { seq } } }";
    let payload = json!({ "query": query, "variables": { "id": session } });
    let subscribe = |id: usize| json!({ "type": "subscribe", "id": id.to_string(), "payload": payload });
    let socket = introduced(&exchange, json!({})).await;
    let (mut sink, mut stream) = socket.split();
    let asking = async {
        for id in 0..ASKED {
            sink.send(Message::text(subscribe(id).to_string())).await.unwrap();
        }
    };
    let hearing = async {
        let (mut snapshots, mut refused) = (0, 0);
        while snapshots + refused < ASKED {
            let Message::Text(text) = timeout(seconds(10), stream.next()).await.expect("answers").unwrap().unwrap()
            else {
                continue;
            };
            let told: Value = serde_json::from_str(&text).unwrap();
            snapshots += usize::from(told.pointer("/payload/data/auctionEvents/snapshot/seq").is_some());
            refused += usize::from(text.contains("TOO_MANY_SUBSCRIPTIONS"));
        }
        (snapshots, refused)
    };
    let ((), (snapshots, refused)) = tokio::join!(asking, hearing);
    println!("S2: {ASKED} subscriptions over one socket: {snapshots} served, {refused} refused");
    assert_eq!((snapshots, refused), (MOST, ASKED - MOST));

    let mut socket = sink.reunite(stream).unwrap();
    let mut served: HashSet<String> = (0..MOST).map(|id| id.to_string()).collect();
    for id in &served {
        say(&mut socket, json!({ "type": "complete", "id": id })).await;
    }
    let again = async {
        while !served.is_empty() {
            let told = hear(&mut socket).await;
            if told["type"] == "complete" {
                served.remove(told["id"].as_str().unwrap());
            }
        }
        say(&mut socket, subscribe(ASKED)).await;
        let begun = ASKED.to_string();
        loop {
            let told = hear(&mut socket).await;
            if told["id"] == begun {
                assert!(told.pointer("/payload/data/auctionEvents/snapshot").is_some(), "{told}");
                return;
            }
        }
    };
    timeout(seconds(5), again).await.expect("who ends one may begin another");
}
