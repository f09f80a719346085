//! `jishi import` beside a running exchange: what is fit goes in once, what is not is listed with its reason.

mod bounded;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use exchange_tests::{Exchange, Lane, binary};
use jishi::demo::Fields;
use serde_json::{Value, json};

use super::market::{FLOOR, Market};

const MAPPING: &str = r#"
format = "csv"
target = "listing"
source = "sichuan-2026"
date_formats = ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y"]

[fields]
sourceId = { from = "编号" }
title = { from = "名称" }
summary = { from = "摘要" }
keywords = { list = { from = "关键词", separator = "；" } }
field = { from = "领域" }
ipKind = { constant = "INVENTION_PATENT" }
ipNumber = { from = "专利号" }
ipExpiresOn = { from = "届满" }
owner = { from = "权利人" }
floorPrice = { from = "底价" }
deposit = { from = "保证金" }
increment = { from = "加价幅度" }

[maps.field]
"新材料" = "NEW_MATERIALS"
"生物医药" = "BIOMEDICINE"
"农业" = "AGRICULTURE"
"#;

/// Line, field and code of what must be refused; each stands beside a row that is fit.
const FAULTS: [(u64, &str, &str); 8] = [
    (4, "title", "REQUIRED"),
    (5, "ipExpiresOn", "INVALID_INPUT"),
    (7, "field", "INVALID_INPUT"),
    (8, "floorPrice", "INVALID_INPUT"),
    (9, "deposit", "DEPOSIT_ABOVE_CAP"),
    (10, "title", "TEXT_UNSAFE"),
    (12, "title", "TEXT_TOO_LONG"),
    (13, "", "INVALID_INPUT"),
];
const FIT: i64 = 4;

/// Rows as people keep them, with the faults that people make.
fn rows() -> String {
    let long = "超".repeat(201);
    format!(
        "编号,名称,摘要,关键词,领域,专利号,届满,权利人,底价,保证金,加价幅度\n\
         SC-001,竹基纤维复合管材及缠绕工艺,\"环刚度 10 kN/m²，\n已铺设 3 公里。\",竹材；管材,新材料,ZL201810234567.8,2038-03-20,四川竹业研究院,300000.00,60000.00,5000.00\n\
         SC-002,,没有名称,,新材料,,,四川竹业研究院,300000.00,60000.00,5000.00\n\
         SC-003,川芎苯酞提取方法,超临界萃取,川芎,生物医药,ZL201910000001.1,03/04/2039,成都中医药研究所,80000.00,20000.00,1000.00\n\
         SC-004,重金属钝化材料,稻田镉钝化,土壤；镉,农业,,2040-11-05,雅安农科所,120000.5,30000,2000\n\
         SC-005,月壤模拟样品,研磨,,天文,,,成都某所,100000,20000,1000\n\
         SC-006,花椒精油微胶囊,喷雾干燥,花椒,农业,,,汉源花椒合作社,12万,20000,1000\n\
         SC-007,泡菜乳酸菌剂,常温保存六个月,泡菜,农业,,,眉山泡菜研究所,100000.00,30000.01,1000.00\n\
         SC-008,隐藏\u{202e}文字的名称,摘要,,农业,,,某所,100000.00,30000.00,1000.00\n\
         SC-001,竹基纤维复合管材（重复）,摘要,,新材料,,,四川竹业研究院,300000.00,60000.00,5000.00\n\
         SC-009,{long},摘要,,新材料,,,某所,100000.00,30000.00,1000.00\n\
         SC-010,缺列的行\n\
         SC-011,钒钛磁铁矿尾渣提钪,\"=HYPERLINK(\"\"http://evil.example\"\")\",钪；尾渣,新材料,ZL202010999999.9,2040-06-30,攀枝花学院,900000.00,270000.00,10000.00\n\
         SC-012,高海拔牦牛乳清蛋白分离膜,膜通量 40 L/(m²·h),牦牛；膜,生物医药,,,红原乳业,200000.00,50000.00,5000.00\n"
    )
}

