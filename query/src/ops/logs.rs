//! Logs: responsible for one line on stderr for each event.
//!
//! As JSON every line is one object: `timestamp`, `level`, `message`, and the event's fields beside them
//! under their own names. Only our own events are written: what libraries log can hold addresses.

use std::io::IsTerminal;

use clap::ValueEnum;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Targets of our own events begin like this.
const OWN: &str = "hearback";

/// Form of the lines on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// How much is logged, and how.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// Form of the lines.
    pub format: LogFormat,
    /// Errors only.
    pub quiet: bool,
    /// How often more was asked for.
    pub verbose: u8,
}

impl LogSettings {
    /// The least level that is written. Machines read progress in the log, so they are given it.
    fn level(self) -> Level {
        match (self.quiet, self.verbose, self.format) {
            (true, _, _) => Level::ERROR,
            (false, 0, LogFormat::Text) => Level::WARN,
            (false, 0, LogFormat::Json) | (false, 1, _) => Level::INFO,
            (false, 2, _) => Level::DEBUG,
            (false, _, _) => Level::TRACE,
        }
    }
}

/// Starts logging, and with a tracer the recording of traces. To be called once.
pub fn start(settings: LogSettings, tracer: Option<SdkTracer>) {
    let written = Targets::new().with_target(OWN, settings.level());
    let lines = match settings.format {
        LogFormat::Text => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .with_filter(written)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .with_filter(written)
            .boxed(),
    };
    let recorded = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_filter(Targets::new().with_target(OWN, Level::INFO))
    });
    tracing_subscriber::registry().with(lines).with(recorded).init();
}
