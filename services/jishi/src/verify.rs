//! The verb `verify`: says of every service's audit log whether it is as it was written (promise P-5), or decides a lot
//! again from its published bundle, with nothing but the file (promise P-2, docs/evidence.md).

use std::{
    fs::File,
    io::{BufReader, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use auction::evidence;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kernel::{
    Clock, Context, Id,
    audit_log::{
        rows::{RowFlaw, Rows, verify_rows},
        verify::{Flaw, Known, Verdict, strange_service, verify},
    },
    catalogue::recorded,
};

use wire::id::AuditRecordId;

use crate::{
    Result,
    config::Config,
    database::{Databases, Ground},
    heads,
    roles::{Role, Roles},
};

/// What to verify, and what to hold it to.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Arguments {
    /// A lot's bundle, as `GET /evidence/{sessionId}` gives it: neither configuration nor database is needed. Without it,
    /// the audit log of the configured databases is verified.
    #[arg(value_name = "BUNDLE")]
    bundle: Option<PathBuf>,
    /// The exchange's verifying key, got from elsewhere than the bundle: no other's bundle verifies.
    #[arg(long, allow_hyphen_values = true, value_name = "BASE64URL", requires = "bundle")]
    key: Option<Pinned>,
    /// A head that was noted earlier, as this verb prints it: the log must still begin with those records.
    #[arg(long, value_name = "SERVICE:SIZE:ROOT", conflicts_with = "bundle")]
    known: Vec<Noted>,
    /// A signed head that was kept elsewhere, as `heads` prints it, or a file of such lines: a log that was rewound behind it
    /// is found.
    #[arg(long, value_name = "HEAD|FILE", conflicts_with = "bundle")]
    against: Vec<String>,
}

/// A head that somebody noted, SERVICE:SIZE:ROOT.
#[derive(Clone, Debug)]
pub struct Noted(pub Known);

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

#[derive(Clone, Debug)]
struct Pinned([u8; 32]);

impl FromStr for Pinned {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Pinned, Self::Err> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| "a key is base64url without padding")?;
        bytes.try_into().map(Pinned).map_err(|_| "a key has 32 bytes")
    }
}

impl Arguments {
    /// The configured databases, each of whose logs must begin as these heads say.
    pub fn held_to(heads: impl IntoIterator<Item = String>) -> Result<Arguments> {
        let known = heads.into_iter().map(|head| head.parse()).collect::<Result<_, String>>()?;
        Ok(Arguments { known, ..Arguments::default() })
    }
}

/// Verifies the bundle, or all databases; an error if any record is not as it was.
pub async fn run(config: impl FnOnce() -> Result<Config>, arguments: &Arguments, out: impl Write) -> Result<()> {
    match &arguments.bundle {
        Some(bundle) => run_bundle(bundle, arguments.key.as_ref(), out),
        None => run_databases(&config()?, arguments, out).await,
    }
}

/// Decides one lot again.
fn run_bundle(bundle: &Path, key: Option<&Pinned>, mut out: impl Write) -> Result<()> {
    let file = File::open(bundle).map_err(|error| format!("{}: {error}", bundle.display()))?;
    let verdict = evidence::verify(BufReader::with_capacity(1 << 16, file), key.map(|pinned| &pinned.0));
    let evidence::Verdict { session_id, listing_id, rules_version, outcome, size, root, verifying_key } =
        verdict.map_err(|flaw| format!("the bundle does not verify\n{flaw}"))?;
    writeln!(out, "{session_id}: {outcome}")?;
    writeln!(out, "listing {listing_id}, rules {rules_version}")?;
    writeln!(out, "{size} records verify; head {session_id}:{size}:{root}")?;
    let pinned = if key.is_some() { "the given key" } else { "compare it with the exchange's, or give --key" };
    Ok(writeln!(out, "signed by {verifying_key} ({pinned})")?)
}

