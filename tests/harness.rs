//! Whole exchanges for tests: real `jishi` processes on loopback, each with a database of its own.
//!
//! A lane is one way to run the exchange. The lanes with PostgreSQL and Redis need the servers that
//! `./test` starts; without them they are skipped with a message, and under `./test` they must run.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a harness that cannot go on fails its test")]

pub mod attacks;
mod program;
mod verified;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    time::Duration,
};

use kernel::Db;

use self::program::command;
pub use self::program::{PROGRAM, binary};

/// One way to run the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// One process, embedded SQLite.
    Sqlite,
    /// One process, PostgreSQL.
    Postgres,
    /// One process, PostgreSQL, events over Redis Streams.
    Redis,
    /// Four processes that talk gRPC over loopback, PostgreSQL.
    Networked,
    /// The same with two replicas of the auction; no lane of every story.
    Replicated,
}

/// The environment variable that names a folder for the processes' output, a file each.
pub const LOGS: &str = "TEST_LOGS";

/// The environment variable that limits the memory that each process may map, in KiB.
pub const MEMORY: &str = "TEST_MEMORY_KIB";

/// Roles per process in the networked lane.
const PROCESSES: [&str; 4] = ["gateway", "identity,catalog", "auction", "ledger,contract,financing"];

/// The same with a second replica of the auction, on the same database.
const REPLICATED: [&str; 5] = ["gateway", "identity,catalog", "auction", "ledger,contract,financing", "auction"];

/// A running exchange. Its processes end with it.
pub struct Exchange {
    /// Where GraphQL answers, such as `http://127.0.0.1:34567`.
    pub http: String,
    /// Where its first process tells its metrics.
    pub metrics: String,
    /// How it runs.
    pub lane: Lane,
    /// The database's URL, its schema included.
    pub database_url: String,
    processes: Vec<Jishi>,
    _folder: tempfile::TempDir,
}

/// One `jishi` process.
pub struct Jishi {
    child: Child,
    only: Option<&'static str>,
    environment: Vec<(String, String)>,
    http: String,
    metrics: String,
}

impl Exchange {
    /// Starts an exchange with the demo accounts, or says why the lane cannot run here.
    pub async fn start(lane: Lane) -> Option<Exchange> {
        Self::start_with(lane, &[]).await
    }

    /// The same with more in the environment of its processes. With [`LOGS`] they write there what they say.
    pub async fn start_with(lane: Lane, more: &[(&str, &str)]) -> Option<Exchange> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database_url = match lane {
            Lane::Sqlite => format!("sqlite://{}", folder.path().join("jishi.db").display()),
            _ => schema(&server("TEST_POSTGRES_URL", lane)?).await,
        };
        let mut environment = vec![
            ("JISHI_MODE".to_owned(), "development".to_owned()),
            ("JISHI_DATA_DIR".to_owned(), folder.path().display().to_string()),
            ("JISHI_DATABASE_URL".to_owned(), database_url.clone()),
            ("JISHI_DEMO_DATA".to_owned(), "true".to_owned()),
            ("JISHI_LOG".to_owned(), "warn".to_owned()),
        ];
        // A story floods the exchange from one address unless it is about that.
        let rates = ["JISHI_RATE_PERSON", "JISHI_RATE_ORGANIZATION", "JISHI_RATE_ADDRESS"];
        environment.extend(rates.map(|rate| (rate.to_owned(), "0".to_owned())));
        if lane == Lane::Redis {
            environment.push(("JISHI_REDIS_URL".into(), server("TEST_REDIS_URL", lane)?));
            environment.push(("JISHI_REDIS_STREAM".into(), format!("test-{}", kernel::fresh_uuid().simple())));
        }
        environment.retain(|(key, _)| more.iter().all(|(other, _)| other != key));
        environment.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let database_url = setting(&environment, "JISHI_DATABASE_URL").unwrap_or_default().to_owned();
        let processes = match lane {
            Lane::Networked => networked(&PROCESSES, environment),
            Lane::Replicated => networked(&REPLICATED, environment),
            _ => {
                environment.extend(listen(free_port()));
                vec![Jishi::start(None, environment)]
            }
        };
        let first = processes.first().expect("a process");
        let (http, metrics) = (first.http.clone(), first.metrics.clone());
        seeded(&http).await;
        Some(Exchange { http, metrics, lane, database_url, processes, _folder: folder })
    }

    /// Kills with SIGKILL the process that runs `role`, and starts it again as it was.
    pub fn kill_and_restart(&mut self, role: &str) {
        let process = self.process(role);
        process.kill();
        process.restart();
    }

    /// Stops all processes, and starts them again as they were: what they remembered is gone.
    pub fn restart(&mut self) {
        self.stop();
        // The gateway comes last, as at the start.
        self.processes.iter_mut().rev().for_each(Jishi::restart);
    }

    /// One more process on the same database, with all roles of the first one, of the program under test; it ends when it is
    /// dropped.
    #[must_use]
    pub fn replica(&self) -> Jishi {
        let first = self.processes.first().expect("a process");
        let mut environment = first.environment.clone();
        environment.retain(|(key, _)| !key.ends_with("_LISTEN") && key != PROGRAM);
        environment.extend(listen(free_port()));
        Jishi::start(first.only, environment)
    }

    /// Stops all processes, the gateway's first; their exit codes.
    pub fn stop(&mut self) -> Vec<Option<i32>> {
        self.processes.iter_mut().map(Jishi::stop).collect()
    }

    /// Runs a verb of the binary on this exchange, in the environment of its processes.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        let environment = self.processes.first().map(|process| process.environment.clone()).unwrap_or_default();
        Command::new(binary()).args(arguments).envs(environment).output().expect("the binary runs")
    }

    /// With what its keys in Redis begin.
    #[must_use]
    pub fn redis_stream(&self) -> &str {
        self.processes[0].setting("JISHI_REDIS_STREAM").unwrap_or_default()
    }

    /// The process that runs `role`.
    pub fn process(&mut self, role: &str) -> &mut Jishi {
        self.replicas(role).next().expect("some process runs each role")
    }

    /// All processes that run `role`.
    pub fn replicas(&mut self, role: &str) -> impl Iterator<Item = &mut Jishi> {
        let runs = move |process: &&mut Jishi| process.only.is_none_or(|only| only.split(',').any(|name| name == role));
        self.processes.iter_mut().filter(runs)
    }
}

