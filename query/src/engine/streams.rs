//! What the lake knows of the streams that were read into it, as a table for the view `lag`: one row for
//! each shard, made from the last committed manifests alone. No stream is asked.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::ArrowError;
use hearback_ingest::lake::{ReadFrom, ShardPosition, ShardState, StreamState, StreamStatus};

/// The shards of these streams.
pub(super) fn shards(streams: &[StreamStatus]) -> Result<RecordBatch, ArrowError> {
    let mut rows = Vec::new();
    for status in streams {
        for (shard, state) in &status.state.shards {
            rows.push(Row { status, shard, state });
        }
    }
    let text = |value: fn(&Row<'_>) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(value(row))).collect::<StringArray>())
    };
    let number = |value: fn(&Row<'_>) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<Int64Array>())
    };
    let time = |value: fn(&Row<'_>) -> Option<i64>| -> ArrayRef {
        let values = rows.iter().map(value).collect::<TimestampMillisecondArray>();
        Arc::new(values.with_timezone("UTC"))
    };
    RecordBatch::try_from_iter_with_nullable([
        ("stream", text(|row| row.status.state.stream.source_name()), false),
        ("stream_arn", text(|row| row.status.state.stream.arn.clone()), false),
        ("shard", text(|row| row.shard.to_owned()), false),
        ("state", text(|row| row.is()), false),
        ("position", text(|row| row.position()), false),
        ("records", number(|row| i64::try_from(row.state.records).ok()), true),
        ("last_arrival_time", time(|row| row.state.last_arrival_ms), true),
        ("read_through_time", time(|row| row.state.read_through_ms), true),
        ("behind_ms", number(|row| row.state.behind_ms), true),
        ("records_behind", number(|row| row.records_behind()), true),
        ("last_commit_time", time(|row| Some(row.status.committed_ms)), false),
        ("epoch", number(|row| Some(row.status.epoch)), false),
        ("gaps", number(|row| row.gaps()), false),
    ])
}

#[derive(Clone, Copy)]
struct Row<'s> {
    status: &'s StreamStatus,
    shard: &'s str,
    state: &'s ShardState,
}

impl Row<'_> {
    fn is(self) -> String {
        let name = match self.state.position {
            ShardPosition::Ended => "ended",
            ShardPosition::From(ReadFrom::After(_)) => "reading",
            ShardPosition::From(_) => "unread",
        };
        name.to_owned()
    }

    fn position(self) -> String {
        match &self.state.position {
            ShardPosition::Ended => "end".to_owned(),
            ShardPosition::From(ReadFrom::TrimHorizon) => "trim horizon".to_owned(),
            ShardPosition::From(ReadFrom::Timestamp(ms)) => format!("time {ms}"),
            ShardPosition::From(ReadFrom::At(sequence)) => format!("at {sequence}"),
            ShardPosition::From(ReadFrom::After(sequence)) => sequence.to_string(),
        }
    }

    /// Kinesis says how far behind reading is in time, never in records. At the tip it is none; behind it,
    /// as many as arrived in that time if they arrived as they did between the last two commits.
    fn records_behind(self) -> Option<i64> {
        if self.state.position == ShardPosition::Ended {
            return Some(0);
        }
        let behind_ms = self.state.behind_ms?;
        if behind_ms == 0 {
            return Some(0);
        }
        let before = self.before(self.status.before.as_ref()?)?;
        let records = self.state.records.checked_sub(before.records)?;
        let time_ms = self.state.last_arrival_ms? - before.last_arrival_ms?;
        if records == 0 || time_ms <= 0 {
            return None;
        }
        let estimated = i128::from(records) * i128::from(behind_ms) / i128::from(time_ms);
        i64::try_from(estimated).ok()
    }

    fn before<'b>(&self, before: &'b StreamState) -> Option<&'b ShardState> {
        before.shards.get(self.shard)
    }

    fn gaps(self) -> Option<i64> {
        let gaps = self.status.state.gaps.iter().filter(|gap| gap.shard == self.shard);
        i64::try_from(gaps.count()).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use hearback_ingest::lake::{SequenceNumber, StreamIdentity};

    use super::*;

    fn state(records: u64, arrival_ms: i64, behind_ms: Option<i64>) -> StreamState {
        let after = SequenceNumber::parse("4959").expect("digits");
        let shard = ShardState {
            position: ShardPosition::From(ReadFrom::After(after)),
            records,
            last_arrival_ms: Some(arrival_ms),
            read_through_ms: Some(arrival_ms),
            behind_ms,
            ..ShardState::unread(ReadFrom::TrimHorizon, Vec::new())
        };
        let stream = StreamIdentity { name: "feedback".to_owned(), ..Default::default() };
        StreamState {
            stream,
            shards: BTreeMap::from([("s".to_owned(), shard)]),
            ..Default::default()
        }
    }

    fn records_behind(state: StreamState, before: Option<StreamState>) -> Option<i64> {
        let name = "kinesis.x".to_owned();
        let status = StreamStatus { name, epoch: 1, committed_ms: 0, state, before };
        let batch = shards(&[status]).expect("a batch");
        let column = batch.column_by_name("records_behind").expect("a column");
        let column = column.as_primitive::<Int64Type>();
        column.is_valid(0).then(|| column.value(0))
    }

    #[test]
    fn records_behind_are_estimated_from_the_last_two_commits_or_unknown() {
        let before = || Some(state(1_000, 10_000, None));
        // 500 records in 5 s; 2 s behind.
        assert_eq!(records_behind(state(1_500, 15_000, Some(2_000)), before()), Some(200));
        assert_eq!(records_behind(state(1_500, 15_000, Some(0)), None), Some(0));
        assert_eq!(records_behind(state(1_500, 15_000, Some(2_000)), None), None);
        assert_eq!(records_behind(state(1_500, 15_000, None), before()), None);
        assert_eq!(records_behind(state(1_000, 10_000, Some(2_000)), before()), None);
        // After a rewind there are fewer.
        assert_eq!(records_behind(state(10, 15_000, Some(2_000)), before()), None);
    }

    #[test]
    fn a_lake_without_streams_has_the_columns_all_the_same() {
        let batch = shards(&[]).expect("a batch");
        assert_eq!((batch.num_rows(), batch.num_columns()), (0, 13));
    }
}
