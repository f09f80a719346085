//! `jishi seed`: what an exchange has before anybody uses it. In development a made-up exchange to try things out; in
//! production only a centre and its administrator. Doing it again changes nothing.

mod content;
mod data;

use std::{
    io::{BufRead, Write, stdin, stdout},
    time::Duration,
};

use gateway::DemoAccount;
use identity::{Authenticator, CENTRE_INDUSTRY, SeedOrganization, SeedPerson};
use kernel::{Clock, Context, Role};
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
    /// Makes the exchange's hub with this login as its administrator, and nothing else. The password is read
    /// from the environment variable JISHI_BOOTSTRAP_PASSWORD, or from a line of standard input. The secret of the
    /// second factor is printed once, as a URI for an authenticator.
    #[arg(long, requires_all = ["centre_name", "centre_usci", "centre_region", "centre_representative"])]
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
    /// Who represents the centre in law.
    #[arg(long, requires = "bootstrap_login")]
    pub centre_representative: Option<String>,
}

/// Seeds the configured databases.
pub async fn run(config: &Config, arguments: Arguments) -> Result<()> {
    let bootstrap = bootstrap(arguments)?;
    if bootstrap.is_none() && !config.is_development() {
        return Err("demo data is for development; in production give --bootstrap-login".into());
    }
    let offline = Offline::open(config).await?;
    let seeded = match bootstrap {
        Some(centre) => first(&offline.identity, centre).await,
        None => demo(&offline.identity, &offline.clients).await,
    };
    offline.close().await;
    seeded
}

/// Puts the first centre in place and tells its administrator's second factor, once.
async fn first(identity: &Context, centre: SeedOrganization) -> Result<()> {
    let made = identity::seed(identity, std::slice::from_ref(&centre)).await?;
    let mut out = stdout().lock();
    for administrator in &centre.members {
        if !made.contains(&administrator.login) {
            writeln!(out, "{} exists already: password and second factor stay as they are", administrator.login)?;
        } else if let Some(authenticator) = &administrator.second_factor {
            writeln!(out, "{} (told once): {}", administrator.login, authenticator.uri(&administrator.login))?;
        }
    }
    Ok(out.flush()?)
}

/// Puts the demo's accounts and content in place. `identity` is the ground of that service, which must live in this
/// process; the others are reached through `clients`.
pub async fn demo(identity: &Context, clients: &Clients) -> Result<()> {
    accounts(identity).await?;
    content::put(&Demo::read()?, clients, &identity.clock).await
}

/// The demo's organizations and people alone.
pub async fn accounts(identity: &Context) -> Result<()> {
    identity::seed(identity, &Demo::read()?.organizations()?).await?;
    Ok(())
}

/// The demo's content on a start. A process that it needs may start later; an exchange without demo data is an
/// exchange.
pub async fn content_when_possible(clients: Clients, clock: Clock) {
    for tries in 1..=TRIES {
        let put = async { content::put(&Demo::read()?, &clients, &clock).await };
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
    let mut accounts = Vec::new();
    for organization in Demo::read()?.organization {
        for member in organization.members {
            let authenticator = member.authenticator(organization.kind)?;
            accounts.push(DemoAccount {
                secret: authenticator.map(|authenticator| authenticator.secret()),
                login: member.login.into(),
                password: DEMO_PASSWORD.into(),
                role_zh: member.zh.into(),
                role_en: member.en.into(),
            });
        }
    }
    Ok(accounts)
}

/// The second factor of a demo account; none if there is no such account, or if it needs none.
pub fn authenticator(login: &str) -> Result<Option<Authenticator>> {
    for organization in Demo::read()?.organization {
        if let Some(member) = organization.members.iter().find(|member| member.login == login) {
            return member.authenticator(organization.kind);
        }
    }
    Ok(None)
}

/// The hub with its administrator, who invites everybody else.
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
    let administrator = SeedPerson {
        name: login.clone(),
        login: login.trim().to_ascii_lowercase(),
        password,
        roles: vec![Role::Administrator],
        second_factor: Some(Authenticator::fresh()?),
    };
    Ok(Some(SeedOrganization {
        name: given(arguments.centre_name, "centre-name")?,
        kind: OrganizationKind::ExchangeCentre,
        usci: given(arguments.centre_usci, "centre-usci")?,
        region: given(arguments.centre_region, "centre-region")?,
        legal_representative: given(arguments.centre_representative, "centre-representative")?,
        industry: CENTRE_INDUSTRY.into(),
        tier: None,
        centre: None,
        members: vec![administrator],
    }))
}

#[cfg(test)]
mod tests;
