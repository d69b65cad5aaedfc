//! Traces and metrics to an OpenTelemetry collector over OTLP/HTTP: responsible for obeying the
//! variables of the OpenTelemetry specification ("Environment Variable Specification", "OTLP Exporter
//! Configuration") and for never getting in the way of the work.
//!
//! It is off unless `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or
//! `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` is set. A collector that is away is said once; at the end the
//! rest is sent for at most [`AT_THE_END`].
//!
//! Sending has a runtime and threads of its own, so that it neither waits for the work nor the work for
//! it, and ends after it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::{Handle, Runtime};

use super::metrics::{Kind, METRICS};
use super::vitals::Vitals;

/// How long the end of the program waits for what was not sent yet.
pub const AT_THE_END: Duration = Duration::from_secs(2);

/// How long a request may take: the default of `OTEL_EXPORTER_OTLP_TIMEOUT`.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the environment asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Traces are sent.
    pub traces: bool,
    /// Metrics are sent.
    pub metrics: bool,
}

impl Asked {
    /// Reads the variables.
    #[must_use]
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name: &str| variable(name).is_some_and(|value| !value.trim().is_empty());
        let is = |name: &str, wanted: &str| {
            variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted))
        };
        if is("OTEL_SDK_DISABLED", "true") {
            return Self::default();
        }
        let both = given("OTEL_EXPORTER_OTLP_ENDPOINT");
        Self {
            traces: (both || given("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
                && !is("OTEL_TRACES_EXPORTER", "none"),
            metrics: (both || given("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"))
                && !is("OTEL_METRICS_EXPORTER", "none"),
        }
    }
}

/// Sends traces and metrics as long as it lives, and the rest of them when it is [ended](Self::end).
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    /// Why a part of it is off although it was asked for.
    problem: Option<ExporterBuildError>,
    runtime: Mutex<Option<Runtime>>,
}

impl Telemetry {
    /// Starts what was asked for. What cannot be started stays off: see [`problem`](Self::problem).
    #[must_use]
    pub fn start(asked: Asked) -> Self {
        let mut started =
            Self { traces: None, metrics: None, problem: None, runtime: Mutex::default() };
        if !asked.traces && !asked.metrics {
            return started;
        }
        let Ok(runtime) =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
        else {
            return started;
        };
        let client = Sender::new(runtime.handle().clone());
        started.runtime = Mutex::new(Some(runtime));
        let resource = resource();
        if asked.traces {
            let exporter =
                SpanExporter::builder().with_http().with_http_client(client.clone()).build();
            match exporter {
                Ok(exporter) => {
                    let provider = SdkTracerProvider::builder()
                        .with_batch_exporter(exporter)
                        .with_resource(resource.clone());
                    started.traces = Some(provider.build());
                }
                Err(error) => started.problem = Some(error),
            }
        }
        if asked.metrics {
            match MetricExporter::builder().with_http().with_http_client(client).build() {
                Ok(exporter) => {
                    let provider = SdkMeterProvider::builder()
                        .with_periodic_exporter(exporter)
                        .with_resource(resource);
                    started.metrics = Some(provider.build());
                }
                Err(error) => started.problem = Some(error),
            }
        }
        started
    }

    /// Why something that was asked for is off.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.problem.as_ref().map(ToString::to_string)
    }

    /// What records traces, if they are sent.
    #[must_use]
    pub fn tracer(&self) -> Option<SdkTracer> {
        self.traces.as_ref().map(|provider| provider.tracer("hearback"))
    }

    /// Sends these vitals from now on, if metrics are sent.
    pub fn observe(&self, vitals: &Arc<Vitals>) {
        let Some(provider) = &self.metrics else { return };
        let meter = provider.meter("hearback");
        for metric in METRICS {
            let vitals = Arc::clone(vitals);
            match metric.kind {
                Kind::Counter => {
                    let counter = meter.f64_observable_counter(metric.name);
                    counter
                        .with_description(metric.meaning)
                        .with_callback(move |observer| {
                            for series in vitals.series(metric) {
                                observer.observe(series.value, &attributes(series.labels));
                            }
                        })
                        .build();
                }
                Kind::Gauge => {
                    let gauge = meter.f64_observable_gauge(metric.name);
                    gauge
                        .with_description(metric.meaning)
                        .with_callback(move |observer| {
                            for series in vitals.series(metric) {
                                observer.observe(series.value, &attributes(series.labels));
                            }
                        })
                        .build();
                }
            }
        }
    }

    /// Sends what was not sent yet, for at most [`AT_THE_END`], and ends.
    pub fn end(&self) {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(runtime) = runtime else { return };
        let (ended, waiting) = std::sync::mpsc::channel();
        let (traces, metrics) = (self.traces.clone(), self.metrics.clone());
        std::thread::spawn(move || {
            // A failure was said by the sender.
            let _ = traces.map(|provider| provider.shutdown_with_timeout(AT_THE_END));
            let _ = metrics.map(|provider| provider.shutdown());
            let _ = ended.send(());
        });
        let _ = waiting.recv_timeout(AT_THE_END);
        runtime.shutdown_background();
    }
}

fn attributes(labels: Vec<(&'static str, String)>) -> Vec<KeyValue> {
    labels.into_iter().map(|(name, value)| KeyValue::new(name, value)).collect()
}

fn resource() -> Resource {
    let set = |name: &str| std::env::var(name).unwrap_or_default();
    let named = !set("OTEL_SERVICE_NAME").is_empty()
        || set("OTEL_RESOURCE_ATTRIBUTES").contains("service.name=");
    let builder = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    match named {
        true => builder.build(),
        false => builder.with_service_name("hearback").build(),
    }
}

/// Sends requests on a runtime of tokio, from whatever thread they come.
#[derive(Clone, Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
    complained: Arc<AtomicBool>,
}

impl Sender {
    fn new(runtime: Handle) -> Self {
        let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap_or_default();
        Self { client, runtime, complained: Arc::default() }
    }

    /// Says that the collector is away, once until it is there again. The endpoint is left out: it may
    /// hold a token.
    fn note(&self, delivered: bool, reason: &str) {
        let before = self.complained.swap(!delivered, Ordering::Relaxed);
        if !delivered && !before {
            tracing::warn!(reason, "telemetry cannot be sent; the work goes on");
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move { client.send_bytes(request).await });
        let sent = match sending.await {
            Ok(sent) => sent,
            Err(error) => Err(error.into()),
        };
        match &sent {
            Ok(response) if response.status().is_success() => self.note(true, ""),
            Ok(response) => self.note(false, response.status().as_str()),
            Err(_) => self.note(false, "the collector cannot be reached"),
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(variables: &[(&str, &str)]) -> Asked {
        Asked::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_is_sent_unless_an_endpoint_is_named() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        assert_eq!(asked(&[]), Asked { traces: false, metrics: false });
        assert_eq!(asked(&[("OTEL_SERVICE_NAME", "x")]), Asked::default());
        assert_eq!(asked(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Asked::default());
        assert_eq!(asked(&[endpoint]), Asked { traces: true, metrics: true });
        assert_eq!(asked(&[endpoint, ("OTEL_SDK_DISABLED", "True")]), Asked::default());
        let only_traces = asked(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost/t")]);
        assert_eq!(only_traces, Asked { traces: true, metrics: false });
        let no_traces = asked(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]);
        assert_eq!(no_traces, Asked { traces: false, metrics: true });
    }
}
