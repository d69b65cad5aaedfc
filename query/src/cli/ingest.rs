//! `hearback ingest`.

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::{Args, ValueEnum};
use hearback_ingest::lake::WriteSettings;
use hearback_ingest::{
    CancelFlag, IngestError, IngestRequest, IngestSettings, IngestSummary, ObjectFailure, Progress,
    SoFar, SourceSpec,
};
use indicatif::{ProgressBar, ProgressStyle};

use super::stream::{self, StreamArgs};
use super::{CliError, Session, now, print};
use crate::config::{Config, format_bytes};
use crate::ops::logs::LogFormat;
use crate::ops::{Vitals, Watched, server};

/// Between two lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Failures of single objects that are shown; the rest is counted.
const SHOWN_FAILURES: usize = 20;

/// Read delivery feedback into the lake
///
/// SOURCE is a file, a folder (with everything below it), a glob, - for standard input,
/// s3://bucket/prefix, or a Kinesis stream (kinesis:NAME, kinesis:ARN), which is read by itself. gzip
/// and zstd are recognised by content; envelopes (EventBridge, SNS, SQS, Lambda, Firehose, arrays) and
/// aggregation by the Kinesis Producer Library are taken off. Documents that cannot be understood are
/// kept in the table rejects, byte for byte, and stop nothing.
///
/// Running the same command again reads only what is new: objects that were read are known by name,
/// size and ETag, a stream goes on where the lake says, and an event that comes twice is one row.
///
/// A stream is read until the command is stopped. A second process on the same stream stands by and
/// takes over when the first one ends.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback ingest ./firehose-export
  hearback ingest 's3://acme-mail/ses-events/2026/11/' --lake s3://acme-mail/lake
  zcat events.json.gz | hearback ingest - --format json
  hearback ingest kinesis:ses-events --lake s3://acme-mail/lake
  hearback ingest kinesis:ses-events --until-caught-up --format json")]
pub(super) struct IngestArgs {
    /// What to read
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = IngestFormat::Table)]
    format: IngestFormat,
    /// Exit with 1 if anything was rejected
    #[arg(long)]
    strict: bool,
    /// Serve Prometheus metrics and /healthz while it runs, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
    #[command(flatten)]
    stream: StreamArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum IngestFormat {
    /// For people
    Table,
    /// One JSON document
    Json,
}

pub(super) async fn run(session: &Session, args: &IngestArgs) -> Result<(), CliError> {
    let mut sources = Vec::with_capacity(args.sources.len());
    for given in &args.sources {
        let source =
            SourceSpec::parse(given).map_err(|error| CliError::usage(error.to_string()))?;
        sources.push(source);
    }
    let cancel = CancelFlag::new();
    stop_on_signals(&cancel)?;
    let is_stream = |source: &SourceSpec| matches!(source, SourceSpec::Kinesis(_));
    if sources.iter().any(is_stream) {
        let [SourceSpec::Kinesis(name)] = sources.as_slice() else {
            return Err(CliError::usage("a stream is read by itself, without other sources")
                .hint("run one hearback ingest for each"));
        };
        let vitals = watch(session, args.metrics.as_deref()).await?;
        let summary = stream::run(session, name, &args.stream, vitals, cancel).await;
        return conclude(args, summary);
    }
    args.stream.refuse_without_stream()?;
    let request = request(&session.config, session.config.lake(), sources, cancel);
    let shown = Shown::new(session.quiet, session.log_format);
    let vitals = watch(session, args.metrics.as_deref()).await?;
    let clock = Arc::clone(&request.clock);
    let watched = Watched { shown: &shown, vitals: &vitals, clock };
    let ended = hearback_ingest::run(request, &watched).await;
    shown.close();
    let ended = ended
        .map_err(|error| Unfinished { summary: error.summary().cloned(), error: failure(&error) });
    conclude(args, ended)
}

/// A run that did not do all it was asked to: what it did all the same, and what to say.
pub(super) struct Unfinished {
    /// None if nothing was begun: there is nothing to report then.
    pub(super) summary: Option<IngestSummary>,
    pub(super) error: CliError,
}