/// Starts the processes at once; each waits for nobody.
fn networked(roles: &[&'static str], environment: Vec<(String, String)>) -> Vec<Jishi> {
    let ports: Vec<u16> = roles.iter().map(|_| free_port()).collect();
    let mut peers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (roles, port) in roles.iter().zip(&ports) {
        for role in roles.split(',').filter(|role| *role != "gateway") {
            let urls = peers.entry(format!("JISHI_{}_PEER", role.to_uppercase())).or_default();
            urls.push(format!("http://127.0.0.1:{port}"));
        }
    }
    let start = |(only, port): (&&'static str, &u16)| {
        let mut own = environment.clone();
        let not_mine = |(key, _): &(&String, &Vec<String>)| {
            !only.split(',').any(|role| **key == format!("JISHI_{}_PEER", role.to_uppercase()))
        };
        own.extend(peers.iter().filter(not_mine).map(|(key, urls)| (key.clone(), urls.join(","))));
        own.extend(listen(*port));
        Jishi::start(Some(only), own)
    };
    // The gateway comes last in time: it plants the demo content through the others.
    let mut processes: Vec<Jishi> = roles.iter().zip(&ports).skip(1).map(start).collect();
    processes.insert(0, start((&roles[0], &ports[0])));
    processes
}

impl Jishi {
    fn start(only: Option<&'static str>, environment: Vec<(String, String)>) -> Jishi {
        let (child, http, metrics) = spawn(only, &environment);
        Jishi { child, only, environment, http, metrics }
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process was running");
        self.child.wait().expect("the process ends");
    }

    /// Starts again on the same ports.
    pub fn restart(&mut self) {
        let (child, http, metrics) = spawn(self.only, &self.environment);
        assert_eq!((http, metrics), (self.http.clone(), self.metrics.clone()));
        self.child = child;
    }

    /// Where it answers.
    #[must_use]
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Where it tells its metrics.
    #[must_use]
    pub fn metrics(&self) -> &str {
        &self.metrics
    }

    /// SIGSTOP: it keeps its memory, its connections and its locks, and does nothing.
    pub fn freeze(&self) {
        self.signal("-STOP");
        // It is on its way until each thread has stopped.
        while self.states().is_some_and(|mut states| states.any(|state| "RSD".contains(state))) {
            std::thread::yield_now();
        }
    }

    /// What each of its threads does, where the system tells.
    fn states(&self) -> Option<impl Iterator<Item = char>> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?.flatten();
        let told = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
        Some(told.filter_map(|told| told.rsplit_once(") ")?.1.chars().next()))
    }

    /// SIGCONT: it goes on in the middle of whatever it did.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success(), "kill {signal}");
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended since it was started.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// What its environment says.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        setting(&self.environment, key)
    }

    /// Changes its environment, from the next start on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.environment.retain(|(known, _)| known != key);
        self.environment.push((key.to_owned(), value.to_owned()));
    }

    /// SIGTERM; the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        self.child.wait().expect("the process ends").code()
    }
}

