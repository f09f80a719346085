//! Each distinct database is connected once, brought to the newest schema, and shared by the roles that live in it.

use std::{collections::BTreeSet, fmt, io::ErrorKind, path::Path, sync::Arc};

use kernel::{
    Clock, Context, Db, ErrorCode, MasterKey,
    audit_log::adopt::{self, Adopted},
    catalogue, delivered,
    snapshot::place_in_postgres,
};

use migrations::Keeping;

use crate::{
    Result,
    config::Config,
    private,
    roles::{Role, Roles},
};

/// Why there is no start without a calendar and rules that can be relied on.
const ALTERED: &str = "the calendar or the rules are not as the exchange left them, and nothing can be reckoned without \
    them; a log line with ALTERED names the row (docs/operating.md, Logs, metrics, alarms)";

/// The databases of this process.
pub struct Databases(Vec<Ground>);

/// One database and who lives in it.
pub struct Ground {
    url: String,
    /// What the services there stand on.
    pub context: Context,
    /// Who lives there.
    pub services: Vec<&'static str>,
    /// What was otherwise in its schema than the log said, and was taken in.
    pub adopted_schema: Vec<String>,
}

impl Databases {
    /// Connects and migrates the databases of this process's services.
    pub async fn open(config: &Config, roles: &Roles, clock: &Clock) -> Result<Databases> {
        Databases::open_for(config, roles, clock, (Keeping::Work, config.master_key()?)).await
    }

    /// The same for whoever only looks: there must be an exchange, and nothing is written into the tables.
    pub async fn open_to_look(config: &Config, roles: &Roles, clock: &Clock) -> Result<Databases> {
        require_current(config, roles).await?;
        let patient = Config { database_answer_millis: 0, ..config.clone() };
        Databases::open_for(&patient, roles, clock, (Keeping::Look, config.present_master_key()?)).await
    }

    /// The same as for work, and the schema counts as it stands.
    pub async fn open_to_adopt(config: &Config, roles: &Roles, clock: &Clock) -> Result<Databases> {
        require_exchange(config, roles).await?;
        Databases::open_for(config, roles, clock, (Keeping::Adopt, config.present_master_key()?)).await
    }

    async fn open_for(
        config: &Config,
        roles: &Roles,
        clock: &Clock,
        (keeping, key): (Keeping, MasterKey),
    ) -> Result<Databases> {
        let mut grounds: Vec<Ground> = Vec::new();
        for role in roles.services() {
            let url = config.database(role);
            match grounds.iter_mut().find(|ground| ground.url == url) {
                Some(ground) => ground.services.push(role.name()),
                None => {
                    let db = connect(&url, config).await?;
                    grounds.push(Ground::open((url, db), (role, keeping), clock, &key).await?);
                }
            }
        }
        Ok(Databases(grounds))
    }

    /// What a service of this process stands on.
    pub fn context(&self, role: Role) -> Result<Context> {
        let ground = self.0.iter().find(|ground| ground.services.contains(&role.name()));
        let ground = ground.ok_or_else(|| format!("{} has no database here", role.name()))?;
        Ok(ground.context.with_service(role.name()))
    }

    /// Every distinct database.
    pub fn grounds(&self) -> impl Iterator<Item = &Ground> {
        self.0.iter()
    }

    /// The connections of every distinct database.
    #[must_use]
    pub fn connections(&self) -> Vec<Db> {
        self.0.iter().map(|ground| ground.context.db.clone()).collect()
    }

    /// The database whose clock is the exchange's; on SQLite the process's own clock is.
    #[must_use]
    pub fn time_authority(&self) -> Option<Db> {
        let ground = self.0.iter().find(|ground| !is_embedded(&ground.url))?;
        Some(ground.context.db.clone())
    }

    /// Closes all of them.
    pub async fn close(self) {
        for ground in self.0 {
            if let Err(error) = ground.context.db.close().await {
                tracing::warn!(%error, "a database did not close");
            }
        }
    }
}

impl Ground {
    async fn open(
        (url, db): (String, Db),
        (role, keeping): (Role, Keeping),
        clock: &Clock,
        key: &MasterKey,
    ) -> Result<Ground> {
        let vault = Arc::new(key.open(&db).await?);
        clock.anchor(&db).await?;
        let (service, clock) = (role.name(), clock.clone());
        let early = Context::to_migrate(service, db.clone(), clock.clone(), vault.clone())?;
        let differences = in_words(&url, migrations::keep(&early, keeping).await).await?;
        if !differences.is_empty() && keeping != Keeping::Adopt {
            return Err(OtherSchema(differences).into());
        }
        let mut ground = Ground { url, context: early, services: vec![service], adopted_schema: differences };
        match keeping {
            Keeping::Work => {}
            Keeping::Adopt => return Ok(ground),
            Keeping::Look => {
                ground.context = Context::to_look(service, db.to_look(), clock, vault)?;
                return Ok(ground);
            }
        }
        // An exchange whose rows no program has bound so far: they count as they stand.
        if adopt::is_unbound(&db).await? {
            ground.adopt().await?;
        }
        ground.context = match Context::open(service, db, clock, vault).await {
            Err(error) if error.code() == ErrorCode::RecordAltered => return Err(ALTERED.into()),
            opened => opened?,
        };
        delivered::take_in(&ground.context).await?;
        Ok(ground)
    }

