//! One line of the log for every request, and the counters that go with it: both are told in one place, so that no two of
//! them can be subtracted from one another.
//!
//! A sealed bid is told before it is handed on, as what it then looks like: a query that was answered at once (promise
//! P-3). So nothing that is told of a query by somebody who is signed in may say more than what holds for both: neither
//! its fields, nor who asked, nor how long it took and how long its answer was but in steps.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_graphql::{Response, Value, parser::types::OperationType};
use axum::{body::HttpBody, http::StatusCode};
use kernel::{Actor, Pseudonyms};
use tracing::Span;

/// In steps of so many milliseconds it is told how long a query took.
const STEP_MILLIS: u128 = 5;
/// In steps of so many bytes it is told how long its answer was.
const STEP_BYTES: u64 = 1024;

/// What stands where nothing is told.
const UNTOLD: &str = "-";
/// The code of what was neither refused nor failed.
const OK: &str = "ok";

/// How requests are told in the log.
#[derive(Clone)]
pub struct RequestLog {
    pseudonyms: Pseudonyms,
    share: f64,
}

/// The line of a request under way, and its span, which ends with the line. Clones share both.
#[derive(Clone)]
pub(crate) struct Entry(Arc<Inner>);

struct Inner {
    log: RequestLog,
    began: Instant,
    is_written: AtomicBool,
    span: Mutex<Option<Span>>,
    facts: Mutex<Facts>,
}

/// What is known of the request so far.
#[derive(Default)]
struct Facts {
    kind: Option<OperationType>,
    operation: Option<String>,
    caller: Option<Arc<Actor>>,
    code: Option<String>,
}

/// The codes of a GraphQL response's errors, as an extension of the HTTP response.
#[derive(Clone)]
pub(crate) struct Codes(pub Vec<String>);

impl RequestLog {
    /// Tells of this share of all requests (0 to 1), and of every one that was refused or failed. Callers are told by
    /// their pseudonyms.
    #[must_use]
    pub fn new(pseudonyms: Pseudonyms, share: f64) -> RequestLog {
        RequestLog { pseudonyms, share }
    }

    /// The line of a request that begins now, within this span.
    pub(crate) fn entry(&self, span: Span) -> Entry {
        let inner = Inner {
            log: self.clone(),
            began: Instant::now(),
            is_written: AtomicBool::new(false),
            span: Mutex::new(Some(span)),
            facts: Mutex::default(),
        };
        Entry(Arc::new(inner))
    }

    /// Who calls, as nobody can read it: a person, or the address of somebody unknown.
    fn pseudonym(&self, actor: &Actor) -> String {
        let (mark, name) = if actor.is_known() { ('p', &actor.person_id) } else { ('a', &actor.address) };
        format!("{mark}{}", self.pseudonyms.of("request log", &format!("{mark}/{name}"), 8))
    }
}

