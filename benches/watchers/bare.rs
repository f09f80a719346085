//! The least that could be done: a process of its own, one loop over all sockets, the same library, the same bytes.

use std::{process::Stdio, sync::Arc};

use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    response::Response,
    routing::{get, post},
};
use futures::{SinkExt, StreamExt, stream::SplitSink};
use jishi::Result;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    sync::Mutex,
};

use crate::print;

type Listeners = Arc<Mutex<Vec<SplitSink<WebSocket, Message>>>>;

/// Serves until it is killed.
pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    print(&listener.local_addr()?.to_string());
    let routes = Router::new().route("/ws", get(join)).route("/event", post(send)).with_state(Listeners::default());
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn join(State(listeners): State<Listeners>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.read_buffer_size(2 * 1024).write_buffer_size(2 * 1024).on_upgrade(async move |socket| {
        let (mut sink, mut stream) = socket.split();
        let mut listeners = listeners.lock().await;
        // Tells that it is in the loop from here on.
        drop(sink.send(Message::Text("{}".into())).await);
        listeners.push(sink);
        drop(listeners);
        while let Some(Ok(_)) = stream.next().await {}
    })
}

async fn send(State(listeners): State<Listeners>, frame: String) {
    let frame = Utf8Bytes::from(frame);
    for listener in listeners.lock().await.iter_mut() {
        // Who is gone is no loss.
        drop(listener.send(Message::Text(frame.clone())).await);
    }
}

/// The process.
pub struct Bare {
    _child: Child,
    /// Where it is listened to.
    pub ws: String,
    http: String,
    client: reqwest::Client,
}

impl Bare {
    /// Starts it.
    pub async fn start() -> Result<Bare> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(["watchers", "bare"]).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("piped")?).lines();
        let address = lines.next_line().await?.ok_or("the bare loop did not start")?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Bare { _child: child, ws: format!("ws://{address}/ws"), http: format!("http://{address}/event"), client })
    }

    /// Sends a frame to all.
    pub async fn send(&self, frame: &str) -> Result<()> {
        self.client.post(&self.http).body(frame.to_owned()).send().await?.error_for_status()?;
        Ok(())
    }
}