    /// Takes rows and lots as they stand into the log.
    pub async fn adopt(&self) -> Result<(Adopted, u64)> {
        let adopted = adopt::adopt(&self.context).await?;
        let lots = auction::adopt(&self.context.with_service(Role::Auction.name())).await?;
        delivered::free(&self.context).await?;
        Ok((adopted, lots))
    }
}

/// Why a schema is not brought up to date.
#[derive(Debug)]
pub struct OtherSchema(Vec<String>);

impl std::error::Error for OtherSchema {}

impl fmt::Display for OtherSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why =
            "the schema is not what the log says of it, and is not brought up to date (docs/operating.md, Upgrade)";
        write!(f, "{why}:\n{}", self.0.join("\n"))
    }
}

/// Why a newer program does not look at an exchange.
const OLDER_SCHEMA: &str = "the schema is an older program's: look at it, and back it up, with that one; `jishi migrate` \
    brings it up to date (docs/operating.md, Upgrade)";

/// Brings the databases of all services to the newest schema.
pub async fn migrate(config: &Config) -> Result<()> {
    let databases = Databases::open(config, &Roles::new(None), &Clock::system()).await?;
    tracing::info!(databases = databases.0.len(), "migrated");
    databases.close().await;
    Ok(())
}

/// Requires that an exchange was begun in the database of each of these roles; none is made to find out.
pub async fn require_exchange(config: &Config, roles: &Roles) -> Result<()> {
    had(config, roles).await.map(drop)
}

/// Requires it of this program's schema: whoever only looks brings nothing up to date.
pub async fn require_current(config: &Config, roles: &Roles) -> Result<()> {
    let had = had(config, roles).await?;
    let is_current = had.iter().all(|had| migrations::names().all(|name| had.contains(&name)));
    if is_current { Ok(()) } else { Err(OLDER_SCHEMA.into()) }
}

/// Which changes of the schema the database of each of these roles has had.
async fn had(config: &Config, roles: &Roles) -> Result<Vec<Vec<String>>> {
    let urls: BTreeSet<String> = roles.services().map(|role| config.database(role)).collect();
    let mut found = Vec::new();
    for url in urls {
        let is_absent = is_embedded(&url) && is_absent(Path::new(sqlite_path(&url)))?;
        let had = if is_absent { None } else { in_words(&url, migrations::had(&url).await).await? };
        let Some(had) = had else {
            let place = place(&url).await?;
            let help = "name the place of yours (data_dir or database_url), or begin one with `jishi serve`";
            return Err(format!("there is no exchange in {place}: {help}").into());
        };
        found.push(had);
    }
    Ok(found)
}

/// Whether there is no file. A folder that this user may not enter hides what there is.
fn is_absent(path: &Path) -> Result<bool> {
    match path.metadata() {
        Ok(found) => Ok(!found.is_file()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(format!("the database {}: {error}", path.display()).into()),
    }
}

/// A database as an operator finds it; no password is told.
async fn place(url: &str) -> Result<String> {
    if is_embedded(url) {
        return Ok(std::path::absolute(sqlite_path(url))?.display().to_string());
    }
    let (schema, _) = in_words(url, place_in_postgres(url).await).await?;
    let server = url.split('?').next().unwrap_or_default();
    let (_, server) = server.rsplit_once('@').or_else(|| server.split_once("://")).unwrap_or_default();
    Ok(format!("the schema {schema:?} of {server}"))
}

/// Whether the database is a file of this machine.
#[must_use]
pub fn is_embedded(url: &str) -> bool {
    url.starts_with("sqlite:")
}

/// The file of an embedded database.
#[must_use]
pub fn sqlite_path(url: &str) -> &str {
    url.trim_start_matches("sqlite:").trim_start_matches("//").split('?').next().unwrap_or_default()
}

/// What SQLite says, and what an operator can do.
const SQLITE: [(&str, &str); 4] = [
    ("database or disk is full", "the disk is full; make room there"),
    ("attempt to write a readonly database", "it cannot be written; this user needs to write the file and its folder"),
    ("unable to open database file", "it cannot be opened; this user needs to write its folder"),
    ("file is not a database", "the file is no SQLite database"),
];

/// Connects to a database. It is brought to the newest schema here where the log does not say yet what that is.
pub async fn connect(url: &str, config: &Config) -> Result<Db> {
    if is_embedded(url)
        && let Some(folder) = Path::new(sqlite_path(url)).parent()
    {
        private::folder(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        // Where it cannot be made, SQLite tells why.
        private::file(Path::new(sqlite_path(url))).ok();
    }
    let opened = async {
        let db = Db::connect_within(url, config.write_limits()).await?;
        if !catalogue::is_recorded(db.read()).await? {
            migrations::migrate(&db).await?;
        }
        Ok(db)
    };
    in_words(url, opened.await).await
}

/// A fault of a database with its cause, as an operator can use it.
pub async fn in_words<T>(url: &str, outcome: kernel::Result<T>) -> Result<T> {
    let fault = match outcome {
        Ok(done) => return Ok(done),
        Err(fault) => fault.to_string(),
    };
    if !is_embedded(url) {
        let why = kernel::reach::why_not(url).await;
        return Err(why.map_or(fault, |why| format!("the database is out of reach: {why}")).into());
    }
    let path = sqlite_path(url);
    let words = SQLITE.iter().find(|(sign, _)| fault.contains(sign)).map(|(_, words)| *words);
    Err(format!("the database {path}: {}", words.unwrap_or(&fault)).into())
}