impl Entry {
    /// The span of the request until its line is written.
    pub fn span(&self) -> Option<Span> {
        self.0.span.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the line is written.
    pub fn is_written(&self) -> bool {
        self.0.is_written.load(Relaxed)
    }

    /// Who calls.
    pub fn caller(&self, actor: Arc<Actor>) {
        self.facts().caller = Some(actor);
    }

    /// What kind of operation is asked for.
    pub fn kind(&self, kind: OperationType) {
        self.facts().kind = Some(kind);
    }

    /// Which: the names of its root fields, which the schema knows, or the path of a page.
    pub fn operation(&self, name: String) {
        self.facts().operation = Some(name);
    }

    /// What became of a GraphQL operation: its time is counted, and its refusal told, be it as data or as an error.
    pub fn executed(&self, kind: OperationType, response: &Response) {
        if self.is_written() {
            return;
        }
        let outcome = if response.is_ok() { "ok" } else { "error" };
        timed(kind, outcome, self.0.began.elapsed());
        self.facts().code = refusal_code(&response.data).map(str::to_owned);
    }

    /// Tells now of what must not be told from a query: what comes after is not told at all.
    pub fn write_as_query(&self) {
        self.kind(OperationType::Query);
        timed(OperationType::Query, OK, self.0.began.elapsed());
        self.write(StatusCode::OK, &[], STEP_BYTES);
    }

    /// Tells of the answer, unless that was done before.
    pub fn answered<B: HttpBody>(&self, response: &http::Response<B>) {
        if self.is_written() {
            return;
        }
        let codes = response.extensions().get::<Codes>().map_or(&[][..], |codes| &codes.0);
        self.write(response.status(), codes, response.body().size_hint().exact().unwrap_or_default());
    }

    fn write(&self, status: StatusCode, codes: &[String], bytes: u64) {
        self.0.is_written.store(true, Relaxed);
        count_errors(codes);
        metrics::counter!("http_requests_total", "code" => status.as_str().to_owned()).increment(1);
        let span = self.0.span.lock().unwrap_or_else(PoisonError::into_inner).take();
        let facts = std::mem::take(&mut *self.facts());
        let failed = (status.is_client_error() || status.is_server_error()).then(|| status.as_str().to_owned());
        let code = codes.first().cloned().or(facts.code).or(failed);
        // What is not told anyway is not drawn lots for either: a sealed bid is chosen as any other request is.
        if code.is_none() && rand::random::<f64>() >= self.0.log.share {
            return;
        }
        span.unwrap_or_else(Span::none)
            .in_scope(|| self.line((facts.kind, facts.operation, facts.caller), code, bytes));
    }

    fn line(
        &self,
        asked: (Option<OperationType>, Option<String>, Option<Arc<Actor>>),
        code: Option<String>,
        bytes: u64,
    ) {
        let ((kind, mut operation, mut caller), mut bytes) = (asked, bytes);
        let mut millis = self.0.began.elapsed().as_millis();
        if kind == Some(OperationType::Query) {
            (millis, bytes) = (in_steps(millis), bytes.div_ceil(STEP_BYTES).max(1) * STEP_BYTES);
            let is_member = caller.as_ref().is_some_and(|caller| caller.is_known());
            if code.is_none() && is_member {
                (operation, caller) = (None, None);
            }
        }
        let kind = kind.map_or_else(|| "http".to_owned(), |kind| kind.to_string());
        let caller = caller.map(|caller| self.0.log.pseudonym(&caller));
        tracing::info!(
            operation = operation.as_deref().unwrap_or(UNTOLD),
            kind,
            caller = caller.as_deref().unwrap_or(UNTOLD),
            code = code.as_deref().unwrap_or(OK),
            millis = u64::try_from(millis).unwrap_or(u64::MAX),
            bytes,
            "request"
        );
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the errors of a response by their codes.
pub(crate) fn count_errors(codes: &[String]) {
    for code in codes {
        metrics::counter!("refused_requests_total", "code" => code.clone()).increment(1);
    }
}

/// A query's time is counted in steps, the first of which no sealed bid leaves before it is told.
fn timed(kind: OperationType, outcome: &'static str, took: Duration) {
    let millis = u64::try_from(in_steps(took.as_millis())).unwrap_or(u64::MAX);
    let took = if kind == OperationType::Query { Duration::from_millis(millis) } else { took };
    metrics::histogram!("graphql_operation_seconds", "kind" => kind.to_string(), "outcome" => outcome).record(took);
}

fn in_steps(millis: u128) -> u128 {
    (millis / STEP_MILLIS + 1) * STEP_MILLIS
}

/// The first refusal by the rules in an answer, as far as the caller asked for it by its name.
fn refusal_code(data: &Value) -> Option<&str> {
    let Value::Object(roots) = data else { return None };
    roots.values().find_map(|payload| {
        let Value::Object(payload) = payload else { return None };
        let Value::List(errors) = payload.get("userErrors")? else { return None };
        let Value::Object(error) = errors.first()? else { return None };
        match error.get("code")? {
            Value::Enum(code) => Some(code.as_str()),
            Value::String(code) => Some(code),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use kernel::MasterKey;

    use super::*;

    #[test]
    fn pseudonyms_are_stable_and_tell_nobody() {
        let log = |key: MasterKey| RequestLog::new(key.pseudonyms(), 1.0);
        let person = |id: &str| Actor { person_id: id.into(), address: "192.0.2.1".into(), ..Actor::default() };
        let one = log(MasterKey::development()).pseudonym(&person("person_1"));
        assert!(one.len() == 17 && one.starts_with('p') && !one.contains("person"), "{one}");
        assert_eq!(one, log(MasterKey::development()).pseudonym(&person("person_1")));
        assert_ne!(one, log(MasterKey::development()).pseudonym(&person("person_2")));
        assert_ne!(one, log(MasterKey::new(&[7; 32])).pseudonym(&person("person_1")));
        assert!(log(MasterKey::development()).pseudonym(&person("")).starts_with('a'));
    }

    #[test]
    fn refusals_by_the_rules_are_found_where_they_were_asked_for() {
        let refused =
            async_graphql::value!({ "a": { "x": 1, "userErrors": [] }, "b": { "userErrors": [{ "code": "LATE" }] } });
        assert_eq!(refusal_code(&refused), Some("LATE"));
        for other in [async_graphql::value!({ "a": { "userErrors": [{ "message": "x" }] } }), Value::Null] {
            assert_eq!(refusal_code(&other), None);
        }
    }

    #[test]
    fn what_takes_no_time_takes_one_step() {
        assert_eq!([0, 1, 4, 5, 9, 10, 1_999].map(in_steps), [5, 5, 5, 10, 10, 15, 2_000]);
    }
}
