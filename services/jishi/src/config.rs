use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};
use kernel::WriteLimits;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    Result, master_key,
    roles::{Role, Roles},
    telemetry::LogFormat,
};

const DEFAULT: &str = include_str!("default.toml");
const PREFIX: &str = "JISHI_";
/// Read by the verbs `seed` and `rotate-master-key` themselves, so that the first administrator's password and the next
/// master key stand in no file.
const NO_KEYS: [&str; 2] = ["bootstrap_password", "new_master_key"];
const WELL_KNOWN_SECRET: &str = "development-only";

/// The configuration, described key by key in `default.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml describes each key")]
pub struct Config {
    #[serde(deserialize_with = "mode")]
    pub mode: gateway::Mode,
    pub data_dir: PathBuf,
    pub database_url: Option<String>,
    pub identity_database_url: Option<String>,
    pub catalog_database_url: Option<String>,
    pub auction_database_url: Option<String>,
    pub ledger_database_url: Option<String>,
    pub contract_database_url: Option<String>,
    pub financing_database_url: Option<String>,
    pub idle_transaction_millis: u64,
    pub lock_wait_millis: u64,
    pub database_answer_millis: u64,
    pub postgres_programs: Option<PathBuf>,
    pub master_key: Option<String>,
    pub redis_url: Option<String>,
    pub redis_stream: String,
    pub http_listen: String,
    pub grpc_listen: String,
    pub metrics_listen: String,
    pub peer_secret: String,
    pub identity_peer: Option<String>,
    pub catalog_peer: Option<String>,
    pub auction_peer: Option<String>,
    pub ledger_peer: Option<String>,
    pub contract_peer: Option<String>,
    pub financing_peer: Option<String>,
    pub allowed_origins: Vec<String>,
    pub trusted_proxies: Vec<String>,
    pub connections_per_address: usize,
    pub unread_per_address: usize,
    pub rate_person: u32,
    pub rate_organization: u32,
    pub rate_address: u32,
    pub guesses_per_address: u32,
    pub signing_key_days: u32,
    pub idempotency_days: u32,
    pub row_event_days: u32,
    pub oidc_providers: Vec<identity::Provider>,
    pub operations_file: Option<PathBuf>,
    pub operations_only: bool,
    pub log: String,
    pub log_format: Option<LogFormat>,
    pub request_log: f64,
    pub otlp_endpoint: Option<String>,
    pub otlp_sample: f64,
    pub drain_millis: Option<u64>,
    pub demo_data: Option<bool>,
}

impl Config {
    /// Reads the defaults, the file and the environment. A key that nobody knows is refused by name.
    pub fn read(file: Option<&Path>) -> Result<Config> {
        if let Some(file) = file.filter(|file| !file.is_file()) {
            return Err(format!("there is no configuration file {}", file.display()).into());
        }
        let file = file.unwrap_or(Path::new("jishi.toml"));
        let file = file.is_file().then(|| Toml::file_exact(file));
        let environment = std::env::vars_os().filter_map(|(key, value)| {
            Some((key.to_str()?.strip_prefix(PREFIX)?.to_ascii_lowercase(), value.to_str()?.to_owned()))
        });
        Self::from_sources(file, Environment(environment.filter(|(key, _)| !NO_KEYS.contains(&key.as_str())).collect()))
    }

    /// An exchange of its own below `data_dir`, on free ports: for the demo and for tests. It heeds no file and no
    /// environment, limits nobody's rate, and logs nothing but trouble.
    pub fn embedded(data_dir: &Path) -> Result<Config> {
        let config: Config = Figment::new().merge(Toml::string(DEFAULT)).extract()?;
        let free = || "127.0.0.1:0".to_owned();
        let (data_dir, log) = (data_dir.to_path_buf(), "warn".to_owned());
        let unlimited = Config { rate_person: 0, rate_organization: 0, rate_address: 0, ..config };
        let [http_listen, grpc_listen, metrics_listen] = [free(), free(), free()];
        Ok(Config { data_dir, http_listen, grpc_listen, metrics_listen, log, ..unlimited })
    }