impl Drop for Jishi {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts the binary and waits for its ready line; where it answers, and where it tells its metrics.
fn spawn(only: Option<&str>, environment: &[(String, String)]) -> (Child, String, String) {
    let mut command = command(environment);
    let is_older = setting(environment, PROGRAM).is_some();
    // An older program refuses settings that it does not know.
    let known = environment.iter().filter(|(key, _)| !is_older || key != "JISHI_METRICS_LISTEN");
    command.arg("serve").envs(known.cloned()).stdout(Stdio::piped());
    if let Some(only) = only {
        command.args(["--only", only]);
    }
    let log = setting(environment, LOGS).map(|folder| log(folder, only));
    if let Some(log) = &log {
        command.stderr(log.try_clone().expect("a log"));
    }
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("{}: {error}; cargo build --workspace", binary().display()));
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let (found, ready) = mpsc::channel();
    std::thread::spawn(move || {
        // Reads on to the end, so that the process never blocks on a full pipe.
        for line in lines.map_while(Result::ok) {
            if let Some(mut log) = log.as_ref() {
                drop(writeln!(log, "{line}"));
            }
            if let Some(rest) = line.strip_prefix("ready http=") {
                let mut words = rest.split(' ');
                let http = words.next().unwrap_or_default().to_owned();
                let metrics = words.find_map(|word| word.strip_prefix("metrics=")).unwrap_or_default().to_owned();
                drop(found.send((http, metrics)));
            }
        }
    });
    match ready.recv_timeout(Duration::from_secs(60)) {
        Ok((http, metrics)) => (child, http, metrics),
        Err(_) => {
            drop(child.kill());
            panic!("jishi {} did not become ready", only.unwrap_or("all roles"));
        }
    }
}

fn setting<'a>(environment: &'a [(String, String)], key: &str) -> Option<&'a str> {
    environment.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

fn log(folder: &str, only: Option<&str>) -> File {
    let path = PathBuf::from(folder).join(only.unwrap_or("all"));
    File::options().create(true).append(true).open(path).expect("a log")
}

/// Ports of a process: this one for gRPC, and others.
fn listen(grpc: u16) -> [(String, String); 3] {
    [("HTTP", free_port()), ("GRPC", grpc), ("METRICS", free_port())]
        .map(|(what, port)| (format!("JISHI_{what}_LISTEN"), format!("127.0.0.1:{port}")))
}

/// A port that was free a moment ago, and is given to nobody else: its process may bind it late, or be killed and start again.
/// Below the range that the system hands out to clients, so that no connection takes it before the process binds it.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = 10_000 + rand::random::<u16>() % 20_000;
        let is_new = GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port);
        if is_new && std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The address of a server that `./test` started.
pub fn server(name: &str, lane: Lane) -> Option<String> {
    match std::env::var(name) {
        Ok(url) => Some(url),
        Err(_) if std::env::var("TEST_LANES").is_ok() => panic!("{lane:?} must run, but {name} is not set"),
        Err(_) => {
            eprintln!("skipped: lane {lane:?} needs {name}; run ./test");
            None
        }
    }
}

/// Waits for the demo's last item: split roles put the demo in place when they have found each other.
async fn seeded(http: &str) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let question = serde_json::json!({ "query": "{ financingProjects(first: 1) { edges { node { id } } } }" });
    for _ in 0..6_000 {
        if let Ok(response) = client.post(format!("{http}/graphql")).json(&question).send().await {
            let answer: serde_json::Value = response.json().await.unwrap_or_default();
            if answer.pointer("/data/financingProjects/edges/0").is_some() {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the demo data did not come");
}

/// A schema of one's own on the PostgreSQL server.
pub async fn schema(server: &str) -> String {
    let schema = format!("test_{}", kernel::fresh_uuid().simple());
    let db = Db::connect(server).await.expect("PostgreSQL answers");
    db.run(&format!("CREATE SCHEMA {schema}")).await.expect("a schema");
    db.close().await.expect("closed");
    format!("{server}?options[search_path]={schema}")
}
