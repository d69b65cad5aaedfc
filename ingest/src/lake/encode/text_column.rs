//! A column of texts on its way into pages.
//!
//! Texts that repeat are looked up once for each dictionary that comes in, not once for each row, and
//! rows that are all alike (NULL above all) are only counted. Invariant: the rows of the pages are
//! those of the arrays that went in, in their order.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, DictionaryArray, Int32Array, StringArray};
use arrow_schema::DataType;
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::ColumnDescPtr;

use super::hybrid;
use super::pages::{ClosedChunk, Compressor, PageContent, Pages, ROWS_WORTH_A_PAGE};
use super::properties::TextProperties;
use super::values::{Codes, Mode, Values};

/// Rows of a page.
const PAGE_ROWS: usize = 8192;
/// Rows that are added between two looks at how full the page is.
const ROWS_AT_ONCE: usize = 1024;
/// Values that tell whether a dictionary pays.
const TELLING_ROWS: usize = 2048;
/// Stands for a row without a value among the codes of a page, and for a text not looked up yet.
const NONE: u32 = u32::MAX;

/// The column of one row group.
pub(super) struct TextColumn {
    nullable: bool,
    values: Values,
    rows: PageRows,
    nulls: usize,
    pages: Pages,
    /// Codes here of the texts of the dictionary at hand.
    known: Vec<u32>,
}

/// The rows of the page in hand.
enum PageRows {
    /// So many, all with this code.
    Same(u32, usize),
    /// One code each. On plain pages only [`NONE`] means something.
    Each(Vec<u32>),
}

impl PageRows {
    const EMPTY: Self = Self::Same(NONE, 0);

    fn len(&self) -> usize {
        match self {
            Self::Same(_, count) => *count,
            Self::Each(codes) => codes.len(),
        }
    }

    #[inline]
    fn push(&mut self, code: u32) {
        match self {
            Self::Each(codes) => codes.push(code),
            Self::Same(..) => self.push_same(code, 1),
        }
    }

    /// The codes of the rows one by one.
    fn each(&mut self) -> &mut Vec<u32> {
        if let Self::Same(code, count) = self {
            *self = Self::Each(vec![*code; *count]);
        }
        match self {
            Self::Each(codes) => codes,
            Self::Same(..) => unreachable!("it was just turned into the other"),
        }
    }

    fn push_same(&mut self, code: u32, more: usize) {
        match self {
            Self::Same(_, 0) => *self = Self::Same(code, more),
            Self::Same(same, count) if *same == code => *count += more,
            Self::Same(same, count) => {
                let mut codes = vec![*same; *count];
                codes.resize(*count + more, code);
                *self = Self::Each(codes);
            }
            Self::Each(codes) => codes.resize(codes.len() + more, code),
        }
    }
}

impl TextColumn {
    pub(super) fn new(column: ColumnDescPtr, properties: TextProperties) -> Self {
        Self {
            nullable: column.max_def_level() > 0,
            values: Values::new(properties),
            rows: PageRows::EMPTY,
            nulls: 0,
            pages: Pages::new(column),
            known: Vec::new(),
        }
    }

    pub(super) fn memory(&self) -> usize {
        let rows = match &self.rows {
            PageRows::Same(..) => 0,
            PageRows::Each(codes) => codes.capacity() * size_of::<u32>(),
        };
        self.values.memory() + self.pages.memory() + rows + self.known.capacity() * size_of::<u32>()
    }

    /// Adds rows: texts, or codes of a dictionary of texts.
    pub(super) fn add(&mut self, array: &dyn Array, compressor: &mut Compressor) -> Result<()> {
        if array.null_count() == array.len() {
            return self.add_nulls(array.len(), compressor);
        }
        match array.data_type() {
            DataType::Utf8 => self.add_texts(array.as_string(), compressor),
            DataType::Dictionary(..) => {
                let array = array.as_dictionary_opt::<Int32Type>().ok_or_else(|| unfit(array))?;
                self.add_coded(array, compressor)
            }
            _ => Err(unfit(array)),
        }
    }