fn conclude(args: &IngestArgs, ended: Result<IngestSummary, Unfinished>) -> Result<(), CliError> {
    let summary = match ended {
        Ok(summary) => summary,
        Err(unfinished) => {
            if let Some(summary) = &unfinished.summary {
                report(args.format, summary)?;
            }
            return Err(unfinished.error);
        }
    };
    report(args.format, &summary)?;
    if args.strict && summary.report.rejected > 0 {
        return Err(CliError::failed(format!(
            "{} documents were rejected, and --strict allows none",
            summary.report.rejected
        ))
        .hint("SELECT reason, count(*) FROM rejects GROUP BY 1 shows why"));
    }
    Ok(())
}

/// The vitals of a run, shown and sent to whoever asked for them.
pub(super) async fn watch(
    session: &Session,
    address: Option<&str>,
) -> Result<Arc<Vitals>, CliError> {
    let vitals = Arc::new(Vitals::new());
    session.telemetry.observe(&vitals);
    if let Some(address) = address {
        let bound = server::serve(address, Arc::clone(&vitals)).await.map_err(|error| {
            CliError::usage(format!("cannot serve metrics at {address}"))
                .because(error)
                .hint("--metrics takes HOST:PORT; port 0 finds a free one")
        })?;
        match session.log_format {
            LogFormat::Json => tracing::info!(address = %bound, "metrics"),
            LogFormat::Text if session.quiet => {}
            LogFormat::Text => eprintln!("metrics at http://{bound}/metrics"),
        }
    }
    Ok(vitals)
}

/// A request over the configured settings.
pub(super) fn request(
    config: &Config,
    lake: &str,
    sources: Vec<SourceSpec>,
    cancel: CancelFlag,
) -> IngestRequest {
    IngestRequest {
        lake: lake.to_owned(),
        sources,
        settings: settings(config),
        write: write_settings(config),
        cancel,
        clock: Arc::new(|| now().as_microsecond()),
        run: uuid::Uuid::new_v4(),
    }
}

fn size(config: &Config, key: &str) -> usize {
    usize::try_from(config.number(key)).unwrap_or(usize::MAX)
}

/// How to read, as configured.
pub(super) fn settings(config: &Config) -> IngestSettings {
    IngestSettings {
        threads: NonZeroUsize::new(size(config, "ingest.threads")),
        flush_rows: config.number("ingest.flush_rows"),
        flush_bytes: config.number("ingest.flush_bytes"),
        flush_interval: Duration::from_millis(config.number("ingest.flush_interval")),
        campaign_tags: config.list("tags.campaign").to_vec(),
        template_tags: config.list("tags.template").to_vec(),
        tenant_tags: config.list("tags.tenant").to_vec(),
        link_parameters: config.list("links.allowed_parameters").to_vec(),
        ..IngestSettings::default()
    }
}

/// How to write, as configured.
pub(super) fn write_settings(config: &Config) -> WriteSettings {
    WriteSettings {
        dedupe_memory: size(config, "ingest.dedupe_memory"),
        compression_level: i32::try_from(config.number("ingest.compression_level")).unwrap_or(1),
        encode_threads: size(config, "ingest.threads"),
        ..WriteSettings::default()
    }
}

/// Turns the failure of a run into what is said about it.
pub(super) fn failure(error: &IngestError) -> CliError {
    let sentence = error.to_string();
    match error {
        IngestError::Source(_) => CliError::usage(sentence),
        IngestError::Lake { source, .. } => {
            CliError::failed("the lake did not take what was read").because(source.to_string())
        }
        IngestError::Partial(summary) => {
            let error = CliError::partial(sentence);
            match summary.failures.first() {
                Some(first) => error.because(first.to_string()),
                None => error,
            }
        }
        IngestError::Interrupted(_) => CliError::partial(sentence),
    }
}

/// The first signal asks the run to stop in good order; a second one ends the program at once,
/// which loses nothing either: what was not committed is read again.
pub(super) fn stop_on_signals(cancel: &CancelFlag) -> Result<(), CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    let watch = |kind| {
        signal(kind).map_err(|error| CliError::failed("cannot watch for signals").because(error))
    };
    let mut interrupt = watch(SignalKind::interrupt())?;
    let mut terminate = watch(SignalKind::terminate())?;
    let cancel = cancel.clone();
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            let code = tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            };
            if asked {
                std::process::exit(code);
            }
            asked = true;
            cancel.cancel();
        }
    });
    Ok(())
}

