//! What a backup says of itself: `manifest.json`, written last. A folder without it is no backup.

use std::{
    fmt,
    fs::File,
    io::{BufReader, Read, Write},
    path::Path,
};

use data_encoding::HEXLOWER;
use kernel::snapshot::Position;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Result, private};

/// The form in which this program writes backups, and the only one that it reads.
pub const FORMAT: u32 = 1;
const NAME: &str = "manifest.json";

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Who wrote it.
    pub program: String,
    /// When it was begun, in RFC 3339, UTC.
    pub at: String,
    /// One dump for each distinct database.
    pub databases: Vec<Dump>,
}

/// The copy of one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dump {
    /// What kind of database it is of.
    pub kind: Kind,
    /// Its file, beside the manifest.
    pub file: String,
    /// The file's length in bytes.
    pub size: u64,
    /// The file's SHA-256, in hexadecimal.
    pub sha256: String,
    /// Whose tables are in it.
    pub services: Vec<String>,
    /// The newest change of its schema.
    pub schema: String,
    /// On PostgreSQL the schema in which the tables lay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// By which the master key that opens it is known, in hexadecimal.
    pub master_key_fingerprint: String,
    /// How far the audit log of each service goes.
    pub log: Vec<Reach>,
}

/// Kinds of databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// How far one service's audit log goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// The service.
    pub service: String,
    /// The number of records under the newest signed head in the dump.
    pub size: u64,
    /// The root over them, in hexadecimal.
    pub root: String,
    /// When that head was signed; nothing if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Records in the dump that no head covers yet.
    pub waiting: u64,
}

impl From<Position> for Reach {
    fn from(Position { service, size, root, at, waiting }: Position) -> Self {
        Reach { service, size, root, at: at.map(|at| at.to_string()), waiting }
    }
}

impl Reach {
    /// The head, as `jishi verify --known` takes it.
    #[must_use]
    pub fn head(&self) -> String {
        format!("{}:{}:{}", self.service, self.size, self.root)
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reach { service, size, at, waiting, .. } = self;
        let signed = at.as_ref().map(|at| format!(", signed {at}")).unwrap_or_default();
        let waiting = if *waiting > 0 { format!(" and {waiting} not sealed yet") } else { String::new() };
        write!(f, "{service}: {size} records{waiting}; head {}{signed}", self.head())
    }
}

impl Manifest {
    /// Writes it into the folder, and to the disk.
    pub fn write(&self, folder: &Path) -> Result<()> {
        private::file(&folder.join(NAME))?;
        let mut file = File::options().write(true).open(folder.join(NAME))?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        Ok(file.sync_all()?)
    }

    /// Reads it from a backup, and finds all files there as they were written.
    pub fn read(folder: &Path) -> Result<Manifest> {
        let path = folder.join(NAME);
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(format!("{} is no whole backup: there is no {NAME} in it", folder.display()).into());
            }
            other => other.map_err(|error| format!("{}: {error}", path.display()))?,
        };
        let damaged = |error: serde_json::Error| format!("{}: {error}", path.display());
        let told: serde_json::Value = serde_json::from_reader(BufReader::new(file)).map_err(damaged)?;
        if told.get("format").and_then(serde_json::Value::as_u64) != Some(u64::from(FORMAT)) {
            return Err(format!("{}: this program reads backups of format {FORMAT}", path.display()).into());
        }
        let manifest: Manifest = serde_json::from_value(told).map_err(damaged)?;
        for dump in &manifest.databases {
            dump.check(folder)?;
        }
        Ok(manifest)
    }
}

impl Dump {
    fn check(&self, folder: &Path) -> Result<()> {
        // A name that leads elsewhere would let a backup name any file of this machine.
        if Path::new(&self.file).file_name().is_none_or(|name| name != self.file.as_str()) {
            return Err(format!("{:?} is no name of a file in a backup", self.file).into());
        }
        let path = folder.join(&self.file);
        let (size, sha256) = weigh(&path)?;
        if (size, &sha256) != (self.size, &self.sha256) {
            return Err(format!("{} is not as it was written: its length or SHA-256 differs", path.display()).into());
        }
        Ok(())
    }
}

/// A file's length and SHA-256. What was read is on the disk.
pub fn weigh(path: &Path) -> Result<(u64, String)> {
    let at = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(at)?;
    file.sync_all().map_err(at)?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0_u64, vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer).map_err(at)?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else { break };
        hash.update(chunk);
        size += chunk.len() as u64;
    }
    Ok((size, HEXLOWER.encode(&hash.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(folder: &Path) -> Manifest {
        std::fs::write(folder.join("jishi.sqlite"), "rows").unwrap();
        let (size, sha256) = weigh(&folder.join("jishi.sqlite")).unwrap();
        let log = vec![Reach { service: "ledger".into(), size: 2, root: "ab".into(), at: None, waiting: 1 }];
        let dump = Dump {
            kind: Kind::Sqlite,
            file: "jishi.sqlite".into(),
            size,
            sha256,
            services: vec!["ledger".into()],
            schema: "m0045".into(),
            namespace: None,
            master_key_fingerprint: "00".into(),
            log,
        };
        Manifest { format: FORMAT, program: "jishi".into(), at: "now".into(), databases: vec![dump] }
    }

    #[test]
    fn a_backup_is_whole_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = backup(folder.path());
        let refused = || Manifest::read(folder.path()).unwrap_err().to_string();
        assert!(refused().contains("no whole backup"));
        manifest.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
        for text in ["rovs", "row"] {
            std::fs::write(folder.path().join("jishi.sqlite"), text).unwrap();
            assert!(refused().contains("not as it was written"));
        }
        std::fs::remove_file(folder.path().join("jishi.sqlite")).unwrap();
        assert!(refused().contains("jishi.sqlite"));
    }

    #[test]
    fn another_form_and_names_that_lead_elsewhere_are_refused() {
        for (change, named) in [(0, "format 1"), (1, "no name of a file")] {
            let folder = tempfile::tempdir().unwrap();
            let mut manifest = backup(folder.path());
            match change {
                0 => manifest.format = 2,
                _ => manifest.databases[0].file = "../jishi.sqlite".into(),
            }
            manifest.write(folder.path()).unwrap();
            let refused = Manifest::read(folder.path()).unwrap_err().to_string();
            assert!(refused.contains(named), "{refused}");
        }
    }
}
