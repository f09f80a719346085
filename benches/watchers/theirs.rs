//! graphql-ws on Node, which resolves the same document and sends the same frames.

use exchange_benches::node::Node;
use jishi::Result;
use serde_json::Value;

/// The process.
pub struct Theirs {
    _node: Node,
    /// Where it is listened to.
    pub ws: String,
    http: String,
    client: reqwest::Client,
}

impl Theirs {
    /// Starts it. `None`: Node is not there.
    pub async fn start() -> Result<Option<Theirs>> {
        let Some(node) = Node::start("watchers", &[]).await? else { return Ok(None) };
        let (ws, http) = (format!("ws://{}/graphql", node.address), format!("http://{}/event", node.address));
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Some(Theirs { _node: node, ws, http, client }))
    }

    /// Tells all the event that stands in a frame of ours.
    pub async fn send(&self, event: &Value) -> Result<()> {
        self.client.post(&self.http).json(event).send().await?.error_for_status()?;
        Ok(())
    }
}

/// The event in a frame.
pub fn event(frame: &str) -> Result<Value> {
    let frame: Value = serde_json::from_str(frame)?;
    Ok(frame.pointer("/payload/data/auctionEvents").ok_or("a frame with an event")?.clone())
}