    fn from_sources<F: Provider>(file: Option<F>, environment: Environment) -> Result<Config> {
        let mut figment = Figment::new().merge(Toml::string(DEFAULT));
        if let Some(file) = file {
            figment = figment.merge(file);
        }
        let config: Config = figment.merge(environment).extract()?;
        config.judged()
    }

    fn judged(self) -> Result<Config> {
        self.trusts_sound_providers()?;
        self.knows_its_databases()?;
        if !(0.0..=1.0).contains(&self.request_log) {
            return Err("request_log is a share from 0 to 1".into());
        }
        if self.operations_only && self.operations_file.is_none() {
            return Err("operations_only needs an operations_file".into());
        }
        if !self.is_development() {
            if self.peer_secret == WELL_KNOWN_SECRET || self.peer_secret.len() < 16 {
                return Err(
                    "production needs a peer_secret of its own (JISHI_PEER_SECRET), 16 characters or more".into()
                );
            }
            master_key::require_own(self.master_key.as_deref())?;
            if self.demo_data == Some(true) {
                return Err("demo_data is for development only".into());
            }
        }
        Ok(self)
    }

    /// Requires a database of a kind that the exchange works with. The URL itself is not told: it may hold a password.
    fn knows_its_databases(&self) -> Result<()> {
        let of_services = Role::SERVICES.iter().map(|role| self.own_database(*role));
        for url in of_services.chain([&self.database_url]).flatten() {
            let scheme = url.split(':').next().unwrap_or_default();
            if !url.contains(':') || !["sqlite", "postgres", "postgresql"].contains(&scheme) {
                let found = if url.contains("://") { format!("{scheme}://") } else { "something else".to_owned() };
                return Err(format!(
                    "database_url: the exchange works on sqlite://FILE or postgres://USER@HOST/DATABASE, not on {found}"
                )
                .into());
            }
        }
        Ok(())
    }

    /// Requires that every provider of sign-ins has a name of its own and, in production, speaks TLS.
    fn trusts_sound_providers(&self) -> Result<()> {
        let mut names: Vec<&str> = self.oidc_providers.iter().map(|provider| provider.name.as_str()).collect();
        let plain = |name: &&str| {
            (2..=16).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if !names.iter().all(plain) {
            return Err("oidc_providers: a name has 2-16 characters of a-z 0-9".into());
        }
        names.sort_unstable();
        names.dedup();
        if names.len() < self.oidc_providers.len() {
            return Err("oidc_providers: each name once".into());
        }
        let safe = |provider: &identity::Provider| provider.issuer.url().scheme() == "https";
        if !self.is_development() && !self.oidc_providers.iter().all(safe) {
            return Err("oidc_providers: production takes issuers over https only".into());
        }
        Ok(())
    }

    /// Whether made-up data and accounts are put in place on a start.
    #[must_use]
    pub fn plants_demo(&self) -> bool {
        self.is_development() && self.demo_data.unwrap_or(true)
    }

    /// Requires an address for every role that does not live in this process.
    pub fn suits(&self, roles: &Roles) -> Result<()> {
        let missing: Vec<_> =
            roles.elsewhere().filter(|role| self.peers(*role).next().is_none()).map(Role::name).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = missing.iter().map(|name| format!("{name}_peer")).collect();
        Err(format!("roles that live elsewhere need an address: set {}", keys.join(", ")).into())
    }

    /// Whether this exchange is a developer's.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.mode == gateway::Mode::Development
    }

    /// The database of a role.
    #[must_use]
    pub fn database(&self, role: Role) -> String {
        let embedded = || format!("sqlite://{}", self.data_dir.join("jishi.db").display());
        self.own_database(role).clone().or_else(|| self.database_url.clone()).unwrap_or_else(embedded)
    }

