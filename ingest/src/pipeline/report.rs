//! What a run did: responsible for the numbers adding up, whatever became of the run. Only what was
//! committed is counted.

use hearback_transform::Counts;
use serde::Serialize;

use crate::source::ObjectFailure;

/// Failures that are listed by name; beyond it they are only counted.
const LISTED_FAILURES: usize = 10_000;

/// The report of one run, as `ingest --format json` prints it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IngestReport {
    /// Source documents read: accepted, ignored and rejected ones. An array or an envelope with
    /// several documents counts each of them; a record too long to be held counts its parts.
    pub records: u64,
    /// Rows added to `events`, one for each event and recipient.
    pub events: u64,
    /// Rows not added, because the same event is there already or came twice.
    pub duplicates: u64,
    /// Documents that could not be understood, kept in `rejects`.
    pub rejected: u64,
    /// Documents that are understood and carry no event.
    pub ignored: u64,
    /// Bytes read from the sources, as stored.
    pub bytes: u64,
    /// Milliseconds the run took.
    pub elapsed_ms: u64,
}

/// The report and what else is worth telling about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngestSummary {
    /// The numbers of the contract.
    pub report: IngestReport,
    /// Objects read to their end.
    pub objects: u64,
    /// Objects left alone because they were read before and have not changed.
    pub already_read: u64,
    /// Commits made.
    pub commits: u64,
    /// Objects that could not be read, or not to their end; the first 10,000 of them.
    pub failures: Vec<ObjectFailure>,
    /// How many failures there were, listed or not.
    pub failure_count: u64,
}

impl IngestSummary {
    pub(crate) fn add_failure(&mut self, failure: ObjectFailure) {
        self.failure_count += 1;
        if self.failures.len() < LISTED_FAILURES {
            self.failures.push(failure);
        }
    }
}

/// What was staged since the last commit, in documents and bytes.
#[derive(Debug, Default)]
pub(crate) struct Uncommitted {
    pub(crate) counts: Counts,
    pub(crate) bytes: u64,
    pub(crate) objects: u64,
}

impl Uncommitted {
    pub(crate) fn add(&mut self, counts: &Counts) {
        self.counts.records += counts.records;
        self.counts.accepted += counts.accepted;
        self.counts.ignored += counts.ignored;
        self.counts.rejected += counts.rejected;
        self.counts.rows += counts.rows;
    }

    /// Moves what a commit made lasting into the summary.
    pub(crate) fn settle(&mut self, summary: &mut IngestSummary, events: u64, duplicates: u64) {
        let Self { counts, bytes, objects } = std::mem::take(self);
        let report = &mut summary.report;
        report.records += counts.records;
        report.ignored += counts.ignored;
        report.rejected += counts.rejected;
        report.bytes += bytes;
        report.events += events;
        report.duplicates += duplicates;
        summary.objects += objects;
        summary.commits += 1;
    }
    /// Moves what needed no commit into the summary: documents without rows, of objects that can be
    /// read only once or were damaged.
    pub(crate) fn settle_without_commit(&mut self, summary: &mut IngestSummary) {
        let commits = summary.commits;
        self.settle(summary, 0, 0);
        summary.commits = commits;
    }
}
