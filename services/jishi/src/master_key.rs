//! The master key: the operator's, or in development one that is made once or that everybody knows.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use kernel::{DEVELOPMENT_KEY, MasterKey};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::{Result, config::Config, database::sqlite_path, private, roles::Role};

/// Where a developer's key is kept, beside the embedded database.
const KEPT: &str = "master.key";

impl Config {
    /// Whether all databases are files of this machine.
    fn is_embedded(&self) -> bool {
        Role::SERVICES.into_iter().all(|role| self.database(role).starts_with("sqlite:"))
    }

    /// Where the embedded database lies.
    fn embedded_folder(&self) -> PathBuf {
        let url = self.database(Role::Identity);
        let folder = Path::new(sqlite_path(&url)).parent().unwrap_or(Path::new(""));
        if folder.as_os_str().is_empty() { ".".into() } else { folder.to_path_buf() }
    }

    /// What opens the secrets of the databases: `master_key`; in development else a key that is made once and kept
    /// beside the embedded database, or, where several processes share a server, the one that everybody knows.
    pub fn master_key(&self) -> Result<MasterKey> {
        match &self.master_key {
            Some(key) => read(key),
            None if self.is_embedded() => Ok(MasterKey::new(&*kept_key(&self.embedded_folder())?)),
            None => Ok(MasterKey::development()),
        }
    }

    /// The same, and none is made: what is there already was filled under a key.
    pub fn present_master_key(&self) -> Result<MasterKey> {
        let path = self.embedded_folder().join(KEPT);
        if self.master_key.is_none() && self.is_embedded() && !path.is_file() {
            let path = path.display();
            return Err(format!("the master key is missing: set master_key, or put it into {path}").into());
        }
        self.master_key()
    }
}

/// Requires a key that not everybody knows.
pub fn require_own(key: Option<&str>) -> Result<()> {
    let key = key.map(decoded).transpose()?;
    if key.is_none_or(|key| *key == *DEVELOPMENT_KEY) {
        return Err("production needs a master_key of its own (JISHI_MASTER_KEY): openssl rand -base64 32".into());
    }
    Ok(())
}

/// A key in base64, as configuration has it.
pub fn read(key: &str) -> Result<MasterKey> {
    Ok(MasterKey::new(&*decoded(key)?))
}

fn decoded(key: &str) -> Result<Zeroizing<[u8; 32]>> {
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(key.trim()).unwrap_or_default());
    let key =
        bytes.as_slice().try_into().map_err(|_| "master_key takes 32 bytes in base64: openssl rand -base64 32")?;
    Ok(Zeroizing::new(key))
}

/// The key in the file `master.key`, which is made at first need and which only its owner reads.
fn kept_key(folder: &Path) -> Result<Zeroizing<[u8; 32]>> {
    let path = folder.join(KEPT);
    if !path.exists() {
        let at = |error: std::io::Error| format!("{}: the master key cannot be kept there: {error}", folder.display());
        private::folder(folder).map_err(at)?;
        let mut file = NamedTempFile::new_in(folder).map_err(at)?;
        let key = Zeroizing::new(rand::random::<[u8; 32]>());
        writeln!(file, "{}", BASE64_STANDARD.encode(*key)).map_err(at)?;
        file.as_file().sync_all().map_err(at)?;
        // Whoever was first made the key.
        if let Err(error) = file.persist_noclobber(&path)
            && error.error.kind() != ErrorKind::AlreadyExists
        {
            return Err(format!("{}: {}", path.display(), error.error).into());
        }
    }
    let key = Zeroizing::new(fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?);
    decoded(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_developers_key_is_made_once_and_kept_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().join("new");
        let config = || Config { data_dir: here.clone(), ..Config::embedded(folder.path()).unwrap() };
        let fingerprint = |config: Config| config.master_key().unwrap().fingerprint();
        let first = fingerprint(config());
        assert_eq!(fingerprint(config()), first);
        assert_ne!(MasterKey::development().fingerprint(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(here.join("master.key")).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // Whoever opens the same database finds the same key, whatever else differs.
        let path = format!("sqlite://{}", here.join("jishi.db").display());
        let elsewhere = Config { data_dir: folder.path().into(), database_url: Some(path), ..config() };
        assert_eq!(fingerprint(elsewhere), first);
        let shared = Config { ledger_database_url: Some("postgres://l".into()), ..config() };
        assert_eq!(fingerprint(shared), MasterKey::development().fingerprint());
    }
}
