//! Searching all that an exchange keeps for what must not be found there.

use std::{collections::BTreeMap, fmt::Write};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use exchange_tests::{Exchange, Lane};
use kernel::Db;
use regex::bytes::RegexBuilder;
use sea_orm::{ConnectionTrait, Statement};
use sha2::{Digest, Sha256};

/// Every way in which a value may lie in a file: as it is, in other encodings, or hashed without a key.
pub fn forms(word: &str) -> Vec<Vec<u8>> {
    let digest = Sha256::digest(word);
    let mut forms = vec![word.as_bytes().to_vec(), digest.to_vec()];
    forms.extend([hex(word.as_bytes()), hex(&digest), hex(word.as_bytes()).to_uppercase()].map(String::into_bytes));
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        forms.push(word.encode_utf16().flat_map(order).collect());
    }
    for before in 0..3 {
        // Base64 of the word wherever it begins, without the characters that its neighbours share.
        let padded = [&b"\0\0\0"[..before], word.as_bytes()].concat();
        let text = BASE64_STANDARD_NO_PAD.encode(&padded[..padded.len() / 3 * 3]);
        let own = text.get(before.div_ceil(3) * 4..).unwrap_or_default().to_owned();
        forms.extend([own.replace('+', "-").replace('/', "_").into_bytes(), own.into_bytes()]);
    }
    if !word.is_ascii() {
        forms.push(word.encode_utf16().fold(String::new(), |text, unit| text + &format!("\\u{unit:04x}")).into_bytes());
        forms.push(word.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}")).into_bytes());
    }
    forms
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// How often any of the forms occurs.
pub fn hits(dump: &[u8], forms: &[Vec<u8>]) -> usize {
    let literal = |form: &Vec<u8>| form.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let pattern = forms.iter().map(literal).collect::<Vec<_>>().join("|");
    let words = RegexBuilder::new(&pattern).unicode(false).size_limit(1 << 28).build().unwrap();
    words.find_iter(dump).count()
}

/// All that lies in the database: the very bytes of SQLite's files, every row of PostgreSQL's tables.
pub async fn dump(exchange: &Exchange) -> Vec<u8> {
    if exchange.lane == Lane::Sqlite {
        let path = exchange.database_url.trim_start_matches("sqlite://");
        let files = ["", "-wal"].map(|end| std::fs::read(format!("{path}{end}")).unwrap_or_default());
        assert!(!files[0].is_empty());
        return files.concat();
    }
    let mut dump = Vec::new();
    let tables = "SELECT table_name AS text FROM information_schema.tables WHERE table_schema = current_schema()";
    for table in texts(exchange, tables).await {
        for row in texts(exchange, &format!("SELECT t::text AS text FROM \"{table}\" t")).await {
            dump.extend(row.into_bytes());
            dump.push(b'\n');
        }
    }
    dump
}

/// The column `text` of what a query finds.
pub async fn texts(exchange: &Exchange, sql: &str) -> Vec<String> {
    let db = Db::connect(&exchange.database_url).await.unwrap();
    let texts = ask(&db, sql).await;
    db.close().await.unwrap();
    texts
}

async fn ask(db: &Db, sql: &str) -> Vec<String> {
    let rows = db.read().query_all_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", "text").unwrap()).collect()
}

/// Every row of every table, each column in words, bytes in hexadecimal.
pub async fn rows(exchange: &Exchange) -> BTreeMap<String, Vec<String>> {
    let sqlite = exchange.lane == Lane::Sqlite;
    let tables = match sqlite {
        true => "SELECT name AS text FROM sqlite_master WHERE type = 'table'",
        false => "SELECT table_name::text AS text FROM information_schema.tables WHERE table_schema = current_schema()",
    };
    let db = Db::connect(&exchange.database_url).await.unwrap();
    let mut rows = BTreeMap::new();
    for table in ask(&db, tables).await {
        let columns = match sqlite {
            true => format!("SELECT name AS text FROM pragma_table_info('{table}')"),
            false => format!(
                "SELECT column_name::text AS text FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = '{table}'"
            ),
        };
        let quote = if sqlite { "quote" } else { "quote_nullable" };
        let columns = ask(&db, &columns).await;
        let told: Vec<String> = columns.iter().map(|column| format!("{quote}(\"{column}\")")).collect();
        let query = format!("SELECT {} AS text FROM \"{table}\" ORDER BY 1", told.join(" || '|' || "));
        rows.insert(table, ask(&db, &query).await);
    }
    db.close().await.unwrap();
    rows
}
