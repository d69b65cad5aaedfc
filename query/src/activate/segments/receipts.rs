//! Rows of `segment_ledger`: what became of each change.
//!
//! Invariant: rows are appended under a fence, so a run that was overtaken cannot write any more; the
//! identity of a row is made of its plan, member, action and outcome, so writing it twice is harmless.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use hearback_ingest::lake::{Lake, LakeError, LedgerWriter, WriteSettings};
use hearback_schemas::SEGMENT_LEDGER;
use jiff::Timestamp;
use uuid::Uuid;

use super::change::{Change, identity_of};
use super::destination::{Delivered, Outcome, Run};
use super::error::SegmentError;
use super::plan::PlanHeader;

/// Rows that are appended at once: a commit costs a few requests, whatever its size.
const ROWS: usize = 20_000;

/// Writes the ledger for one plan.
#[derive(Debug)]
pub struct Receipts {
    writer: LedgerWriter,
    plan: PlanHeader,
    /// Number of the generation that the application starts from.
    state_version: u64,
    clock: fn() -> Timestamp,
    rows: Rows,
}

impl Receipts {
    /// Begins, and shuts out whoever wrote for this segment and destination before.
    ///
    /// # Errors
    /// If the ledger cannot be read or written.
    pub async fn begin(
        lake: &Lake,
        applied: &Run,
        plan: &PlanHeader,
        clock: fn() -> Timestamp,
        run: Uuid,
    ) -> Result<Self, SegmentError> {
        let fence = format!("segments/{}/{}", plan.segment, plan.destination);
        let settings = WriteSettings::default();
        let mut writer =
            LedgerWriter::begin(lake, &SEGMENT_LEDGER, settings, Some(&fence), run).await?;
        writer.claim(clock().as_microsecond()).await?;
        let state_version = applied.number.saturating_sub(1);
        Ok(Self { writer, plan: plan.clone(), state_version, clock, rows: Rows::default() })
    }

    /// Notes what became of a change.
    ///
    /// # Errors
    /// [`SegmentError::Busy`] if another run took over, else if the ledger cannot be written.
    pub async fn note(
        &mut self,
        change: &Change,
        delivered: &Delivered,
    ) -> Result<(), SegmentError> {
        self.rows.push(&self.plan, self.state_version, change, delivered, (self.clock)());
        if self.rows.count < ROWS { Ok(()) } else { self.flush().await }
    }

    /// Appends what was noted.
    ///
    /// # Errors
    /// As [`note`](Self::note).
    pub async fn flush(&mut self) -> Result<(), SegmentError> {
        if self.rows.count == 0 {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.rows).finish()?;
        match self.writer.append(batch, (self.clock)().as_microsecond()).await {
            Ok(_) => Ok(()),
            Err(LakeError::Fenced { .. }) => {
                let reason = "another run took over this segment and destination";
                Err(SegmentError::Busy(reason.to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Rows that are not appended yet.
#[derive(Debug, Default)]
struct Rows {
    count: usize,
    change_id: StringBuilder,
    changed_time: TimestampMicrosecondBuilder,
    segment: StringBuilder,
    destination: StringBuilder,
    member: StringBuilder,
    action: StringBuilder,
    outcome: StringBuilder,
    attributes: StringBuilder,
    plan_id: StringBuilder,
    state_version: Int64Builder,
    lake_version: Int64Builder,
    request_id: StringBuilder,
    note: StringBuilder,
}

impl Rows {
    fn push(
        &mut self,
        plan: &PlanHeader,
        state_version: u64,
        change: &Change,
        delivered: &Delivered,
        now: Timestamp,
    ) {
        let (outcome, note) = match &delivered.outcome {
            Outcome::Done => ("done", None),
            Outcome::Failed(reason) => ("failed", Some(reason.as_str())),
            Outcome::Skipped(reason) | Outcome::Declined(reason) => {
                ("skipped", Some(reason.as_str()))
            }
        };
        let word = change.action.word();
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.count += 1;
        self.change_id.append_value(identity_of(&[&plan.plan_id, &change.member, word, outcome]));
        self.changed_time.append_value(now.as_microsecond());
        self.segment.append_value(&plan.segment);
        self.destination.append_value(&plan.destination);
        self.member.append_value(&change.member);
        self.action.append_value(word);
        self.outcome.append_value(outcome);
        self.attributes.append_value(&change.attributes);
        self.plan_id.append_value(&plan.plan_id);
        self.state_version.append_value(signed(state_version));
        self.lake_version.append_option(plan.lake_version.map(signed));
        self.request_id.append_option(delivered.request_id.as_deref());
        self.note.append_option(note);
    }

    fn finish(mut self) -> Result<RecordBatch, SegmentError> {
        let schema = SEGMENT_LEDGER.file_schema();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            columns.push(match field.name().as_str() {
                "change_id" => Arc::new(self.change_id.finish()),
                "changed_time" => Arc::new(self.changed_time.finish().with_timezone("UTC")),
                "segment" => Arc::new(self.segment.finish()),
                "destination" => Arc::new(self.destination.finish()),
                "member" => Arc::new(self.member.finish()),
                "action" => Arc::new(self.action.finish()),
                "outcome" => Arc::new(self.outcome.finish()),
                "attributes" => Arc::new(self.attributes.finish()),
                "plan_id" => Arc::new(self.plan_id.finish()),
                "state_version" => Arc::new(self.state_version.finish()),
                "lake_version" => Arc::new(self.lake_version.finish()),
                "request_id" => Arc::new(self.request_id.finish()),
                "note" => Arc::new(self.note.finish()),
                other => {
                    let reason = format!("segment_ledger has no column {other}");
                    return Err(SegmentError::damaged("write the ledger", reason));
                }
            });
        }
        RecordBatch::try_new(schema, columns)
            .map_err(|error| SegmentError::damaged("write the ledger", error))
    }
}
