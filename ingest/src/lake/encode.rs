//! Encodes the rows of one partition into one Parquet file, its columns in parallel.
//!
//! Rows come in over time; each column of the row group that is open digests them at once, so that
//! only encoded pages are held. Invariant: what is closed is a complete file in memory, and its rows
//! and statistics are those of the batches that went in, in their order.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, FieldRef, SchemaRef};
use arrow_select::concat::concat;
use bytes::Bytes;
use hearback_schemas::{ColumnKind, Table};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::error::LakeError;
use super::settings::WriteSettings;
use super::stats::{ColumnStats, FileStats, StatsValue, stats_columns};

/// Columns that are looked up by value: one recipient, one message.
const BLOOM_COLUMNS: &[&str] = &["recipient", "message_id"];
/// Share of false positives of those look-ups.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// Columns whose values never repeat: a dictionary would be built in vain.
const UNIQUE_COLUMNS: &[&str] = &["event_id", "reject_id", "source_sequence", "event_time", "raw"];
/// Columns that are searched by range: their statistics are kept for each page.
const PAGE_STATISTICS: &[&str] = &["event_time", "sent_time"];
/// Long free texts: nobody compares them, so minimum and maximum are not worth computing.
const NO_STATISTICS: &[&str] = &[
    "event_id",
    "reject_id",
    "subject",
    "tags",
    "smtp_response",
    "diagnostic",
    "user_agent",
    "link",
    "extra",
    "raw",
    "source_sequence",
    "actor_reason",
    "reason",
];
/// Minima and maxima of texts are cut to so many bytes in the file.
const STATISTICS_BYTES: usize = 64;
/// Work smaller than this many rows is not worth handing to other threads.
const PARALLEL_ROWS: usize = 4096;
/// Arrays shorter than this are joined before they are written.
const SMALL_ROWS: usize = 4096;
/// Memory of a column's compressor that the writer does not count, in bytes; measured.
const CODEC_BYTES: usize = 32 * 1024;

/// A complete data file.
pub(crate) struct EncodedFile {
    pub(crate) bytes: Bytes,
    pub(crate) rows: u64,
    pub(crate) stats: FileStats,
}

/// A data file in the making.
pub(crate) struct FileEncoder {
    table: &'static Table,
    schema: SchemaRef,
    factory: ArrowRowGroupWriterFactory,
    file: SerializedFileWriter<Vec<u8>>,
    /// The columns of the open row group; empty between row groups. Encoders may be sent to another
    /// thread but not shared; the lock makes them so, and is never taken.
    columns: Mutex<Vec<ColumnEncoder>>,
    /// Memory of those columns, in bytes.
    column_bytes: usize,
    group_rows: usize,
    rows: u64,
    max_group_rows: usize,
    bloom_bytes: usize,
}

/// One column of the open row group: a writer for each of its leaves (a map has two).
struct ColumnEncoder {
    index: usize,
    field: FieldRef,
    leaves: Vec<ArrowColumnWriter>,
}

/// What a column becomes when its row group is closed.
enum ColumnOutcome {
    Open(ColumnEncoder),
    Closed(usize, Vec<ArrowColumnChunk>),
}

impl FileEncoder {
    /// Begins a file that is expected to hold about `expected_rows`.
    pub(crate) fn new(
        table: &'static Table,
        schema: SchemaRef,
        settings: &WriteSettings,
        expected_rows: usize,
    ) -> Result<Self, LakeError> {
        let distinct = expected_rows.clamp(64, settings.row_group_rows);
        let properties = Arc::new(properties(table, settings, distinct)?);
        // The Arrow schema is not embedded: the Parquet types say it all, and other readers differ.
        let parquet_schema =
            ArrowSchemaConverter::new().convert(&schema).map_err(LakeError::invalid)?;
        let file =
            SerializedFileWriter::new(Vec::new(), parquet_schema.root_schema_ptr(), properties)
                .map_err(LakeError::invalid)?;
        let factory = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
        // An Sbbf takes about 1.2 bytes a value at 1 %, rounded up to a power of two.
        let bloom_columns =
            BLOOM_COLUMNS.iter().filter(|name| table.column(name).is_some()).count();
        Ok(Self {
            table,
            schema,
            factory,
            file,
            columns: Mutex::new(Vec::new()),
            column_bytes: 0,
            group_rows: 0,
            rows: 0,
            max_group_rows: settings.row_group_rows.max(1),
            bloom_bytes: bloom_columns * distinct.next_power_of_two() * 2,
        })
    }

