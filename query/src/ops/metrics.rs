//! Every metric that there is, each defined once: name, meaning, kind; and the text that Prometheus reads.
//!
//! Names follow Prometheus's "Metric and label naming": base units, counters ending in `_total`.
//! `docs/operations.md` lists them; a test holds the two together.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet,
    text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::vitals::{Series, Vitals};

/// What the values of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A count since the process began.
    Counter,
    /// A value as it is now.
    Gauge,
}

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name, for counters without the `_total` that Prometheus sees.
    pub name: &'static str,
    /// What it counts or measures, with its unit.
    pub meaning: &'static str,
    /// What its values are.
    pub kind: Kind,
}

const fn counter(name: &'static str, meaning: &'static str) -> Metric {
    Metric { name, meaning, kind: Kind::Counter }
}

const fn gauge(name: &'static str, meaning: &'static str) -> Metric {
    Metric { name, meaning, kind: Kind::Gauge }
}

/// Source documents read.
pub const RECORDS: Metric = counter("hearback_ingest_records", "Source documents read");
/// Rows decoded, those included that turn out to be duplicates.
pub const ROWS: Metric =
    counter("hearback_ingest_rows", "Rows decoded, those included that turn out to be duplicates");
/// Bytes read from sources, as stored.
pub const BYTES: Metric = counter("hearback_ingest_bytes", "Bytes read from sources, as stored");
/// Files and objects read to their end.
pub const OBJECTS: Metric =
    counter("hearback_ingest_objects", "Files and objects read to their end");
/// Files and objects that could not be read, or not to their end.
pub const FAILED_OBJECTS: Metric = counter(
    "hearback_ingest_failed_objects",
    "Files and objects that could not be read, or not to their end",
);
/// Commits made.
pub const COMMITS: Metric = counter("hearback_commits", "Commits made");
/// Seconds that commits took, together.
pub const COMMIT_SECONDS: Metric =
    counter("hearback_commit_seconds", "Seconds that commits took, together");
/// When the last commit was made, in seconds since 1970-01-01.
pub const LAST_COMMIT: Metric = gauge(
    "hearback_last_commit_timestamp_seconds",
    "When the last commit was made, in seconds since 1970-01-01",
);
/// Rows added to events.
pub const EVENTS: Metric = counter("hearback_committed_events", "Rows added to events");
/// Rows left out because the same event is there.
pub const DUPLICATES: Metric =
    counter("hearback_committed_duplicates", "Rows left out because the same event is there");
/// Rows added to rejects.
pub const REJECTS: Metric = counter("hearback_committed_rejects", "Rows added to rejects");
/// Rows that wait for the next commit of a stream.
pub const STAGED_ROWS: Metric =
    gauge("hearback_staged_rows", "Rows that wait for the next commit of a stream");
/// Their size, in bytes.
pub const STAGED_BYTES: Metric = gauge("hearback_staged_bytes", "Their size, in bytes");
/// 1 while this process reads the stream, 0 while it stands by for another.
pub const STREAM_READING: Metric = gauge(
    "hearback_stream_reading",
    "1 while this process reads the stream, 0 while it stands by for another",
);
/// Epoch of the stream's last commit.
pub const STREAM_EPOCH: Metric =
    gauge("hearback_stream_epoch", "Epoch of the stream's last commit");
