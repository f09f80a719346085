//! The deal in the READMEs is what the exchange really says: each section `#### verb (who), n` holds the
//! n-th such exchange of a deal that is played here, with what differs from run to run masked.
//! `UPDATE_README=1 ./test readme` writes the sections anew.

use std::{fs, path::Path, sync::LazyLock};

use exchange_tests::{Exchange, Lane};
use jishi::demo::{client::Door, deal, stage::Stage, timeline::Silent, transcript::Transcript};
use regex::Regex;

/// What no two runs have in common.
static MASKS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let mask = |pattern: &str| Regex::new(pattern).unwrap();
    vec![
        (mask(r"([a-z]+_)[0-9a-hjkmnp-tv-z]{26}"), "${1}…"),
        (mask(r"[0-9a-f]{64}"), "…"),
        (mask(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d\.\d{3}Z)"), "…"),
        (mask(r"Idempotency-Key: [0-9a-f-]{36}"), "Idempotency-Key: …"),
        (mask(r"\bB0\d\b"), "B0…"),
        (mask(r"（示例[0-9A-Z]+）"), "（示例）"),
        (mask("\"number\": \"\\d{16}\""), "\"number\": \"…\""),
        (mask("\"(bankReference|rulesVersion)\": \"[^\"]+\""), "\"$1\": \"…\""),
        (mask("\"rulesVersion\": \"[^\"]+\""), "\"rulesVersion\": \"…\""),
    ]
});

#[tokio::test(flavor = "multi_thread")]
async fn readmes_tell_what_the_exchange_says() {
    let exchange = Exchange::start(Lane::Sqlite).await.unwrap();
    let transcript = Transcript::default();
    let door = Door::at(exchange.http.trim_start_matches("http://"));
    let stage = Stage::transcribed(door, &Silent, Some(transcript.clone())).await.unwrap();
    deal::play(&stage).await.unwrap();
    let mut said = Vec::new();
    transcript.write(&mut said).unwrap();
    let said = fragments(&String::from_utf8(said).unwrap());
    for name in ["README.md", "README.zh-CN.md"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
        let written = fs::read_to_string(&file).unwrap();
        let told = retell(&written, &said);
        if std::env::var_os("UPDATE_README").is_some() {
            fs::write(&file, &told).unwrap();
        }
        assert!(written == told, "{name} does not tell what the exchange says; UPDATE_README=1 ./test readme");
        assert!(written.matches("\n#### ").count() >= 8, "{name} lost its deal");
    }
}

/// (title, body) in order, masked.
fn fragments(said: &str) -> Vec<(String, String)> {
    let split = said.split("### ").skip(1).filter_map(|fragment| {
        let (title, body) = fragment.split_once('\n')?;
        let title = title.split_once(". ")?.1.to_owned();
        let mut body = body.trim().to_owned();
        for (pattern, with) in MASKS.iter() {
            body = pattern.replace_all(&body, *with).into_owned();
        }
        Some((title, body))
    });
    split.collect()
}

/// The README with the body of each `#### title, n` section replaced by what was said.
fn retell(written: &str, said: &[(String, String)]) -> String {
    let mut told = String::new();
    let mut within = false;
    for line in written.lines() {
        if let Some(heading) = line.strip_prefix("#### ") {
            let (title, nth) = heading.rsplit_once(", ").unwrap_or((heading, "1"));
            let nth: usize =
                nth.parse().unwrap_or_else(|_| panic!("{heading}: the number of the occurrence is missing"));
            let body = said.iter().filter(|(name, _)| name == title).nth(nth - 1);
            let (_, body) = body.unwrap_or_else(|| panic!("nobody says: {heading}"));
            told += &format!("{line}\n\n{body}\n\n");
            within = true;
        } else if within && !(line.starts_with("## ") || line.starts_with("### ") || line.starts_with("<!-- on")) {
            continue;
        } else {
            within = false;
            told += line;
            told.push('\n');
        }
    }
    told
}
