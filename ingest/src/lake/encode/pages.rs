//! The pages of one column of a row group: compressed, put one behind the other, accounted for.
//!
//! Invariant: what [`Pages::close`] gives is a complete column chunk, its metadata true of its bytes.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::zstd_safe::CParameter;

/// Columns of at most so many bytes in a row group are not compressed. They hardly get smaller, because
/// they hold packed codes of a few values; and readers set up a decompressor for each column that needs
/// one, which takes longer than reading so little.
const SMALL_COLUMN: usize = 16 << 10;

/// So many rows are worth a page of their own where others begin that are apart from them.
pub(super) const ROWS_WORTH_A_PAGE: usize = 2048;

/// Entries of the table in which level 1 of Zstandard looks for what repeats, as a power of two. By itself it
/// takes up to four times as many: a table that stays in the first cache is a seventh faster, for pages of 2 % more
/// bytes.
const TABLE: u32 = 12;

/// Compresses pages. One of them serves all columns that a thread encodes.
pub(super) struct Compressor {
    level: ZstdLevel,
    zstd: zstd::bulk::Compressor<'static>,
}

impl Compressor {
    pub(super) fn new(level: ZstdLevel) -> Result<Self> {
        let mut zstd = zstd::bulk::Compressor::new(level.compression_level()).map_err(external)?;
        if level.compression_level() == 1 {
            zstd.set_parameter(CParameter::HashLog(TABLE)).map_err(external)?;
        }
        Ok(Self { level, zstd })
    }

    fn compress(&mut self, body: &[u8]) -> Result<Vec<u8>> {
        let mut compressed = Vec::with_capacity(zstd::zstd_safe::compress_bound(body.len()));
        self.zstd.compress_to_buffer(body, &mut compressed).map_err(external)?;
        Ok(compressed)
    }
}

fn external(error: std::io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// What a data page holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageContent {
    /// Values, NULLs and the levels of empty lists included.
    pub(super) values: usize,
    pub(super) rows: usize,
    /// Of the values.
    pub(super) encoding: Encoding,
}

/// What is only known when a column is complete.
pub(super) struct Ending {
    /// The dictionary that pages refer to, as a `PLAIN` body, and how many values it has.
    pub(super) dictionary: Option<(Vec<u8>, usize)>,
    pub(super) statistics: Option<Statistics>,
    pub(super) bloom: Option<Sbbf>,
}

/// A column chunk that is complete.
pub(super) struct ClosedChunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// The data pages of a column so far.
pub(super) struct Pages {
    column: ColumnDescPtr,
    written: Vec<u8>,
    /// Size of each page in bytes, its header included, and its rows.
    sizes: Vec<(usize, usize)>,
    uncompressed: usize,
    values: usize,
    rows: usize,
    /// Of the values of its pages.
    encodings: Vec<Encoding>,
    /// Pages that are not compressed, as long as the column may be a small one.
    waiting: Vec<(Vec<u8>, PageContent)>,
    waiting_bytes: usize,
}