    fn own_database(&self, role: Role) -> &Option<String> {
        match role {
            Role::Gateway => &None,
            Role::Identity => &self.identity_database_url,
            Role::Catalog => &self.catalog_database_url,
            Role::Auction => &self.auction_database_url,
            Role::Ledger => &self.ledger_database_url,
            Role::Contract => &self.contract_database_url,
            Role::Financing => &self.financing_database_url,
        }
    }

    /// How long a writer may stand in the way of others on PostgreSQL.
    #[must_use]
    pub fn write_limits(&self) -> WriteLimits {
        let limits = [self.idle_transaction_millis, self.lock_wait_millis, self.database_answer_millis];
        let [idle, lock, answer] = limits.map(Duration::from_millis);
        WriteLimits { idle, lock, answer }
    }

    /// Where a role answers, if it lives elsewhere: one address for each replica.
    pub fn peers(&self, role: Role) -> impl Iterator<Item = &str> {
        let urls = match role {
            Role::Gateway => None,
            Role::Identity => self.identity_peer.as_deref(),
            Role::Catalog => self.catalog_peer.as_deref(),
            Role::Auction => self.auction_peer.as_deref(),
            Role::Ledger => self.ledger_peer.as_deref(),
            Role::Contract => self.contract_peer.as_deref(),
            Role::Financing => self.financing_peer.as_deref(),
        };
        urls.into_iter().flat_map(|urls| urls.split(',')).map(str::trim).filter(|url| !url.is_empty())
    }
}

fn mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<gateway::Mode, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "development" => Ok(gateway::Mode::Development),
        "production" => Ok(gateway::Mode::Production),
        other => Err(D::Error::custom(format!("mode is development or production, not {other:?}"))),
    }
}

