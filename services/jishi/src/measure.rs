use std::{sync::OnceLock, time::Duration};

use kernel::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::Result;

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

/// Tells every few seconds how far the events of these databases are behind, until stopped.
pub async fn backlog(grounds: Vec<(Context, Vec<&'static str>)>, stop: CancellationToken) {
    let mut ticks = interval(Duration::from_secs(10));
    while !stop.is_cancelled() {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let (mut waiting, mut lag) = (0, Duration::ZERO);
        for (context, services) in &grounds {
            match context.backlog(services).await {
                Ok((events, oldest)) => (waiting, lag) = (waiting + events, lag.max(oldest)),
                Err(error) => tracing::warn!(%error, "the outbox could not be counted"),
            }
        }
        metrics::gauge!("events_waiting").set(u32::try_from(waiting).unwrap_or(u32::MAX));
        metrics::gauge!("outbox_lag_seconds").set(lag);
    }
}