/// One run of the verb against the exchange's database.
fn import(exchange: &Exchange, arguments: &[&Path], flags: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("import").args(flags).env("JISHI_DATABASE_URL", &exchange.database_url).env("JISHI_LOG", "error");
    command.arg("--mapping").args(arguments).output().unwrap()
}

/// The counts that a run prints, in order: read, created, unchanged, duplicates, refused.
fn counts(output: &Output) -> Vec<i64> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let names = ["read", "created", "unchanged", "duplicates", "refused"];
    let count = |name: &str| {
        let line = text.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
        line.and_then(|line| line.split_whitespace().nth(2)?.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in {text}"))
    };
    names.map(count).to_vec()
}

async fn totals(market: &Market) -> (i64, i64) {
    let query = "query T($id: ID!) { achievements(organizationId: $id) { totalCount } listings(organizationId: $id) { totalCount } }";
    let read = market.broker.glance(query, json!({ "id": market.university.id })).await.unwrap();
    (read.number_at("/achievements/totalCount").unwrap(), read.number_at("/listings/totalCount").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn fit_rows_go_in_once_and_the_others_are_listed() {
    let exchange = Exchange::start(Lane::Sqlite).await.unwrap();
    let market = Market::open(&exchange, 0).await;
    let folder = tempfile::tempdir().unwrap();
    let [mapping, data, report] = ["map.toml", "rows.csv", "report.jsonl"].map(|name| folder.path().join(name));
    fs::write(&mapping, MAPPING).unwrap();
    fs::write(&data, rows()).unwrap();
    let organization = ["--organization", &market.university.id, "--report", report.to_str().unwrap()];

    let mut dry = organization.to_vec();
    dry.push("--dry-run");
    let refusals = i64::try_from(FAULTS.len()).unwrap();
    let all = FIT + 1 + refusals;
    assert_eq!(counts(&import(&exchange, &[&mapping, &data], &dry)), [all, FIT, 0, 1, refusals]);
    assert_eq!(totals(&market).await, (0, 0), "a dry run left something behind");

    assert_eq!(counts(&import(&exchange, &[&mapping, &data], &organization)), [all, FIT, 0, 1, refusals]);
    assert_eq!(totals(&market).await, (FIT, FIT));
    let text = fs::read_to_string(&report).unwrap();
    let mut entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    entries.sort_by_key(|entry| entry["line"].as_u64());
    let duplicate = entries.iter().position(|entry| entry["outcome"] == "DUPLICATE").map(|at| entries.remove(at));
    assert_eq!(
        duplicate.map(|entry| (entry["line"].clone(), entry["value"].clone())),
        Some((json!(11), json!("SC-001")))
    );
    let found: Vec<(u64, &str, &str)> = entries
        .iter()
        .map(|entry| {
            (entry["line"].as_u64().unwrap(), entry["field"].as_str().unwrap(), entry["code"].as_str().unwrap())
        })
        .collect();
    let expected: Vec<_> = FAULTS.to_vec();
    assert_eq!(
        found.iter().map(|(line, field, code)| (*line, field.trim_start_matches("terms."), *code)).collect::<Vec<_>>(),
        expected,
        "{text}"
    );
    for (entry, value) in
        entries.iter().zip(["", "03/04/2039", "天文", "12万", "30000.01", "隐藏\u{202e}文字的名称", "超", ""])
    {
        assert!(entry["value"].as_str().unwrap().starts_with(value), "{entry}");
        assert!(
            entry["reasonZh"].as_str().unwrap().ends_with('。') && entry["reasonEn"].as_str().unwrap().ends_with('.'),
            "{entry}"
        );
    }

    assert_eq!(counts(&import(&exchange, &[&mapping, &data], &organization)), [all, 0, FIT, 1, refusals]);
    assert_eq!(totals(&market).await, (FIT, FIT), "the second run changed something");

    let query = "query F($id: ID!) { listings(organizationId: $id, search: \"竹基纤维\") { edges { node { title summary status floorPrice deposit disclosureDays } } } }";
    let read = market.broker.glance(query, json!({ "id": market.university.id })).await.unwrap();
    let listing = &read["listings"]["edges"][0]["node"];
    assert_eq!(
        (&listing["status"], &listing["floorPrice"], &listing["disclosureDays"]),
        (&json!("DRAFT"), &json!("300000.00"), &json!(5))
    );
    assert_eq!(listing["summary"], "环刚度 10 kN/m²，\n已铺设 3 公里。");

    let nobody = import(&exchange, &[&mapping, &data], &["--organization", "91110000600037341L"]);
    assert!(!nobody.status.success() && String::from_utf8_lossy(&nobody.stderr).contains("91110000600037341L"));
    let absent = import(&exchange, &[&mapping, &folder.path().join("absent.csv")], &organization);
    assert!(!absent.status.success() && String::from_utf8_lossy(&absent.stderr).contains("absent.csv"));
}

/// Where real data lies on a developer's machine; it is no part of the project.
fn real_data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("TEST_DATA").map_or(beside, PathBuf::from);
    let file = folder.join("nasa/nasa_technologies.jsonl");
    if !file.is_file() {
        eprintln!("skipped: real data is not there; TEST_DATA names its folder");
        return None;
    }
    Some(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_record_is_imported_found_and_sold() {
    let Some(data) = real_data() else { return };
    let exchange = Exchange::start(Lane::Sqlite).await.unwrap();
    let market = Market::open(&exchange, 1).await;
    let buyer = &market.buyers[0];
    let mapping = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/jishi/mappings/nasa_technologies.toml");
    let organization = ["--organization", &market.university.id];
    let first = counts(&import(&exchange, &[&mapping, &data], &organization));
    assert_eq!((first[0], first[1] + first[3], first[2], first[4]), (1_945, 1_945, 0, 0), "every record is taken");
    let second = counts(&import(&exchange, &[&mapping, &data], &organization));
    assert_eq!((second[1], second[2]), (0, first[1]));
    assert_eq!(totals(&market).await, (first[1], 0));

    let text = fs::read_to_string(&data).unwrap();
    let patents = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let record = patents.filter(|record| record["kind"] == "patent").nth(100).unwrap();
    let query = "query F($search: String!) { achievements(search: $search) { totalCount edges { node { id title owner source sourceId ipKind } } } }";
    let read = market.broker.glance(query, json!({ "search": record["title"] })).await.unwrap();
    let edges = read["achievements"]["edges"].as_array().unwrap();
    let found = edges.iter().map(|edge| &edge["node"]).find(|node| node["sourceId"] == record["case_number"]);
    let found = found.unwrap_or_else(|| panic!("{record} is not among {read}"));
    assert_eq!(
        (&found["title"], &found["source"], &found["ipKind"]),
        (&record["title"], &json!("nasa-t2"), &json!("INVENTION_PATENT"))
    );

    let mut draft = market.draft();
    (draft["achievementId"], draft["title"]) = (found["id"].clone(), found["title"].clone());
    draft["conversionMode"] = json!("LICENSE");
    let listing = market.disclosed(draft).await;
    market.eligible(buyer, &listing).await;
    market.pass(listing.ends_at).await;
    let deal = market.sold_to_sole(buyer, &listing).await;
    let settlement = market.settled(buyer, &listing, &deal).await;
    assert_eq!(settlement["price"], FLOOR.to_string());
    let contract = "query C($id: ID!) { contract(id: $id) { document certificate { number kind contractAmount } } }";
    let read = buyer.person.glance(contract, json!({ "id": deal["contractId"] })).await.unwrap();
    assert!(read.text_at("/contract/document").unwrap().contains(found["title"].as_str().unwrap()), "{read}");
    assert_eq!(read["contract"]["certificate"]["contractAmount"], FLOOR.to_string());
    market.ledger_is_sound().await;
}