    fn add_nulls(&mut self, mut count: usize, compressor: &mut Compressor) -> Result<()> {
        while count > 0 {
            let taken = count.min(PAGE_ROWS - self.rows.len());
            self.rows.push_same(NONE, taken);
            count -= taken;
            self.end_page_if_full(compressor)?;
        }
        Ok(())
    }

    fn add_texts(&mut self, array: &StringArray, compressor: &mut Compressor) -> Result<()> {
        self.give_up_useless_dictionary()?;
        for row in 0..array.len() {
            if array.is_null(row) {
                self.rows.push(NONE);
            } else {
                self.add_text(array.value(row).as_bytes())?;
            }
            self.end_page_if_full(compressor)?;
        }
        Ok(())
    }

    /// Goes over to plain values if the first ones hardly repeat.
    fn give_up_useless_dictionary(&mut self) -> Result<()> {
        let PageRows::Each(codes) = &mut self.rows else { return Ok(()) };
        if !self.pages.is_empty() || codes.len() < TELLING_ROWS {
            return Ok(());
        }
        let present = codes.iter().filter(|code| **code != NONE).count();
        if present < TELLING_ROWS || !self.values.hardly_repeat(present) {
            return Ok(());
        }
        self.values.fall_back_at_once(codes.iter().copied().filter(|code| *code != NONE))
    }

    #[inline]
    fn add_text(&mut self, text: &[u8]) -> Result<()> {
        match self.values.mode() {
            Mode::Coded => {
                let code = self.values.code(text);
                self.rows.push(code);
            }
            Mode::Plain => {
                self.values.push_plain(text)?;
                self.rows.push(0);
            }
        }
        Ok(())
    }

    fn add_coded(
        &mut self,
        array: &DictionaryArray<Int32Type>,
        compressor: &mut Compressor,
    ) -> Result<()> {
        let texts = array.values().as_string_opt::<i32>().ok_or_else(|| unfit(array))?;
        if array.len() * 4 < texts.len() {
            // A day with few rows among many: most of the dictionary is for others.
            return self.add_each(array.keys(), texts, compressor);
        }
        let mut known = std::mem::take(&mut self.known);
        known.clear();
        known.resize(texts.len(), NONE);
        let mut keys = array.keys().slice(0, array.len());
        while !keys.is_empty() {
            if self.values.mode() == Mode::Plain {
                return self.add_each(&keys, texts, compressor);
            }
            let room = (PAGE_ROWS - self.rows.len()).min(ROWS_AT_ONCE).min(keys.len());
            let part = keys.slice(0, room);
            keys = keys.slice(room, keys.len() - room);
            self.add_codes(&part, texts, &mut known)?;
            self.end_page_if_full(compressor)?;
        }
        self.known = known;
        Ok(())
    }
    /// Adds rows, none of them beyond the end of the page, by their codes.
    fn add_codes(
        &mut self,
        keys: &Int32Array,
        texts: &StringArray,
        known: &mut [u32],
    ) -> Result<()> {
        for (row, key) in keys.values().iter().enumerate() {
            // What stands behind a NULL is any code, or 0 where there are no texts at all.
            let Some(code) = known.get_mut(key.cast_unsigned() as usize) else {
                if keys.is_null(row) {
                    continue;
                }
                return Err(unfit(keys));
            };
            if *code == NONE && keys.is_valid(row) {
                *code = self.values.code(texts.value(key.cast_unsigned() as usize).as_bytes());
            }
        }
        let code_of = |key: &i32| known.get(key.cast_unsigned() as usize).copied().unwrap_or(NONE);
        let Some(nulls) = keys.nulls().filter(|nulls| nulls.null_count() > 0) else {
            let first = keys.value(0);
            if keys.values().iter().all(|key| *key == first) {
                self.rows.push_same(code_of(&first), keys.len());
            } else {
                self.rows.each().extend(keys.values().iter().map(code_of));
            }
            return Ok(());
        };
        let codes = keys.values().iter().zip(nulls);
        let codes = codes.map(|(key, valid)| if valid { code_of(key) } else { NONE });
        self.rows.each().extend(codes);
        Ok(())
    }