    /// Bytes that the file and its open row group hold in memory.
    pub(crate) fn memory(&self) -> usize {
        let blooms = if self.column_bytes == 0 { 0 } else { self.bloom_bytes };
        self.file.inner().capacity() + self.column_bytes + blooms
    }

    /// Adds rows, on up to `threads` threads of the blocking pool.
    pub(crate) async fn encode(
        &mut self,
        batches: &[RecordBatch],
        threads: usize,
    ) -> Result<(), LakeError> {
        let mut group: Vec<RecordBatch> = Vec::new();
        let mut group_rows = self.group_rows;
        for batch in batches {
            let mut rest = batch.clone();
            while rest.num_rows() > 0 {
                let room = self.max_group_rows - group_rows;
                let taken = room.min(rest.num_rows());
                group.push(rest.slice(0, taken));
                group_rows += taken;
                rest = rest.slice(taken, rest.num_rows() - taken);
                if group_rows == self.max_group_rows {
                    self.encode_into_group(std::mem::take(&mut group), threads, true).await?;
                    group_rows = 0;
                }
            }
        }
        if group.is_empty() {
            return Ok(());
        }
        self.encode_into_group(group, threads, false).await
    }

    /// Ends the file.
    pub(crate) async fn finish(mut self, threads: usize) -> Result<EncodedFile, LakeError> {
        if self.group_rows > 0 {
            self.encode_into_group(Vec::new(), threads, true).await?;
        }
        let metadata = self.file.finish().map_err(LakeError::invalid)?;
        let stats = file_stats(self.table, &self.schema, &metadata);
        // Finishing has flushed it; taking the writer apart would finish it a second time.
        let bytes = std::mem::take(self.file.inner_mut());
        Ok(EncodedFile { bytes: bytes.into(), rows: self.rows, stats })
    }

    async fn encode_into_group(
        &mut self,
        batches: Vec<RecordBatch>,
        threads: usize,
        close: bool,
    ) -> Result<(), LakeError> {
        let mut columns = std::mem::take(self.open_row_group());
        if columns.is_empty() {
            columns = self.open_columns()?;
        }
        let added: usize = batches.iter().map(RecordBatch::num_rows).sum();
        self.group_rows += added;
        self.rows += added as u64;

        // Heaviest last, because they are taken from the end: the light ones fill the gaps.
        columns.sort_by_key(|column| {
            batches
                .iter()
                .map(|batch| batch.column(column.index).get_array_memory_size())
                .sum::<usize>()
        });
        let threads = if self.group_rows < PARALLEL_ROWS { 1 } else { threads.max(1) };
        let outcomes = encode_columns(columns, batches, threads, close).await?;

        if !close {
            let open: Vec<ColumnEncoder> = outcomes
                .into_iter()
                .filter_map(|outcome| match outcome {
                    ColumnOutcome::Open(column) => Some(column),
                    ColumnOutcome::Closed(..) => None,
                })
                .collect();
            self.column_bytes = open.iter().map(ColumnEncoder::memory).sum();
            *self.open_row_group() = open;
            return Ok(());
        }
        let mut closed: Vec<(usize, Vec<ArrowColumnChunk>)> = outcomes
            .into_iter()
            .filter_map(|outcome| match outcome {
                ColumnOutcome::Closed(index, chunks) => Some((index, chunks)),
                ColumnOutcome::Open(_) => None,
            })
            .collect();
        closed.sort_by_key(|(index, _)| *index);
        let mut group = self.file.next_row_group().map_err(LakeError::invalid)?;
        for (_, chunks) in closed {
            for chunk in chunks {
                chunk.append_to_row_group(&mut group).map_err(LakeError::invalid)?;
            }
        }
        group.close().map_err(LakeError::invalid)?;
        self.group_rows = 0;
        self.column_bytes = 0;
        Ok(())
    }

    fn open_row_group(&mut self) -> &mut Vec<ColumnEncoder> {
        self.columns.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_columns(&self) -> Result<Vec<ColumnEncoder>, LakeError> {
        let group = self.file.flushed_row_groups().len();
        let mut writers =
            self.factory.create_column_writers(group).map_err(LakeError::invalid)?.into_iter();
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for (index, field) in self.schema.fields().iter().enumerate() {
            let leaves = writers.by_ref().take(leaf_count(field.data_type())).collect();
            columns.push(ColumnEncoder { index, field: Arc::clone(field), leaves });
        }
        Ok(columns)
    }
}

impl ColumnEncoder {
    fn memory(&self) -> usize {
        self.leaves.iter().map(|leaf| leaf.memory_size() + CODEC_BYTES).sum()
    }

