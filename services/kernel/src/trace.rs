//! The trace to which a request belongs, named as W3C Trace Context names it: the id that the client is told, that
//! stands in every line of the log, and under which a collector shows the way through gateway, services and database.
//!
//! It holds without a collector too: then only the id travels, and nothing is recorded.

use std::sync::LazyLock;

use http::HeaderMap;
use opentelemetry::{
    Context as Telemetry,
    propagation::TextMapPropagator,
    trace::{SpanContext, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{IdGenerator, RandomIdGenerator},
};
use tokio::task::JoinHandle;
use tracing::{Instrument, Span, field::display};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Reads and writes the headers `traceparent` and `tracestate`.
static HEADERS: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);

tokio::task_local! {
    static CURRENT: Trace;
}

/// A request's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace(TraceId);

impl Trace {
    /// The trace that the headers name, or a new one. `span` becomes its next span, and its field `trace` the id.
    #[must_use]
    pub fn of(headers: &HeaderMap, span: &Span) -> Trace {
        let given = HEADERS.extract_with_context(&Telemetry::new(), &HeaderExtractor(headers));
        let known = id_of(&given);
        if known.is_some() {
            // Without a collector the span has no place for it.
            drop(span.set_parent(given));
        }
        let id = id_of(&span.context()).or(known).unwrap_or_else(|| RandomIdGenerator::default().new_trace_id());
        span.record("trace", display(id));
        Trace(id)
    }

    /// Does the work as part of this trace, within `span`.
    pub async fn within<T>(self, span: Span, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work.instrument(span)).await
    }
}

impl std::fmt::Display for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A task that stays in the trace of who began it; tokio's own leaves it.
pub fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let work = work.in_current_span();
    match CURRENT.try_with(|trace| *trace) {
        Ok(trace) => tokio::spawn(CURRENT.scope(trace, work)),
        Err(_) => tokio::spawn(work),
    }
}

/// Names the current trace in the headers of a call that leaves this process.
pub(crate) fn stamp(headers: &mut HeaderMap) {
    let mut context = Span::current().context();
    if id_of(&context).is_none() {
        let Ok(Trace(id)) = CURRENT.try_with(|trace| *trace) else { return };
        let span = RandomIdGenerator::default().new_span_id();
        let here = SpanContext::new(id, span, TraceFlags::default(), true, TraceState::default());
        context = Telemetry::new().with_remote_span_context(here);
    }
    HEADERS.inject_context(&context, &mut HeaderInjector(headers));
}

/// Whether the headers name a trace.
pub(crate) fn is_stamped(headers: &HeaderMap) -> bool {
    headers.contains_key("traceparent")
}

fn id_of(context: &Telemetry) -> Option<TraceId> {
    let id = context.span().span_context().trace_id();
    (id != TraceId::INVALID).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "0af7651916cd43dd8448eb211c80319c";

    fn headers(traceparent: &str) -> HeaderMap {
        HeaderMap::from_iter([("traceparent".parse().unwrap(), traceparent.parse().unwrap())])
    }

    #[test]
    fn a_given_trace_is_continued_and_a_bad_one_replaced() {
        let trace = Trace::of(&headers(&format!("00-{GIVEN}-b7ad6b7169203331-01")), &Span::none());
        assert_eq!(trace.to_string(), GIVEN);
        for bad in ["", "00", &format!("00-{GIVEN}"), "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
            let (one, other) = (Trace::of(&headers(bad), &Span::none()), Trace::of(&headers(bad), &Span::none()));
            assert_ne!(one, other, "{bad}");
            assert_eq!(one.to_string().len(), 32);
        }
    }

    #[tokio::test]
    async fn calls_out_of_tasks_name_the_trace_without_a_collector() {
        let trace = Trace::of(&HeaderMap::new(), &Span::none());
        let stamped = trace.within(Span::none(), async {
            let told = spawn(async {
                let mut headers = HeaderMap::new();
                stamp(&mut headers);
                headers
            });
            told.await.unwrap()
        });
        assert_eq!(Trace::of(&stamped.await, &Span::none()), trace);
        let mut outside = HeaderMap::new();
        stamp(&mut outside);
        assert!(!is_stamped(&outside));
    }
}
