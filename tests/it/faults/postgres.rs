//! A PostgreSQL of a test's own that stops, is killed, is read-only or has no connection left, under people at work.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use exchange_tests::{Exchange, Lane, free_port};
use kernel::Db;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    outage::{all_clean, contracts, outage},
    times,
    works::{Works, judge_after_restart},
};

/// Few, so that a test can take them all: more than one process wants.
const CONNECTIONS: usize = 60;

/// The server.
struct Postgres {
    folder: tempfile::TempDir,
    port: u16,
    programs: PathBuf,
    server: Child,
}

/// All connections of a server, while it is kept.
struct Taken {
    db: Db,
    taken: Vec<TcpStream>,
}

impl Postgres {
    /// Where `./test` says which programs there are.
    async fn start() -> Option<Postgres> {
        let Ok(programs) = std::env::var("TEST_POSTGRES_BIN").map(PathBuf::from) else {
            assert!(std::env::var("TEST_LANES").is_err(), "TEST_POSTGRES_BIN is not set");
            eprintln!("skipped: TEST_POSTGRES_BIN is not set; run ./test");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        // Its server may run as somebody else.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let data = folder.path().join("data");
        let mut init = as_postgres(&programs.join("initdb"));
        init.args(["-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "-D"]).arg(&data);
        let made = tokio::task::block_in_place(|| init.output().unwrap());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let server = launch(&programs, &folder, port);
        let postgres = Postgres { folder, port, programs, server };
        postgres.answers().await;
        Some(postgres)
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    async fn answers(&self) {
        for _ in 0..600 {
            if let Ok(db) = Db::connect(&self.url()).await {
                return db.close().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("PostgreSQL does not answer");
    }

    /// By QUIT it leaves everything as it is, as a crash does; by INT it takes leave of each connection.
    fn stop(&mut self, signal: &str) {
        let pid = fs::read_to_string(self.folder.path().join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        tokio::task::block_in_place(|| self.server.wait().unwrap());
    }

    async fn restart(&mut self) {
        self.server = launch(&self.programs, &self.folder, self.port);
        self.answers().await;
    }

    /// Says something outside any transaction.
    async fn say(&self, statements: &[&str]) {
        let db = Db::connect(&self.url()).await.unwrap();
        for statement in statements {
            db.read().execute_unprepared(statement).await.unwrap();
        }
        db.close().await.unwrap();
    }

    /// Takes all connections, those that others have as well.
    async fn take_all(&self) -> Taken {
        const OTHERS: &str = "pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'taken'
            AND pid <> pg_backend_pid()";
        let (db, mut taken) = (Db::connect(&self.url()).await.unwrap(), Vec::new());
        // Whoever is put out comes back at once, so it is a race.
        for _ in 0..200 {
            while let Some(stream) = self.connection().await {
                taken.push(stream);
            }
            let ended = format!("SELECT count(pg_terminate_backend(pid)) AS ended FROM {OTHERS}");
            let asked = Statement::from_string(DbBackend::Postgres, ended);
            let row = db.read().query_one_raw(asked).await.unwrap().unwrap();
            if row.try_get::<i64>("", "ended").unwrap() == 0 {
                return Taken { db, taken };
            }
        }
        panic!("others keep their connections");
    }

    /// A connection that was let in, or nothing where none is left.
    async fn connection(&self) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let said = b"\0\x03\0\0user\0postgres\0database\0postgres\0application_name\0taken\0\0";
        let length = u32::try_from(said.len() + 4).unwrap();
        stream.write_all(&[&length.to_be_bytes()[..], said].concat()).await.unwrap();
        let mut first = [0];
        let read = timeout(Duration::from_secs(5), stream.read_exact(&mut first)).await;
        (read.is_ok_and(|read| read.is_ok()) && first == *b"R").then_some(stream)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(self.folder.path().join("data/postmaster.pid")) {
            let pid = pid.lines().next().unwrap_or_default().to_owned();
            drop(Command::new("kill").args(["-QUIT", &pid]).status());
        }
        drop(self.server.wait());
    }
}

fn launch(programs: &std::path::Path, folder: &tempfile::TempDir, port: u16) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
    let mut server = as_postgres(&programs.join("postgres"));
    server.arg("-D").arg(folder.path().join("data")).args(["-p", &port.to_string()]);
    for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=on"] {
        server.args(["-c", setting]);
    }
    server.args(["-c", &format!("max_connections={CONNECTIONS}")]);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// A program of PostgreSQL, which refuses to run as root.
fn as_postgres(program: &std::path::Path) -> Command {
    let id = |arguments: &[&str]| {
        let told = Command::new("id").args(arguments).output().unwrap();
        String::from_utf8(told.stdout).unwrap().trim().to_owned()
    };
    let user = std::env::var("TEST_POSTGRES_USER").unwrap();
    let (own, other, group) = (id(&["-u"]), id(&["-u", &user]), id(&["-g", &user]));
    let mut command = Command::new(program);
    if own != other {
        command = Command::new("setpriv");
        command.args(["--reuid", &other, "--regid", &group, "--clear-groups", "--"]).arg(program);
    }
    if let Ok(libraries) = std::env::var("TEST_POSTGRES_LIBRARIES") {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command.current_dir("/");
    command
}

async fn at_work(outages: usize) -> Option<(Postgres, Exchange, Works)> {
    let postgres = Postgres::start().await?;
    let url = postgres.url();
    let exchange = Exchange::start_with(Lane::Postgres, &[("JISHI_DATABASE_URL", url.as_str())]).await?;
    let works = Works::open(&exchange, contracts(outages)).await;
    Some((postgres, exchange, works))
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_and_started() {
    let rounds = times(2, 10);
    let Some((mut postgres, mut exchange, works)) = at_work(rounds).await else { return };
    let mut outages = Vec::new();
    for round in 0..rounds {
        let signal = if round % 2 == 0 { "-QUIT" } else { "-INT" };
        let server = tokio::sync::Mutex::new(&mut postgres);
        let breaks = async || server.lock().await.stop(signal);
        let heals = async || server.lock().await.restart().await;
        outages.push(outage(&works, breaks, heals).await);
        works.judge(&exchange.database_url, signal).await;
    }
    judge_after_restart(&works, &mut exchange).await;
    all_clean(&works, &outages);
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only() {
    let rounds = times(1, 5);
    let Some((postgres, mut exchange, works)) = at_work(rounds).await else { return };
    let mut outages = Vec::new();
    for _ in 0..rounds {
        let reload = "SELECT pg_reload_conf()";
        let breaks = async || postgres.say(&["ALTER SYSTEM SET default_transaction_read_only = on", reload]).await;
        let heals = async || postgres.say(&["ALTER SYSTEM RESET default_transaction_read_only", reload]).await;
        outages.push(outage(&works, breaks, heals).await);
        works.judge(&exchange.database_url, "read-only").await;
    }
    judge_after_restart(&works, &mut exchange).await;
    all_clean(&works, &outages);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_left() {
    let rounds = times(1, 5);
    let Some((postgres, mut exchange, works)) = at_work(rounds).await else { return };
    let mut outages = Vec::new();
    for _ in 0..rounds {
        let taken = tokio::sync::Mutex::new(None);
        let breaks = async || *taken.lock().await = Some(postgres.take_all().await);
        let heals = async || {
            let Taken { db, taken } = taken.lock().await.take().unwrap();
            drop(taken);
            db.close().await.unwrap();
        };
        outages.push(outage(&works, breaks, heals).await);
        works.judge(&exchange.database_url, "no connection left").await;
    }
    judge_after_restart(&works, &mut exchange).await;
    all_clean(&works, &outages);
}