async fn run_databases(config: &Config, arguments: &Arguments, mut out: impl Write) -> Result<()> {
    let databases = Databases::open_to_look(config, &Roles::new(None), &Clock::system()).await?;
    let known: Vec<Known> = arguments.known.iter().map(|noted| noted.0.clone()).collect();
    let mut signed = Vec::new();
    for text in &arguments.against {
        signed.extend(heads::read(text)?);
    }
    let noted = known.iter().map(|known| known.service.clone());
    let noted: Vec<String> = noted.chain(signed.iter().map(|head| head.known().service)).collect();
    let is_strange = |service: &&String| !databases.grounds().any(|ground| ground.services.contains(&service.as_str()));
    if let Some(strange) = noted.iter().find(is_strange) {
        return Err(format!("{strange}: no service of this exchange has a log of that name").into());
    }
    let mut flawed = Vec::new();
    for ground in databases.grounds() {
        let signed = heads::known(
            signed.iter().filter(|head| ground.services.contains(&head.known().service.as_str())),
            &ground.context.vault,
        )?;
        let known: Vec<Known> = known.iter().cloned().chain(signed).collect();
        let schema = verify_schema(&ground.context, &mut out).await?;
        let is_changed = schema.is_some();
        flawed.extend(schema);
        match verify_records(ground, &known, &mut out).await {
            Ok(flaws) => flawed.extend(flaws),
            Err(error) if is_changed => flawed.push(format!("the records cannot be read: {error}")),
            Err(error) => return Err(error),
        }
    }
    databases.close().await;
    if flawed.is_empty() && !noted.is_empty() {
        writeln!(out, "the logs begin as {} noted heads say", noted.len())?;
    }
    match flawed.is_empty() {
        true => Ok(()),
        false => Err(format!("the records do not verify\n{}", flawed.join("\n")).into()),
    }
}

/// The first object of the schema that is not as the log says.
async fn verify_schema(Context { db, vault, .. }: &Context, mut out: impl Write) -> Result<Option<String>> {
    let Some(recorded) = recorded(db.read(), vault).await? else {
        writeln!(out, "the log does not say yet what the schema is")?;
        return Ok(None);
    };
    let differences = recorded.differences(db.read()).await?;
    let Some(first) = differences.first() else {
        writeln!(out, "{} objects of the schema are as the log says", recorded.count())?;
        return Ok(None);
    };
    let others = if differences.len() > 1 { format!(", and {} more", differences.len() - 1) } else { String::new() };
    Ok(Some(format!("schema: {first}{others}")))
}

/// What is found in the records of a database.
async fn verify_records(ground: &Ground, known: &[Known], mut out: impl Write) -> Result<Vec<String>> {
    let Context { db, vault, .. } = &ground.context;
    let mut flawed = Vec::new();
    for service in &ground.services {
        let verdict = verify(db, vault, service, known).await?;
        writeln!(out, "{}", told(service, &verdict))?;
        flawed.extend(verdict.flaw.map(|flaw| named(service, &flaw)));
    }
    let strange = strange_service(db, &ground.services).await?;
    flawed.extend(strange.map(|what| format!("{what} of a service that the exchange does not have")));
    let Rows { count, flaw } = verify_rows(db, vault).await?;
    writeln!(out, "{count} rows are as their events left them{}", before_the_first_bad(flaw.is_some()))?;
    flawed.extend(flaw.map(|flaw| named_row(&flaw)));
    if ground.services.contains(&Role::Ledger.name()) {
        flawed.extend(ledger::audit(db.read()).await?.map(|what| format!("ledger: {what}")));
    }
    if ground.services.contains(&Role::Auction.name()) {
        let auction::Audited { count, flaw } = auction::audit(&ground.context).await?;
        writeln!(out, "{count} lots are as their logs decide them{}", before_the_first_bad(flaw.is_some()))?;
        flawed.extend(flaw.map(|what| format!("auction: {what}")));
    }
    Ok(flawed)
}

fn before_the_first_bad(is_flawed: bool) -> &'static str {
    if is_flawed { " before the first bad one" } else { "" }
}

fn named_row(RowFlaw { row, event, what }: &RowFlaw) -> String {
    let event = event.map(|event| format!(", left by {}", AuditRecordId(event).text())).unwrap_or_default();
    format!("{row}: {what}{event}")
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
