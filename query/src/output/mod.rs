//! Results as text or files: one way of writing a value, six formats to write it in.
//!
//! Invariant: timestamps are ISO 8601 in UTC, dates ISO 8601, NULL is empty in tables and CSV and
//! `null` in JSON, maps and lists are JSON, and no control character of the data reaches a terminal
//! in a table.

mod binary;
mod table;
mod text;
mod value;

use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use clap::ValueEnum;

pub use table::{Align, TextTable};
pub use value::Cells;

/// The form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    Table,
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// One JSON document: an array of objects.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// Apache Parquet, zstd.
    Parquet,
    /// Apache Arrow IPC: a file with -o, a stream otherwise.
    Arrow,
}

impl Format {
    /// Whether the form is bytes that a terminal should not see.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}

/// What can go wrong while a result is written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The place it goes to does not take it.
    #[error("cannot write the result")]
    Io(#[from] std::io::Error),
    /// The format cannot hold it.
    #[error("the result does not fit the format")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// Parquet cannot hold it.
    #[error("the result does not fit Parquet")]
    Parquet(#[from] parquet::errors::ParquetError),
}

/// Takes a result batch by batch and writes it in one format.
pub trait ResultWriter {
    /// Writes the rows of a batch.
    ///
    /// # Errors
    /// When the rows cannot be written.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError>;

    /// Writes what comes after the last row.
    ///
    /// # Errors
    /// When it cannot be written.
    fn finish(&mut self) -> Result<(), OutputError>;
}

/// A writer of a format. `file` tells a file from a stream (Arrow has a form for each).
///
/// # Errors
/// When the format cannot hold columns of these types, or the first bytes cannot be written.
pub fn writer<'a>(
    format: Format,
    schema: &SchemaRef,
    out: Box<dyn Write + Send + 'a>,
    file: bool,
) -> Result<Box<dyn ResultWriter + 'a>, OutputError> {
    let schema = &match format {
        Format::Table | Format::Csv => Arc::clone(schema),
        _ => distinct_names(schema),
    };
    Ok(match format {
        Format::Table => Box::new(table::TableWriter::new(schema, out)),
        Format::Csv => Box::new(text::CsvWriter::new(schema, out)?),
        Format::Json => Box::new(text::JsonWriter::document(schema, out)),
        Format::Ndjson => Box::new(text::JsonWriter::lines(schema, out)),
        Format::Parquet => Box::new(binary::ParquetWriter::new(schema, out)?),
        Format::Arrow if file => Box::new(binary::ArrowFileWriter::new(schema, out)?),
        Format::Arrow => Box::new(binary::ArrowStreamWriter::new(schema, out)?),
    })
}

/// Columns of one name are told apart as `recipient` and `recipient_1`, where a name stands for a value: of
/// a JSON object's equal names readers keep one, and of a Parquet file's some refuse all.
fn distinct_names(schema: &SchemaRef) -> SchemaRef {
    let mut names: Vec<String> = Vec::new();
    for field in schema.fields() {
        let mut name = field.name().clone();
        let mut number = 0;
        while names.contains(&name) || (number > 0 && schema.index_of(&name).is_ok()) {
            number += 1;
            name = format!("{}_{number}", field.name());
        }
        names.push(name);
    }
    let fields = schema.fields().iter().zip(names);
    let renamed: Vec<Field> =
        fields.map(|(field, name)| field.as_ref().clone().with_name(name)).collect();
    Arc::new(Schema::new(renamed))
}

#[cfg(test)]
mod tests;
