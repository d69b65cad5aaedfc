//! `hearback serve`: looks after what runs by itself over the live lake, until it is stopped.

use std::sync::Arc;

use clap::Args;
use hearback_ingest::CancelFlag;
use hearback_ingest::lake::Lake;

use super::ingest::{stop_on_signals, watch};
use super::segments::{self, Opened};
use super::{CliError, Session, memory, suppression};
use crate::activate::segments::definition::Schedule;
use crate::activate::segments::{Segment, SegmentError};
use crate::activate::suppression::settings::{Between, Settings};
use crate::config::format_duration;
use crate::engine::{Engine, EngineSettings};
use crate::ops::{server, watch_lake};

/// Keep suppression lists and segments as configured, with metrics and health over HTTP
///
/// With suppression.every set, suppression lists are pulled, planned and applied in that rhythm, within the
/// caps, as `hearback suppression run` does; segments with a schedule are applied when they are due, within
/// their guards, as `hearback segments run` does. What is refused or fails is told in the log, in /healthz
/// and in the metrics, and keeps nothing else from going on. Configuration and definitions are read when
/// it starts.
///
/// SIGTERM or Ctrl-C ends it within ten seconds; what was begun is finished by the next run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback serve
  hearback serve --metrics 0.0.0.0:9467 --log-format json
  curl http://127.0.0.1:8400/healthz")]
pub(super) struct ServeArgs {
    /// Where to answer over HTTP, on this machine only [default: serve.http, or 127.0.0.1:8400]
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// Serve Prometheus metrics and /healthz at one more address, for other machines
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
    /// Leave suppression lists and segments alone
    #[arg(long)]
    no_jobs: bool,
}

pub(super) async fn run(session: &Session, args: &ServeArgs) -> Result<(), CliError> {
    let cancel = CancelFlag::new();
    stop_on_signals(&cancel)?;
    let mut settings = suppression::settings(session)?;
    let mut scheduled = segments::scheduled(session)?;
    if args.no_jobs {
        settings.rhythm.every = None;
        scheduled.clear();
    }
    memory::keep_freed();
    let engine = shared(session.engine_settings());
    let opened = Opened {
        engine: Engine::open(session.config.lake(), engine).await?,
        lake: Lake::open(session.config.lake()).await.map_err(SegmentError::from)?,
    };
    let vitals = watch(session, args.metrics.as_deref()).await?;
    let address = args.http.as_deref().unwrap_or(session.config.text("serve.http"));
    on_this_machine(address).await?;
    let bound = server::serve(address, Arc::clone(&vitals)).await;
    let bound = bound.map_err(|error| unservable(address, error))?;
    session.say(&format!("serving {} at http://{bound}/", opened.lake.location()));
    tell_jobs(session, &settings, &scheduled);
    tokio::join!(
        watch_lake(&opened.lake, &vitals, &cancel),
        suppression::keep(session, &settings, engine, &vitals, &cancel),
        segments::keep(&opened, scheduled, &vitals, &cancel),
    );
    Ok(())
}

/// What each of the two kinds of jobs may use: they can be at work at the same time.
fn shared(settings: EngineSettings) -> EngineSettings {
    EngineSettings { memory_limit: settings.memory_limit / 2, ..settings }
}

/// Nobody is asked who they are, so nobody from elsewhere may ask.
async fn on_this_machine(address: &str) -> Result<(), CliError> {
    let meant = tokio::net::lookup_host(address).await;
    let mut meant = meant.map_err(|error| unservable(address, error))?;
    if meant.all(|address| address.ip().is_loopback()) {
        return Ok(());
    }
    Err(CliError::usage(format!("serve listens on this machine only, and {address} is not"))
        .hint("--metrics ADDR serves metrics and health to other machines"))
}

fn unservable(address: &str, error: std::io::Error) -> CliError {
    CliError::usage(format!("cannot serve at {address}"))
        .because(error)
        .hint("--http takes HOST:PORT; port 0 finds a free one")
}

fn tell_jobs(session: &Session, settings: &Settings, scheduled: &[(Segment, Schedule)]) {
    if let Some(every) = settings.rhythm.every {
        let fast = match settings.rhythm.between {
            Between::Wait => "",
            Between::FastLane => ", with the fast lane in between",
        };
        let every = format_duration(u64::try_from(every.as_millis()).unwrap_or(u64::MAX));
        session.say(&format!("suppression lists: every {every}{fast}"));
    }
    for (segment, schedule) in scheduled {
        session.say(&format!("segment {}: {schedule}", segment.name));
    }
    if settings.rhythm.every.is_none() && scheduled.is_empty() {
        session.say(
            "nothing runs by itself: neither suppression.every nor a segment's schedule says so",
        );
    }
}
