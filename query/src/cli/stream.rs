//! `hearback ingest kinesis:…`: what the command line says of a stream, and how its reading is shown.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Args;
use hearback_ingest::lake::{Gap, GapReason, Lake, SequenceNumber};
use hearback_ingest::stream::{
    ApiError, ApiErrorKind, DecodeOn, Kinesis, ProcessIdentity, Retried, Rewind, StartAt,
    StreamError, StreamEvent, StreamName, StreamObserver, StreamRequest, run_stream,
};
use hearback_ingest::{CancelFlag, IngestSummary};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::archive::{NoArchive, archive};
use super::ingest::{Unfinished, format_size, settings, write_settings};
use super::{CliError, Session, now};
use crate::ops::logs::LogFormat;
use crate::ops::{LoggedStream, Vitals, WatchedStream};

/// Between two lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Between two drawings on a terminal.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// A shard that fails is mentioned after so many failures in a row, and then every so many.
const MENTION_EVERY: u32 = 5;

/// Options for streams alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for kinesis:…")]
pub(super) struct StreamArgs {
    /// Where to begin on a stream that was never read: trim-horizon (the oldest record), latest, or a
    /// time such as 2026-11-01T00:00:00Z [default: trim-horizon]
    #[arg(long, value_name = "WHERE")]
    from: Option<String>,
    /// End when everything that is on the stream has been read
    #[arg(long)]
    until_caught_up: bool,
    /// Go back first: to a time (all shards), or to a record's sequence number (its shard, and what came
    /// after it). What is there already is not added again
    #[arg(long, value_name = "TIMESTAMP|SEQUENCE")]
    rewind: Option<String>,
    /// Be pushed the records, as the registered consumer NAME (enhanced fan-out); it is registered if
    /// need be
    #[arg(long, value_name = "NAME")]
    fan_out: Option<String>,
}

