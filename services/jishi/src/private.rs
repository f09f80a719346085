//! Files and folders that nobody but this user opens, whatever the umask.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::{Error, ErrorKind},
    path::Path,
};

#[cfg(unix)]
use std::{
    fs::Permissions,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
};

use tempfile::TempDir;

/// Makes a folder and those above it, as far as they are not there.
pub fn folder(path: &Path) -> Result<(), Error> {
    let mut folder = DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    folder.mode(0o700);
    folder.create(path)
}

/// Makes a folder that is gone when it is dropped.
pub fn temporary_folder(prefix: &str, parent: &Path) -> Result<TempDir, Error> {
    let mut folder = tempfile::Builder::new();
    folder.prefix(prefix);
    #[cfg(unix)]
    folder.permissions(Permissions::from_mode(0o700));
    folder.tempdir_in(parent)
}

/// Makes an empty file, if it is not there. What SQLite puts beside it has the same mode.
pub fn file(path: &Path) -> Result<(), Error> {
    let mut file = OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    file.mode(0o600);
    match file.open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
