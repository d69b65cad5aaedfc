//! The column `tags`, a map from names to lists of values, on its way into pages.
//!
//! Parquet has two leaves of it, names and values, each with levels that tell where a row, a tag and
//! a value begin and what is absent (Dremel). Rows with the same tags share them in the arrays that
//! come in, so names and values are looked up once for each set of tags.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ListArray, MapArray, StringArray};
use arrow_schema::DataType;
use parquet::errors::Result;
use parquet::schema::types::ColumnDescPtr;

use super::hybrid;
use super::pages::{ClosedChunk, Compressor, PageContent, Pages, ROWS_WORTH_A_PAGE};
use super::properties::TextProperties;
use super::text_column::{prefixed, unfit};
use super::values::{Codes, Mode, Values};

/// Rows of a page: fewer than elsewhere, for each row is many values.
const PAGE_ROWS: usize = 4096;
const NONE: u32 = u32::MAX;

/// The levels of the schema in `hearback_schemas`: the map and its lists may be NULL, and so may the
/// elements of a list.
const NAME_LEVELS: (i16, i16) = (2, 1);
const VALUE_LEVELS: (i16, i16) = (5, 2);

/// The column of one row group.
pub(super) struct TagsColumn {
    names: Leaf,
    values: Leaf,
    page_rows: usize,
}

/// One of the two leaves.
struct Leaf {
    values: Values,
    definition: Vec<u8>,
    repetition: Vec<u8>,
    codes: Vec<u32>,
    nulls: usize,
    pages: Pages,
    max_definition: u8,
    max_repetition: u8,
    /// Codes here of the texts of the array at hand.
    known: Vec<u32>,
}

impl TagsColumn {
    /// Whether the leaves of a column are those of a map of lists as this writes it.
    pub(super) fn fits(names: &ColumnDescPtr, values: &ColumnDescPtr) -> bool {
        let levels = |leaf: &ColumnDescPtr| (leaf.max_def_level(), leaf.max_rep_level());
        levels(names) == NAME_LEVELS && levels(values) == VALUE_LEVELS
    }

    pub(super) fn new(
        names: ColumnDescPtr,
        values: ColumnDescPtr,
        properties: &TextProperties,
    ) -> Self {
        Self {
            names: Leaf::new(names, properties.clone()),
            values: Leaf::new(values, properties.clone()),
            page_rows: 0,
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.names.memory() + self.values.memory()
    }

    /// Adds rows: maps, or codes of a dictionary of maps.
    pub(super) fn add(&mut self, array: &dyn Array, compressor: &mut Compressor) -> Result<()> {
        if let DataType::Dictionary(..) = array.data_type() {
            let coded = array.as_dictionary_opt::<Int32Type>().ok_or_else(|| unfit(array))?;
            let sets = coded.values().as_map_opt().ok_or_else(|| unfit(array))?;
            let keys = coded.keys();
            let set_of = |row: usize| keys.is_valid(row).then(|| keys.value(row) as usize);
            return self.add_sets(sets, array.len(), set_of, compressor);
        }
        let sets = array.as_map_opt().ok_or_else(|| unfit(array))?;
        self.add_sets(sets, array.len(), Some, compressor)
    }

    fn add_sets(
        &mut self,
        sets: &MapArray,
        rows: usize,
        set_of: impl Fn(usize) -> Option<usize>,
        compressor: &mut Compressor,
    ) -> Result<()> {
        let names = sets.keys().as_string_opt::<i32>().ok_or_else(|| unfit(sets))?;
        let lists = sets.values().as_list_opt::<i32>().ok_or_else(|| unfit(sets))?;
        let values = lists.values().as_string_opt::<i32>().ok_or_else(|| unfit(sets))?;
        self.names.meet(names);
        self.values.meet(values);
        for row in 0..rows {
            match set_of(row).filter(|set| sets.is_valid(*set)) {
                None => {
                    self.names.absent(0);
                    self.values.absent(0);
                }
                Some(set) => {
                    let start = sets.value_offsets()[set] as usize;
                    let end = sets.value_offsets()[set + 1] as usize;
                    self.add_set(start..end, names, lists, values)?;
                }
            }
            self.page_rows += 1;
            let full = self.names.values.page_is_full() || self.values.values.page_is_full();
            if self.page_rows >= PAGE_ROWS || full {
                self.end_page(compressor)?;
            }
        }
        Ok(())
    }

    /// Adds a row with the tags of a range.
    fn add_set(
        &mut self,
        tags: std::ops::Range<usize>,
        names: &StringArray,
        lists: &ListArray,
        values: &StringArray,
    ) -> Result<()> {
        if tags.is_empty() {
            self.names.absent(1);
            self.values.absent(1);
            return Ok(());
        }
        self.names.present(tags.clone(), 2, names)?;
        let offsets = lists.value_offsets();
        let (from, to) = (offsets[tags.start] as usize, offsets[tags.end] as usize);
        let one_each = to - from == tags.len()
            && lists.null_count() == 0
            && values.null_count() == 0
            && offsets[tags.start..=tags.end].array_windows().all(|[a, b]| b - a == 1);
        if one_each {
            return self.values.present(from..to, 5, values);
        }
        for (i, tag) in tags.enumerate() {
            // Where the tag begins: with the row, or within it.
            let begins = u8::from(i > 0);
            let (from, to) = (offsets[tag] as usize, offsets[tag + 1] as usize);
            if lists.is_null(tag) {
                self.values.absent_at(begins, 2);
            } else if from == to {
                self.values.absent_at(begins, 3);
            }
            for value in from..to {
                let begins = if value == from { begins } else { 2 };
                if lists.is_null(tag) {
                    break;
                }
                if values.is_null(value) {
                    self.values.absent_at(begins, 4);
                } else {
                    self.values.present_at(begins, 5, value, values)?;
                }
            }
        }
        Ok(())
    }

    /// Ends the page in hand if it is worth being one.
    pub(super) fn begin_page(&mut self, compressor: &mut Compressor) -> Result<()> {
        if self.page_rows < ROWS_WORTH_A_PAGE {
            return Ok(());
        }
        self.end_page(compressor)
    }

    fn end_page(&mut self, compressor: &mut Compressor) -> Result<()> {
        let rows = std::mem::take(&mut self.page_rows);
        self.names.end_page(rows, compressor)?;
        self.values.end_page(rows, compressor)
    }

    pub(super) fn close(mut self, compressor: &mut Compressor) -> Result<[ClosedChunk; 2]> {
        if self.page_rows > 0 {
            self.end_page(compressor)?;
        }
        Ok([self.names.close(compressor)?, self.values.close(compressor)?])
    }
}

impl Leaf {
    fn new(column: ColumnDescPtr, properties: TextProperties) -> Self {
        // Single digits, see `TagsColumn::fits`.
        let level = |level: i16| u8::try_from(level).unwrap_or(u8::MAX);
        Self {
            values: Values::new(properties),
            definition: Vec::new(),
            repetition: Vec::new(),
            codes: Vec::new(),
            nulls: 0,
            max_definition: level(column.max_def_level()),
            max_repetition: level(column.max_rep_level()),
            pages: Pages::new(column),
            known: Vec::new(),
        }
    }

