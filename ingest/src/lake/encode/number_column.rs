//! A column of numbers or times on its way into pages: codes of a dictionary as long as that pays, the
//! numbers themselves from then on. Invariant: the rows of the pages are those of the arrays that went
//! in, in their order.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use parquet::basic::{Encoding, Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnIndexBuilder;
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescPtr;

use super::hybrid;
use super::number_codes::NumberCodes;
use super::page_rows::PageRows;
use super::pages::{ClosedChunk, Compressor, Ending, PageContent, Pages, ROWS_WORTH_A_PAGE};
use super::properties::NumberProperties;
use super::text_column::{PAGE_ROWS, prefixed};
use super::values::DICTIONARY_BYTES;

/// The column of one row group.
pub(super) struct NumberColumn {
    kind: Type,
    nullable: bool,
    /// Whether pages hold codes. Goes over to numbers between two pages only.
    coded: bool,
    dictionary: NumberCodes,
    rows: PageRows,
    /// Of the page in hand, if it is not coded.
    plain: Vec<u8>,
    page_bounds: Option<Bounds>,
    bounds: Option<Bounds>,
    nulls: usize,
    pages: Pages,
    /// Bounds of each page, where they are kept.
    index: Option<ColumnIndexBuilder>,
}

/// Smallest and largest of some numbers.
#[derive(Clone, Copy)]
struct Bounds {
    min: i64,
    max: i64,
}

impl Bounds {
    fn of(numbers: &[i64]) -> Option<Self> {
        Some(Self { min: *numbers.iter().min()?, max: *numbers.iter().max()? })
    }

    fn join(this: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(a), Some(b)) = (this, other) else { return this.or(other) };
        Some(Self { min: a.min.min(b.min), max: a.max.max(b.max) })
    }
}

impl NumberColumn {
    /// Whether columns of a type are written by this.
    pub(super) fn fits(kind: &DataType) -> bool {
        use DataType::{Int32, Int64, Timestamp};
        matches!(kind, Int32 | Int64 | Timestamp(TimeUnit::Microsecond, _))
    }

    pub(super) fn new(column: ColumnDescPtr, properties: NumberProperties) -> Self {
        let kind = column.physical_type();
        Self {
            kind,
            nullable: column.max_def_level() > 0,
            coded: properties.dictionary,
            dictionary: NumberCodes::default(),
            rows: PageRows::new(),
            plain: Vec::new(),
            page_bounds: None,
            bounds: None,
            nulls: 0,
            pages: Pages::new(column),
            index: properties.page_statistics.then(|| ColumnIndexBuilder::new(kind)),
        }
    }

    pub(super) fn memory(&self) -> usize {
        let numbers = self.dictionary.memory() + self.plain.capacity();
        self.pages.memory() + self.rows.memory() + numbers
    }

    pub(super) fn add(&mut self, array: &ArrayRef, compressor: &mut Compressor) -> Result<()> {
        let mut row = 0;
        while row < array.len() {
            let taken = (PAGE_ROWS - self.rows.len()).min(array.len() - row);
            let part = array.slice(row, taken);
            row += taken;
            self.rows.add_levels_of(&part);
            self.add_numbers(&present(&part)?);
            if self.rows.len() == PAGE_ROWS {
                self.end_page(compressor)?;
            }
        }
        Ok(())
    }

    fn add_numbers(&mut self, numbers: &[i64]) {
        let Some(first) = numbers.first() else { return };
        self.page_bounds = Bounds::join(self.page_bounds, Bounds::of(numbers));
        if !self.coded {
            write_plain(numbers, self.kind, &mut self.plain);
            return;
        }
        if numbers.iter().all(|number| number == first) {
            let code = self.dictionary.code(*first);
            self.rows.codes.push_same(code, numbers.len());
            return;
        }
        let (mut before, mut code) = (*first, self.dictionary.code(*first));
        let codes = numbers.iter().map(|number| {
            if *number != before {
                (before, code) = (*number, self.dictionary.code(*number));
            }
            code
        });
        self.rows.codes.each().extend(codes);
    }

    /// Ends the page in hand if it is worth being one.
    pub(super) fn begin_page(&mut self, compressor: &mut Compressor) -> Result<()> {
        if self.rows.len() < ROWS_WORTH_A_PAGE {
            return Ok(());
        }
        self.end_page(compressor)
    }

