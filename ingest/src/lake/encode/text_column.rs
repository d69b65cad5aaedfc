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

use super::page_rows::PageRows;
use super::pages::{ClosedChunk, Compressor, PageContent, Pages, ROWS_WORTH_A_PAGE};
use super::properties::TextProperties;
use super::values::{Mode, Values};

/// Rows of a page.
pub(super) const PAGE_ROWS: usize = 8192;
/// Rows that are added between two looks at how full the page is.
const ROWS_AT_ONCE: usize = 1024;
/// Bytes of texts that are added between two such looks, if it is more than one text.
const BYTES_AT_ONCE: usize = 128 << 10;
/// Values that tell whether a dictionary pays.
const TELLING_VALUES: usize = 2048;
/// Stands for a text of the dictionary at hand that was not looked up yet.
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

impl TextColumn {
    pub(super) fn new(column: ColumnDescPtr, properties: TextProperties) -> Self {
        Self {
            nullable: column.max_def_level() > 0,
            values: Values::new(properties),
            rows: PageRows::new(),
            nulls: 0,
            pages: Pages::new(column),
            known: Vec::new(),
        }
    }

    pub(super) fn memory(&self) -> usize {
        let known = self.known.capacity() * size_of::<u32>();
        self.values.memory() + self.pages.memory() + self.rows.memory() + known
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
            self.rows.add_nulls(taken);
            count -= taken;
            self.end_page_if_full(compressor)?;
        }
        Ok(())
    }

    fn add_texts(&mut self, array: &StringArray, compressor: &mut Compressor) -> Result<()> {
        self.give_up_useless_dictionary()?;
        let ends = array.value_offsets();
        let mut row = 0;
        while row < array.len() {
            let mut taken = self.room().min(array.len() - row);
            while taken > 1 && (ends[row + taken] - ends[row]) as usize > BYTES_AT_ONCE {
                taken /= 2;
            }
            let part = array.slice(row, taken);
            row += taken;
            self.rows.add_levels_of(&part);
            if self.values.takes_plain_unseen() && part.null_count() == 0 {
                self.values.push_all_plain(&part);
            } else {
                part.iter().flatten().try_for_each(|text| self.add_text(text.as_bytes()))?;
            }
            self.end_page_if_full(compressor)?;
        }
        Ok(())
    }

    /// Rows that may be added before it is looked again how full the page is.
    fn room(&self) -> usize {
        (PAGE_ROWS - self.rows.len()).min(ROWS_AT_ONCE)
    }

    /// Goes over to plain values if the first ones hardly repeat.
    fn give_up_useless_dictionary(&mut self) -> Result<()> {
        let values = self.rows.present();
        let may = self.pages.is_empty() && values >= TELLING_VALUES;
        if !may || !self.values.hardly_repeat(values) {
            return Ok(());
        }
        self.values.fall_back_at_once(&self.rows.codes)
    }

    /// Adds the text of a row whose level is added.
    #[inline]
    fn add_text(&mut self, text: &[u8]) -> Result<()> {
        match self.values.mode() {
            Mode::Coded => {
                let code = self.values.code(text);
                self.rows.codes.push_same(code, 1);
                Ok(())
            }
            Mode::Plain => self.values.push_plain(text),
        }
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
            let part = keys.slice(0, self.room().min(keys.len()));
            keys = keys.slice(part.len(), keys.len() - part.len());
            self.add_codes(&part, texts, &mut known);
            self.end_page_if_full(compressor)?;
        }
        self.known = known;
        Ok(())
    }

    /// Adds rows, none of them beyond the end of the page, by their codes.
    fn add_codes(&mut self, keys: &Int32Array, texts: &StringArray, known: &mut [u32]) {
        let values = &mut self.values;
        let mut code_of = |key: i32| {
            // An array with codes has a text for each.
            let code = &mut known[key.cast_unsigned() as usize];
            if *code == NONE {
                *code = values.code(texts.value(key.cast_unsigned() as usize).as_bytes());
            }
            *code
        };
        self.rows.add_levels_of(keys);
        if let Some(nulls) = keys.nulls().filter(|nulls| nulls.null_count() > 0) {
            let keys = keys.values();
            self.rows.codes.each().extend(nulls.valid_indices().map(|row| code_of(keys[row])));
            return;
        }
        let first = keys.value(0);
        if keys.values().iter().all(|key| *key == first) {
            self.rows.codes.push_same(code_of(first), keys.len());
        } else {
            self.rows.codes.each().extend(keys.values().iter().map(|key| code_of(*key)));
        }
    }

    /// Adds rows by their texts.
    fn add_each(
        &mut self,
        keys: &Int32Array,
        texts: &StringArray,
        compressor: &mut Compressor,
    ) -> Result<()> {
        let mut row = 0;
        while row < keys.len() {
            let part = keys.slice(row, self.room().min(keys.len() - row));
            row += part.len();
            self.rows.add_levels_of(&part);
            for key in part.iter().flatten() {
                self.add_text(texts.value(key.cast_unsigned() as usize).as_bytes())?;
            }
            self.end_page_if_full(compressor)?;
        }
        Ok(())
    }

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
        let rows = std::mem::replace(&mut self.rows, PageRows::new());
        self.nulls += rows.len() - rows.present();
        let mut body = Vec::new();
        if self.nullable {
            prefixed(&mut body, |levels| rows.write_levels(levels));
        }
        let encoding = self.values.end_page(&rows.codes, &mut body)?;
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
