//! The verb `heads`: prints the newest signed head of every service's audit log, to be kept or published elsewhere; and what
//! such lines hold a log to.

use std::{fs, io::Write, path::Path};

use kernel::{
    Clock, Vault,
    audit_log::{signed_head::SignedHead, verify::Known},
};

use crate::{
    Result,
    config::Config,
    database::{Databases, Ground},
    roles::Roles,
};

/// Prints them, a line each.
pub async fn run(config: &Config, mut out: impl Write) -> Result<()> {
    let databases = Databases::open_to_look(config, &Roles::new(None), &Clock::system()).await?;
    for ground in databases.grounds() {
        write!(out, "{}", newest(ground).await?)?;
    }
    databases.close().await;
    Ok(())
}

/// Those of one database.
pub async fn newest(ground: &Ground) -> kernel::Result<String> {
    let heads = SignedHead::newest(&ground.context.db, &ground.services).await?;
    Ok(heads.iter().map(|head| format!("{head}\n")).collect())
}

/// The heads in a text or in a file of such lines, for `--against`.
pub fn read(text: &str) -> Result<Vec<SignedHead>> {
    let lines = if Path::new(text).is_file() { fs::read_to_string(text)? } else { text.to_owned() };
    let heads = lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        line.parse().map_err(|why| format!("{line}: {why}").into())
    });
    heads.collect()
}

/// What they hold a log to; an error if one of them is another exchange's.
pub fn known<'a>(heads: impl Iterator<Item = &'a SignedHead>, vault: &Vault) -> Result<Vec<Known>> {
    let known = heads.map(|head| {
        let ours = head.is_signed(vault).then(|| head.known());
        ours.ok_or_else(|| format!("{head}: this exchange did not sign it").into())
    });
    known.collect()
}
