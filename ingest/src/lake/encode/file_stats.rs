//! What the Delta log is to say of a file, collected out of the statistics of its row groups.

use arrow_schema::SchemaRef;
use hearback_schemas::{ColumnKind, Table};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use crate::lake::stats::{ColumnStats, FileStats, StatsValue, stats_columns};

/// The statistics of a file.
pub(super) fn file_stats(
    table: &'static Table,
    schema: &SchemaRef,
    metadata: &ParquetMetaData,
) -> FileStats {
    let mut stats = FileStats::default();
    let leaves = metadata.file_metadata().schema_descr();
    for name in stats_columns(table) {
        let (Some(column), Ok(_)) = (table.column(name), schema.field_with_name(name)) else {
            continue;
        };
        let leaf =
            (0..leaves.num_columns()).find(|leaf| leaves.column(*leaf).path().string() == name);
        let Some(leaf) = leaf else { continue };
        if let Some(known) = column_stats(column.kind, leaf, metadata) {
            stats.set(column.name, known);
        }
    }
    stats
}

fn column_stats(kind: ColumnKind, leaf: usize, metadata: &ParquetMetaData) -> Option<ColumnStats> {
    let mut merged = ColumnStats { min: None, max: None, nulls: Some(0) };
    for group in metadata.row_groups() {
        let found = group.column(leaf).statistics()?;
        merged.nulls = merged.nulls.zip(found.null_count_opt()).map(|(sum, more)| sum + more);
        let all_null = found.null_count_opt() == u64::try_from(group.num_rows()).ok();
        if all_null {
            continue;
        }
        let (min, max) = bounds(kind, found)?;
        merged.min = Some(merged.min.map_or(min.clone(), |known| known.min(min)));
        merged.max = Some(merged.max.map_or(max.clone(), |known| known.max(max)));
    }
    Some(merged)
}

fn bounds(kind: ColumnKind, found: &Statistics) -> Option<(StatsValue, StatsValue)> {
    match (kind, found) {
        (ColumnKind::Timestamp, Statistics::Int64(values)) => Some((
            StatsValue::Timestamp(*values.min_opt()?),
            StatsValue::Timestamp(*values.max_opt()?),
        )),
        (ColumnKind::BigInt, Statistics::Int64(values)) => {
            Some((StatsValue::Integer(*values.min_opt()?), StatsValue::Integer(*values.max_opt()?)))
        }
        (ColumnKind::Int, Statistics::Int32(values)) => Some((
            StatsValue::Integer((*values.min_opt()?).into()),
            StatsValue::Integer((*values.max_opt()?).into()),
        )),
        (ColumnKind::String, Statistics::ByteArray(values)) => {
            let min = std::str::from_utf8(values.min_opt()?.data()).ok()?;
            let max = std::str::from_utf8(values.max_opt()?.data()).ok()?;
            Some((StatsValue::Text(min.to_owned()), StatsValue::Text(max.to_owned())))
        }
        _ => None,
    }
}
