//! PostgreSQL's own programs copy its databases: `pg_dump` and `pg_restore`.

use std::{io::ErrorKind, path::Path};

use kernel::snapshot::PostgresView;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use tokio::process::Command;

use crate::{Result, config::Config};

/// Keys of a database's URL that PostgreSQL's programs know, each after the spellings that ours accepts for it.
const KNOWN: [(&[&str], &str); 7] = [
    (&["sslmode", "ssl-mode"], "sslmode"),
    (&["sslrootcert", "ssl-root-cert", "ssl-ca"], "sslrootcert"),
    (&["sslcert", "ssl-cert"], "sslcert"),
    (&["sslkey", "ssl-key"], "sslkey"),
    (&["host"], "host"),
    (&["port"], "port"),
    (&["user"], "user"),
];

/// How another program reaches a database: an address that everybody may see, and a password that only the program sees.
struct Address {
    url: String,
    password: Option<String>,
}

impl Address {
    fn of(url: &str) -> Result<Address> {
        // The URL itself is not told: it holds a password.
        let mut url = Url::parse(url).map_err(|error| format!("a database URL cannot be read: {error}"))?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut password = url.password().map(decoded);
        let pairs: Vec<(String, String)> =
            url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        if url.password().is_some() && url.set_password(None).is_err() {
            return Err("a database URL names no server".into());
        }
        url.set_query(None);
        for (key, value) in pairs {
            if key == "password" {
                password = Some(value);
            } else if let Some((_, known)) = KNOWN.iter().find(|(spellings, _)| spellings.contains(&key.as_str())) {
                url.query_pairs_mut().append_pair(known, &value);
            }
        }
        Ok(Address { url: url.into(), password })
    }
}

/// Copies what the view shows into a file of PostgreSQL's custom format.
pub async fn dump(config: &Config, url: &str, view: &PostgresView, to: &Path) -> Result<()> {
    let name = view.namespace.replace('"', "\"\"");
    let mut command = program(config, "pg_dump", url)?;
    command.args(["--format=custom", "--no-owner", "--no-privileges"]);
    command.arg(format!("--snapshot={}", view.id)).arg(format!("--schema=\"{name}\"")).arg("--file").arg(to);
    finished("pg_dump", command, view.server).await
}

/// Loads such a file, whole or not at all, into the schema of the same name.
pub async fn load(config: &Config, url: &str, namespace: &str, from: &Path) -> Result<()> {
    let mut command = program(config, "pg_restore", url)?;
    command.args(["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]);
    // Without it the schema itself would be made anew, which stands there already.
    command.arg(format!("--schema={namespace}")).arg(from);
    finished("pg_restore", command, 0).await
}

fn program(config: &Config, name: &str, url: &str) -> Result<Command> {
    let path = config.postgres_programs.as_ref().map_or_else(|| name.into(), |folder| folder.join(name));
    let Address { url, password } = Address::of(url)?;
    let mut command = Command::new(path);
    command.args(["--no-password", "--dbname"]).arg(url).kill_on_drop(true);
    if let Some(password) = password {
        // Arguments are for everybody of the machine to see.
        command.env("PGPASSWORD", password);
    }
    Ok(command)
}

async fn finished(name: &str, mut command: Command, server: u32) -> Result<()> {
    let output = match command.output().await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let version = if server > 0 { format!(", version {server} or newer") } else { String::new() };
            return Err(format!(
                "{name} was not found: install PostgreSQL's client programs{version} (Debian: postgresql-client), or name \
                 their folder in postgres_programs"
            )
            .into());
        }
        other => other.map_err(|error| format!("{name}: {error}"))?,
    };
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_password() {
        let url =
            "postgres://jishi:p%40ss%2Fw@db.example:5433/ex?ssl-mode=require&options[search_path]=x&password=other";
        let address = Address::of(url).unwrap();
        assert_eq!(address.url, "postgres://jishi@db.example:5433/ex?sslmode=require");
        assert_eq!(address.password.as_deref(), Some("other"));
        let address = Address::of("postgres://jishi:p%40ss%2Fw@db.example/ex").unwrap();
        assert_eq!(address.password.as_deref(), Some("p@ss/w"));
        let address = Address::of("postgres:///ex?host=/run/postgresql&user=jishi").unwrap();
        assert_eq!(
            (address.url.as_str(), address.password),
            ("postgres:///ex?host=%2Frun%2Fpostgresql&user=jishi", None)
        );
        let error = Address::of("postgres://jishi:secret@[::/ex").err().unwrap().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
