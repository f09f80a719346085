//! Live feeds: sockets only listen, end with their session, and are told when the exchange stops.

use std::time::Duration;

use exchange_tests::Exchange;
use futures::{SinkExt, StreamExt};
use jishi::demo::{
    person::{Person, fresh_key},
    stage::Stage,
    timeline::{SPECTATOR, Silent},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{
    edge::{SOON, exchange, post, sign_up},
    market::{Market, door},
    refusal::tells_nothing_internal,
};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub async fn dial(exchange: &Exchange, protocol: &'static str, origin: Option<String>) -> Result<Socket, Error> {
    let mut request = door(exchange).ws.into_client_request()?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(protocol));
    if let Some(origin) = origin {
        request.headers_mut().insert("Origin", HeaderValue::from_str(&origin).unwrap());
    }
    connect_async(request).await.map(|(socket, _)| socket)
}

pub async fn say(socket: &mut Socket, said: Value) {
    socket.send(Message::text(said.to_string())).await.unwrap();
}

/// The next message that says something.
pub async fn hear(socket: &mut Socket) -> Value {
    loop {
        match timeout(SOON, socket.next()).await.expect("a message in time").expect("an open socket").unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The code with which the socket is closed; zero if it just ends.
pub async fn closed(socket: &mut Socket) -> u16 {
    let end = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Close(None)) | Err(_)) | None => return 0,
                Some(Ok(_)) => {}
            }
        }
    };
    timeout(SOON, end).await.expect("closed in time")
}

pub async fn introduced(exchange: &Exchange, payload: Value) -> Socket {
    let mut socket = dial(exchange, "graphql-transport-ws", None).await.unwrap();
    say(&mut socket, json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(hear(&mut socket).await["type"], "connection_ack");
    socket
}

pub fn refused_upgrade(outcome: Result<Socket, Error>) -> u16 {
    match outcome {
        Err(Error::Http(response)) => response.status().as_u16(),
        Ok(_) => panic!("the socket was opened"),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_only_listen_and_end_with_their_session() {
    let exchange = exchange().await;
    let stage = Stage::new(door(&exchange), &Silent).await.unwrap();
    let protocol = "graphql-transport-ws";
    for foreign in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(refused_upgrade(dial(&exchange, protocol, Some(foreign.into())).await), 403, "{foreign}");
    }
    assert!(dial(&exchange, protocol, Some(exchange.http.clone())).await.is_ok());
    assert_eq!(refused_upgrade(dial(&exchange, "graphql-ws", None).await), 400);

    let mut silent = dial(&exchange, protocol, None).await.unwrap();
    assert_eq!(closed(&mut silent).await, 4408);
    let mut eager = dial(&exchange, protocol, None).await.unwrap();
    say(&mut eager, json!({ "type": "subscribe", "id": "1", "payload": { "query": "subscription { auctionEvents(sessionId: \"x\") { event { seq } } }" } })).await;
    assert!(closed(&mut eager).await >= 4400);
    let mut forged = dial(&exchange, protocol, None).await.unwrap();
    say(&mut forged, json!({ "type": "connection_init", "payload": { "Authorization": "Bearer a.b.c" } })).await;
    assert_eq!(closed(&mut forged).await, 4401);
    let mut babbling = introduced(&exchange, json!({})).await;
    say(&mut babbling, json!({ "type": "subscribe", "id": "1", "payload": { "query": "x".repeat(128 * 1024) } })).await;
    closed(&mut babbling).await;

    let login = format!("edge-{}", fresh_key());
    let mut socket = introduced(&exchange, json!({})).await;
    for (id, payload) in [("1", sign_up(&login)), ("2", json!({ "query": "{ serverTime }" }))] {
        say(&mut socket, json!({ "type": "subscribe", "id": id, "payload": payload })).await;
        let mut told = hear(&mut socket).await;
        tells_nothing_internal(&told);
        assert!(told["id"] == id && told.to_string().contains("INVALID_INPUT"), "{told}");
        while !["complete", "error"].contains(&told["type"].as_str().unwrap()) {
            told = hear(&mut socket).await;
        }
    }
    let person = Person::new(&stage.client, SPECTATOR, &login, "correct horse battery");
    person.sign_up("访客").await.expect("the login is free: nothing was executed over the socket");

    let mut own =
        introduced(&exchange, json!({ "Authorization": format!("Bearer {}", person.token().await.unwrap()) })).await;
    person.act("signOut", "done", json!({ "everywhere": false })).await.unwrap();
    assert_eq!(closed(&mut own).await, 4401);
}

/// Two subscriptions under one id could not be told apart: the second ends the socket, in the protocol's words. Once the first
/// is over its id is free.
async fn a_live_id_is_taken(exchange: &Exchange, session: &str) {
    let query = "subscription($id: ID!) { auctionEvents(sessionId: $id) { snapshot { seq } event { seq } } }";
    for id in ["1".to_owned(), "甲".repeat(42)] {
        let mut socket = introduced(exchange, json!({})).await;
        let payload = json!({ "query": query, "variables": { "id": session } });
        let subscribe = json!({ "type": "subscribe", "id": id, "payload": payload });
        for _ in 0..2 {
            say(&mut socket, subscribe.clone()).await;
            assert_eq!(hear(&mut socket).await["type"], "next");
            say(&mut socket, json!({ "type": "complete", "id": id })).await;
            assert_eq!(hear(&mut socket).await["type"], "complete");
        }
        say(&mut socket, subscribe.clone()).await;
        hear(&mut socket).await;
        say(&mut socket, subscribe).await;
        let end = async {
            loop {
                match socket.next().await.expect("a close frame").unwrap() {
                    Message::Close(frame) => return frame.unwrap(),
                    _ => continue,
                }
            }
        };
        let end = timeout(SOON, end).await.expect("closed in time");
        assert_eq!(u16::from(end.code), 4409);
        let known: String = id.chars().take(31).collect();
        assert_eq!(end.reason.as_str(), format!("Subscriber for {known} already exists"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_clean_while_somebody_watches() {
    let mut exchange = exchange().await;
    let (http, metrics) = (&exchange.http, &exchange.metrics);
    for (at, path, expected) in
        [(http, "healthz", "ok"), (http, "readyz", "ready"), (metrics, "metrics", "graphql_operation_seconds")]
    {
        let (_, _) = post(&exchange, &json!({ "query": "{ serverTime }" })).await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.get(format!("{at}/{path}")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let text = response.text().await.unwrap();
        assert!(text.contains(expected), "{path}: {text}");
    }
    let market = Market::open(&exchange, 2).await;
    let listing = market.disclosed(market.draft()).await;
    for buyer in &market.buyers {
        market.eligible(buyer, &listing).await;
    }
    let (session, _) = market.scheduled(&listing).await;
    let mut socket = introduced(&exchange, json!({})).await;
    let query = "subscription($id: ID!) { auctionEvents(sessionId: $id) { snapshot { seq } event { seq } } }";
    say(
        &mut socket,
        json!({ "type": "subscribe", "id": "1", "payload": { "query": query, "variables": { "id": session } } }),
    )
    .await;
    assert_eq!(
        hear(&mut socket).await["payload"]["data"]["auctionEvents"]["snapshot"]["seq"],
        3,
        "scheduled, and two admitted"
    );
    a_live_id_is_taken(&exchange, &session).await;
    let stop = tokio::task::spawn_blocking(move || exchange.process("gateway").stop());
    assert_eq!(closed(&mut socket).await, 1001);
    let code = timeout(Duration::from_secs(15), stop).await.expect("the process ends in time").unwrap();
    assert_eq!(code, Some(0));
}
