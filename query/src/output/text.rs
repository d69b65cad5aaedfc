//! CSV and JSON.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};

use super::value::{Cells, quote};
use super::{OutputError, ResultWriter};

/// Bytes gathered before they are handed on.
const BLOCK: usize = 64 * 1024;

/// The cells of every column of a batch.
pub(super) fn columns(batch: &RecordBatch) -> Result<Vec<Cells>, ArrowError> {
    batch.columns().iter().map(Cells::new).collect()
}

/// Writes RFC 4180 with `\n` ends of line, as `psql --csv` and DuckDB do.
pub(super) struct CsvWriter<'a> {
    out: Box<dyn Write + Send + 'a>,
    buffer: String,
}

impl<'a> CsvWriter<'a> {
    pub(super) fn new(
        schema: &SchemaRef,
        out: Box<dyn Write + Send + 'a>,
    ) -> Result<Self, OutputError> {
        let mut writer = Self { out, buffer: String::new() };
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                writer.buffer.push(',');
            }
            field_text(field.name(), &mut writer.buffer);
        }
        writer.buffer.push('\n');
        Ok(writer)
    }

    fn hand_on(&mut self) -> Result<(), OutputError> {
        self.out.write_all(self.buffer.as_bytes())?;
        self.buffer.clear();
        Ok(())
    }
}

impl ResultWriter for CsvWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        let columns = columns(batch)?;
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    self.buffer.push(',');
                }
                if column.is_null(row) {
                    continue;
                }
                cell.clear();
                column.text(row, &mut cell);
                // NULL is nothing at all, an empty text is a pair of quotes.
                if cell.is_empty() {
                    self.buffer.push_str("\"\"");
                } else {
                    field_text(&cell, &mut self.buffer);
                }
            }
            self.buffer.push('\n');
            if self.buffer.len() > BLOCK {
                self.hand_on()?;
            }
        }
        self.hand_on()
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.hand_on()?;
        Ok(self.out.flush()?)
    }
}

fn field_text(text: &str, out: &mut String) {
    if !text.contains(['"', ',', '\n', '\r']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

/// Writes one object per row, in an array or each on its own line.
pub(super) struct JsonWriter<'a> {
    out: Box<dyn Write + Send + 'a>,
    /// The names, quoted and with their colon.
    names: Vec<String>,
    document: bool,
    rows: u64,
    buffer: String,
}

impl<'a> JsonWriter<'a> {
    /// One JSON document: an array of objects.
    pub(super) fn document(schema: &SchemaRef, out: Box<dyn Write + Send + 'a>) -> Self {
        Self::new(schema, out, true)
    }

    /// One object per line.
    pub(super) fn lines(schema: &SchemaRef, out: Box<dyn Write + Send + 'a>) -> Self {
        Self::new(schema, out, false)
    }

    fn new(schema: &SchemaRef, out: Box<dyn Write + Send + 'a>, document: bool) -> Self {
        let names = schema.fields().iter().map(|field| {
            let mut name = String::new();
            quote(field.name(), &mut name);
            name.push(':');
            name
        });
        Self { out, names: names.collect(), document, rows: 0, buffer: String::new() }
    }

    fn hand_on(&mut self) -> Result<(), OutputError> {
        self.out.write_all(self.buffer.as_bytes())?;
        self.buffer.clear();
        Ok(())
    }
}

impl ResultWriter for JsonWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        let columns = columns(batch)?;
        for row in 0..batch.num_rows() {
            if self.document {
                self.buffer.push_str(if self.rows == 0 { "[\n" } else { ",\n" });
            }
            self.buffer.push('{');
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    self.buffer.push(',');
                }
                self.buffer.push_str(&self.names[index]);
                column.json(row, &mut self.buffer);
            }
            self.buffer.push('}');
            if !self.document {
                self.buffer.push('\n');
            }
            self.rows += 1;
            if self.buffer.len() > BLOCK {
                self.hand_on()?;
            }
        }
        self.hand_on()
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        if self.document {
            self.buffer.push_str(if self.rows == 0 { "[]\n" } else { "\n]\n" });
        }
        self.hand_on()?;
        Ok(self.out.flush()?)
    }
}
