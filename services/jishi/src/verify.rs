//! The verb `verify`: says of every service's audit log whether it is as it was written (promise P-5).

use std::{io::Write, str::FromStr};

use kernel::{
    Clock, Id,
    audit_log::verify::{Flaw, Known, Verdict, verify},
};

use wire::id::AuditRecordId;

use crate::{Result, config::Config, database::Databases, roles::Roles};

/// What to hold the log to.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Arguments {
    /// A head that was noted earlier, as this verb prints it: the log must still begin with those records.
    #[arg(long, value_name = "SERVICE:SIZE:ROOT")]
    known: Vec<Noted>,
}

#[derive(Clone, Debug)]
struct Noted(Known);

impl FromStr for Noted {
    type Err = String;

    fn from_str(text: &str) -> Result<Noted, String> {
        let mut parts = text.splitn(3, ':');
        let (Some(service), Some(size), Some(root)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("a head is SERVICE:SIZE:ROOT".into());
        };
        let size = size.parse().map_err(|_| format!("{size:?} is no number of records"))?;
        Ok(Noted(Known { service: service.to_owned(), size, root: root.to_owned() }))
    }
}

/// Goes through all databases; an error if any record is not as it was.
pub async fn run(config: &Config, arguments: &Arguments, mut out: impl Write) -> Result<()> {
    let databases = Databases::open(config, &Roles::new(None), &Clock::system()).await?;
    let known: Vec<Known> = arguments.known.iter().map(|noted| noted.0.clone()).collect();
    let mut flawed = Vec::new();
    for ground in databases.grounds() {
        for service in &ground.services {
            let verdict = verify(&ground.context.db, &ground.context.vault, service, &known).await?;
            writeln!(out, "{}", told(service, &verdict))?;
            flawed.extend(verdict.flaw.map(|flaw| named(service, &flaw)));
        }
    }
    databases.close().await;
    match flawed.is_empty() {
        true => Ok(()),
        false => Err(format!("the audit log does not verify\n{}", flawed.join("\n")).into()),
    }
}

fn told(service: &str, verdict: &Verdict) -> String {
    let Verdict { size, root, waiting, flaw } = verdict;
    let found = if flaw.is_some() { "records verify before the first bad one" } else { "records verify" };
    let waiting = if *waiting > 0 { format!(" ({waiting} not sealed yet)") } else { String::new() };
    format!("{service}: {size} {found}{waiting}; head {service}:{size}:{root}")
}

fn named(service: &str, flaw: &Flaw) -> String {
    let place = flaw.place.map(|place| format!(" record {place}")).unwrap_or_default();
    let event = flaw.event.map(|event| format!(" {}", AuditRecordId(event).text())).unwrap_or_default();
    format!("{service}:{place}{event} {}", flaw.what)
}
