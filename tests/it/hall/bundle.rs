//! The bundle of the lot: it decides the lot again, and with any one byte changed it decides nothing.

use std::{collections::BTreeSet, path::Path};

use exchange_tests::Exchange;
use jishi::demo::Fields;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{super::refusal::tells_nothing_internal, court::Lot};

const EVIDENCE: &str =
    "query E($id: ID!) { evidence(sessionId: $id) { url size root verifyingKey heads { size root } } }";

/// Positions that are changed at least, over the whole file.
const LEAST: usize = 400;

/// A bundle, or why there is none.
pub async fn downloaded(exchange: &Exchange, url: &str) -> (StatusCode, Vec<u8>) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("{}{url}", exchange.http)).send().await.unwrap();
    (response.status(), response.bytes().await.unwrap().to_vec())
}

/// Before the result is public there is nothing to download.
pub async fn is_no_ones_yet(exchange: &Exchange, session: &str) {
    let (status, answer) = downloaded(exchange, &format!("/evidence/{session}")).await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    tells_nothing_internal(&answer);
    assert_eq!((status, &answer["errors"][0]["extensions"]["code"]), (StatusCode::NOT_FOUND, &json!("NOT_FOUND")));
}

/// Anybody's copy of the binary finds the award in the bundle, and in no other.
pub async fn decides_the_lot_again(exchange: &Exchange, lot: &Lot<'_>, award: &Value) {
    let read = lot.market.staff.reviewer.glance(EVIDENCE, json!({ "id": lot.session })).await.unwrap();
    let evidence = &read["evidence"];
    let (status, bundle) = downloaded(exchange, evidence.text_at("/url").unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    tells_what_the_log_tells(lot, &bundle).await;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.ndjson");
    std::fs::write(&file, &bundle).unwrap();
    let key = evidence.text_at("/verifyingKey").unwrap();
    let query =
        "query B($id: ID!) { transferApplications(listingId: $id, first: 10) { nodes { organizationId bidderCode } } }";
    let read = lot.market.staff.qualifier.glance(query, json!({ "id": lot.listing.id })).await.unwrap();
    let bidders = read["transferApplications"]["nodes"].as_array().unwrap();
    let winner = bidders.iter().find(|bidder| bidder["organizationId"] == award["winnerId"]).unwrap();
    let (code, price) = (winner.text_at("/bidderCode").unwrap(), award.text_at("/price").unwrap());
    let (size, root) = (&evidence["size"], evidence.text_at("/root").unwrap());
    for pinned in [&["--key", key][..], &[]] {
        let said = verified(exchange, pinned, &file).unwrap();
        let decided = format!("{}: SOLD to {code} at {price}, end ", lot.session);
        assert!(said.starts_with(&decided), "{said}");
        assert!(said.contains(&format!("{size} records verify; head {}:{size}:{root}\n", lot.session)), "{said}");
        assert!(said.contains(&format!("listing {}, ", lot.listing.id)), "{said}");
        assert!(said.contains(&format!("signed by {key} ")), "{said}");
    }
    let other = super::terminal::public_key(3);
    assert_eq!(verified(exchange, &["--key", &other], &file).unwrap_err().0, 1);
    no_byte_may_differ(exchange, &bundle, &file);
}

/// What the verb says of a file, or the line that it names.
fn verified(exchange: &Exchange, pinned: &[&str], file: &Path) -> Result<String, (usize, String)> {
    let arguments: Vec<&str> = ["verify"].iter().chain(pinned).copied().chain(file.to_str()).collect();
    let output = exchange.run(&arguments);
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty(), "a bundle that is refused decides nothing");
    let said = String::from_utf8(output.stderr).unwrap();
    let named = said.lines().find_map(|line| line.strip_prefix("line ")).unwrap_or_else(|| panic!("{said}"));
    let number = named.split([',', ':']).next().unwrap().parse().unwrap();
    Err((number, said))
}

/// Event by event the bundle says what the API says, and no more: whoever bid is a code.
async fn tells_what_the_log_tells(lot: &Lot<'_>, bundle: &[u8]) {
    let text = std::str::from_utf8(bundle).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let log = lot.market.log(&lot.session).await;
    let told = |event: &Value| {
        ["seq", "kind", "at", "bidderCode", "amount", "origin", "paddle", "closesAt", "reason"]
            .map(|name| event[name].clone())
    };
    let public: Vec<_> = lines.iter().filter_map(|line| line.get("event")).map(told).collect();
    assert_eq!(public, log.iter().map(told).collect::<Vec<_>>());
    let crew = [&lot.front.id, &lot.phones.id, &lot.hall];
    let hidden = lot.market.buyers.iter().flat_map(|buyer| [&buyer.id, &buyer.name]).chain(crew);
    for hidden in hidden {
        assert!(!text.contains(hidden.as_str()), "{hidden} is in the bundle");
    }
}

/// With one byte changed, wherever it is, the bundle is refused and the line of that byte is named.
fn no_byte_may_differ(exchange: &Exchange, bundle: &[u8], file: &Path) {
    let ends: Vec<usize> = (0..bundle.len()).filter(|at| bundle[*at] == b'\n').collect();
    let starts = || std::iter::once(0).chain(ends.iter().map(|end| end + 1)).take(ends.len());
    let inner = starts().zip(&ends).map(|(start, end)| usize::midpoint(start, *end));
    let spread = (0..bundle.len()).step_by((bundle.len() / LEAST).max(1));
    let places: BTreeSet<usize> = starts().chain(ends.iter().copied()).chain(inner).chain(spread).collect();
    assert!(places.len() >= LEAST && ends.last() == Some(&(bundle.len() - 1)));
    let line_of = |at: usize| ends.partition_point(|end| *end < at) + 1;
    for at in places {
        // The second one exchanges upper and lower case: what is base64 or hexadecimal stays so.
        for change in [0x01, 0x20] {
            let mut changed = bundle.to_vec();
            changed[at] ^= change;
            let flaw = auction::evidence::verify(changed.as_slice(), None).unwrap_err();
            assert_eq!(flaw.line, line_of(at) as u64, "byte {at} ^ {change:#x}: {flaw}");
        }
    }
    for end in [ends[0], ends[ends.len() / 2], ends[ends.len() - 2], ends[ends.len() - 1]] {
        let at = end - 2;
        let mut changed = bundle.to_vec();
        changed[at] ^= 1;
        std::fs::write(file, &changed).unwrap();
        let (line, said) = verified(exchange, &[], file).unwrap_err();
        assert_eq!(line, line_of(at), "byte {at}: {said}");
    }
}
