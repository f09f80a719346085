//! The sending side of one socket. Its conversation and the feeds that are watched over it take turns.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use axum::{Error, extract::ws::Message};
use futures::{Sink, SinkExt};
use tokio::sync::{Mutex, Notify};

use super::canvas::Drawn;

/// Frames that are ready together leave together, until they are so many bytes: a slow client has a time for them.
const TOGETHER: usize = 16 * 1024;

/// One socket's sending side.
pub struct Outlet {
    /// Held by the conversation until what it sends is on the wire.
    sink: Mutex<Box<dyn Sink<Message, Error = Error> + Send + Unpin>>,
    /// A feed has sent what is not yet on the wire.
    stuck: Notify,
}

impl Outlet {
    pub fn new(sink: impl Sink<Message, Error = Error> + Send + Unpin + 'static) -> Arc<Outlet> {
        Arc::new(Outlet { sink: Mutex::new(Box::new(sink)), stuck: Notify::new() })
    }

    /// Sends a message, and with it what else is ready.
    pub async fn send(&self, message: Message, mut more: impl FnMut() -> Option<Message>) -> Result<(), Error> {
        let (mut sink, mut bytes) = (self.sink.lock().await, length(&message));
        sink.feed(message).await?;
        while bytes < TOGETHER {
            let Some(message) = more() else { break };
            bytes += length(&message);
            sink.feed(message).await?;
        }
        sink.flush().await
    }

    /// Sends what comes at once, as long as nothing is in the way: nothing that is taken from `next` is lost.
    pub fn try_send(&self, mut next: impl FnMut() -> Option<Message>) {
        let Ok(mut sink) = self.sink.try_lock() else { return };
        // Who waits for room in the socket is the conversation, never a feed.
        let (mut cx, mut bytes) = (Context::from_waker(Waker::noop()), 0);
        while bytes < TOGETHER && matches!(sink.poll_ready_unpin(&mut cx), Poll::Ready(Ok(()))) {
            let Some(message) = next() else { break };
            bytes += length(&message);
            // A socket that is broken ends its conversation, which reads from it.
            drop(sink.start_send_unpin(message));
        }
        if bytes > 0 && sink.poll_flush_unpin(&mut cx).is_pending() {
            self.stuck.notify_one();
        }
    }

    /// Waits until a feed has sent what is not yet on the wire.
    pub async fn stuck(&self) {
        self.stuck.notified().await;
    }

    /// Brings on the wire what was sent.
    pub async fn flush(&self) -> Result<(), Error> {
        self.sink.lock().await.flush().await
    }
}

fn length(message: &Message) -> usize {
    if let Message::Text(text) = message { text.len() } else { 0 }
}

/// One subscription's way to its watcher.
pub struct Way {
    pub outlet: Arc<Outlet>,
    /// What stands before each of its frames.
    head: String,
}

impl Way {
    pub fn new(outlet: &Arc<Outlet>, subscription: &str) -> Arc<Way> {
        let head = format!("{{\"type\":\"next\",\"id\":{},\"payload\":", serde_json::json!(subscription));
        Arc::new(Way { outlet: outlet.clone(), head })
    }

    /// What was drawn, as it goes out.
    pub fn message(&self, drawn: &Drawn) -> Message {
        let mut frame = String::with_capacity(self.head.len() + drawn.len() + 1);
        frame.push_str(&self.head);
        frame.push_str(drawn.as_str());
        frame.push('}');
        Message::Text(frame.into())
    }
}