impl StreamArgs {
    /// Refuses options that say something of a stream where there is none.
    pub(super) fn refuse_without_stream(&self) -> Result<(), CliError> {
        let given = [
            ("--from", self.from.is_some()),
            ("--until-caught-up", self.until_caught_up),
            ("--rewind", self.rewind.is_some()),
            ("--fan-out", self.fan_out.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((option, _)) => Err(CliError::usage(format!("{option} is for streams alone"))
                .hint("a stream is named kinesis:NAME")),
        }
    }

    fn start(&self) -> Result<StartAt, CliError> {
        match self.from.as_deref() {
            None | Some("trim-horizon") => Ok(StartAt::TrimHorizon),
            Some("latest") => Ok(StartAt::Latest),
            Some(text) => time(text).map(StartAt::Timestamp).ok_or_else(|| {
                CliError::usage(format!("--from {text} is not a place to begin"))
                    .hint("trim-horizon, latest, or a time with its offset: 2026-11-01T00:00:00Z")
            }),
        }
    }

    fn rewind(&self) -> Result<Option<Rewind>, CliError> {
        let Some(text) = self.rewind.as_deref() else { return Ok(None) };
        if let Some(ms) = time(text) {
            return Ok(Some(Rewind::Timestamp(ms)));
        }
        // As in the column source_sequence, where a place within a record may follow.
        let number = text.split(':').next().unwrap_or_default();
        match SequenceNumber::parse(number) {
            Some(sequence) => Ok(Some(Rewind::Sequence(sequence))),
            None => Err(CliError::usage(format!("--rewind {text} is not a place to go back to"))
                .hint(
                    "a time with its offset (2026-11-01T00:00:00Z), or a sequence number as in the column source_sequence",
                )),
        }
    }
}

fn time(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// Reads a stream until the stop, or its tip.
pub(super) async fn run(
    session: &Session,
    name: &StreamName,
    args: &StreamArgs,
    vitals: Arc<Vitals>,
    cancel: CancelFlag,
) -> Result<IngestSummary, Unfinished> {
    let unbegun = |error: CliError| Unfinished { summary: None, error };
    let mut request = request(session, args, cancel).await.map_err(unbegun)?;
    let kinesis = Arc::new(Kinesis::open(name).await);
    let archive = archive(&session.config, &request.lake, kinesis.as_ref()).await;
    request.safekeeping = archive.map_err(|error| match error {
        NoArchive::Configuration(error) => unbegun(error),
        NoArchive::Stream(source) => unbegun(refused(name, &source)),
    })?;
    let shown = Arc::new(Shown::new(session.quiet, session.log_format, name, args.from.is_some()));
    let watched = WatchedStream {
        shown: match session.log_format {
            LogFormat::Text => Arc::clone(&shown) as Arc<dyn StreamObserver>,
            LogFormat::Json => Arc::new(LoggedStream::new(name.to_string())),
        },
        vitals,
        stream: name.to_string(),
        clock: Arc::clone(&request.clock),
    };
    let ended = run_stream(request, kinesis, Arc::new(watched)).await;
    shown.close();
    ended.map_err(|error| Unfinished {
        summary: error.summary().cloned(),
        error: failure(name, &error),
    })
}

async fn request(
    session: &Session,
    args: &StreamArgs,
    cancel: CancelFlag,
) -> Result<StreamRequest, CliError> {
    let (start, rewind) = (args.start()?, args.rewind()?);
    let config = &session.config;
    let lake = Lake::open_or_create(config.lake())
        .await
        .map_err(|error| CliError::usage("the lake cannot be opened").because(error.to_string()))?;
    let threads = usize::try_from(config.number("ingest.threads")).unwrap_or(1);
    let clock = Arc::new(|| now().as_microsecond());
    Ok(StreamRequest {
        settings: settings(config),
        write: write_settings(config),
        start,
        rewind,
        until_caught_up: args.until_caught_up,
        fan_out: args.fan_out.clone(),
        decode_on: DecodeOn::Threads(threads),
        cancel,
        process: ProcessIdentity::of_this_process(),
        ..StreamRequest::new(lake, clock, uuid::Uuid::new_v4())
    })
}

/// Turns the failure of a run into what is said about it.
fn failure(name: &StreamName, error: &StreamError) -> CliError {
    match error {
        StreamError::Usage(sentence) => CliError::usage(sentence),
        StreamError::Refused { source, .. } => refused(name, source),
        StreamError::Source { source, .. } => {
            let sentence = match source.kind {
                ApiErrorKind::NotFound => format!("kinesis:{name} was deleted: {source}"),
                _ => format!("kinesis:{name} cannot be read any further: {source}"),
            };
            hint(CliError::failed(sentence), source)
        }
        StreamError::Recreated { .. } => CliError::failed(error.to_string()),
        StreamError::Lake { source, .. } => {
            CliError::failed("the lake did not take what was read").because(source.to_string())
        }
        StreamError::Interrupted(_) => CliError::partial(error.to_string()),
    }
}

fn refused(name: &StreamName, source: &ApiError) -> CliError {
    let sentence = format!("kinesis:{name} cannot be read: {source}");
    match source.kind {
        ApiErrorKind::NotFound | ApiErrorKind::UnknownHost | ApiErrorKind::Invalid => {
            hint(CliError::usage(sentence), source)
        }
        _ => hint(CliError::failed(sentence), source),
    }
}

fn hint(error: CliError, source: &ApiError) -> CliError {
    match source.kind {
        ApiErrorKind::NotFound => {
            error.hint("check the name, the Region (AWS_REGION) and the account (AWS_PROFILE)")
        }
        ApiErrorKind::UnknownHost => error.hint("check AWS_REGION; a Region looks like eu-west-1"),
        ApiErrorKind::CredentialsExpired => {
            error.hint("renew them (aws sso login), or let a role supply them, and run this again")
        }
        ApiErrorKind::CredentialsRefused => {
            error.hint("check AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        }
        ApiErrorKind::AccessDenied | ApiErrorKind::KeyDenied => {
            error.hint("docs/kinesis.md lists the permissions that reading needs")
        }
        _ => error,
    }
}

/// Shows on stderr how a stream is read.
struct Shown {
    quiet: bool,
    stream: String,
    /// Whether the user said where to begin.
    has_start: bool,
    bar: Option<ProgressBar>,
    told: Mutex<Told>,
}

struct Told {
    began: Instant,
    drawn: Instant,
    bytes: u64,
    records: u64,
    rows: u64,
    behind_ms: std::collections::BTreeMap<String, i64>,
    /// Whether anything happened since the last line.
    is_news: bool,
    has_read: bool,
}

impl Shown {
    fn new(quiet: bool, format: LogFormat, name: &StreamName, has_start: bool) -> Self {
        let drawn = !quiet && format == LogFormat::Text && std::io::stderr().is_terminal();
        let bar = drawn.then(|| {
            let bar = ProgressBar::new_spinner();
            // The template is a constant that parses; a plain spinner is the fallback.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        let now = Instant::now();
        let told = Told {
            began: now,
            drawn: now,
            bytes: 0,
            records: 0,
            rows: 0,
            behind_ms: std::collections::BTreeMap::new(),
            is_news: false,
            has_read: false,
        };
        Self { quiet, stream: name.to_string(), has_start, bar, told: Mutex::new(told) }
    }

    /// Takes the bar away.
    fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            self.shout(line);
        }
    }

    /// Said even to those who want to hear errors only.
    fn shout(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Draws how far reading is, if it is time.
    fn draw(&self, told: &mut Told) {
        if self.quiet || !told.is_news {
            return;
        }
        let every = if self.bar.is_some() { DRAW_EVERY } else { LINE_EVERY };
        if told.drawn.elapsed() < every {
            return;
        }
        told.drawn = Instant::now();
        told.is_news = false;
        let behind = match told.behind_ms.values().max() {
            None | Some(0) => "at the tip".to_owned(),
            Some(ms) => format!("{} behind", span(*ms)),
        };
        let text = format!(
            "{} read, {} documents, {} rows, {behind}",
            format_size(told.bytes),
            told.records,
            told.rows
        );
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => eprintln!("{:.0} s: {text}", told.began.elapsed().as_secs_f64()),
        }
    }
}

impl StreamObserver for Shown {
    fn observe(&self, event: &StreamEvent<'_>) {
        let Ok(mut told) = self.told.lock() else { return };
        match *event {
            StreamEvent::Reading { stream, epoch, shards } => {
                let first = !std::mem::replace(&mut told.has_read, true);
                self.say(&format!("reading {stream}: {shards} shards, epoch {epoch}"));
                if first && epoch > 0 && self.has_start {
                    self.say(&format!(
                        "note: {stream} was read before and goes on where the lake says; --from is for a first read, --rewind goes back"
                    ));
                }
            }
            StreamEvent::StandingBy { stream } => {
                told.behind_ms.clear();
                self.say(&format!("standing by: another process reads {stream}"));
            }
            StreamEvent::Page { shard, bytes, behind_ms, .. } => {
                told.bytes += bytes;
                told.is_news |= bytes > 0;
                if let Some(behind_ms) = behind_ms {
                    match told.behind_ms.get_mut(shard) {
                        Some(known) => *known = behind_ms,
                        None => {
                            told.behind_ms.insert(shard.to_owned(), behind_ms);
                        }
                    }
                }
            }
            StreamEvent::Staged { records, rows, .. } => {
                told.records += records;
                told.rows += rows;
            }
            StreamEvent::ShardEnded { shard } => {
                told.behind_ms.remove(shard);
            }
            StreamEvent::Gap(gap) => self.shout(&gap_in_words(&self.stream, gap)),
            StreamEvent::Retry { what, failures, pause, reason } => {
                if let Some(subject) = retried_in_words(what, failures) {
                    self.say(&format!(
                        "warning: {subject}: {reason} (failed {failures} times, next try in {:.0} s)",
                        pause.as_secs_f64().ceil()
                    ));
                }
            }
            StreamEvent::ShardStarted { .. }
            | StreamEvent::AggregateDropped { .. }
            | StreamEvent::Committed { .. } => {}
        }
        self.draw(&mut told);
    }
}

/// What is tried again, if it is worth mentioning this time.
fn retried_in_words(what: Retried<'_>, failures: u32) -> Option<String> {
    let is_worth = failures == 3 || failures.is_multiple_of(MENTION_EVERY);
    match what {
        Retried::Lake => Some("the lake cannot be written, and reading waits".to_owned()),
        Retried::Safekeeping => {
            Some("records cannot be kept safe, and their positions wait".to_owned())
        }
        // That Kinesis throttles is its way of setting the pace.
        Retried::Throttled(shard) => {
            failures.is_multiple_of(MENTION_EVERY).then(|| format!("shard {shard} is throttled"))
        }
        Retried::Shard(shard) => is_worth.then(|| format!("shard {shard} cannot be read")),
        Retried::Stream => is_worth.then(|| "the stream cannot be asked".to_owned()),
    }
}

fn gap_in_words(stream: &str, gap: &Gap) -> String {
    let at = |ms: Option<i64>| ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let after = at(gap.after_ms).map_or_else(String::new, |time| format!(" after {time}"));
    let until = at(gap.until_ms).map_or_else(String::new, |time| format!(" and before {time}"));
    let why = match gap.reason {
        GapReason::RetentionOutrun => "the stream's retention ran out before they were read",
        GapReason::ShardGone => "the shard is gone from the stream",
    };
    format!(
        "warning: records of kinesis:{stream}, shard {}, that arrived{after}{until} may be lost: {why}",
        gap.shard
    )
}

/// A length of time for people.
fn span(ms: i64) -> String {
    let seconds = ms / 1000;
    match seconds {
        ..=0 => format!("{ms} ms"),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(from: Option<&str>, rewind: Option<&str>) -> StreamArgs {
        StreamArgs {
            from: from.map(str::to_owned),
            until_caught_up: false,
            rewind: rewind.map(str::to_owned),
            fan_out: None,
        }
    }

    #[test]
    fn places_to_begin_are_read() {
        let start = |text| args(Some(text), None).start();
        assert_eq!(start("latest").expect("a place"), StartAt::Latest);
        assert_eq!(start("trim-horizon").expect("a place"), StartAt::TrimHorizon);
        let time = start("2026-11-01T01:00:00+01:00").expect("a time");
        assert_eq!(time, StartAt::Timestamp(1_793_491_200_000));
        start("yesterday").expect_err("no place");
        assert_eq!(args(None, None).start().expect("the default"), StartAt::TrimHorizon);
    }

    #[test]
    fn places_to_go_back_to_are_times_or_sequence_numbers() {
        let rewind = |text: &str| args(None, Some(text)).rewind();
        let time = rewind("2026-11-01T00:00:00Z").expect("a time");
        assert_eq!(time, Some(Rewind::Timestamp(1_793_491_200_000)));
        let digits = "49590338271490256608559692538361571095921575989136588898";
        for text in [digits.to_owned(), format!("{digits}:3")] {
            let Ok(Some(Rewind::Sequence(sequence))) = rewind(&text) else {
                panic!("{text} is a sequence number");
            };
            assert_eq!(sequence.as_str(), digits);
        }
        rewind("shard-0").expect_err("no place");
    }
}