    fn memory(&self) -> usize {
        let levels = self.definition.capacity() + self.repetition.capacity();
        let codes = self.codes.capacity() + self.known.capacity();
        self.values.memory() + self.pages.memory() + levels + codes * size_of::<u32>()
    }

    /// Prepares for an array: none of its texts is looked up yet.
    fn meet(&mut self, texts: &StringArray) {
        self.known.clear();
        self.known.resize(texts.len(), NONE);
    }

    /// A row that has none of this.
    fn absent(&mut self, definition: u8) {
        self.absent_at(0, definition);
    }

    fn absent_at(&mut self, repetition: u8, definition: u8) {
        self.repetition.push(repetition);
        self.definition.push(definition);
        self.nulls += 1;
    }

    fn present_at(
        &mut self,
        repetition: u8,
        definition: u8,
        at: usize,
        texts: &StringArray,
    ) -> Result<()> {
        self.repetition.push(repetition);
        self.definition.push(definition);
        self.push(at..at + 1, texts)
    }

    /// A row with one text for each tag.
    fn present(
        &mut self,
        range: std::ops::Range<usize>,
        definition: u8,
        texts: &StringArray,
    ) -> Result<()> {
        let levels = self.definition.len();
        self.definition.resize(levels + range.len(), definition);
        self.repetition.resize(levels + range.len(), 1);
        self.repetition[levels] = 0;
        self.push(range, texts)
    }

    fn push(&mut self, range: std::ops::Range<usize>, texts: &StringArray) -> Result<()> {
        if self.values.mode() == Mode::Plain {
            for at in range {
                self.values.push_plain(texts.value(at).as_bytes())?;
            }
            return Ok(());
        }
        for at in range.clone() {
            if self.known[at] == NONE {
                self.known[at] = self.values.code(texts.value(at).as_bytes());
            }
        }
        self.codes.extend_from_slice(&self.known[range]);
        Ok(())
    }

    fn end_page(&mut self, rows: usize, compressor: &mut Compressor) -> Result<()> {
        let mut body = Vec::new();
        let width = |highest: u8| hybrid::width_of(usize::from(highest) + 1);
        prefixed(&mut body, |out| {
            hybrid::write(&self.repetition, width(self.max_repetition), out);
        });
        prefixed(&mut body, |out| {
            hybrid::write(&self.definition, width(self.max_definition), out);
        });
        let encoding = self.values.end_page(Codes::Each(&self.codes), &mut body)?;
        let content = PageContent { values: self.definition.len(), rows, encoding };
        self.definition.clear();
        self.repetition.clear();
        self.codes.clear();
        self.pages.add(body, content, compressor)
    }

    fn close(self, compressor: &mut Compressor) -> Result<ClosedChunk> {
        let ending = self.values.close(self.nulls)?;
        self.pages.close(ending, compressor)
    }
}
