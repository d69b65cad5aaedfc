//! Encodes the rows of one partition into one Parquet file, its columns in parallel.
//!
//! Rows come in over time; each column of the row group that is open digests them at once, so that
//! only encoded pages are held. Invariant: what is closed is a complete file in memory, and its rows
//! and statistics are those of the batches that went in, in their order.
//! Rows that are kept apart have pages of their own, so that whoever wants them alone reads no others.

mod column;
mod file_stats;
mod hybrid;
mod number_codes;
mod number_column;
mod page_rows;
mod pages;
mod properties;
mod repeats;
mod tags_column;
#[cfg(test)]
mod tests;
mod text_column;
mod values;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, FieldRef, Schema, SchemaRef};
use bytes::Bytes;
use hearback_schemas::Table;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory};
use parquet::basic::ZstdLevel;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::error::LakeError;
use super::settings::WriteSettings;
use super::stats::FileStats;
use column::{Begins, ClosedColumn, ColumnEncoder, ColumnWriter};
use number_column::NumberColumn;
use pages::Compressor;
pub use properties::has_bloom_filter;
use properties::{NumberProperties, TextProperties};
use tags_column::TagsColumn;
use text_column::TextColumn;

/// Work smaller than this many rows is not worth handing to other threads.
const PARALLEL_ROWS: usize = 4096;

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
    properties: Arc<WriterProperties>,
    level: ZstdLevel,
    file: SerializedFileWriter<Vec<u8>>,
    /// The columns of the open row group; empty between row groups. Encoders may be sent to another
    /// thread but not shared, as what waits for a store is; the lock makes them so, and is never taken.
    columns: Mutex<Vec<ColumnEncoder>>,
    /// Memory of those columns, in bytes.
    column_bytes: usize,
    group_rows: usize,
    rows: u64,
    /// Whether the last rows are apart from those before them.
    apart: bool,
    max_group_rows: usize,
    /// Different values that a column is expected to hold at most.
    distinct: usize,
}

/// What became of a column.
enum ColumnOutcome {
    Open(ColumnEncoder),
    Closed(ClosedColumn),
}

impl FileEncoder {
    /// Begins a file that is expected to hold about `expected_rows`, of this schema; in what is added
    /// any column may be coded by a dictionary.
    pub(crate) fn new(
        table: &'static Table,
        schema: SchemaRef,
        settings: &WriteSettings,
        expected_rows: usize,
    ) -> Result<Self, LakeError> {
        let properties = properties::writer_properties(table, settings)?;
        // The Arrow schema is not embedded: the Parquet types say it all, and other readers differ.
        let parquet_schema =
            ArrowSchemaConverter::new().convert(&schema).map_err(LakeError::invalid)?;
        let root = parquet_schema.root_schema_ptr();
        let file = SerializedFileWriter::new(Vec::new(), root, Arc::clone(&properties))
            .map_err(LakeError::invalid)?;
        Ok(Self {
            table,
            schema,
            properties,
            level: properties::level(settings)?,
            file,
            columns: Mutex::new(Vec::new()),
            column_bytes: 0,
            group_rows: 0,
            rows: 0,
            apart: false,
            max_group_rows: settings.row_group_rows.max(1),
            distinct: expected_rows.clamp(64, settings.row_group_rows.max(64)),
        })
    }

    /// Bytes that the file and its open row group hold in memory.
    pub(crate) fn memory(&self) -> usize {
        self.file.inner().capacity() + self.column_bytes
    }

    /// Adds rows, on up to `threads` threads.
    pub(crate) fn encode(
        &mut self,
        batches: &[RecordBatch],
        threads: usize,
    ) -> Result<(), LakeError> {
        self.encode_rows(batches, false, threads)
    }

    /// Adds rows that are kept apart from those that [`encode`](Self::encode) adds.
    pub(crate) fn encode_apart(
        &mut self,
        batches: &[RecordBatch],
        threads: usize,
    ) -> Result<(), LakeError> {
        self.encode_rows(batches, true, threads)
    }

