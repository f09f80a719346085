//! `jishi import`: takes achievements and draft listings from files of others, row by row, under a mapping file.
//!
//! A row is taken whole or refused whole, with its line, its field and the reason; nothing is cut, and nothing is
//! guessed. A record is known by (source, source id), so a second run of the same file changes nothing, and a run that
//! was broken off is simply run again. Memory does not grow with the files, but for eight bytes a row that tell an
//! earlier row of this run from an earlier run.

mod batch;
mod dates;
mod mapping;
mod reader;
mod report;
mod scratch;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use indicatif::{ProgressBar, ProgressStyle};
use kernel::{Actor, ErrorCode, Id, Refusal};
use wire::{Clients, id::OrganizationId, v1};

use crate::{config::Config, database::require_exchange, offline::Offline};
use batch::{Batch, Pending};
use mapping::Mapping;
pub use report::Summary;
use report::{Entry, Report};

/// What can end an import before its files do; the text is for the operator.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What `jishi import` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The mapping file (TOML), such as services/jishi/mappings/chinaxiv.toml.
    #[arg(long)]
    pub mapping: PathBuf,
    /// The organization that will manage the records: its id, or its unified social credit code.
    #[arg(long)]
    pub organization: String,
    /// Judges every row by all rules, on a scratch database, and changes nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Where to list the rows that were not taken: CSV if the name ends in .csv, otherwise JSONL.
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// The files to read.
    #[arg(required = true)]
    pub data: Vec<PathBuf>,
}

/// The verb: imports into the configured databases; a server may be at work there.
pub async fn import(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    require_exchange(config, &Offline::roles()).await?;
    let offline = Offline::open(config).await?;
    let summary = run(arguments, &offline.clients, &mut std::io::stdout()).await;
    offline.close().await;
    summary.map(|_| ())
}

/// Imports all files through `clients`, in the exchange's own name, and prints the summary to `out`.
pub async fn run(arguments: &Arguments, clients: &Clients, out: &mut impl Write) -> Result<Summary, Failure> {
    let text = std::fs::read_to_string(&arguments.mapping).map_err(|error| at(&arguments.mapping, &error))?;
    let mapping = Mapping::read(&text).map_err(|error| at(&arguments.mapping, &error))?;
    let organization = organization(clients, &arguments.organization).await?;
    let report = Report::create(arguments.report.as_deref())?;
    let summary = if arguments.dry_run {
        let scratch = scratch::Scratch::with(&organization).await?;
        let batch = Batch::new(scratch.clients.catalog.clone(), scratch.organization_id.clone(), report);
        let summary = read_all(&mapping, &arguments.data, batch).await;
        scratch.close().await?;
        summary?
    } else {
        let batch = Batch::new(clients.catalog.clone(), organization.id.clone(), report);
        read_all(&mapping, &arguments.data, batch).await?
    };
    print(out, arguments, &organization, summary)?;
    Ok(summary)
}

/// The organization by its id or its code.
async fn organization(clients: &Clients, named: &str) -> Result<v1::Organization, Failure> {
    let mut identity = clients.identity.clone();
    let found = if OrganizationId::parse(named, "organization").is_ok() {
        identity
            .get_organizations(Actor::exchange().asks(v1::Ids { ids: vec![named.to_owned()] }))
            .await?
            .into_inner()
            .items
    } else {
        let wanted = v1::ListOrganizationsRequest { search: Some(named.to_owned()), ..Default::default() };
        identity.list_organizations(Actor::exchange().asks(wanted)).await?.into_inner().items
    };
    let is_it = |found: &v1::Organization| found.id == named || found.usci.eq_ignore_ascii_case(named);
    let found = found.into_iter().find(is_it);
    found.ok_or_else(|| format!("no organization has the id or the unified social credit code {named:?}").into())
}

async fn read_all(mapping: &Mapping, data: &[PathBuf], mut batch: Batch) -> Result<Summary, Failure> {
    for path in data {
        let file = File::open(path).map_err(|error| at(path, &error))?;
        let bar = progress(path, file.metadata()?.len());
        let rows = reader::rows(mapping, bar.wrap_read(file)).map_err(|error| at(path, &error))?;
        for row in rows {
            let row = row.map_err(|error| at(path, &error))?;
            take(mapping, path, row, &mut batch).await?;
        }
        bar.finish_and_clear();
    }
    batch.finish().await
}

async fn take(mapping: &Mapping, path: &Path, row: reader::Row, batch: &mut Batch) -> Result<(), Failure> {
    let file = path.display().to_string();
    match row.value.map(|value| mapping.apply(&value)) {
        Ok(Ok(record)) => batch.add(Pending { file, line: row.line, record }, row.size).await,
        Ok(Err(unfit)) => batch.refuse(&Entry::refused((&file, row.line), "", &unfit.refusal, &unfit.value)),
        Err(why) => {
            let refusal = Refusal {
                message_zh: "此行无法读取。".into(),
                message_en: "The row cannot be read.".into(),
                ..Refusal::new(ErrorCode::InvalidInput)
            };
            batch.refuse(&Entry::refused((&file, row.line), "", &refusal, &why))
        }
    }
}

/// A bar on standard error; indicatif hides it where that is no terminal.
fn progress(path: &Path, size: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ProgressBar::new(size).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(name)
}

fn print(
    out: &mut impl Write,
    arguments: &Arguments,
    organization: &v1::Organization,
    summary: Summary,
) -> std::io::Result<()> {
    let dry = if arguments.dry_run { "（试运行，未写入 / dry run, nothing written）" } else { "" };
    writeln!(out, "{} {}{dry}", organization.name, organization.id)?;
    for (zh, en, count) in [
        ("读取", "read", summary.read),
        ("新建", "created", summary.created),
        ("未变", "unchanged", summary.unchanged),
        ("重复", "duplicates", summary.duplicates),
        ("拒绝", "refused", summary.refused),
    ] {
        writeln!(out, "{zh} {en:<10} {count:>9}")?;
    }
    match &arguments.report {
        Some(path) if summary.refused + summary.duplicates > 0 => writeln!(out, "明细 report: {}", path.display()),
        None if summary.refused > 0 => writeln!(out, "加 --report 可列出被拒行 / --report FILE lists the refused rows"),
        _ => Ok(()),
    }
}

fn at(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    format!("{}: {error}", path.display()).into()
}
