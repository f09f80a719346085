//! The verb `backup`: a consistent copy of all databases while the exchange is at work, in a folder that is there whole
//! or not at all (docs/operating.md).

pub mod manifest;
pub mod postgres;
pub mod restore;

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use futures::future::try_join_all;
use kernel::{
    Clock,
    snapshot::{Holding, PostgresView, copy_sqlite, read_sqlite},
};
use tempfile::TempDir;

use crate::{
    Result,
    config::Config,
    database::{in_words, require_current},
    private,
    roles::{Role, Roles},
};
use manifest::{Dump, FORMAT, Kind, Manifest};

/// What `jishi backup` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The folder to be made. It must not be there yet.
    pub folder: PathBuf,
}

/// One of the configured databases, and who lives there.
pub struct Site {
    /// Where it is.
    pub url: String,
    /// Whose tables it holds.
    pub services: Vec<&'static str>,
}

impl Site {
    /// Every distinct database of the configuration.
    #[must_use]
    pub fn all(config: &Config) -> Vec<Site> {
        let mut sites: Vec<Site> = Vec::new();
        for role in Role::SERVICES {
            let url = config.database(role);
            match sites.iter_mut().find(|site| site.url == url) {
                Some(site) => site.services.push(role.name()),
                None => sites.push(Site { url, services: vec![role.name()] }),
            }
        }
        sites
    }

    /// What kind of database it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.url.starts_with("sqlite:") { Kind::Sqlite } else { Kind::Postgres }
    }

    /// How its dump is named.
    fn file(&self) -> String {
        let first = self.services.first().filter(|_| self.services.len() < Role::SERVICES.len());
        let name = first.copied().unwrap_or("jishi");
        match self.kind() {
            Kind::Sqlite => format!("{name}.sqlite"),
            Kind::Postgres => format!("{name}.pgdump"),
        }
    }
}

/// Copies all databases into a new folder, and tells how far their logs go.
pub async fn run(config: &Config, Arguments { folder }: &Arguments, mut out: impl Write) -> Result<()> {
    if folder.symlink_metadata().is_ok() {
        return Err(format!("{} is there already: a backup takes a name of its own", folder.display()).into());
    }
    require_current(config, &Roles::new(None)).await?;
    // Beside its place, so that its name is all that changes in the end; only its owner reads it.
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = folder.file_name().ok_or("a backup needs a name")?.to_string_lossy().into_owned();
    let prefix = format!(".{name}.partial-");
    let partial =
        private::temporary_folder(&prefix, parent).map_err(|error| format!("{}: {error}", parent.display()))?;

    let at = Clock::system().now().to_string();
    let databases = copy_all(config, partial.path()).await?;
    let program = format!("jishi {}", env!("CARGO_PKG_VERSION"));
    let manifest = Manifest { format: FORMAT, program, at, databases };
    manifest.write(partial.path())?;
    settle(partial, folder, parent)?;
    for position in manifest.databases.iter().flat_map(|dump| &dump.log) {
        writeln!(out, "{position}")?;
    }
    writeln!(out, "{}: whole, of {}", folder.display(), manifest.at)?;
    Ok(())
}

/// Gives the folder its name, once everything in it is on the disk.
fn settle(partial: TempDir, folder: &Path, parent: &Path) -> Result<()> {
    File::open(partial.path())?.sync_all()?;
    let partial = partial.keep();
    if let Err(error) = fs::rename(&partial, folder) {
        fs::remove_dir_all(&partial)?;
        return Err(format!("{}: {error}", folder.display()).into());
    }
    Ok(File::open(parent)?.sync_all()?)
}

/// All views on PostgreSQL are taken before the first is copied, so that they lie milliseconds apart.
async fn copy_all(config: &Config, folder: &Path) -> Result<Vec<Dump>> {
    let sites = Site::all(config);
    let mut copies = Vec::with_capacity(sites.len());
    for site in &sites {
        let view = match site.kind() {
            Kind::Sqlite => None,
            Kind::Postgres => Some(in_words(&site.url, PostgresView::open(&site.url).await).await?),
        };
        copies.push((site, view));
    }
    try_join_all(copies.into_iter().map(|(site, view)| copy(config, folder, site, view))).await
}

async fn copy(config: &Config, folder: &Path, site: &Site, view: Option<PostgresView>) -> Result<Dump> {
    let file = site.file();
    let path = folder.join(&file);
    private::file(&path)?;
    let (holding, namespace) = match view {
        None => {
            in_words(&site.url, copy_sqlite(&site.url, &path).await).await?;
            (read_sqlite(&path, &site.services).await?, None)
        }
        Some(view) => {
            let holding = view.holding(&site.services).await?;
            postgres::dump(config, &site.url, &view, &path).await?;
            let namespace = Some(view.namespace.clone());
            view.close().await?;
            (holding, namespace)
        }
    };
    let Holding { schema, fingerprint, log } = holding;
    if fingerprint.is_empty() {
        return Err(format!("{} holds no exchange: none was ever started there", site.services.join(", ")).into());
    }
    let (size, sha256) = tokio::task::spawn_blocking(move || manifest::weigh(&path)).await??;
    Ok(Dump {
        kind: site.kind(),
        file,
        size,
        sha256,
        services: site.services.iter().map(|name| (*name).to_owned()).collect(),
        schema,
        namespace,
        master_key_fingerprint: data_encoding::HEXLOWER.encode(&fingerprint),
        log: log.into_iter().map(Into::into).collect(),
    })
}