    /// Adds rows by their texts.
    fn add_each(
        &mut self,
        keys: &Int32Array,
        texts: &StringArray,
        compressor: &mut Compressor,
    ) -> Result<()> {
        for key in keys {
            match key {
                Some(key) => self.add_text(texts.value(key.cast_unsigned() as usize).as_bytes())?,
                None => self.rows.push(NONE),
            }
            self.end_page_if_full(compressor)?;
        }
        Ok(())
    }

    #[inline]
    fn end_page_if_full(&mut self, compressor: &mut Compressor) -> Result<()> {
        if self.rows.len() < PAGE_ROWS && !self.values.page_is_full() {
            return Ok(());
        }
        self.end_page(compressor)
    }

    /// Ends the page in hand if it is worth being one.
    pub(super) fn begin_page(&mut self, compressor: &mut Compressor) -> Result<()> {
        if self.rows.len() < ROWS_WORTH_A_PAGE {
            return Ok(());
        }
        self.end_page(compressor)
    }

    fn end_page(&mut self, compressor: &mut Compressor) -> Result<()> {
        let rows = std::mem::replace(&mut self.rows, PageRows::EMPTY);
        let count = rows.len();
        let mut body = Vec::new();
        let encoding = match rows {
            PageRows::Same(NONE, _) => {
                self.nulls += count;
                self.write_levels(&mut body, |levels| hybrid::write_run(0, count, 1, levels));
                self.values.end_page(Codes::Each(&[]), &mut body)?
            }
            PageRows::Same(code, _) => {
                self.write_levels(&mut body, |levels| hybrid::write_run(1, count, 1, levels));
                self.values.end_page(Codes::Same(code, count), &mut body)?
            }
            PageRows::Each(codes) if codes.iter().all(|code| *code != NONE) => {
                self.write_levels(&mut body, |levels| hybrid::write_run(1, count, 1, levels));
                self.values.end_page(Codes::Each(&codes), &mut body)?
            }
            PageRows::Each(mut codes) => {
                let levels: Vec<u8> = codes.iter().map(|code| u8::from(*code != NONE)).collect();
                self.write_levels(&mut body, |out| hybrid::write(&levels, 1, out));
                codes.retain(|code| *code != NONE);
                self.nulls += count - codes.len();
                self.values.end_page(Codes::Each(&codes), &mut body)?
            }
        };
        let content = PageContent { values: count, rows: count, encoding };
        self.pages.add(body, content, compressor)
    }

    fn write_levels(&self, body: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        if self.nullable {
            prefixed(body, write);
        }
    }

    pub(super) fn close(mut self, compressor: &mut Compressor) -> Result<ClosedChunk> {
        if self.rows.len() > 0 {
            self.end_page(compressor)?;
        }
        if self.nulls > 0 && !self.nullable {
            return Err(ParquetError::General("NULL in a column that allows none".to_owned()));
        }
        let ending = self.values.close(self.nulls)?;
        self.pages.close(ending, compressor)
    }
}

/// Writes levels behind their length in bytes, as data pages of the first version have them.
pub(super) fn prefixed(body: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = body.len();
    body.extend_from_slice(&[0; 4]);
    write(body);
    // A page is far smaller than 4 GiB.
    let length = u32::try_from(body.len() - start - 4).unwrap_or(u32::MAX);
    body[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

pub(super) fn unfit(array: &dyn Array) -> ParquetError {
    ParquetError::General(format!("{} where texts should be", array.data_type()))
}
