//! What a process tells its operator while it works: lines on standard error and, if a collector is configured, traces.

use std::{
    io::{IsTerminal, stderr},
    panic,
    time::Duration,
};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use serde::Deserialize;
use tokio::task::spawn_blocking;
use tracing::{Level, Metadata, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{DynFilterFn, FilterExt, filter_fn},
    fmt,
    layer::{Context, SubscriberExt},
    registry,
    util::SubscriberInitExt,
};

use crate::{
    Result,
    config::Config,
    roles::{Role, Roles},
};

/// No batch of spans takes longer on its way to the collector.
const EXPORT: Duration = Duration::from_secs(3);
/// A collector that is away holds up a stop for no longer.
const FLUSH: Duration = Duration::from_secs(2);

/// Our crates, as they name themselves where they log.
const OURS: [&str; 11] = [
    "auction",
    "catalog",
    "contract",
    "financing",
    "gateway",
    "identity",
    "jishi",
    "kernel",
    "ledger",
    "migrations",
    "wire",
];
/// Tells of every statement, its values left out.
const DATABASE: [&str; 2] = ["sea_orm", "kernel::db"];

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object per line, for programs.
    Json,
}

/// The way to the collector, if there is one.
pub struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Begins logging to standard error, since standard output is for what a caller reads, and tracing.
    pub fn begin(config: &Config, roles: &Roles) -> Result<Telemetry> {
        accept(config)?;
        let lines = fmt::layer().with_writer(stderr);
        let usual = if config.is_development() { LogFormat::Text } else { LogFormat::Json };
        let lines = match config.log_format.unwrap_or(usual) {
            LogFormat::Text => lines.with_target(false).with_ansi(stderr().is_terminal()).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
        };
        let lines = lines.with_filter(EnvFilter::try_new(&config.log)?.and(filter_fn(is_discreet)));
        let provider = config.otlp_endpoint.as_ref().map(|endpoint| collector(endpoint, config, roles)).transpose()?;
        let spans = provider.as_ref().map(|provider| {
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("jishi"));
            let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false);
            // A statement of no request, such as the look into an empty outbox, is no trace.
            let filter = DynFilterFn::new(|told: &Metadata<'_>, context: &Context<'_, _>| {
                is_step(told) || (is_statement(told) && context.lookup_current().is_some())
            });
            let filter = filter.with_max_level_hint(LevelFilter::DEBUG).with_callsite_filter(|told| {
                if is_step(told) || is_statement(told) { Interest::sometimes() } else { Interest::never() }
            });
            layer.with_filter(filter)
        });
        registry().with(lines).with(spans).try_init().map_err(|error| format!("log: {error}"))?;
        // The message of a panic may quote what it stumbled over, a password for one: the place has to do.
        panic::set_hook(Box::new(|panic| {
            tracing::error!(place = panic.location().map(tracing::field::display), "panic");
        }));
        Ok(Telemetry(provider))
    }

    /// Sends what is left to the collector.
    pub async fn end(self) {
        let Telemetry(Some(provider)) = self else { return };
        let flushed = spawn_blocking(move || provider.shutdown_with_timeout(FLUSH)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("the last spans did not reach the collector");
        }
    }
}

fn accept(config: &Config) -> Result<()> {
    if config.otlp_endpoint.as_ref().is_some_and(|endpoint| !endpoint.starts_with("http://")) {
        return Err("otlp_endpoint is a collector's gRPC address on the own network: http://HOST:4317".into());
    }
    if !(0.0..=1.0).contains(&config.otlp_sample) {
        return Err("otlp_sample is a share from 0 to 1".into());
    }
    Ok(())
}

/// Connects when the first spans leave; while the collector is away they are dropped.
fn collector(endpoint: &str, config: &Config, roles: &Roles) -> Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT).build()?;
    let resource = Resource::builder()
        .with_service_name(name(roles))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    // By the trace's id alone: all processes decide alike, and no caller decides for them.
    let sampler = Sampler::TraceIdRatioBased(config.otlp_sample);
    let provider = SdkTracerProvider::builder().with_resource(resource).with_sampler(sampler);
    Ok(provider.with_batch_exporter(exporter).build())
}

/// `jishi`, or the part of it that lives here, such as `jishi-identity-catalog`.
fn name(roles: &Roles) -> String {
    let here = roles.are_split().then(|| {
        let gateway = roles.has(Role::Gateway).then_some(Role::Gateway);
        gateway.into_iter().chain(roles.services()).map(|role| format!("-{}", role.name())).collect::<String>()
    });
    format!("jishi{}", here.unwrap_or_default())
}

/// Whether it may stand in the log. At level TRACE and in spans of their own, libraries tell what passes through them:
/// statements with their values, messages with passwords.
fn is_discreet(told: &Metadata<'_>) -> bool {
    (is_ours(told) && !is_statement(told)) || (told.is_event() && *told.level() <= Level::DEBUG)
}

/// A step of our own in a trace.
fn is_step(told: &Metadata<'_>) -> bool {
    is_ours(told) && !is_statement(told) && *told.level() <= Level::DEBUG
}

/// A statement in a trace; its values stand only in the spans of level TRACE.
fn is_statement(told: &Metadata<'_>) -> bool {
    let is_of_database = DATABASE.iter().any(|target| told.target().starts_with(target));
    told.is_span() && is_of_database && *told.level() <= Level::INFO
}

fn is_ours(told: &Metadata<'_>) -> bool {
    told.target().split("::").next().is_some_and(|name| OURS.contains(&name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn collectors_and_shares_are_refused_by_name() {
        let config = || Config::embedded(Path::new("nowhere")).unwrap();
        assert!(accept(&config()).is_ok());
        let endpoint = Config { otlp_endpoint: Some("collector:4317".into()), ..config() };
        assert!(accept(&endpoint).unwrap_err().to_string().contains("otlp_endpoint"));
        let sample = Config { otlp_sample: 1.5, ..config() };
        assert!(accept(&sample).unwrap_err().to_string().contains("otlp_sample"));
    }

    #[test]
    fn parts_are_named_by_their_roles() {
        assert_eq!(name(&Roles::new(None)), "jishi");
        assert_eq!(name(&Roles::new(Some(vec![Role::Catalog, Role::Identity]))), "jishi-identity-catalog");
    }
}
