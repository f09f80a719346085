//! An exchange of ours, in this process or in one of its own.

use exchange_benches::{Run, ours, schema};
use exchange_tests::{Exchange, Lane};
use jishi::{
    Result,
    config::Config,
    demo::{client::Door, deal, stage::Stage, timeline::Silent},
    serve::Running,
};
use serde_json::{Value, json};

use super::{CALLERS, SPAN};

/// One exchange.
pub struct Ours {
    http: String,
    at: At,
}

enum At {
    Here {
        running: Box<Running>,
        _folder: tempfile::TempDir,
    },
    /// Its process ends with this.
    Apart {
        _exchange: Exchange,
    },
}

impl Ours {
    /// In this process, on SQLite or on the PostgreSQL server.
    pub async fn here(server: Option<&str>) -> Result<Ours> {
        let folder = tempfile::tempdir()?;
        let database_url = match server {
            Some(server) => Some(schema(server).await?),
            None => None,
        };
        let running = jishi::serve::start(Config { database_url, ..Config::embedded(folder.path())? }, None).await?;
        Ok(Ours { http: running.http.clone(), at: At::Here { running: Box::new(running), _folder: folder } })
    }

    /// In a process of its own.
    pub async fn apart(lane: Lane) -> Result<Ours> {
        let exchange = Exchange::start_with(lane, &[]).await.ok_or("no exchange")?;
        Ok(Ours { http: exchange.http.clone(), at: At::Apart { _exchange: exchange } })
    }

    /// Bids on a new lot.
    pub async fn measure(&self) -> Result<Run> {
        let stage = Stage::new(Door::at(self.http.trim_start_matches("http://")), &Silent).await?;
        let lot = deal::open(&stage).await?;
        let run = ours::bidders(&self.http, &lot).await?.bid(CALLERS, SPAN).await?;
        let [first, ..] = lot.bidders();
        let query = "query($id: ID!) { biddingSession(id: $id) { bidCount } }";
        let read = first.person.glance(query, json!({ "id": lot.session_id() })).await?;
        let found = read.pointer("/biddingSession/bidCount").and_then(Value::as_u64);
        if found != Some(run.accepted) {
            return Err(format!("{} bids were acknowledged, {found:?} are there", run.accepted).into());
        }
        Ok(run)
    }

    /// Ends it.
    pub async fn end(self) {
        if let At::Here { running, .. } = self.at {
            running.shutdown().await;
        }
    }
}
