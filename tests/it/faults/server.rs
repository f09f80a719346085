//! A PostgreSQL server of a story's own, to be stopped, killed, or followed by another one.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use exchange_tests::free_port;
use kernel::Db;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tempfile::TempDir;

/// Few, so that a test can take them all: more than one process wants.
const CONNECTIONS: usize = 60;

/// Makes what was set take effect.
pub const RELOAD: &str = "SELECT pg_reload_conf()";

/// The server.
pub struct Postgres {
    folder: TempDir,
    port: u16,
    programs: PathBuf,
    server: Child,
}

impl Postgres {
    /// Where `./test` says which programs there are.
    pub async fn start() -> Option<Postgres> {
        let Ok(programs) = std::env::var("TEST_POSTGRES_BIN").map(PathBuf::from) else {
            assert!(std::env::var("TEST_LANES").is_err(), "TEST_POSTGRES_BIN is not set");
            eprintln!("skipped: TEST_POSTGRES_BIN is not set; run ./test");
            return None;
        };
        let init = ["-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C"];
        Some(Postgres::made(programs, "initdb", &init).await)
    }

    /// Another one, a copy of this one that takes in whatever this one writes.
    pub async fn standby(&self) -> Postgres {
        let copy = ["-R", "-c", "fast", "-d", &self.url()];
        Postgres::made(self.programs.clone(), "pg_basebackup", &copy).await
    }

    /// With the data that a program makes.
    async fn made(programs: PathBuf, program: &str, arguments: &[&str]) -> Postgres {
        let folder = tempfile::tempdir().unwrap();
        // Its server may run as somebody else.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let mut making = as_postgres(&programs.join(program));
        making.args(arguments).arg("-D").arg(folder.path().join("data"));
        let made = tokio::task::block_in_place(|| making.output().unwrap());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let server = launch(&programs, &folder, port);
        let postgres = Postgres { folder, port, programs, server };
        postgres.answers().await;
        postgres
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
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
    pub fn stop(&mut self, signal: &str) {
        let pid = self.server.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        tokio::task::block_in_place(|| self.server.wait().unwrap());
    }

    /// As when its machine loses power: none of its processes says another word.
    pub fn kill(&mut self) {
        let pid = self.server.id().to_string();
        let signal = |signal: &str, pids: &str| {
            let mut kill = Command::new("kill");
            // One of them may have ended by itself meanwhile.
            drop(kill.arg(signal).args(pids.split_whitespace()).stderr(Stdio::null()).status());
        };
        // So that it begins none that would be left over.
        signal("-STOP", &pid);
        let others = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        signal("-KILL", &format!("{pid} {others}"));
        tokio::task::block_in_place(|| self.server.wait().unwrap());
        // The piece of shared memory by which it knows its own outlives it, and is named last in the line that names it.
        let told = fs::read_to_string(self.folder.path().join("data/postmaster.pid")).unwrap();
        let shared = told.lines().nth(6).and_then(|line| line.split_whitespace().last());
        drop(shared.map(|id| Command::new("ipcrm").args(["-m", id]).status()));
    }

    pub async fn restart(&mut self) {
        self.server = launch(&self.programs, &self.folder, self.port);
        self.answers().await;
    }

    /// Says something outside any transaction.
    pub async fn say(&self, statements: &[&str]) {
        let db = Db::connect(&self.url()).await.unwrap();
        for statement in statements {
            db.read().execute_unprepared(statement).await.unwrap();
        }
        db.close().await.unwrap();
    }

    /// Waits until the answer to a question is yes.
    pub async fn until(&self, question: &str) {
        let db = Db::connect(&self.url()).await.unwrap();
        for _ in 0..1_200 {
            let asked = Statement::from_string(DbBackend::Postgres, format!("SELECT ({question}) AS yes"));
            let row = db.read().query_one_raw(asked).await.unwrap().unwrap();
            if row.try_get("", "yes").unwrap() {
                return db.close().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("it does not come to be so: {question}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.server.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop(Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status());
        }
        drop(self.server.wait());
    }
}

fn launch(programs: &Path, folder: &TempDir, port: u16) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
    let mut server = as_postgres(&programs.join("postgres"));
    server.arg("-D").arg(folder.path().join("data")).args(["-p", &port.to_string()]);
    // What is shared lies in its folder, and goes with it.
    let shared = "dynamic_shared_memory_type=mmap";
    for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=on", shared] {
        server.args(["-c", setting]);
    }
    server.args(["-c", &format!("max_connections={CONNECTIONS}")]);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// A program of PostgreSQL, which refuses to run as root.
fn as_postgres(program: &Path) -> Command {
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
