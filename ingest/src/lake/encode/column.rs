//! One column of the row group that is open, whatever its type.
//!
//! Texts, tags, numbers and times are nearly all of a file; they are written by code of our own that makes
//! use of what repeats in them. All else goes through the Parquet library's writer.

use std::io::Write;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, FieldRef};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::errors::Result;
use parquet::file::writer::SerializedRowGroupWriter;

use super::number_column::NumberColumn;
use super::pages::{ClosedChunk, Compressor};
use super::tags_column::TagsColumn;
use super::text_column::TextColumn;

/// Memory of the library's compressors that its writer does not count, in bytes; measured.
const CODEC_BYTES: usize = 32 * 1024;

/// A column in the making.
pub(super) struct ColumnEncoder {
    /// Position in the batches and in the file.
    pub(super) index: usize,
    pub(super) writer: ColumnWriter,
}

pub(super) enum ColumnWriter {
    Text(Box<TextColumn>),
    Tags(Box<TagsColumn>),
    Numbers(Box<NumberColumn>),
    Other(FieldRef, Box<ArrowColumnWriter>),
}

/// Where the first of some rows stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// Behind the rows before it.
    Nothing,
    /// On a page of its own, if those before it are worth one.
    APage,
}

/// A column that is complete.
pub(super) struct ClosedColumn {
    pub(super) index: usize,
    chunks: ClosedChunks,
}

enum ClosedChunks {
    Own(Vec<ClosedChunk>),
    Other(Vec<ArrowColumnChunk>),
}

impl ColumnEncoder {
    pub(super) fn memory(&self) -> usize {
        match &self.writer {
            ColumnWriter::Text(column) => column.memory(),
            ColumnWriter::Tags(column) => column.memory(),
            ColumnWriter::Numbers(column) => column.memory(),
            ColumnWriter::Other(_, writer) => writer.memory_size() + CODEC_BYTES,
        }
    }

    /// How much work the column's part of some batches is, in comparison with other columns.
    pub(super) fn weight(&self, batches: &[RecordBatch]) -> usize {
        let heavy = match self.writer {
            ColumnWriter::Tags(_) => 8,
            ColumnWriter::Text(_) | ColumnWriter::Numbers(_) | ColumnWriter::Other(..) => 1,
        };
        let bytes = |batch: &RecordBatch| match batch.column(self.index).data_type() {
            DataType::Dictionary(..) => batch.num_rows() * 4,
            _ => batch.column(self.index).get_buffer_memory_size(),
        };
        heavy * batches.iter().map(bytes).sum::<usize>()
    }

    /// Digests the column's part of some batches.
    pub(super) fn encode(
        &mut self,
        batches: &[RecordBatch],
        begins: Begins,
        compressor: &mut Compressor,
    ) -> Result<()> {
        if begins == Begins::APage {
            match &mut self.writer {
                ColumnWriter::Text(column) => column.begin_page(compressor)?,
                ColumnWriter::Tags(column) => column.begin_page(compressor)?,
                ColumnWriter::Numbers(column) => column.begin_page(compressor)?,
                // The library says itself where pages end.
                ColumnWriter::Other(..) => {}
            }
        }
        for batch in batches {
            let array = batch.column(self.index);
            match &mut self.writer {
                ColumnWriter::Text(column) => column.add(array, compressor)?,
                ColumnWriter::Tags(column) => column.add(array, compressor)?,
                ColumnWriter::Numbers(column) => column.add(array, compressor)?,
                ColumnWriter::Other(field, writer) => write(writer, field, array)?,
            }
        }
        Ok(())
    }

    pub(super) fn close(self, compressor: &mut Compressor) -> Result<ClosedColumn> {
        let chunks = match self.writer {
            ColumnWriter::Text(column) => ClosedChunks::Own(vec![column.close(compressor)?]),
            ColumnWriter::Tags(column) => ClosedChunks::Own(column.close(compressor)?.into()),
            ColumnWriter::Numbers(column) => ClosedChunks::Own(vec![column.close(compressor)?]),
            ColumnWriter::Other(_, writer) => ClosedChunks::Other(vec![writer.close()?]),
        };
        Ok(ClosedColumn { index: self.index, chunks })
    }
}

fn write(writer: &mut ArrowColumnWriter, field: &FieldRef, array: &ArrayRef) -> Result<()> {
    for leaf in compute_leaves(field, array)? {
        writer.write(&leaf)?;
    }
    Ok(())
}

impl ClosedColumn {
    /// Adds the column to a row group, which takes columns in their order.
    pub(super) fn append_to<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        match self.chunks {
            ClosedChunks::Own(chunks) => {
                for chunk in chunks {
                    group.append_column(&chunk.bytes, chunk.close)?;
                }
            }
            ClosedChunks::Other(chunks) => {
                for chunk in chunks {
                    chunk.append_to_row_group(group)?;
                }
            }
        }
        Ok(())
    }
}
