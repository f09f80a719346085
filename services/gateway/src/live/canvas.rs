//! A document and what is drawn by it: one execution a frame, for all who watch by the document.

use std::sync::Arc;

use async_graphql::{Name, Request, Response, Result, Value, Variables, parser::types::ExecutableDocument};
use axum::extract::ws::Utf8Bytes;
use futures::StreamExt;
use kernel::Actor;
use tokio::sync::{mpsc, oneshot};
use wire::{Caller, v1::AuctionFrame};

use crate::{
    edge::Door,
    fault::{codes, finished},
    live::{audience::Audience, join::Part},
    request_log::count_errors,
};

/// A response as JSON.
pub type Drawn = Utf8Bytes;

/// What is to be drawn; an error is drawn where the document has its field.
pub type Frame = Result<AuctionFrame>;

/// A subscription's operation as it was asked.
pub struct Asked {
    pub document: ExecutableDocument,
    pub operation_name: Option<String>,
    pub variables: Variables,
    /// The variable that says only where to begin: no frame depends on it.
    pub beginning: Option<Name>,
    /// Under which errors are found in the logs.
    pub trace: String,
    /// Who asks.
    pub actor: Actor,
    /// Who sees the same.
    pub audience: Audience,
}

impl Asked {
    /// The request, to be executed in one part or the other.
    pub fn request(&self, part: Part) -> Request {
        let mut variables = self.variables.clone();
        if let (Part::Draws(_), Some(beginning)) = (&part, &self.beginning) {
            variables.insert(beginning.clone(), Value::from(0));
        }
        let mut request = Request::new(String::new()).variables(variables).data(part);
        request.operation_name.clone_from(&self.operation_name);
        request.set_parsed_query(self.document.clone());
        request
    }
}

/// Draws, one frame after the other. It ends with its last owner.
pub struct Canvas(mpsc::Sender<(Frame, oneshot::Sender<Drawn>)>);

impl Canvas {
    /// Spreads the canvas.
    pub fn new(door: &Arc<Door>, asked: &Asked) -> Canvas {
        let (wanted, mut wishes) = mpsc::channel::<(Frame, oneshot::Sender<Drawn>)>(16);
        let (frames, source) = mpsc::channel(1);
        // What everybody sees alike is drawn for nobody in particular, so that nothing else can be in it.
        let actor = if asked.audience.is_everybody() { Actor::default() } else { asked.actor.clone() };
        let request = asked.request(source.into());
        let mut drawn =
            door.schema.execute_stream(request.data(Caller::new(Arc::new(actor), None, door.clients.clone())));
        let trace = asked.trace.clone();
        let executions = metrics::counter!("live_executions_total");
        // A task of its own: whoever waits for a frame may go away, and the next one must not get that frame.
        door.tasks.spawn(async move {
            while let Some((frame, told)) = wishes.recv().await {
                if frames.send(frame).await.is_err() {
                    return;
                }
                let Some(response) = drawn.next().await else { return };
                executions.increment(1);
                // Who no longer waits needs no answer.
                drop(told.send(written(response, &trace)));
            }
        });
        Canvas(wanted)
    }

    /// Draws a frame; nothing if drawing has ended.
    pub async fn draw(&self, frame: Frame) -> Option<Drawn> {
        let (told, drawn) = oneshot::channel();
        self.0.send((frame, told)).await.ok()?;
        drawn.await.ok()
    }
}

/// A response as it goes out.
pub fn written(response: Response, trace: &str) -> Drawn {
    let response = finished(response, trace);
    count_errors(&codes(&response));
    let text = serde_json::to_string(&response).unwrap_or_else(|error| {
        tracing::error!(%error, trace, "a response could not be written as JSON");
        r#"{"data":null}"#.into()
    });
    text.into()
}
