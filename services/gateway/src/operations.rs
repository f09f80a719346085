//! Operations that are known beforehand: clients name them by their hash, and where only these are allowed nothing
//! else is executed.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Request, ServerError, Value};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::{
    fault::{NOT_ALLOWED, UNKNOWN_OPERATION, invalid, refusal},
    guard::{Judged, Outline, judge},
};

/// Bytes of documents that are remembered although no manifest holds them: a document in memory is up to a hundred
/// times its text.
const REMEMBERED: u64 = 256 * 1024;

/// The known operations, judged already, and those that were asked for of late.
pub struct Operations {
    known: HashMap<String, Judged>,
    asked: Cache<String, Arc<Judged>>,
    only: bool,
}

impl Operations {
    /// Any operation is allowed, and none is known beforehand.
    #[must_use]
    pub fn any() -> Operations {
        Operations::of(HashMap::new(), false)
    }

    fn of(known: HashMap<String, Judged>, only: bool) -> Operations {
        let length = |text: &String, _: &Arc<Judged>| u32::try_from(text.len()).unwrap_or(u32::MAX);
        Operations { known, asked: Cache::builder().max_capacity(REMEMBERED).weigher(length).build(), only }
    }

    /// Reads a manifest: a JSON object of documents by the SHA-256 of their text, in hex. `only`: nothing else is
    /// allowed.
    pub fn read(manifest: &str, only: bool) -> Result<Operations, String> {
        let manifest: HashMap<String, String> = serde_json::from_str(manifest).map_err(|error| error.to_string())?;
        let mut known = HashMap::new();
        for (hash, text) in manifest {
            if hash != digest(&text) {
                return Err(format!("{hash} is not the SHA-256 of its document"));
            }
            let judged = judge(&text).map_err(|error| format!("{hash}: {}", error.message))?;
            known.insert(hash, judged);
        }
        Ok(Operations::of(known, only))
    }

    /// Finds or judges the request's document and leaves it parsed in the request.
    pub(crate) fn admit(&self, request: &mut Request) -> Result<Outline, ServerError> {
        let named = hash_of(request)?;
        let told = !request.query.is_empty();
        let hash = match named {
            Some(hash) if told && hash != digest(&request.query) => {
                return Err(invalid("sha256Hash 与 query 不符。 sha256Hash is not that of the query."));
            }
            None if told && self.only => Some(digest(&request.query)),
            named => named,
        };
        let name = request.operation_name.as_deref();
        if let Some(kept) = hash.as_ref().and_then(|hash| self.known.get(hash)) {
            let outline = kept.outline(name)?;
            request.set_parsed_query(kept.document.clone());
            return Ok(outline);
        }
        if hash.is_some() && !told {
            return Err(refusal(UNKNOWN_OPERATION, "没有登记此操作。 PersistedQueryNotFound"));
        }
        if self.only {
            return Err(refusal(NOT_ALLOWED, "只接受已登记的操作。 Only operations of the manifest are allowed."));
        }
        let judged = match self.asked.get(&request.query) {
            Some(judged) => judged,
            None => {
                let judged = Arc::new(judge(&request.query)?);
                self.asked.insert(request.query.clone(), judged.clone());
                judged
            }
        };
        let outline = judged.outline(name)?;
        request.set_parsed_query(judged.document.clone());
        Ok(outline)
    }
}

/// The hash by which the request names its document (`extensions.persistedQuery`, version 1).
fn hash_of(request: &Request) -> Result<Option<String>, ServerError> {
    let Some(named) = request.extensions.get("persistedQuery") else { return Ok(None) };
    let Value::Object(named) = named else { return Err(unreadable()) };
    match (named.get("version"), named.get("sha256Hash")) {
        (Some(Value::Number(version)), Some(Value::String(hash))) if version.as_u64() == Some(1) => {
            Ok(Some(hash.to_ascii_lowercase()))
        }
        _ => Err(unreadable()),
    }
}

fn unreadable() -> ServerError {
    invalid("persistedQuery 应含 version 1 与 sha256Hash。 persistedQuery takes version 1 and sha256Hash.")
}

fn digest(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// The hash under which a manifest holds the document. One that the exchange would refuse is an error.
pub fn operation_hash(document: &str) -> Result<String, String> {
    judge(document).map(|_| digest(document)).map_err(|error| error.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::types::OperationType;

    const TEXT: &str = "query A { serverTime } mutation B { signOut }";

    fn named(hash: &str, query: &str) -> Request {
        let body = serde_json::json!({
            "query": query, "operationName": "B",
            "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } },
        });
        serde_json::from_value(body).unwrap()
    }

    fn code(refused: Result<Outline, ServerError>) -> Value {
        refused.unwrap_err().extensions.unwrap().get("code").cloned().unwrap()
    }

    #[test]
    fn known_operations_go_by_their_hash() {
        let hash = &operation_hash(TEXT).unwrap();
        let json = serde_json::json!({ hash: TEXT }).to_string();
        for only in [false, true] {
            let operations = Operations::read(&json, only).unwrap();
            for query in ["", TEXT] {
                let outline = operations.admit(&mut named(&hash.to_uppercase(), query)).unwrap();
                assert_eq!((outline.kind, &*outline.roots), (OperationType::Mutation, &["signOut".to_owned()][..]));
            }
            let by_text = operations.admit(&mut Request::new(TEXT).operation_name("A"));
            assert_eq!(by_text.unwrap().kind, OperationType::Query);
            assert_eq!(code(operations.admit(&mut named(hash, "{ serverTime }"))), "INVALID_INPUT".into());
            assert_eq!(code(operations.admit(&mut named(&"0".repeat(64), ""))), UNKNOWN_OPERATION.into());
            let other = operations.admit(&mut Request::new("{ serverTime }"));
            if only { assert_eq!(code(other), NOT_ALLOWED.into()) } else { assert!(other.is_ok()) }
        }
        let bad = serde_json::json!({ "extensions": { "persistedQuery": { "version": 2, "sha256Hash": hash } } });
        let mut bad: Request = serde_json::from_value(bad).unwrap();
        assert_eq!(code(Operations::any().admit(&mut bad)), "INVALID_INPUT".into());
    }

    #[test]
    fn a_manifest_holds_what_it_says_and_nothing_too_large() {
        let other = serde_json::json!({ "0".repeat(64): TEXT }).to_string();
        assert!(Operations::read(&other, false).is_err());
        assert!(Operations::read("[]", false).is_err());
        let aliases: String = (0..16).map(|n| format!("a{n}: x ")).collect();
        let large = format!("{{ {aliases} }}");
        assert!(operation_hash(&large).is_err());
        let slipped = serde_json::json!({ digest(&large): large }).to_string();
        assert!(Operations::read(&slipped, false).is_err());
    }
}