    fn end_page(&mut self, compressor: &mut Compressor) -> Result<()> {
        let rows = std::mem::replace(&mut self.rows, PageRows::new());
        let bounds = self.page_bounds.take();
        let nulls = rows.len() - rows.present();
        self.bounds = Bounds::join(self.bounds, bounds);
        self.nulls += nulls;
        if let Some(index) = &mut self.index {
            let bytes = |number: i64| number.to_le_bytes()[..size_of_kind(self.kind)].to_vec();
            let (min, max) = bounds.map(|bounds| (bytes(bounds.min), bytes(bounds.max))).unzip();
            let (min, max) = (min.unwrap_or_default(), max.unwrap_or_default());
            index.append(bounds.is_none(), min, max, i64::try_from(nulls).unwrap_or(i64::MAX));
        }
        let mut body = Vec::new();
        if self.nullable {
            prefixed(&mut body, |levels| rows.write_levels(levels));
        }
        let mut encoding = Encoding::PLAIN;
        if !self.coded {
            body.append(&mut self.plain);
        } else if !self.dictionary.numbers().is_empty() {
            encoding = Encoding::RLE_DICTIONARY;
            let count = self.dictionary.numbers().len();
            let width = hybrid::width_of(count);
            body.push(width);
            rows.codes.write(width, &mut body);
            self.coded = count * size_of_kind(self.kind) <= DICTIONARY_BYTES;
        }
        let content = PageContent { values: rows.len(), rows: rows.len(), encoding };
        self.pages.add(body, content, compressor)
    }

    pub(super) fn close(mut self, compressor: &mut Compressor) -> Result<ClosedChunk> {
        if self.rows.len() > 0 {
            self.end_page(compressor)?;
        }
        if self.nulls > 0 && !self.nullable {
            return Err(ParquetError::General("NULL in a column that allows none".to_owned()));
        }
        let statistics = Some(self.statistics());
        let numbers = self.dictionary.numbers();
        let dictionary = (!numbers.is_empty()).then(|| {
            let mut body = Vec::new();
            write_plain(numbers, self.kind, &mut body);
            (body, numbers.len())
        });
        let mut chunk =
            self.pages.close(Ending { dictionary, statistics, bloom: None }, compressor)?;
        chunk.close.column_index = self.index.map(ColumnIndexBuilder::build).transpose()?;
        Ok(chunk)
    }

    #[allow(clippy::cast_possible_truncation)] // the numbers were of 32 bits
    fn statistics(&self) -> Statistics {
        let (min, max) = self.bounds.map(|bounds| (bounds.min, bounds.max)).unzip();
        let nulls = Some(self.nulls as u64);
        match self.kind {
            Type::INT32 => {
                let (min, max) = (min.map(|min| min as i32), max.map(|max| max as i32));
                let known = ValueStatistics::new(min, max, None, nulls, false);
                Statistics::Int32(known.with_backwards_compatible_min_max(true))
            }
            _ => {
                let known = ValueStatistics::new(min, max, None, nulls, false);
                Statistics::Int64(known.with_backwards_compatible_min_max(true))
            }
        }
    }
}

/// Bytes of a number in the file.
fn size_of_kind(kind: Type) -> usize {
    if kind == Type::INT32 { size_of::<i32>() } else { size_of::<i64>() }
}

/// Appends numbers as `PLAIN` has them.
fn write_plain(numbers: &[i64], kind: Type, out: &mut Vec<u8>) {
    let size = size_of_kind(kind);
    let start = out.len();
    out.resize(start + numbers.len() * size, 0);
    for (place, number) in out[start..].chunks_exact_mut(size).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes()[..size]);
    }
}

/// The numbers of the rows that have one.
fn present(array: &ArrayRef) -> Result<Cow<'_, [i64]>> {
    let unfit = || ParquetError::General(format!("{} where numbers should be", array.data_type()));
    let numbers: Cow<'_, [i64]> = match array.data_type() {
        DataType::Int64 => Cow::Borrowed(array.as_primitive::<Int64Type>().values()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Cow::Borrowed(array.as_primitive::<TimestampMicrosecondType>().values())
        }
        DataType::Int32 => {
            array.as_primitive::<Int32Type>().values().iter().map(|n| i64::from(*n)).collect()
        }
        _ => return Err(unfit()),
    };
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    Ok(match nulls {
        None => numbers,
        Some(nulls) => nulls.valid_indices().map(|row| numbers[row]).collect(),
    })
}
