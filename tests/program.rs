//! Which program a process runs.

use std::{path::PathBuf, process::Command};

use crate::{MEMORY, setting};

/// Another program than the one under test: an older one.
pub const PROGRAM: &str = "TEST_PROGRAM";

/// The binary beside this test's own.
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("a running program");
    // A test lies in target/profile/deps, a benchmark beside the binary.
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join("jishi")).find(|path| path.is_file());
    beside.unwrap_or_else(|| panic!("no jishi beside {}; cargo build --workspace", own.display()))
}

/// The binary; where its memory is limited, by a shell whose place it takes.
pub(crate) fn command(environment: &[(String, String)]) -> Command {
    if setting(environment, MEMORY).is_none() {
        return Command::new(setting(environment, PROGRAM).map_or_else(binary, PathBuf::from));
    }
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v \"$TEST_MEMORY_KIB\" && exec \"$0\" \"$@\""]).arg(binary());
    command
}
