use std::{
    collections::BTreeMap,
    fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
};

use gateway::{Operations, operation_hash};

use crate::{Result, config::Config};

/// Prints a manifest of the documents in the files, and in the `.graphql` files below the folders.
pub fn print(files: &[PathBuf]) -> Result<()> {
    let mut found = Vec::new();
    for file in files {
        if file.is_dir() { collect(file, &mut found)? } else { found.push(file.clone()) }
    }
    let mut manifest = BTreeMap::new();
    for file in found {
        let document = read(&file)?;
        let hash = operation_hash(&document).map_err(|error| format!("{}: {error}", file.display()))?;
        manifest.insert(hash, document);
    }
    Ok(writeln!(stdout(), "{}", serde_json::to_string_pretty(&manifest)?)?)
}

/// The operations of the configured manifest.
pub(crate) fn known(config: &Config) -> Result<Operations> {
    let Some(file) = &config.operations_file else { return Ok(Operations::any()) };
    let known = Operations::read(&read(file)?, config.operations_only);
    Ok(known.map_err(|error| format!("{}: {error}", file.display()))?)
}

fn read(file: &Path) -> Result<String> {
    Ok(fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "graphql") {
            found.push(path);
        }
    }
    Ok(())
}
