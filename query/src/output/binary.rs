//! Parquet and Arrow IPC. Text leaves as plain Utf8: not every reader knows views.

use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_cast::cast;
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{OutputError, ResultWriter};

/// The schema that leaves: views replaced, the rest untouched.
fn plain(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let kind = match field.data_type() {
                DataType::Utf8View => DataType::Utf8,
                DataType::BinaryView => DataType::Binary,
                other => other.clone(),
            };
            Field::new(field.name(), kind, field.is_nullable())
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (column, field) in batch.columns().iter().zip(schema.fields()) {
        columns.push(cast(column, field.data_type())?);
    }
    let rows = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)
}

pub(super) struct ParquetWriter<'a> {
    schema: SchemaRef,
    /// None once finished.
    writer: Option<ArrowWriter<Box<dyn Write + Send + 'a>>>,
}

impl<'a> ParquetWriter<'a> {
    pub(super) fn new(
        schema: &SchemaRef,
        out: Box<dyn Write + Send + 'a>,
    ) -> Result<Self, OutputError> {
        let schema = plain(schema);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties))?;
        Ok(Self { schema, writer: Some(writer) })
    }
}

impl ResultWriter for ParquetWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        if let Some(writer) = &mut self.writer {
            writer.write(&plain_batch(batch, &self.schema)?)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        if let Some(writer) = self.writer.take() {
            writer.into_inner()?.flush()?;
        }
        Ok(())
    }
}

pub(super) struct ArrowFileWriter<'a> {
    schema: SchemaRef,
    writer: FileWriter<Box<dyn Write + Send + 'a>>,
}

impl<'a> ArrowFileWriter<'a> {
    pub(super) fn new(
        schema: &SchemaRef,
        out: Box<dyn Write + Send + 'a>,
    ) -> Result<Self, OutputError> {
        let schema = plain(schema);
        let writer = FileWriter::try_new(out, &schema)?;
        Ok(Self { schema, writer })
    }
}

impl ResultWriter for ArrowFileWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        Ok(self.writer.write(&plain_batch(batch, &self.schema)?)?)
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.writer.finish()?;
        Ok(self.writer.get_mut().flush()?)
    }
}

pub(super) struct ArrowStreamWriter<'a> {
    schema: SchemaRef,
    writer: StreamWriter<Box<dyn Write + Send + 'a>>,
}

impl<'a> ArrowStreamWriter<'a> {
    pub(super) fn new(
        schema: &SchemaRef,
        out: Box<dyn Write + Send + 'a>,
    ) -> Result<Self, OutputError> {
        let schema = plain(schema);
        let writer = StreamWriter::try_new(out, &schema)?;
        Ok(Self { schema, writer })
    }
}

impl ResultWriter for ArrowStreamWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        Ok(self.writer.write(&plain_batch(batch, &self.schema)?)?)
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.writer.finish()?;
        Ok(self.writer.get_mut().flush()?)
    }
}
