//! How the reading of a stream is shown on standard error: a bar on a terminal, lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hearback_ingest::lake::{Gap, GapReason};
use hearback_ingest::stream::{Retried, StreamEvent, StreamName, StreamObserver};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::super::ingest::format_size;
use crate::ops::logs::LogFormat;

/// Between two lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Between two drawings on a terminal.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// A shard that fails is mentioned after so many failures in a row, and then every so many.
const MENTION_EVERY: u32 = 5;

/// Shows on stderr how a stream is read.
pub(super) struct Shown {
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
    behind_ms: BTreeMap<String, i64>,
    /// Whether anything happened since the last line.
    is_news: bool,
    has_read: bool,
}

impl Shown {
    pub(super) fn new(quiet: bool, format: LogFormat, name: &StreamName, has_start: bool) -> Self {
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
            behind_ms: BTreeMap::new(),
            is_news: false,
            has_read: false,
        };
        Self { quiet, stream: name.to_string(), has_start, bar, told: Mutex::new(told) }
    }

    /// Takes the bar away.
    pub(super) fn close(&self) {
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
