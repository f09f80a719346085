//! The verb `rotate-master-key`: lets a new key open the databases in place of the present one (docs/design/keys.md).

use std::io::Write;

use data_encoding::HEXLOWER;
use kernel::{Clock, Db, MasterKey, Rotation, Unopened};

use crate::{
    Result,
    backup::Site,
    config::Config,
    database::{connect, require_current},
    master_key,
    roles::Roles,
};

/// The new key's place: no file and no argument, which others could read.
const NEW: &str = "JISHI_NEW_MASTER_KEY";

/// Rotates the key of all configured databases. Broken off, it is simply run again.
pub async fn run(config: &Config, mut out: impl Write) -> Result<()> {
    let new = std::env::var(NEW).map_err(|_| format!("{NEW} takes the new key: openssl rand -base64 32"))?;
    if !config.is_development() {
        master_key::require_own(Some(&new))?;
    }
    require_current(config, &Roles::new(None)).await?;
    let (old, new) = (config.present_master_key()?, master_key::read(&new)?);
    if old.fingerprint() == new.fingerprint() {
        return Err("the new master key is the present one".into());
    }
    let mut databases = Vec::new();
    for site in Site::all(config) {
        databases.push((site.services.join(", "), connect(&site.url, config).await?));
    }
    // Nothing is changed anywhere unless one of the two keys opens everything.
    for (services, db) in &databases {
        opens(&old, &new, db).await.map_err(|error| format!("{services}: {error}"))?;
    }
    let now = Clock::system().now();
    for (services, db) in &databases {
        let what = match old.rotate(db, &new, now).await.map_err(|error| format!("{services}: {error}"))? {
            Rotation::Done => "opens under the new master key from now on",
            Rotation::DoneBefore => "opened under the new master key already",
        };
        writeln!(out, "{services}: {what}")?;
        db.close().await?;
    }
    writeln!(out, "the new key's fingerprint is {}", HEXLOWER.encode(&new.fingerprint()))?;
    writeln!(out, "processes at work go on; put the new key into master_key before the next one is started")?;
    Ok(())
}

async fn opens(old: &MasterKey, new: &MasterKey, db: &Db) -> Result<(), Unopened> {
    match old.open(db).await {
        Err(Unopened::Replaced(_)) => new.open(db).await.map(drop),
        other => other.map(drop),
    }
}
