use std::{
    io::{IsTerminal, stderr},
    sync::OnceLock,
    time::Duration,
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{Result, config::Config};

const SECONDS: [f64; 12] = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

/// Metrics are the process's, however many exchanges it runs (a demo, a test).
static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// The process's metrics, recorded from the first call on.
pub fn metrics() -> Result<PrometheusHandle> {
    if let Some(handle) = METRICS.get() {
        return Ok(handle.clone());
    }
    let recorder =
        PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?.build_recorder();
    let handle = METRICS.get_or_init(|| recorder.handle()).clone();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("metrics are recorded elsewhere");
    }
    Ok(handle)
}

/// Folds recorded samples into the histograms until stopped; without it they would pile up between two scrapes.
pub async fn upkeep(metrics: PrometheusHandle, stop: CancellationToken) {
    let mut ticks = interval(Duration::from_secs(5));
    while !stop.is_cancelled() {
        tokio::select! {
            _ = ticks.tick() => metrics.run_upkeep(),
            () = stop.cancelled() => {}
        }
    }
}

/// Begins logging to standard error; standard output is for what a caller reads.
pub fn log(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal());
    let begun = if config.is_development() { log.with_target(false).try_init() } else { log.json().try_init() };
    begun.map_err(|error| format!("log: {error}"))?;
    Ok(())
}