/// Stretches of time whose records may have been lost before they were read.
pub const STREAM_GAPS: Metric = counter(
    "hearback_stream_gaps",
    "Stretches of time whose records may have been lost before they were read",
);
/// Failures that were tried again: throttled, shard, stream, lake or safekeeping.
pub const STREAM_RETRIES: Metric = counter(
    "hearback_stream_retries",
    "Failures that were tried again: throttled, shard, stream, lake or safekeeping",
);
/// Kinesis records read.
pub const SHARD_RECORDS: Metric = counter("hearback_shard_records", "Kinesis records read");
/// Bytes of Kinesis records read.
pub const SHARD_BYTES: Metric = counter("hearback_shard_bytes", "Bytes of Kinesis records read");
/// How far behind the newest record of the shard reading is, as Kinesis says.
pub const SHARD_BEHIND: Metric = gauge(
    "hearback_shard_behind_seconds",
    "How far behind the newest record of the shard reading is, as Kinesis says",
);
/// When the last record that was read arrived, in seconds since 1970-01-01.
pub const SHARD_LAST_ARRIVAL: Metric = gauge(
    "hearback_shard_last_arrival_timestamp_seconds",
    "When the last record that was read arrived, in seconds since 1970-01-01",
);
/// Aggregates left out because they are put again on another shard.
pub const SHARD_DROPPED: Metric = counter(
    "hearback_shard_dropped_aggregates",
    "Aggregates left out because they are put again on another shard",
);
/// Version of a table of the lake.
pub const TABLE_VERSION: Metric = gauge("hearback_table_version", "Version of a table of the lake");
/// Rows of a table of the lake.
pub const TABLE_ROWS: Metric = gauge("hearback_table_rows", "Rows of a table of the lake");
/// Data files of a table of the lake.
pub const TABLE_FILES: Metric = gauge("hearback_table_files", "Data files of a table of the lake");
/// Size of the data files, in bytes.
pub const TABLE_BYTES: Metric = gauge("hearback_table_bytes", "Size of the data files, in bytes");
/// When the newest data file of a table was written, in seconds since 1970-01-01.
pub const TABLE_LAST_WRITE: Metric = gauge(
    "hearback_table_last_write_timestamp_seconds",
    "When the newest data file of a table was written, in seconds since 1970-01-01",
);
/// Runs of `segments run`, by how they ended: applied, unchanged, empty, partial, refused or failed.
pub const SEGMENT_RUNS: Metric = counter(
    "hearback_segment_runs",
    "Runs of a segment to a destination, by how they ended: applied, unchanged, empty, partial, refused or failed",
);
/// Members added, changed, removed or refreshed at a destination.
pub const SEGMENT_CHANGES: Metric = counter(
    "hearback_segment_changes",
    "Members added, changed, removed or refreshed at a destination",
);
/// Members that a destination has.
pub const SEGMENT_MEMBERS: Metric =
    gauge("hearback_segment_members", "Members that a destination has");
/// When a segment was last brought up to date at a destination, in seconds since 1970-01-01.
pub const SEGMENT_LAST_RUN: Metric = gauge(
    "hearback_segment_last_run_timestamp_seconds",
    "When a segment was last brought up to date at a destination, in seconds since 1970-01-01",
);
/// Rounds of `suppression run`, by how they ended: done, partial, stopped or failed.
pub const SUPPRESSION_ROUNDS: Metric = counter(
    "hearback_suppression_rounds",
    "Rounds over the suppression lists (full, or fast in between), by how they ended: done, partial, stopped or failed",
);
/// Addresses added to or removed from a suppression list.
pub const SUPPRESSION_CHANGES: Metric = counter(
    "hearback_suppression_changes",
    "Addresses added to or removed from a suppression list",
);
/// When a round over the suppression lists was last done, in seconds since 1970-01-01.
pub const SUPPRESSION_LAST_ROUND: Metric = gauge(
    "hearback_suppression_last_round_timestamp_seconds",
    "When a round over the suppression lists was last done, in seconds since 1970-01-01",
);
/// 1 while progress is being made, 0 when /healthz answers 503.
pub const HEALTHY: Metric =
    gauge("hearback_healthy", "1 while progress is being made, 0 when /healthz answers 503");

