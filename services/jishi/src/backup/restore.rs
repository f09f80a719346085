//! The verb `restore`: puts a backup into an empty place, verifies what came of it, and says up to which record of each
//! log it goes.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER_PERMISSIVE;
use kernel::{
    Clock,
    audit_log::{signed_head::SignedHead, verify::Known},
    snapshot::{deliver_again, place_in_postgres},
};
use tempfile::NamedTempFile;

use super::{
    Site,
    manifest::{Dump, Kind, Manifest, Reach, weigh},
    postgres,
};
use crate::{
    Result,
    config::Config,
    database::{Databases, in_words, sqlite_path},
    private,
    roles::Roles,
    verify::{self, Noted},
};

/// What `jishi restore` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The backup, as `jishi backup` made it.
    pub folder: PathBuf,
    /// A file with later heads of the lost exchange, SERVICE:SIZE:ROOT, among any other text: what `jishi verify` or a
    /// later `jishi backup` printed. Then it is said how many records after the backup are missing.
    #[arg(long, value_name = "FILE")]
    pub head: Option<PathBuf>,
}

/// Restores into the configured databases.
pub async fn run(config: &Config, arguments: &Arguments, mut out: impl Write) -> Result<()> {
    let later = match &arguments.head {
        Some(file) => noted(&fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?)?,
        None => Vec::new(),
    };
    let folder = arguments.folder.clone();
    let manifest = tokio::task::spawn_blocking(move || Manifest::read(&folder)).await??;
    let places = places(config, &manifest)?;
    let reaches = || manifest.databases.iter().flat_map(|dump| &dump.log);
    if let Some(strange) = later.iter().find(|head| !reaches().any(|reach| reach.service == head.known.service)) {
        return Err(format!("the backup holds no log of {}", strange.known.service).into());
    }
    // Everything that can be refused is refused before the first byte is written.
    opens(config, &manifest)?;
    for (site, dump) in &places {
        is_readable(dump)?;
        is_empty(site, dump).await?;
    }
    for (site, dump) in &places {
        load(config, &arguments.folder, site, dump).await?;
    }
    let databases = Databases::open(config, &Roles::new(None), &Clock::system()).await?;
    let mut forged = None;
    for ground in databases.grounds() {
        deliver_again(&ground.context.db).await?;
        let signed = later.iter().filter(|head| ground.services.contains(&head.known.service.as_str()));
        let mut signed = signed.filter_map(|head| head.signed.as_ref());
        forged = forged.or(signed.find(|head| !head.is_signed(&ground.context.vault)));
    }
    databases.close().await;
    writeln!(out, "the backup of {} is in place, and goes up to:", manifest.at)?;
    for reach in reaches() {
        writeln!(out, "{reach}")?;
    }
    if let Some(head) = forged {
        return Err(format!("{head}: this exchange did not sign it; nothing was compared or verified").into());
    }
    let heads = reaches().filter(|reach| reach.size > 0).map(Reach::head);
    let shared = later.iter().map(|head| &head.known);
    let shared = shared.filter(|head| reaches().any(|it| it.service == head.service && it.size >= head.size));
    let heads = heads.chain(shared.map(|head| format!("{}:{}:{}", head.service, head.size, head.root)));
    verify::run(|| Ok(config.clone()), &verify::Arguments::held_to(heads)?, &mut out).await?;
    for head in &later {
        for reach in reaches().filter(|reach| reach.service == head.known.service) {
            writeln!(out, "{}", missing(reach, head))?;
        }
    }
    Ok(writeln!(out, "everything that was restored verifies")?)
}

/// A later head of the lost exchange, and its signature where it has one.
#[derive(Debug)]
struct Later {
    known: Known,
    signed: Option<SignedHead>,
}

/// The heads that stand in a text, signed ones among them.
fn noted(text: &str) -> Result<Vec<Later>> {
    let is_root = |root: &str| root.len() == 64 && HEXLOWER_PERMISSIVE.decode(root.as_bytes()).is_ok();
    let head = |word: &str| {
        let signed = word.parse::<SignedHead>().ok();
        let noted = || word.parse::<Noted>().ok().map(|noted| noted.0);
        let known = signed.as_ref().map(SignedHead::known).or_else(noted)?;
        is_root(&known.root).then_some(Later { known, signed })
    };
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | ';'));
    let heads: Vec<_> = words.filter_map(head).collect();
    if heads.is_empty() {
        return Err("there is no head SERVICE:SIZE:ROOT in the file".into());
    }
    Ok(heads)
}

/// How a later head compares with what was restored.
fn missing(Reach { service, size, waiting, .. }: &Reach, Later { known, signed }: &Later) -> String {
    let (restored, later) = (size + waiting, known.size);
    if later <= *size {
        return format!("{service}: nothing is missing up to record {later}");
    }
    if later <= restored {
        let unsealed = "which the backup holds, not sealed yet: that head compares with nothing";
        return format!("{service}: nothing is missing up to record {later}, {unsealed}");
    }
    let which = match signed {
        Some(_) => "that were acknowledged after the backup are",
        None => "after the backup, if an unsigned head is to be believed, are",
    };
    format!(
        "{service}: {} records {which} missing, {} to {later} of the log that was lost",
        later - restored,
        restored + 1
    )
}

