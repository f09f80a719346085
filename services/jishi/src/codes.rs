//! `jishi codes`: loads a public code list, which no release may carry. From then on only codes of the list are accepted.

use std::{collections::HashMap, fs::File, path::PathBuf};

use clap::ValueEnum;
use identity::{CodeEntry, CodeList};

use crate::{Result, config::Config, offline::Offline};

/// What `jishi codes` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Which list the files hold.
    #[arg(long)]
    pub list: List,
    /// CSV files in UTF-8 with a header that names the columns code, level and name; others are passed over.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// A list by its standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum List {
    /// Administrative divisions (GB/T 2260).
    #[value(name = "gbt2260")]
    Gbt2260,
    /// Industries (GB/T 4754-2017).
    #[value(name = "gbt4754")]
    Gbt4754,
}

/// Loads the files, which together replace the list that was loaded before.
pub async fn run(config: &Config, arguments: &Arguments, mut out: impl std::io::Write) -> Result<()> {
    let list = match arguments.list {
        List::Gbt2260 => CodeList::Regions,
        List::Gbt4754 => CodeList::Industries,
    };
    let mut entries = Vec::new();
    for path in &arguments.files {
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(|error| at(&error))?;
        entries.extend(read(list, file).map_err(|error| at(&error))?);
    }
    let offline = Offline::open(config).await?;
    let loaded = identity::load_codes(&offline.identity, list, entries).await;
    offline.close().await;
    writeln!(out, "{} {}", list.name(), loaded?)?;
    Ok(())
}

/// The entries of one file. A row that is no entry stops it, with its line.
fn read(list: CodeList, file: impl std::io::Read) -> Result<Vec<CodeEntry>, String> {
    let mut reader = csv::Reader::from_reader(file);
    let rows = reader.deserialize::<HashMap<String, String>>();
    rows.map(|row| {
        let mut row = row.map_err(|error| error.to_string())?;
        let mut take = |column: &str| row.remove(column).ok_or_else(|| format!("there is no column {column:?}"));
        let entry = CodeEntry { code: take("code")?, name: take("name")?, level: take("level")? };
        if list.holds(&entry.code) { Ok(entry) } else { Err(format!("{:?} is no code of {}", entry.code, list.name())) }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_whole_or_not_at_all() {
        let good = "\u{feff}code,level,name,parent\n510000,province,四川省,\n510100,prefecture,成都市,510000\n";
        let entries = read(CodeList::Regions, good.trim_start_matches('\u{feff}').as_bytes()).unwrap();
        assert_eq!(entries[1], CodeEntry { code: "510100".into(), name: "成都市".into(), level: "prefecture".into() });
        for (list, text, named) in [
            (CodeList::Regions, "code,name\n510000,四川省\n", "level"),
            (CodeList::Regions, "code,level,name\n990000,province,某省\n", "990000"),
            (CodeList::Industries, "code,level,name\nC39,division,计算机\n", "C39"),
            (CodeList::Industries, "code,level,name\n3976,class\n", "record"),
        ] {
            let error = read(list, text.as_bytes()).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
        let industries =
            "code,level,name,parent,section\nA,section,农业,,A\n01,division,农业,A,A\n0111,class,稻谷,011,A\n";
        assert_eq!(read(CodeList::Industries, industries.as_bytes()).unwrap().len(), 3);
    }
}
