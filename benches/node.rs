//! Other people's servers, which `peers/` sets up for Node.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use jishi::Result;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
};

/// Why a peer is not measured.
pub const NOT_MEASURED: &str = "not measured: node/npm is not there, or not what benches/peers/install wants from it";

/// One server, in a process of its own that ends with this.
pub struct Node {
    _child: Child,
    /// It ends when this is closed, even if we are killed.
    _stdin: Option<ChildStdin>,
    /// Host and port.
    pub address: String,
}

impl Node {
    /// Starts the server of that folder of `peers/`. `None`: Node or its packages are not there and cannot be had.
    pub async fn start(folder: &str, environment: &[(&str, &str)]) -> Result<Option<Node>> {
        if version().await.is_none() || !installed().await? {
            return Ok(None);
        }
        let mut child = Command::new("node")
            .arg(peers().join(folder).join("server.js"))
            .envs([("NODE_ENV", "production"), ("GRAPHILE_ENV", "production")])
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("piped")?).lines();
        let address = lines.next_line().await?.ok_or_else(|| format!("{folder} did not start"))?;
        // What it says after that must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let _stdin = child.stdin.take();
        Ok(Some(Node { _child: child, _stdin, address }))
    }
}

/// Such as `v22.1.0`.
pub async fn version() -> Option<String> {
    let output = Command::new("node").arg("--version").output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

async fn installed() -> Result<bool> {
    // npm writes this last.
    if peers().join("node_modules/.package-lock.json").is_file() {
        return Ok(true);
    }
    Ok(Command::new(peers().join("install")).stdout(Stdio::null()).status().await?.success())
}
