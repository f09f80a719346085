use serde_json::json;

use super::*;

const MAPPING: &str = r#"
format = "jsonl"
target = "listing"
source = "test"
date_formats = ["%d %B %Y", "%m/%d/%Y"]

[fields]
sourceId = { from = "id" }
title = { from = "/title" }
summary = { template = "{abstract}（{center}）" }
keywords = { list = { from = "keywords" } }
field = { from = "category" }
ipKind = { constant = "INVENTION_PATENT" }
ipExpiresOn = { from = "expires" }
floorPrice = { from = "price" }
deposit = { constant = "100" }
increment = { constant = "10" }

[maps.field]
sensors = "ELECTRONICS_INFORMATION"
philosophy = ""

[defaults]
stage = "EARLY"
owner = "NASA"
"#;

fn row() -> Value {
    json!({
        "id": 7, "title": " 光纤传感器 ", "abstract": "测温", "center": "JPL", "keywords": ["光纤", "传感"],
        "category": "sensors", "expires": "06/16/2024", "price": "1000.50",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut row = row();
    row[name] = value;
    row
}

fn mapping() -> Mapping {
    Mapping::read(MAPPING).unwrap()
}

#[test]
fn a_row_becomes_a_record() {
    let record = mapping().apply(&row()).unwrap();
    let expected = ImportRecord {
        source: "test".into(),
        source_id: "7".into(),
        title: "光纤传感器".into(),
        summary: "测温（JPL）".into(),
        keywords: vec!["光纤".into(), "传感".into()],
        field: Some(TechnologyField::ElectronicsInformation.into()),
        stage: Some(Stage::Early.into()),
        ip_kind: IpKind::InventionPatent.into(),
        ip_number: None,
        ip_expires_on: Some("2024-06-16".into()),
        owner: "NASA".into(),
        terms: Some(ImportTerms {
            floor_price: Some(Money(100_050)),
            deposit: Some(Money(10_000)),
            increment: Some(Money(1_000)),
            disclosure_days: 0,
        }),
    };
    assert_eq!(record, expected);
    assert_eq!(shown(&record, "terms.floorPrice"), "1000.50");
}

#[test]
fn what_is_empty_is_absent() {
    let record = mapping().apply(&with("expires", json!("  "))).unwrap();
    assert_eq!(record.ip_expires_on, None);
    let record = mapping().apply(&with("center", Value::Null)).unwrap();
    assert_eq!(record.summary, "");
    assert_eq!(mapping().apply(&with("category", json!("philosophy"))).unwrap().field, None);
}

#[test]
fn an_unfit_row_names_its_field_and_what_stood_there() {
    for (name, value, field) in [
        ("id", Value::Null, "sourceId"),
        ("title", json!(""), "title"),
        ("category", json!("astrology"), "field"),
        ("expires", json!("next year"), "ipExpiresOn"),
        ("expires", json!("06/16/24"), "ipExpiresOn"),
        ("price", json!("10,000"), "floorPrice"),
        ("price", json!(1e30), "floorPrice"),
        ("abstract", json!({ "a": 1 }), "summary"),
    ] {
        let unfit = mapping().apply(&with(name, value.clone())).unwrap_err();
        assert_eq!(unfit.refusal.field, ["input", field], "{name}: {value}");
        let stood = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert!(value.is_null() || unfit.value == stood, "{name}: {unfit:?}");
    }
}

#[test]
fn a_mapping_with_a_slip_is_refused_as_a_whole() {
    for (from, to) in [
        ("title = {", "titel = {"),
        ("[maps.field]", "[map.field]"),
        ("{ constant = \"10\" }", "{ konstant = \"10\" }"),
        ("\"ELECTRONICS_INFORMATION\"", "\"ELECTRONICS\""),
        ("stage = \"EARLY\"", "stage = \"LATE\""),
        ("\"%m/%d/%Y\"", "\"%m/%d/%y\""),
        ("date_formats = [\"%d %B %Y\", \"%m/%d/%Y\"]", ""),
        ("target = \"listing\"", "target = \"achievement\""),
        ("format = \"jsonl\"", "format = \"xlsx\""),
        ("deposit = { constant = \"100\" }", ""),
        ("{abstract}", "{abstract"),
    ] {
        assert!(MAPPING.contains(from), "{from}");
        assert!(Mapping::read(&MAPPING.replace(from, to)).is_err(), "{from} → {to}");
    }
}
