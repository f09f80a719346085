//! Each distinct database is connected once, brought to the newest schema, and shared by the roles that live in it.

use std::{fs, path::Path, sync::Arc};

use kernel::{Clock, Context, Db, Vault};

use crate::{
    Result,
    config::Config,
    roles::{Role, Roles},
};

/// The databases of this process.
pub struct Databases(Vec<Ground>);

/// One database and who lives in it.
pub struct Ground {
    url: String,
    /// What the services there stand on.
    pub context: Context,
    /// Who lives there.
    pub services: Vec<&'static str>,
}

impl Databases {
    /// Connects and migrates the databases of this process's services.
    pub async fn open(config: &Config, roles: &Roles, clock: &Clock) -> Result<Databases> {
        let vault = Arc::new(config.vault()?);
        let mut grounds: Vec<Ground> = Vec::new();
        for role in roles.services() {
            let url = config.database(role);
            match grounds.iter_mut().find(|ground| ground.url == url) {
                Some(ground) => ground.services.push(role.name()),
                None => {
                    let db = connect(&url, config).await?;
                    grounds.push(Ground::open((url, db), role, clock, vault.clone()).await?);
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
    async fn open((url, db): (String, Db), role: Role, clock: &Clock, vault: Arc<Vault>) -> Result<Ground> {
        vault.settle(&db).await?;
        clock.anchor(&db).await?;
        let context = Context::open(role.name(), db, clock.clone(), vault).await?;
        Ok(Ground { url, context, services: vec![role.name()] })
    }
}

/// Brings the databases of all services to the newest schema.
pub async fn migrate(config: &Config) -> Result<()> {
    let databases = Databases::open(config, &Roles::new(None), &Clock::system()).await?;
    tracing::info!(databases = databases.0.len(), "migrated");
    databases.close().await;
    Ok(())
}

fn is_embedded(url: &str) -> bool {
    url.starts_with("sqlite:")
}

async fn connect(url: &str, config: &Config) -> Result<Db> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.trim_start_matches("//").split('?').next().unwrap_or_default();
        if let Some(folder) = Path::new(path).parent() {
            fs::create_dir_all(folder)?;
        }
    }
    let db = Db::connect_within(url, config.write_limits()).await?;
    migrations::migrate(&db).await?;
    Ok(db)
}
