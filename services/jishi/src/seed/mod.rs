//! `jishi seed`: what an exchange has before anybody uses it. In development a made-up exchange to try things out; in
//! production only a centre and its administrator. Doing it again changes nothing.

mod content;
mod data;

use std::{
    io::{BufRead, stdin},
    time::Duration,
};

use gateway::DemoAccount;
use identity::{SeedOrganization, SeedPerson};
use kernel::{Context, Role};
use wire::{Clients, v1::OrganizationKind};

use crate::{Result, config::Config, offline::Offline};
use data::Demo;

/// Everybody's password in demo data.
pub const DEMO_PASSWORD: &str = "jishi-demo-2026";

/// Where the first administrator's password may stand, so that it shows in no list of processes.
const BOOTSTRAP_PASSWORD: &str = "JISHI_BOOTSTRAP_PASSWORD";

/// How often a start tries to put the demo's data in place.
const TRIES: u32 = 20;

/// What `jishi seed` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Makes the first exchange centre with this login as its administrator, and nothing else. The password is read
    /// from the environment variable JISHI_BOOTSTRAP_PASSWORD, or from a line of standard input.
    #[arg(long, requires_all = ["centre_name", "centre_usci", "centre_region"])]
    pub bootstrap_login: Option<String>,
    /// The centre's registered name.
    #[arg(long, requires = "bootstrap_login")]
    pub centre_name: Option<String>,
    /// The centre's unified social credit code.
    #[arg(long, requires = "bootstrap_login")]
    pub centre_usci: Option<String>,
    /// The centre's administrative division, 6 digits (GB/T 2260).
    #[arg(long, requires = "bootstrap_login")]
    pub centre_region: Option<String>,
}

/// Seeds the configured databases.
pub async fn run(config: &Config, arguments: Arguments) -> Result<()> {
    let bootstrap = bootstrap(arguments)?;
    if bootstrap.is_none() && !config.is_development() {
        return Err("demo data is for development; in production give --bootstrap-login".into());
    }
    let offline = Offline::open(config).await?;
    let seeded = match bootstrap {
        Some(centre) => Ok(identity::seed(&offline.identity, &[centre]).await?),
        None => demo(&offline.identity, &offline.clients).await,
    };
    offline.close().await;
    seeded
}

/// Puts the demo's accounts and content in place. `identity` is the ground of that service, which must live in this
/// process; the others are reached through `clients`.
pub async fn demo(identity: &Context, clients: &Clients) -> Result<()> {
    accounts(identity).await?;
    content::put(&Demo::read()?, clients).await
}

/// The demo's organizations and people alone.
pub async fn accounts(identity: &Context) -> Result<()> {
    Ok(identity::seed(identity, &Demo::read()?.organizations()?).await?)
}

/// The demo's content on a start. A process that it needs may start later; an exchange without demo data is an
/// exchange.
pub async fn content_when_possible(clients: Clients) {
    for tries in 1..=TRIES {
        let put = async { content::put(&Demo::read()?, &clients).await };
        let Err(error) = put.await else { return };
        tracing::warn!(%error, tries, "the demo data is not in place");
        if !error.is::<tonic::Status>() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The demo's accounts, for the page that offers them. Development only.
pub fn demo_accounts() -> Result<Vec<DemoAccount>> {
    let demo = Demo::read()?;
    let members = demo.organization.into_iter().flat_map(|organization| organization.members);
    Ok(members
        .map(|member| DemoAccount {
            login: member.login.into(),
            password: DEMO_PASSWORD.into(),
            role_zh: member.zh.into(),
            role_en: member.en.into(),
        })
        .collect())
}

/// The first centre with its administrator, who adds everybody else.
fn bootstrap(arguments: Arguments) -> Result<Option<SeedOrganization>> {
    let Some(login) = arguments.bootstrap_login else { return Ok(None) };
    let given = |value: Option<String>, name: &str| value.ok_or_else(|| format!("--{name} is required"));
    let password = match std::env::var(BOOTSTRAP_PASSWORD) {
        Ok(password) => password,
        Err(_) => {
            let mut line = String::new();
            stdin().lock().read_line(&mut line)?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    let administrator = SeedPerson { name: login.clone(), login, password, roles: vec![Role::Administrator] };
    Ok(Some(SeedOrganization {
        name: given(arguments.centre_name, "centre-name")?,
        kind: OrganizationKind::ExchangeCentre,
        usci: given(arguments.centre_usci, "centre-usci")?,
        region: given(arguments.centre_region, "centre-region")?,
        members: vec![administrator],
    }))
}

#[cfg(test)]
mod tests;
