//! Imports told as stories, and the three real data sets where they are at hand (`TEST_DATA=/path/to/data`).

use std::{collections::HashSet, path::Path};

use super::*;
use crate::import::scratch::Scratch;

fn likeness() -> v1::Organization {
    v1::Organization {
        name: "导入测试大学（示例）".into(),
        kind: v1::OrganizationKind::University.into(),
        usci: "12510000MB1A2B3C4C".into(),
        region: "510100".into(),
        ..v1::Organization::default()
    }
}

const MAPPING: &str = r#"
format = "jsonl"
target = "listing"
source = "story"
date_formats = ["%Y-%m-%d"]
[fields]
sourceId = { from = "id" }
title = { from = "title" }
summary = { from = "title" }
ipExpiresOn = { from = "expires" }
floorPrice = { from = "price" }
deposit = { from = "deposit" }
increment = { constant = "100" }
[defaults]
field = "NEW_ENERGY"
"#;

const DATA: &str = r#"{"id":1,"title":"甲技术","price":"10000","deposit":"1000","expires":"2040-01-31"}
{"id":2,"title":"乙技术","price":"10000","deposit":"9000"}
{"id":3,"title":"丙","price":"10000","deposit":"1000"}
{"id":1,"title":"甲技术又一次","price":"10000","deposit":"1000"}
{"id":4,"title":"丁技术","price":"10000","deposit":"1000","expires":"someday"}
{"id":5,
{"id":6,"title":"己技术","price":"10000","deposit":"1000"}
"#;

#[tokio::test]
async fn each_row_comes_to_one_end_and_a_second_run_changes_nothing() {
    let scratch = Scratch::with(&likeness()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let report = folder.path().join("report.jsonl");
    let mut arguments = Arguments {
        mapping: write("m.toml", MAPPING),
        organization: "12510000MB1A2B3C4C".into(),
        dry_run: true,
        report: Some(report.clone()),
        data: vec![write("d.jsonl", DATA)],
    };
    let first = Summary { read: 7, created: 2, unchanged: 0, duplicates: 1, refused: 4 };
    let again = Summary { read: 7, created: 0, unchanged: 2, duplicates: 1, refused: 4 };
    for (dry_run, expected) in [(true, first), (false, first), (true, first), (false, again)] {
        arguments.dry_run = dry_run;
        let mut out = Vec::new();
        assert_eq!(run(&arguments, &scratch.clients, &mut out).await.unwrap(), expected, "dry run: {dry_run}");
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.contains("dry run"), dry_run, "{out}");
        let report = std::fs::read_to_string(&report).unwrap();
        let mut ends: Vec<(u64, String, String)> = report
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|entry| {
                let text = |name: &str| entry[name].as_str().unwrap().to_owned();
                (entry["line"].as_u64().unwrap(), text("field"), text("value"))
            })
            .collect();
        ends.sort();
        let ends: Vec<(u64, &str, &str)> =
            ends.iter().map(|(line, field, value)| (*line, field.as_str(), value.as_str())).collect();
        assert_eq!(ends[0], (2, "terms.deposit", "9000.00"));
        assert_eq!(ends[1], (3, "title", "丙"));
        assert_eq!(ends[2], (4, "sourceId", "1"));
        assert_eq!(ends[3], (5, "ipExpiresOn", "someday"));
        assert_eq!((ends[4].0, ends[4].1), (6, ""));
    }
    arguments.organization = "12510000MB1A2B3C4D".into();
    assert!(run(&arguments, &scratch.clients, &mut Vec::new()).await.is_err());
    scratch.close().await.unwrap();
}

struct Found {
    records: Vec<v1::ImportRecord>,
    unfit: Vec<(u64, String, String)>,
}

fn map_all(mapping: &str, data: &Path) -> Found {
    let mapping = Mapping::read(mapping).unwrap();
    let (mut records, mut unfit) = (Vec::new(), Vec::new());
    for row in reader::rows(&mapping, File::open(data).unwrap()).unwrap() {
        let row = row.unwrap();
        match mapping.apply(&row.value.unwrap()) {
            Ok(record) => records.push(record),
            Err(found) => unfit.push((row.line, found.refusal.field.join("."), found.value)),
        }
    }
    let ids: HashSet<&str> = records.iter().map(|record| record.source_id.as_str()).collect();
    assert_eq!(ids.len(), records.len(), "source ids are unique");
    Found { records, unfit }
}

#[test]
fn the_shipped_mappings_are_sound() {
    for text in [NASA_TECHNOLOGIES, NASA_REGISTER, CHINAXIV] {
        Mapping::read(text).unwrap();
    }
}

const NASA_TECHNOLOGIES: &str = include_str!("../../mappings/nasa_technologies.toml");
const NASA_REGISTER: &str = include_str!("../../mappings/nasa_patent_register.toml");
const CHINAXIV: &str = include_str!("../../mappings/chinaxiv.toml");

#[test]
fn the_real_data_sets_map_completely() {
    let Ok(folder) = std::env::var("TEST_DATA") else {
        println!("skipped: TEST_DATA does not name the folder of the real data sets");
        return;
    };
    let folder = Path::new(&folder);
    for (mapping, data, count) in [
        (NASA_TECHNOLOGIES, "nasa/nasa_technologies.jsonl", 1_945),
        (NASA_REGISTER, "nasa/nasa_patent_register.csv", 1_393),
        (CHINAXIV, "chinaxiv/records.jsonl", 2_000),
    ] {
        let found = map_all(mapping, &folder.join(data));
        assert_eq!((found.records.len(), found.unfit), (count, vec![]), "{data}");
    }
}

/// The register's compiler read the same spellings; where both say a day, it is the same day.
#[test]
fn our_reading_of_the_register_agrees_with_its_compilers() {
    let Ok(folder) = std::env::var("TEST_DATA") else {
        println!("skipped: TEST_DATA does not name the folder of the real data sets");
        return;
    };
    let data = Path::new(&folder).join("nasa/nasa_patent_register.csv");
    let ours = map_all(NASA_REGISTER, &data).records;
    let mut theirs = csv::Reader::from_path(&data).unwrap();
    let day = theirs.headers().unwrap().iter().position(|name| name == "expiration_date").unwrap();
    let mut with_day = 0;
    for (record, row) in ours.iter().zip(theirs.records()) {
        let row = row.unwrap();
        assert_eq!(record.ip_expires_on.as_deref().unwrap_or_default(), &row[day], "{}", record.source_id);
        with_day += usize::from(record.ip_expires_on.is_some());
    }
    assert_eq!((ours.len(), with_day), (1_393, 1_043));
}