    /// Digests the column's part of some batches. Small ones are joined first, as many as make a
    /// large one: what a call costs beside its rows shows when a batch is spread over many days.
    fn encode(&mut self, batches: &[RecordBatch]) -> Result<(), ParquetError> {
        let mut small: Vec<&dyn Array> = Vec::new();
        let mut small_rows = 0;
        for batch in batches {
            let array = batch.column(self.index);
            if array.len() >= SMALL_ROWS {
                self.write_joined(&mut small)?;
                small_rows = 0;
                self.write(array)?;
                continue;
            }
            small.push(array.as_ref());
            small_rows += array.len();
            if small_rows >= SMALL_ROWS {
                self.write_joined(&mut small)?;
                small_rows = 0;
            }
        }
        self.write_joined(&mut small)
    }

    fn write_joined(&mut self, small: &mut Vec<&dyn Array>) -> Result<(), ParquetError> {
        if small.is_empty() {
            return Ok(());
        }
        let joined = concat(small)?;
        small.clear();
        self.write(&joined)
    }

    fn write(&mut self, array: &ArrayRef) -> Result<(), ParquetError> {
        let leaves = compute_leaves(&self.field, array)?;
        for (writer, leaf) in self.leaves.iter_mut().zip(&leaves) {
            writer.write(leaf)?;
        }
        Ok(())
    }

    fn close(self) -> Result<ColumnOutcome, ParquetError> {
        let mut chunks = Vec::with_capacity(self.leaves.len());
        for writer in self.leaves {
            chunks.push(writer.close()?);
        }
        Ok(ColumnOutcome::Closed(self.index, chunks))
    }
}

/// Each thread takes the next column until there is none left.
async fn encode_columns(
    columns: Vec<ColumnEncoder>,
    batches: Vec<RecordBatch>,
    threads: usize,
    close: bool,
) -> Result<Vec<ColumnOutcome>, LakeError> {
    let waiting = Arc::new(Mutex::new(columns));
    let batches: Arc<[RecordBatch]> = batches.into();
    let mut tasks = Vec::with_capacity(threads);
    for _ in 0..threads {
        let waiting = Arc::clone(&waiting);
        let batches = Arc::clone(&batches);
        tasks.push(tokio::task::spawn_blocking(move || {
            let mut outcomes = Vec::new();
            loop {
                // The lock is held while popping only, so it guards nothing half-changed.
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(mut column) = next else { return Ok(outcomes) };
                column.encode(&batches)?;
                outcomes.push(if close { column.close()? } else { ColumnOutcome::Open(column) });
            }
        }));
    }
    let mut outcomes = Vec::new();
    for task in tasks {
        let done: Result<Vec<ColumnOutcome>, ParquetError> =
            task.await.map_err(LakeError::invalid)?;
        outcomes.extend(done.map_err(LakeError::invalid)?);
    }
    Ok(outcomes)
}

fn leaf_count(kind: &DataType) -> usize {
    match kind {
        DataType::List(item) => leaf_count(item.data_type()),
        DataType::Map(entries, _) => leaf_count(entries.data_type()),
        DataType::Struct(fields) => fields.iter().map(|field| leaf_count(field.data_type())).sum(),
        _ => 1,
    }
}

fn properties(
    table: &Table,
    settings: &WriteSettings,
    distinct: usize,
) -> Result<WriterProperties, LakeError> {
    let level = ZstdLevel::try_new(settings.compression_level).map_err(LakeError::invalid)?;
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("hearback ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES))
        .set_write_batch_size(8192)
        .set_max_row_group_row_count(None);
    for column in table.columns {
        // Statistics and dictionaries are set per leaf; nested columns are named by their root here
        // and stay with the defaults, which suit tags.
        let path = ColumnPath::from(column.name);
        if UNIQUE_COLUMNS.contains(&column.name) {
            builder = builder.set_column_dictionary_enabled(path.clone(), false);
        }
        if NO_STATISTICS.contains(&column.name) {
            builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        if PAGE_STATISTICS.contains(&column.name) {
            builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::Page);
        }
        if BLOOM_COLUMNS.contains(&column.name) {
            builder = builder
                .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
                .set_column_bloom_filter_max_ndv(path, distinct as u64);
        }
    }
    Ok(builder.build())
}

/// Collects what the log is to say of the file out of the statistics of its row groups.
fn file_stats(table: &'static Table, schema: &SchemaRef, metadata: &ParquetMetaData) -> FileStats {
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