fn report(format: IngestFormat, summary: &IngestSummary) -> Result<(), CliError> {
    match format {
        IngestFormat::Json => {
            let document = serde_json::to_string(&summary.report)
                .map_err(|error| CliError::failed("cannot write the report").because(error))?;
            print(&format!("{document}\n"))
        }
        IngestFormat::Table => print(&in_words(summary)),
    }
}

fn in_words(summary: &IngestSummary) -> String {
    let report = &summary.report;
    let seconds = report.elapsed_ms.max(1) as f64 / 1_000.0;
    let rate = report.bytes as f64 / 1e6 / seconds;
    let mut text = format!(
        "{} rows added from {} documents ({} read in {seconds:.1} s, {rate:.0} MB/s)\n",
        report.events,
        report.records,
        format_size(report.bytes),
    );
    let mut line = |count: u64, words: &str| {
        if count > 0 {
            text.push_str(&format!("  {count} {words}\n"));
        }
    };
    line(report.duplicates, "duplicates left out");
    line(report.rejected, "documents rejected, kept in the table rejects");
    line(report.ignored, "documents that carry no event");
    line(summary.already_read, "objects left alone: read before and unchanged");
    line(summary.failure_count, "objects could not be read to the end");
    text
}

/// A size rounded for people: `876.2 MB`.
pub(super) fn format_size(bytes: u64) -> String {
    match bytes {
        ..1_000 => format_bytes(bytes),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// Progress on stderr: a bar on a terminal, a line every ten seconds otherwise.
#[derive(Debug)]
pub(super) struct Shown {
    quiet: bool,
    format: LogFormat,
    bar: Option<ProgressBar>,
    state: Mutex<Told>,
}

/// What was told already.
#[derive(Debug, Default)]
struct Told {
    last_line: Duration,
    failures: usize,
}

impl Shown {
    pub(super) fn new(quiet: bool, format: LogFormat) -> Self {
        let drawn = !quiet && format == LogFormat::Text && std::io::stderr().is_terminal();
        let bar = drawn.then(|| {
            let bar = ProgressBar::new(0);
            // The template is a constant that parses; a plain bar is the fallback.
            if let Ok(style) = ProgressStyle::with_template(
                "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left · {msg}",
            ) {
                bar.set_style(style);
            }
            bar
        });
        Self { quiet, format, bar, state: Mutex::new(Told::default()) }
    }

    /// Takes the bar away.
    pub(super) fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}

impl Progress for Shown {
    fn update(&self, so_far: &SoFar) {
        if self.quiet {
            return;
        }
        if let Some(bar) = &self.bar {
            if let Some(total) = so_far.bytes_total {
                bar.set_length(total);
            }
            bar.set_position(so_far.bytes);
            bar.set_message(format!("{} documents, {} rows", so_far.records, so_far.rows));
            return;
        }
        let Ok(mut told) = self.state.lock() else { return };
        if so_far.elapsed < told.last_line + LINE_EVERY {
            return;
        }
        told.last_line = so_far.elapsed;
        if self.format == LogFormat::Json {
            tracing::info!(
                bytes = so_far.bytes,
                bytes_total = so_far.bytes_total,
                objects = so_far.objects,
                records = so_far.records,
                rows = so_far.rows,
                elapsed_ms = u64::try_from(so_far.elapsed.as_millis()).unwrap_or(u64::MAX),
                "progress"
            );
            return;
        }
        let of = so_far
            .bytes_total
            .map_or_else(String::new, |total| format!(" of {}", format_size(total)));
        eprintln!(
            "{:.0} s: {}{of} read, {} documents, {} rows",
            so_far.elapsed.as_secs_f64(),
            format_size(so_far.bytes),
            so_far.records,
            so_far.rows
        );
    }

    fn failed(&self, failure: &ObjectFailure) {
        let Ok(mut told) = self.state.lock() else { return };
        told.failures += 1;
        if self.format == LogFormat::Json {
            tracing::warn!(
                object = failure.object,
                problem = failure.problem,
                "source object failed"
            );
            return;
        }
        match told.failures {
            ..=SHOWN_FAILURES => self.say(&format!("warning: {failure}")),
            n if n == SHOWN_FAILURES + 1 => self.say("warning: more objects cannot be read"),
            _ => {}
        }
    }
}
