//! Decoded rows as lines of JSON, for teams whose writer is Firehose: the columns of `events` without
//! `ingest_time`, which only a commit to a lake knows. Times are RFC 3339 in UTC with microseconds;
//! a column without a value is left out.

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, RecordBatch};
use arrow_json::LineDelimitedWriter;
use arrow_json::writer::{LineDelimited, WriterBuilder};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use hearback_transform::DecodedPartition;

/// The rows, one line each, with a line end behind each.
pub(super) fn lines(partitions: &[DecodedPartition]) -> Result<Vec<u8>, ArrowError> {
    let mut writer: LineDelimitedWriter<Vec<u8>> = WriterBuilder::new()
        .with_timestamp_tz_format("%Y-%m-%dT%H:%M:%S%.6fZ".to_owned())
        .build::<_, LineDelimited>(Vec::new());
    for partition in partitions {
        writer.write(&with_date(partition)?)?;
    }
    writer.finish()?;
    Ok(writer.into_inner())
}

/// Rows with the column that a lake's data files have in their path.
fn with_date(partition: &DecodedPartition) -> Result<RecordBatch, ArrowError> {
    let batch = partition.rows();
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("event_date", DataType::Date32, false)));
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns.push(Arc::new(Date32Array::from_value(partition.event_date, batch.num_rows())));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