/// Every metric, in the order in which they are shown.
pub const METRICS: &[Metric] = &[
    RECORDS,
    ROWS,
    BYTES,
    OBJECTS,
    FAILED_OBJECTS,
    COMMITS,
    COMMIT_SECONDS,
    LAST_COMMIT,
    EVENTS,
    DUPLICATES,
    REJECTS,
    STAGED_ROWS,
    STAGED_BYTES,
    STREAM_READING,
    STREAM_EPOCH,
    STREAM_GAPS,
    STREAM_RETRIES,
    SHARD_RECORDS,
    SHARD_BYTES,
    SHARD_BEHIND,
    SHARD_LAST_ARRIVAL,
    SHARD_DROPPED,
    TABLE_VERSION,
    TABLE_ROWS,
    TABLE_FILES,
    TABLE_BYTES,
    TABLE_LAST_WRITE,
    SEGMENT_RUNS,
    SEGMENT_CHANGES,
    SEGMENT_MEMBERS,
    SEGMENT_LAST_RUN,
    SUPPRESSION_ROUNDS,
    SUPPRESSION_CHANGES,
    SUPPRESSION_LAST_ROUND,
    HEALTHY,
];

/// Which text is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's text format 0.0.4, which every reader knows.
    Classic,
}

impl Exposition {
    /// What an `Accept` header asks for.
    #[must_use]
    pub fn accepted(header: &str) -> Self {
        match header.contains("application/openmetrics-text") {
            true => Self::OpenMetrics,
            false => Self::Classic,
        }
    }

    /// The `Content-Type` to answer with.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The metrics as Prometheus reads them.
///
/// # Errors
/// None in practice: the text is written to memory.
pub fn exposed(vitals: &Arc<Vitals>, form: Exposition) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Shown(Arc::clone(vitals))));
    let mut shown = String::new();
    text::encode(&mut shown, &registry)?;
    Ok(match form {
        Exposition::OpenMetrics => shown,
        Exposition::Classic => classic(&shown),
    })
}

/// OpenMetrics names the family of a counter without `_total`, and ends with a mark.
fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let counter = |name: &str| {
            METRICS.iter().any(|metric| metric.kind == Kind::Counter && metric.name == name)
        };
        match words[..] {
            ["#", "EOF"] => continue,
            ["#", kind, name, rest] if counter(name) => {
                text.push_str(&format!("# {kind} {name}_total {rest}"));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[derive(Debug)]
struct Shown(Arc<Vitals>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for metric in METRICS {
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let all = self.0.series(metric);
            if all.is_empty() {
                continue;
            }
            let mut family = encoder.encode_descriptor(metric.name, metric.meaning, None, kind)?;
            for series in &all {
                if series.labels.is_empty() {
                    encode(&mut family, metric.kind, series.value)?;
                    continue;
                }
                let labels = Labels(series);
                encode(&mut family.encode_family(&labels)?, metric.kind, series.value)?;
            }
        }
        Ok(())
    }
}

fn encode(encoder: &mut MetricEncoder<'_>, kind: Kind, value: f64) -> Result<(), fmt::Error> {
    match kind {
        Kind::Counter => encoder.encode_counter::<NoLabelSet, f64, u64>(&value, None),
        Kind::Gauge => encoder.encode_gauge(&value),
    }
}

#[derive(Debug)]
struct Labels<'a>(&'a Series);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, value) in &self.0.labels {
            (*name, value.as_str()).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_metric() {
        let page = include_str!("../../../docs/operations.md");
        for metric in METRICS {
            let name = match metric.kind {
                Kind::Counter => format!("`{}_total`", metric.name),
                Kind::Gauge => format!("`{}`", metric.name),
            };
            assert!(page.contains(&name), "{name} is not in docs/operations.md");
        }
    }

    #[test]
    fn both_forms_hold_the_same_values() {
        let vitals = Arc::new(Vitals::new());
        vitals.set(&RECORDS, &[], 7.0);
        let open = exposed(&vitals, Exposition::OpenMetrics).unwrap();
        assert!(open.contains("# TYPE hearback_ingest_records counter\n"), "{open}");
        assert!(open.contains("\nhearback_ingest_records_total 7.0\n"), "{open}");
        assert!(open.ends_with("# EOF\n"), "{open}");
        let classic = exposed(&vitals, Exposition::Classic).unwrap();
        assert!(classic.contains("# TYPE hearback_ingest_records_total counter\n"), "{classic}");
        assert!(classic.contains("\nhearback_ingest_records_total 7.0\n"), "{classic}");
        assert!(!classic.contains("EOF"), "{classic}");
    }
}
