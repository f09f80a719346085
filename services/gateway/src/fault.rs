//! Top-level errors: a stable code and a trace id, never internal text. Refusals by the rules are data in the
//! payloads and do not pass here.

use std::time::Duration;

use async_graphql::{ErrorExtensionValues, ID, Name, PathSegment, Response, ServerError, Value};
use kernel::{Error, ErrorCode, Id, Refusal};
use wire::fault;

/// The code of a document that asks for too much.
pub const TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";

/// The code of a caller who asks for too much in too short a time.
pub const RATE_LIMITED: &str = "RATE_LIMITED";

/// The code of a hash that the manifest does not hold.
pub const UNKNOWN_OPERATION: &str = "PERSISTED_QUERY_NOT_FOUND";

/// The code of a document that the manifest does not hold, where only those are allowed.
pub const NOT_ALLOWED: &str = "OPERATION_NOT_ALLOWED";

const INVALID: &str = "INVALID_INPUT";

const RETRY_AFTER: &str = "retryAfterSeconds";

/// How the library words its own limits.
const LIMITS: [&str; 3] = ["Query is nested too deep.", "The recursion depth", "The number of directives"];

/// An error of a request that was not executed.
pub fn refusal(code: &str, message: impl Into<String>) -> ServerError {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code);
    ServerError { extensions: Some(extensions), ..ServerError::new(message, None) }
}

/// An unacceptable request.
pub fn invalid(message: impl Into<String>) -> ServerError {
    refusal(INVALID, message)
}

/// Too much in too short a time.
pub fn limited(wait: Duration) -> ServerError {
    let seconds = wait.as_secs() + 1;
    let message = format!("请求过于频繁，请 {seconds} 秒后再试。 Too many requests; try again in {seconds} s.");
    let mut error = refusal(RATE_LIMITED, message);
    error.extensions.get_or_insert_default().set(RETRY_AFTER, seconds);
    error
}

/// When a response says that its caller asked too much: after how many seconds to ask again.
pub fn retry_after(response: &Response) -> Option<u64> {
    let said = |error: &ServerError| match error.extensions.as_ref()?.get(RETRY_AFTER)? {
        Value::Number(seconds) => seconds.as_u64(),
        _ => None,
    };
    response.errors.iter().find_map(said)
}

/// A fault of the exchange as the error of the whole request.
pub fn top_level(error: &Error) -> ServerError {
    let told = fault(error);
    ServerError { extensions: told.extensions, ..ServerError::new(told.message, None) }
}

/// A response of errors alone.
pub fn failed(error: ServerError, trace: &str) -> Response {
    finished(Response::from_errors(vec![error]), trace)
}

/// The codes of a finished response's errors.
pub fn codes(response: &Response) -> Vec<String> {
    let code = |error: &ServerError| match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code.clone()),
        _ => None,
    };
    response.errors.iter().filter_map(code).collect()
}

/// Gives every error its code and the trace id. What carries no code was said by the library, about the request.
pub fn finished(mut response: Response, trace: &str) -> Response {
    for error in &mut response.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", library_code(&error.message));
            if error.message.starts_with("Data `") {
                tracing::error!(error = error.message, "a resolver asked for what the gateway did not provide");
                *error =
                    ServerError { path: std::mem::take(&mut error.path), ..top_level(&Error::Internal(String::new())) };
            }
        }
        let extensions = error.extensions.get_or_insert_default();
        extensions.set("traceId", trace);
        put_null(&mut response.data, &error.path);
    }
    response
}

/// The library leaves a failed field out; clients expect it as null.
fn put_null(data: &mut Value, path: &[PathSegment]) {
    match (data, path) {
        (Value::Object(fields), [PathSegment::Field(last)]) => {
            fields.entry(Name::new(last)).or_insert(Value::Null);
        }
        (Value::Object(fields), [PathSegment::Field(name), below @ ..]) => {
            if let Some(inner) = fields.get_mut(name.as_str()) {
                put_null(inner, below);
            }
        }
        (Value::List(items), [PathSegment::Index(index), below @ ..]) => {
            if let Some(inner) = items.get_mut(*index) {
                put_null(inner, below);
            }
        }
        _ => {}
    }
}

fn library_code(message: &str) -> &'static str {
    if LIMITS.iter().any(|limit| message.starts_with(limit)) { TOO_COMPLEX } else { INVALID }
}

/// Requires exactly one of two arguments.
pub fn exactly_one<A, B>(a: &Option<A>, b: &Option<B>, names: &str) -> async_graphql::Result<()> {
    if a.is_some() != b.is_some() {
        return Ok(());
    }
    Err(fault(&Refusal::new(ErrorCode::InvalidInput).accepting(names).into()))
}

/// The id, if it is of that kind. Ids are judged before they are looked up: a bad one would spoil its whole batch.
pub fn valid<I: Id>(id: ID, field: &str) -> async_graphql::Result<Option<String>> {
    I::parse(&id, field).map_err(|error| fault(&error))?;
    Ok(Some(id.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_coded_traced_and_leaves_a_null() {
        let data = async_graphql::value!({ "a": 1, "list": [{ "x": 1 }, {}] });
        let at = |path: Vec<PathSegment>, message: &str| ServerError { path, ..ServerError::new(message, None) };
        let field = |name: &str| PathSegment::Field(name.to_owned());
        let mut response = Response::new(data);
        response.errors = vec![
            at(vec![field("list"), PathSegment::Index(1), field("x")], "Query is nested too deep."),
            at(vec![field("b")], "Unknown field"),
            at(vec![field("a")], "Data `wire::Caller` does not exist."),
            at(vec![], "The recursion depth of the query cannot be greater than `32`"),
        ];
        let response = finished(response, "t");
        assert_eq!(response.data, async_graphql::value!({ "a": 1, "list": [{ "x": 1 }, { "x": null }], "b": null }));
        let codes: Vec<_> = response
            .errors
            .iter()
            .map(|error| {
                let extensions = error.extensions.clone().unwrap();
                assert_eq!(extensions.get("traceId"), Some(&"t".into()));
                extensions.get("code").cloned().unwrap().into_json().unwrap()
            })
            .collect();
        assert_eq!(codes, [TOO_COMPLEX, INVALID, "INTERNAL", TOO_COMPLEX]);
        assert!(!response.errors.iter().any(|error| error.message.contains("wire::")));
    }
}
