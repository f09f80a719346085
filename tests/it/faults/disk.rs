//! Disks that fail: file systems of a few MiB that a test mounts for itself and fills, and a library that lets the system
//! calls of one process fail or take long, which needs no rights.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::preloaded;

/// By which a test knows that it runs among its own mounts.
const INSIDE: &str = "TEST_INSIDE_MOUNTS";

/// Runs the named test again among mounts of its own, which end with it, and says whether this is that run. Where that is
/// not allowed nothing is run, and the reason is told.
pub fn is_inside_own_mounts(test: &str) -> bool {
    if std::env::var(INSIDE).is_ok() {
        return true;
    }
    // A user who is not root may have mounts in a name space of users, where the system lets them.
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let flags: &[&str] = if is_root { &["--mount"] } else { &["--mount", "--map-root-user"] };
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(flags).args(["--propagation", "private", "--"]);
        command
    };
    match unshare().arg("true").output() {
        Ok(allowed) if allowed.status.success() => {}
        Ok(refused) => {
            eprintln!("skipped: {test}: no mounts here: {}", String::from_utf8_lossy(&refused.stderr).trim());
            return false;
        }
        Err(missing) => {
            eprintln!("skipped: {test}: unshare: {missing}");
            return false;
        }
    }
    let mut again = unshare();
    again.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]).env(INSIDE, "true");
    let told = again.output().unwrap();
    eprint!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(told.status.success(), "{test} among its own mounts");
    false
}

/// A mounted file system; it ends with the run that mounted it, or when it is dropped.
pub struct Mount {
    pub folder: PathBuf,
}

impl Mount {
    /// In memory.
    pub fn tmpfs(folder: PathBuf, mebibytes: u64) -> Result<Mount, String> {
        fs::create_dir(&folder).unwrap();
        let size = format!("size={mebibytes}m");
        run("mount", &["-t", "tmpfs", "-o", &size, "none", folder.to_str().unwrap()])?;
        Ok(Mount { folder })
    }

    /// In a file, by way of a loop device.
    pub fn ext4(folder: PathBuf, mebibytes: u64) -> Result<Mount, String> {
        fs::create_dir(&folder).unwrap();
        let image = folder.with_extension("img");
        File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        // Nothing is kept back for root, which is who fills it.
        run("mkfs.ext4", &["-q", "-F", "-m", "0", image.to_str().unwrap()])?;
        run("mount", &["-o", "loop", image.to_str().unwrap(), folder.to_str().unwrap()])?;
        Ok(Mount { folder })
    }

    /// Leaves no room.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        for size in [64 * 1024, 4096, 512] {
            let piece = vec![0x5a; size];
            while ballast.write_all(&piece).is_ok() {}
        }
    }

    /// Gives the room back.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process that is about to end may have files open there.
        drop(run("umount", &["--lazy", self.folder.to_str().unwrap()]));
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    match Command::new(program).args(arguments).output() {
        Ok(told) if told.status.success() => Ok(()),
        Ok(told) => Err(format!("{program}: {}", String::from_utf8_lossy(&told.stderr).trim())),
        Err(missing) => Err(format!("{program}: {missing}")),
    }
}

/// How the system calls of a process fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing fails.
    None,
    /// There is no room for what is written.
    Full,
    /// What is written is not taken.
    Write,
    /// What is synced is not on the disk.
    Sync,
    /// Each of both takes so many microseconds.
    Slow(i64),
}

/// The failures of one process, in a file that it looks at.
pub struct Failing {
    control: PathBuf,
    library: PathBuf,
}

impl Failing {
    /// Nothing without a C compiler.
    pub fn new(folder: &Path) -> Option<Failing> {
        let library = preloaded(folder, "disk_fault", include_str!("disk_fault.c"))?;
        let control = folder.join("failing");
        fs::write(&control, [0; 32]).unwrap();
        Some(Failing { control, library })
    }

    /// What a process needs in its environment to fail below the folder.
    pub fn environment(&self, below: &Path) -> [(&'static str, String); 3] {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        [
            ("LD_PRELOAD", text(&self.library)),
            ("TEST_DISK_FAULT", text(&self.control)),
            ("TEST_DISK_FOLDER", text(below)),
        ]
    }

    pub fn set(&self, failure: Failure) {
        const ENOSPC: i64 = 28;
        const EIO: i64 = 5;
        let numbers = match failure {
            Failure::None => [0, 0, 0],
            Failure::Full => [ENOSPC, 0, 0],
            Failure::Write => [EIO, 0, 0],
            Failure::Sync => [0, EIO, 0],
            Failure::Slow(micros) => [0, 0, micros],
        };
        // In place: the process has this very file in its memory.
        let file = File::options().write(true).open(&self.control).unwrap();
        for (place, number) in (0..).zip(numbers) {
            file.write_all_at(&number.to_ne_bytes(), place * 8).unwrap();
        }
    }

    /// How many calls have failed or taken long.
    pub fn count(&self) -> i64 {
        let bytes = fs::read(&self.control).unwrap();
        i64::from_ne_bytes(bytes[24..32].try_into().unwrap())
    }
}