/// Environment variables as they stand: a secret such as `0012` stays text, which figment's own provider would read
/// as a number.
struct Environment(Vec<(String, String)>);

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment variables JISHI_…")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let read = |(key, text): &(String, String)| {
            let value = match key.as_str() {
                "drain_millis"
                | "idle_transaction_millis"
                | "lock_wait_millis"
                | "database_answer_millis"
                | "connections_per_address"
                | "unread_per_address"
                | "rate_person"
                | "rate_organization"
                | "rate_address"
                | "guesses_per_address"
                | "signing_key_days"
                | "idempotency_days"
                | "row_event_days" => text.parse::<u64>().map(Value::from).ok(),
                "oidc_providers" => serde_json::from_str(text).ok(),
                "otlp_sample" | "request_log" => text.parse::<f64>().map(Value::from).ok(),
                "demo_data" | "operations_only" => text.parse::<bool>().map(Value::from).ok(),
                "allowed_origins" | "trusted_proxies" => {
                    let listed = text.split(',').map(str::trim).filter(|one| !one.is_empty());
                    Some(Value::from(listed.map(str::to_owned).collect::<Vec<_>>()))
                }
                _ => None,
            };
            (key.clone(), value.unwrap_or_else(|| Value::from(text.clone())))
        };
        Ok(Map::from([(Profile::Default, self.0.iter().map(read).collect())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, environment: &[(&str, &str)]) -> Result<Config> {
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Config::from_sources(Some(Toml::string(file)), Environment(environment))
    }

    #[test]
    fn the_environment_wins_over_the_file_over_the_defaults() {
        let config = read("", &[]).unwrap();
        assert!(config.is_development());
        assert_eq!(config.database(Role::Ledger), "sqlite://./data/jishi.db");
        let file =
            "http_listen = \"127.0.0.1:1\"\nledger_database_url = \"postgres://l\"\ndatabase_url = \"postgres://x\"";
        let config = read(
            file,
            &[
                ("http_listen", "127.0.0.1:2"),
                ("allowed_origins", "https://a, https://b"),
                ("trusted_proxies", "10.0.0.0/8,"),
                ("rate_person", "0"),
                ("drain_millis", "7"),
            ],
        )
        .unwrap();
        assert_eq!(config.http_listen, "127.0.0.1:2");
        assert_eq!(config.database(Role::Ledger), "postgres://l");
        assert_eq!(config.database(Role::Catalog), "postgres://x");
        assert_eq!(config.allowed_origins, ["https://a", "https://b"]);
        assert_eq!((&*config.trusted_proxies, config.rate_person), (&["10.0.0.0/8".to_owned()][..], 0));
        assert_eq!(config.drain_millis, Some(7));
        assert_eq!(config.write_limits(), WriteLimits::default());
        let config = read("", &[("lock_wait_millis", "9"), ("idle_transaction_millis", "0")]).unwrap();
        let limits = WriteLimits { idle: Duration::ZERO, lock: Duration::from_millis(9), ..WriteLimits::default() };
        assert_eq!(config.write_limits(), limits);
        assert_eq!(read("", &[("peer_secret", "0012")]).unwrap().peer_secret, "0012");
    }

    #[test]
    fn unknown_keys_and_values_are_refused_by_name() {
        for (file, environment, named) in [
            ("databse_url = \"x\"", &[][..], "databse_url"),
            ("", &[("htp_listen", "x")][..], "htp_listen"),
            ("", &[("mode", "prod")][..], "prod"),
            ("", &[("drain_millis", "soon")][..], "drain_millis"),
            ("", &[("rate_address", "-1")][..], "rate_address"),
            ("operations_only = true", &[][..], "operations_file"),
            ("", &[("oidc_providers", "[{\"name\": \"x\"}]")][..], "oidc_providers"),
            ("", &[("guesses_per_address", "few")][..], "guesses_per_address"),
            ("", &[("log_format", "xml")][..], "log_format"),
            ("", &[("request_log", "1.5")][..], "request_log"),
        ] {
            let error = read(file, environment).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn production_needs_a_secret_and_a_split_exchange_needs_addresses() {
        assert!(read("mode = \"production\"", &[]).is_err());
        let secret = ("peer_secret", "a long secret of its own");
        let key = ("master_key", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        for bad in ["", "c2hvcnQ=", "Zm9yIGRldmVsb3BtZW50LCBrbm93biB0byBhbnlvbmU="] {
            let error = read("mode = \"production\"", &[secret, ("master_key", bad)]).unwrap_err();
            assert!(error.to_string().contains("master_key"), "{error}");
        }
        assert!(read("mode = \"production\"", &[secret]).is_err());
        assert!(read("mode = \"production\"\ndemo_data = true", &[secret, key]).is_err());
        let config = read("mode = \"production\"", &[secret, key, ("identity_peer", "http://identity:7000")]).unwrap();
        assert!(config.suits(&Roles::new(None)).is_ok());
        let split = config.suits(&Roles::new(Some(vec![Role::Catalog, Role::Auction]))).unwrap_err().to_string();
        assert!(split.contains("ledger_peer") && !split.contains("identity_peer") && !split.contains("catalog_peer"));
    }

    #[test]
    fn providers_are_named_once_and_speak_tls_in_production() {
        let provider = |name: &str, scheme: &str| {
            format!(
                r#"{{"name":"{name}","issuer":"{scheme}://id.example","client_id":"j","redirect_url":"https://j.example/"}}"#
            )
        };
        let read = |providers: &str, more: &str| read(more, &[("oidc_providers", &format!("[{providers}]"))]);
        let campus = provider("campus", "http");
        assert_eq!(read(&campus, "").unwrap().oidc_providers.len(), 1);
        assert!(read(&format!("{campus},{campus}"), "").is_err() && read(&provider("Campus 1", "https"), "").is_err());
        let key = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, [7; 32]);
        let production =
            format!("mode = \"production\"\npeer_secret = \"a long secret of its own\"\nmaster_key = \"{key}\"");
        assert!(read(&campus, &production).is_err());
        assert!(read(&provider("campus", "https"), &production).is_ok());
    }
}