    fn encode_rows(
        &mut self,
        batches: &[RecordBatch],
        apart: bool,
        threads: usize,
    ) -> Result<(), LakeError> {
        if batches.is_empty() {
            return Ok(());
        }
        let mut begins = match self.apart == apart {
            true => Begins::Nothing,
            false => Begins::APage,
        };
        self.apart = apart;
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
                    let full = Work { batches: &std::mem::take(&mut group), begins, close: true };
                    self.encode_into_group(full, threads)?;
                    begins = Begins::Nothing;
                    group_rows = 0;
                }
            }
        }
        if group.is_empty() {
            return Ok(());
        }
        self.encode_into_group(Work { batches: &group, begins, close: false }, threads)
    }

    /// Ends the file, on up to `threads` threads.
    pub(crate) fn finish(mut self, threads: usize) -> Result<EncodedFile, LakeError> {
        if self.group_rows > 0 {
            let end = Work { batches: &[], begins: Begins::Nothing, close: true };
            self.encode_into_group(end, threads)?;
        }
        let metadata = self.file.finish().map_err(LakeError::invalid)?;
        let stats = file_stats::file_stats(self.table, &self.schema, &metadata);
        // Finishing has flushed it; taking the writer apart would finish it a second time.
        let bytes = std::mem::take(self.file.inner_mut());
        Ok(EncodedFile { bytes: bytes.into(), rows: self.rows, stats })
    }

    fn encode_into_group(&mut self, work: Work<'_>, threads: usize) -> Result<(), LakeError> {
        let Work { batches, close, .. } = work;
        let mut columns = std::mem::take(self.open_row_group());
        if columns.is_empty() {
            columns = self.open_columns().map_err(LakeError::invalid)?;
        }
        let added: usize = batches.iter().map(RecordBatch::num_rows).sum();
        self.group_rows += added;
        self.rows += added as u64;

        // Heaviest last, because they are taken from the end: the light ones fill the gaps.
        columns.sort_by_cached_key(|column| column.weight(batches));
        let threads = if self.group_rows < PARALLEL_ROWS { 1 } else { threads.max(1) };
        let outcomes =
            encode_columns(columns, work, threads, self.level).map_err(LakeError::invalid)?;
        let mut open = Vec::new();
        let mut closed = Vec::new();
        for outcome in outcomes {
            match outcome {
                ColumnOutcome::Open(column) => open.push(column),
                ColumnOutcome::Closed(column) => closed.push(column),
            }
        }
        if !close {
            self.column_bytes = open.iter().map(ColumnEncoder::memory).sum();
            *self.open_row_group() = open;
            return Ok(());
        }
        closed.sort_by_key(|column| column.index);
        let mut group = self.file.next_row_group().map_err(LakeError::invalid)?;
        for column in closed {
            column.append_to(&mut group).map_err(LakeError::invalid)?;
        }
        group.close().map_err(LakeError::invalid)?;
        self.group_rows = 0;
        self.column_bytes = 0;
        Ok(())
    }

    fn open_row_group(&mut self) -> &mut Vec<ColumnEncoder> {
        self.columns.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_columns(&self) -> Result<Vec<ColumnEncoder>, ParquetError> {
        let descriptor = self.file.schema_descr();
        let mut others = self.other_writers()?.into_iter();
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        let mut leaf = 0;
        for (index, field) in self.schema.fields().iter().enumerate() {
            let properties = TextProperties::of(field.name(), self.distinct);
            let writer = match field.data_type() {
                DataType::Utf8 => {
                    let column = TextColumn::new(descriptor.column(leaf), properties);
                    ColumnWriter::Text(Box::new(column))
                }
                DataType::Map(..) => {
                    let (names, values) = (descriptor.column(leaf), descriptor.column(leaf + 1));
                    if !TagsColumn::fits(&names, &values) {
                        return Err(unexpected(field.name()));
                    }
                    leaf += 1;
                    ColumnWriter::Tags(Box::new(TagsColumn::new(names, values, &properties)))
                }
                kind if NumberColumn::fits(kind) => {
                    let properties = NumberProperties::of(field.name());
                    let column = NumberColumn::new(descriptor.column(leaf), properties);
                    ColumnWriter::Numbers(Box::new(column))
                }
                _ => {
                    let writer = others.next().ok_or_else(|| unexpected(field.name()))?;
                    ColumnWriter::Other(Arc::clone(field), Box::new(writer))
                }
            };
            leaf += 1;
            columns.push(ColumnEncoder { index, writer });
        }
        Ok(columns)
    }

    /// The library's writers for the columns that are none of ours, in their order. It makes writers for
    /// whole files only, so it is shown a file of those columns alone.
    fn other_writers(&self) -> Result<Vec<ArrowColumnWriter>, ParquetError> {
        let is_other = |kind: &DataType| {
            !matches!(kind, DataType::Utf8 | DataType::Map(..)) && !NumberColumn::fits(kind)
        };
        let fields = self.schema.fields().iter().filter(|field| is_other(field.data_type()));
        let fields: Vec<FieldRef> = fields.cloned().collect();
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        let schema = Arc::new(Schema::new(fields));
        let parquet_schema = ArrowSchemaConverter::new().convert(&schema)?;
        let root = parquet_schema.root_schema_ptr();
        let file = SerializedFileWriter::new(std::io::sink(), root, Arc::clone(&self.properties))?;
        ArrowRowGroupWriterFactory::new(&file, schema).create_column_writers(0)
    }
}

fn unexpected(column: &str) -> ParquetError {
    ParquetError::General(format!("no way to write a column like {column}"))
}

/// What is to be done with every column of a row group.
#[derive(Clone, Copy)]
struct Work<'b> {
    batches: &'b [RecordBatch],
    /// Where the first of these rows stands.
    begins: Begins,
    /// Whether the row group ends behind them.
    close: bool,
}

/// Each thread takes the next column until there is none left.
fn encode_columns(
    columns: Vec<ColumnEncoder>,
    rows: Work<'_>,
    threads: usize,
    level: ZstdLevel,
) -> Result<Vec<ColumnOutcome>, ParquetError> {
    let waiting = Mutex::new(columns);
    let work = || -> Result<Vec<ColumnOutcome>, ParquetError> {
        let mut compressor = Compressor::new(level)?;
        let mut outcomes = Vec::new();
        loop {
            // The lock is held while popping only, so it guards nothing half-changed.
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut column) = next else { return Ok(outcomes) };
            column.encode(rows.batches, rows.begins, &mut compressor)?;
            outcomes.push(match rows.close {
                true => ColumnOutcome::Closed(column.close(&mut compressor)?),
                false => ColumnOutcome::Open(column),
            });
        }
    };
    thread::scope(|scope| {
        let mut others = Vec::with_capacity(threads - 1);
        for _ in 1..threads {
            // Where no more threads are to be had, those that are there do it all.
            others.extend(thread::Builder::new().spawn_scoped(scope, work));
        }
        let mut outcomes = work()?;
        for other in others {
            match other.join() {
                Ok(done) => outcomes.extend(done?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(outcomes)
    })
}