impl Pages {
    pub(super) fn new(column: ColumnDescPtr) -> Self {
        Self {
            column,
            written: Vec::new(),
            sizes: Vec::new(),
            uncompressed: 0,
            values: 0,
            rows: 0,
            encodings: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.written.capacity() + self.waiting_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sizes.is_empty() && self.waiting.is_empty()
    }

    /// Adds a data page: levels and values as the format orders them.
    pub(super) fn add(
        &mut self,
        body: Vec<u8>,
        content: PageContent,
        compressor: &mut Compressor,
    ) -> Result<()> {
        if !self.sizes.is_empty() {
            return self.write(&body, compressor.compress(&body)?, content);
        }
        self.waiting_bytes += body.len();
        self.waiting.push((body, content));
        if self.waiting_bytes <= SMALL_COLUMN {
            return Ok(());
        }
        self.compress_waiting(compressor)
    }

    fn compress_waiting(&mut self, compressor: &mut Compressor) -> Result<()> {
        self.waiting_bytes = 0;
        for (body, content) in std::mem::take(&mut self.waiting) {
            self.write(&body, compressor.compress(&body)?, content)?;
        }
        Ok(())
    }

    /// Writes a page whose body becomes `packed` in the file.
    fn write(&mut self, body: &[u8], packed: Vec<u8>, content: PageContent) -> Result<()> {
        let page = Page::DataPage {
            buf: packed.into(),
            num_values: small(content.values)?,
            encoding: content.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let written = std::mem::take(&mut self.written);
        let (written, spec) = append(written, CompressedPage::new(page, body.len()))?;
        self.written = written;
        self.sizes.push((spec.compressed_size, content.rows));
        self.uncompressed += spec.uncompressed_size;
        self.values += content.values;
        self.rows += content.rows;
        if !self.encodings.contains(&content.encoding) {
            self.encodings.push(content.encoding);
        }
        Ok(())
    }

    /// Puts the dictionary before the pages and describes the whole.
    pub(super) fn close(
        mut self,
        ending: Ending,
        compressor: &mut Compressor,
    ) -> Result<ClosedChunk> {
        let dictionary_bytes = ending.dictionary.as_ref().map_or(0, |(body, _)| body.len());
        let is_small =
            self.sizes.is_empty() && self.waiting_bytes + dictionary_bytes <= SMALL_COLUMN;
        if is_small {
            for (body, content) in std::mem::take(&mut self.waiting) {
                self.write(&body, body.clone(), content)?;
            }
        } else {
            self.compress_waiting(compressor)?;
        }
        let is_coded = self.encodings.contains(&Encoding::RLE_DICTIONARY);
        let mut uncompressed = self.uncompressed;
        let mut bytes = Vec::new();
        let mut dictionary_offset = None;
        if let Some((body, count)) = ending.dictionary.filter(|_| is_coded) {
            let packed = if is_small { body.clone() } else { compressor.compress(&body)? };
            let page = Page::DictionaryPage {
                buf: packed.into(),
                num_values: small(count)?,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let (written, spec) = append(bytes, CompressedPage::new(page, body.len()))?;
            bytes = written;
            uncompressed += spec.uncompressed_size;
            dictionary_offset = Some(0);
        }
        let data_offset = signed(bytes.len())?;
        let mut offsets = OffsetIndexBuilder::new();
        let mut offset = data_offset;
        for (size, rows) in &self.sizes {
            offsets.append_row_count(signed(*rows)?);
            offsets.append_offset_and_size(offset, i32::try_from(*size).map_err(too_large)?);
            offset += signed(*size)?;
        }
        if bytes.is_empty() {
            bytes = self.written;
        } else {
            bytes.extend_from_slice(&self.written);
        }

        let mut encodings = vec![Encoding::RLE];
        if dictionary_offset.is_some() && !self.encodings.contains(&Encoding::PLAIN) {
            encodings.push(Encoding::PLAIN);
        }
        encodings.append(&mut self.encodings);
        let compression = match is_small {
            true => Compression::UNCOMPRESSED,
            false => Compression::ZSTD(compressor.level),
        };
        let mut metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(compression)
            .set_encodings(encodings)
            .set_total_compressed_size(signed(bytes.len())?)
            .set_total_uncompressed_size(signed(uncompressed)?)
            .set_num_values(signed(self.values)?)
            .set_data_page_offset(data_offset)
            .set_dictionary_page_offset(dictionary_offset);
        if let Some(statistics) = ending.statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: ending.bloom,
            column_index: None,
            offset_index: Some(offsets.build()),
        };
        Ok(ClosedChunk { bytes: bytes.into(), close })
    }
}

/// Appends a page with its header.
fn append(written: Vec<u8>, page: CompressedPage) -> Result<(Vec<u8>, PageWriteSpec)> {
    let mut sink = TrackedWrite::new(written);
    let spec = SerializedPageWriter::new(&mut sink).write_page(page)?;
    Ok((sink.into_inner()?, spec))
}

fn small(count: usize) -> Result<u32> {
    // The format counts in signed 32 bits.
    i32::try_from(count).map(i32::cast_unsigned).map_err(too_large)
}

fn signed(count: usize) -> Result<i64> {
    i64::try_from(count).map_err(too_large)
}

fn too_large(_: std::num::TryFromIntError) -> ParquetError {
    ParquetError::General("a page is larger than the format allows".to_owned())
}
