//! What the Delta log says about each file, in the shape that pruning asks for.
//!
//! Invariant: a bound is never tighter than the file: text may have been cut and timestamps
//! rounded to milliseconds when the log was written, so maxima are widened and nothing here is
//! given to the planner as exact but row counts and the partition's value.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, UInt64Array};
use arrow_schema::{DataType, Schema};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};

/// Smallest and largest value of one column of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    /// No value is smaller.
    pub(super) min: Option<ScalarValue>,
    /// No value is larger.
    pub(super) max: Option<ScalarValue>,
    /// Rows where the column is NULL.
    pub(super) nulls: Option<u64>,
}

/// What is known about one file.
#[derive(Clone, Debug)]
pub(super) struct FileBounds {
    /// Rows of the file, if the log says.
    pub(super) rows: Option<u64>,
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// Columns of which something is known.
    pub(super) columns: HashMap<String, Bounds>,
}

impl FileBounds {
    /// The same for the planner, over the columns of `schema`.
    pub(super) fn statistics(&self, schema: &Schema) -> Statistics {
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                let mut statistics = ColumnStatistics::new_unknown();
                if let Some(bounds) = self.columns.get(field.name()) {
                    if let Some(nulls) = bounds.nulls {
                        statistics.null_count = Precision::Exact(size(nulls));
                    }
                    if let Some(min) = &bounds.min {
                        statistics.min_value = Precision::Inexact(min.clone());
                    }
                    if let Some(max) = &bounds.max {
                        statistics.max_value = Precision::Inexact(max.clone());
                    }
                }
                statistics
            })
            .collect();
        Statistics {
            num_rows: self.rows.map_or(Precision::Absent, |rows| Precision::Exact(size(rows))),
            total_byte_size: Precision::Inexact(size(self.bytes)),
            column_statistics: columns,
        }
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The bounds of a list of files, as pruning asks for them.
pub(super) struct FilesBounds<'a> {
    pub(super) schema: &'a Schema,
    pub(super) files: Vec<&'a FileBounds>,
}

impl FilesBounds<'_> {
    fn values(
        &self,
        column: &Column,
        pick: impl Fn(&Bounds) -> Option<ScalarValue>,
    ) -> Option<ArrayRef> {
        let kind = self.schema.field_with_name(column.name()).ok()?.data_type();
        if matches!(kind, DataType::Map(..) | DataType::List(_)) {
            return None;
        }
        let unknown = ScalarValue::try_from(kind).ok()?;
        let values = self.files.iter().map(|file| {
            file.columns.get(column.name()).and_then(&pick).unwrap_or_else(|| unknown.clone())
        });
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for FilesBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |bounds| bounds.min.clone())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |bounds| bounds.max.clone())
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let counts = self
            .files
            .iter()
            .map(|file| file.columns.get(column.name()).and_then(|bounds| bounds.nulls));
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