/// Which dump goes where: the databases must be divided among the services as they were.
fn places<'a>(config: &Config, manifest: &'a Manifest) -> Result<Vec<(Site, &'a Dump)>> {
    let sites = Site::all(config);
    let told = |divided: Vec<String>| divided.join(" | ");
    let here = told(sites.iter().map(|site| format!("{:?} {}", site.kind(), site.services.join(","))).collect());
    let there = told(manifest.databases.iter().map(|it| format!("{:?} {}", it.kind, it.services.join(","))).collect());
    let count = sites.len();
    let fitting = |site: Site| {
        let fits = |dump: &&Dump| dump.kind == site.kind() && dump.services == site.services;
        manifest.databases.iter().find(fits).map(|dump| (site, dump))
    };
    let places: Vec<_> = sites.into_iter().filter_map(fitting).collect();
    if places.len() < count || count < manifest.databases.len() {
        return Err(format!("the backup is of other databases: it holds {there}; configured are {here}").into());
    }
    Ok(places)
}

/// Requires the master key under which the databases were filled.
fn opens(config: &Config, manifest: &Manifest) -> Result<()> {
    let key = config.present_master_key()?;
    for dump in &manifest.databases {
        let fingerprint = HEXLOWER_PERMISSIVE.decode(dump.master_key_fingerprint.as_bytes()).unwrap_or_default();
        if !key.is_known_by(&fingerprint) {
            let told = &dump.master_key_fingerprint;
            return Err(format!("master_key is not that of the backup, whose fingerprint is {told}").into());
        }
    }
    Ok(())
}

/// An older schema is brought up to date; a newer one is none of this program's.
fn is_readable(dump: &Dump) -> Result<()> {
    if migrations::names().any(|name| name == dump.schema) {
        return Ok(());
    }
    Err(format!("the backup's schema is {}, which this version does not know: use a newer jishi", dump.schema).into())
}

async fn is_empty(site: &Site, dump: &Dump) -> Result<()> {
    if site.kind() == Kind::Sqlite {
        let path = sqlite_path(&site.url);
        let found = ["", "-wal", "-shm", "-journal"].map(|end| format!("{path}{end}"));
        return match found.iter().find(|path| Path::new(path).symlink_metadata().is_ok()) {
            Some(found) => {
                Err(format!("{found} is there already: a backup is restored into an empty place only").into())
            }
            None => Ok(()),
        };
    }
    let (namespace, tables) = in_words(&site.url, place_in_postgres(&site.url).await).await?;
    let wanted = dump.namespace.as_deref().unwrap_or_default();
    if namespace != wanted {
        let found = if namespace.is_empty() { "none".to_owned() } else { format!("{namespace:?}") };
        return Err(
            format!("the backup is of the schema {wanted:?}, and the database's present schema is {found}").into()
        );
    }
    if tables > 0 {
        let told = format!("there are {tables} tables already: a backup is restored into an empty database only");
        return Err(format!("{}: {told}", site.services.join(", ")).into());
    }
    Ok(())
}

async fn load(config: &Config, folder: &Path, site: &Site, dump: &Dump) -> Result<()> {
    let from = folder.join(&dump.file);
    if site.kind() == Kind::Postgres {
        return postgres::load(config, &site.url, dump.namespace.as_deref().unwrap_or_default(), &from).await;
    }
    let to = PathBuf::from(sqlite_path(&site.url));
    let sha256 = dump.sha256.clone();
    tokio::task::spawn_blocking(move || put(&from, &to, &sha256)).await?
}

/// The file is in its place whole or not at all.
fn put(from: &Path, to: &Path, sha256: &str) -> Result<()> {
    let at = |error: std::io::Error| format!("{}: {error}", to.display());
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    private::folder(folder).map_err(at)?;
    let mut copy = NamedTempFile::new_in(folder).map_err(at)?;
    std::io::copy(&mut File::open(from)?, copy.as_file_mut()).map_err(at)?;
    if weigh(copy.path())?.1 != sha256 {
        return Err(format!("{}: what was written is not what was read", to.display()).into());
    }
    copy.persist_noclobber(to).map_err(|error| at(error.error))?;
    Ok(File::open(folder)?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing_by(line: &str) -> String {
        let reach = Reach { service: "auction".into(), size: 10, root: "0".repeat(64), at: None, waiting: 2 };
        missing(&reach, &noted(&line.replace("ROOT", &"ab".repeat(32))).unwrap()[0])
    }

    #[test]
    fn heads_are_found_among_other_words() {
        let root = "ab".repeat(32);
        let text =
            format!("auction: 12 records; head auction:12:{root}, signed 2026-11-30T09:15:00.000Z\nledger:3:{root}\n");
        let heads = noted(&text).unwrap();
        let told: Vec<(&str, u64)> = heads.iter().map(|head| (head.known.service.as_str(), head.known.size)).collect();
        assert_eq!(told, [("auction", 12), ("ledger", 3)]);
        let signed = noted(&format!("ledger:3:{root}:1:1764489600000:AAAA\n")).unwrap();
        assert!(signed[0].signed.is_some() && signed[0].known.size == 3);
        assert!(noted("auction:12:abcd").is_err());
    }

    #[test]
    fn what_is_missing_is_counted_from_what_was_copied() {
        assert_eq!(missing_by("auction:10:ROOT"), "auction: nothing is missing up to record 10");
        assert!(missing_by("auction:12:ROOT").contains("not sealed yet: that head compares with nothing"));
        let later = missing_by("auction:15:ROOT");
        assert!(later.contains("3 records") && later.contains("13 to 15") && later.contains("unsigned"), "{later}");
        let signed = missing_by("auction:15:ROOT:1:1764489600000:AAAA");
        assert!(signed.contains("3 records that were acknowledged after the backup are missing"), "{signed}");
    }
}
