//! What the Delta log says about each file, in the shape that pruning asks for.
//!
//! Invariant: a bound is never tighter than the file: text may have been cut and timestamps
//! rounded to milliseconds when the log was written, so maxima are widened and nothing here is
//! given to the planner as exact but row counts and the partition's value.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, UInt64Array};
use arrow_schema::{DataType, Schema};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};
use hearback_ingest::lake::{DataFile, StatsValue};
use hearback_schemas::UNDATED_EVENT_DATE;

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// Smallest and largest value of one column of one file.
#[derive(Clone, Debug, Default)]
struct Bounds {
    /// No value is smaller.
    min: Option<ScalarValue>,
    /// No value is larger.
    max: Option<ScalarValue>,
    /// Rows where the column is NULL.
    nulls: Option<u64>,
}

/// What is known of a column of a file: what the log says; the date itself, which the partition says; and
/// where the log is silent, that `event_time` lies within that day (the undated partition says nothing
/// about it).
fn bounds(file: &DataFile, column: &str) -> Option<Bounds> {
    if let (Some(date), "event_date") = (file.partition, column) {
        let date = ScalarValue::Date32(Some(date));
        return Some(Bounds { min: Some(date.clone()), max: Some(date), nulls: Some(0) });
    }
    if let Some(stats) = file.stats.column(column) {
        return Some(Bounds {
            min: stats.min.as_ref().map(scalar),
            max: stats.max.as_ref().map(scalar),
            nulls: stats.nulls,
        });
    }
    match file.partition {
        Some(date) if column == "event_time" && date != UNDATED_EVENT_DATE => {
            let start = i64::from(date) * MICROSECONDS_PER_DAY;
            Some(Bounds {
                min: Some(instant(start)),
                max: Some(instant(start + MICROSECONDS_PER_DAY - 1)),
                nulls: Some(0),
            })
        }
        _ => None,
    }
}

fn scalar(value: &StatsValue) -> ScalarValue {
    match value {
        StatsValue::Timestamp(at) => instant(*at),
        StatsValue::Integer(number) => ScalarValue::Int64(Some(*number)),
        StatsValue::Text(text) => ScalarValue::Utf8View(Some(text.clone())),
    }
}

fn instant(at: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(at), Some(Arc::from("UTC")))
}

/// What is known of a file, for the planner: in the order of the file's columns, of those of them that are
/// `named`, each with its position. What is said of a partition column is added by the scan.
pub(super) fn statistics(file: &DataFile, columns: usize, named: &[(usize, &str)]) -> Statistics {
    // Room for the partition column as well: so many columns are not to be moved once for each file.
    let mut column_statistics = Vec::with_capacity(columns + 1);
    column_statistics.resize_with(columns, ColumnStatistics::new_unknown);
    for (position, name) in named {
        let Some(bounds) = bounds(file, name) else { continue };
        let statistics: &mut ColumnStatistics = &mut column_statistics[*position];
        if let Some(nulls) = bounds.nulls {
            statistics.null_count = Precision::Exact(size(nulls));
        }
        if let Some(min) = bounds.min {
            statistics.min_value = Precision::Inexact(min);
        }
        if let Some(max) = bounds.max {
            statistics.max_value = Precision::Inexact(max);
        }
    }
    Statistics {
        num_rows: file.rows.map_or(Precision::Absent, |rows| Precision::Exact(size(rows))),
        total_byte_size: Precision::Inexact(size(file.size)),
        column_statistics,
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The bounds of a list of files, as pruning asks for them.
pub(super) struct FilesBounds<'a> {
    pub(super) schema: &'a Schema,
    pub(super) files: &'a [&'a DataFile],
}

impl FilesBounds<'_> {
    fn values(&self, column: &Column, pick: fn(Bounds) -> Option<ScalarValue>) -> Option<ArrayRef> {
        let kind = self.schema.field_with_name(column.name()).ok()?.data_type();
        if matches!(kind, DataType::Map(..) | DataType::List(_)) {
            return None;
        }
        let unknown = ScalarValue::try_from(kind).ok()?;
        let values = self.files.iter().map(|file| {
            bounds(file, column.name()).and_then(pick).unwrap_or_else(|| unknown.clone())
        });
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for FilesBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |bounds| bounds.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |bounds| bounds.max)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let nulls = |file: &&DataFile| bounds(file, column.name()).and_then(|bounds| bounds.nulls);
        let counts = self.files.iter().map(nulls);
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let counts = self.files.iter().map(|file| file.rows);
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
