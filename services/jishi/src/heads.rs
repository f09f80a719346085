//! The verb `heads`: prints the newest signed head of every service's audit log, to be kept or published elsewhere; and what
//! such lines hold a log to.

use std::{fs, io::Write};

use axum::{Router, http::StatusCode, routing::get};
use kernel::{
    Clock, Db, Vault,
    audit_log::{signed_head::SignedHead, verify::Known},
};

use crate::{Result, config::Config, database::Databases, roles::Roles};

/// Prints them, a line each.
pub async fn run(config: &Config, mut out: impl Write) -> Result<()> {
    let databases = Databases::open_to_look(config, &Roles::new(None), &Clock::system()).await?;
    for ground in databases.grounds() {
        write!(out, "{}", told(&ground.context.db, &ground.services).await?)?;
    }
    databases.close().await;
    Ok(())
}

async fn told(db: &Db, services: &[&str]) -> kernel::Result<String> {
    let heads = SignedHead::newest(db, services).await?;
    Ok(heads.iter().map(|head| format!("{head}\n")).collect())
}

/// The route `/heads`, beside the metrics: both are for operators, since how a log grows tells who is at work.
pub fn routes(databases: &Databases) -> Router {
    let grounds: Vec<_> =
        databases.grounds().map(|ground| (ground.context.db.clone(), ground.services.clone())).collect();
    Router::new().route(
        "/heads",
        get(async move || {
            let mut lines = String::new();
            for (db, services) in &grounds {
                match told(db, services).await {
                    Ok(told) => lines.push_str(&told),
                    Err(error) => {
                        tracing::warn!(%error, "the heads could not be read");
                        return (StatusCode::SERVICE_UNAVAILABLE, String::new());
                    }
                }
            }
            (StatusCode::OK, lines)
        }),
    )
}

/// The heads in a text or in a file of such lines, for `--against`.
pub fn read(text: &str) -> Result<Vec<SignedHead>> {
    let lines = match fs::read_to_string(text) {
        Ok(lines) => lines,
        Err(_) if text.contains(':') => text.to_owned(),
        Err(error) => return Err(format!("{text}: {error}").into()),
    };
    let heads = lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().map_err(|why| format!("{line}: {why}").into()));
    let heads: Vec<SignedHead> = heads.collect::<Result<_>>()?;
    if heads.is_empty() {
        return Err(format!("{text}: there is no signed head in it, as `jishi heads` prints them").into());
    }
    Ok(heads)
}

/// What they hold a log to; an error if one of them is another exchange's.
pub fn known<'a>(heads: impl Iterator<Item = &'a SignedHead>, vault: &Vault) -> Result<Vec<Known>> {
    let known = heads.map(|head| {
        let ours = head.is_signed(vault).then(|| head.known());
        ours.ok_or_else(|| format!("{head}: this exchange did not sign it").into())
    });
    known.collect()
}
