//! The column `tags`, a map from names to lists of values, on its way into pages.
//!
//! Parquet has two leaves of it, names and values, each with levels that tell where a row, a tag and
//! a value begin and what is absent (Dremel). Rows with the same tags share them in the arrays that
//! come in, so names and values are looked up once for each set of tags.

use std::ops::Range;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ListArray, MapArray, StringArray};
use arrow_schema::DataType;
use parquet::errors::Result;
use parquet::schema::types::ColumnDescPtr;

use super::hybrid;
use super::pages::{ClosedChunk, Compressor, PageContent, Pages, ROWS_WORTH_A_PAGE};
use super::properties::TextProperties;
use super::repeats::Repeats;
use super::text_column::{prefixed, unfit};
use super::values::{Mode, Values};

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
    /// Repetition levels of the names: whether each goes on with a row. Those of the values are the same
    /// as long as each name has one.
    goes_on: BooleanBufferBuilder,
    /// Repetition levels of the values where they are not the same.
    repetition: Option<Vec<u8>>,
}

/// One of the two leaves.
struct Leaf {
    values: Values,
    definition: Repeats<u8>,
    codes: Repeats<u32>,
    nulls: usize,
    pages: Pages,
    max_definition: u8,
    /// Codes here of the texts of the array at hand: of none or of all of a set.
    known: Vec<u32>,
    /// The texts that were looked up last.
    looked_up: Range<usize>,
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
            goes_on: BooleanBufferBuilder::new(0),
            repetition: None,
        }
    }

    pub(super) fn memory(&self) -> usize {
        let levels =
            self.goes_on.capacity() / 8 + self.repetition.as_ref().map_or(0, Vec::capacity);
        self.names.memory() + self.values.memory() + levels
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
                None => self.add_nothing(0),
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

    /// Adds a row without tags.
    fn add_nothing(&mut self, definition: u8) {
        self.names.absent(definition);
        self.values.absent(definition);
        self.goes_on.append(false);
        if let Some(repetition) = &mut self.repetition {
            repetition.push(0);
        }
    }

    /// Adds a row with the tags of a range.
    fn add_set(
        &mut self,
        tags: Range<usize>,
        names: &StringArray,
        lists: &ListArray,
        values: &StringArray,
    ) -> Result<()> {
        if tags.is_empty() {
            self.add_nothing(1);
            return Ok(());
        }
        let offsets = lists.value_offsets();
        let (from, to) = (offsets[tags.start] as usize, offsets[tags.end] as usize);
        let one_each = to - from == tags.len()
            && lists.null_count() == 0
            && values.null_count() == 0
            && offsets[tags.start..=tags.end].array_windows().all(|[a, b]| b - a == 1);
        if !one_each {
            // Before the names, whose levels it begins with.
            self.add_lists(tags.clone(), lists, values)?;
        }
        self.names.present(tags.clone(), 2, names)?;
        self.goes_on.append(false);
        self.goes_on.append_n(tags.len() - 1, true);
        if !one_each {
            return Ok(());
        }
        if let Some(repetition) = &mut self.repetition {
            repetition.push(0);
            repetition.resize(repetition.len() + tags.len() - 1, 1);
        }
        self.values.present(from..to, 5, values)
    }

    /// Adds the values of a row with the tags of a range, whatever they are.
    fn add_lists(
        &mut self,
        tags: Range<usize>,
        lists: &ListArray,
        values: &StringArray,
    ) -> Result<()> {
        let so_far = &self.goes_on;
        let repetition = self.repetition.get_or_insert_with(|| {
            (0..so_far.len()).map(|at| u8::from(so_far.get_bit(at))).collect()
        });
        let offsets = lists.value_offsets();
        for (i, tag) in tags.enumerate() {
            // Where the tag begins: with the row, or within it.
            repetition.push(u8::from(i > 0));
            let (from, to) = (offsets[tag] as usize, offsets[tag + 1] as usize);
            if lists.is_null(tag) || from == to {
                self.values.absent(if lists.is_null(tag) { 2 } else { 3 });
                continue;
            }
            repetition.resize(repetition.len() + to - from - 1, 2);
            for value in from..to {
                match values.is_null(value) {
                    true => self.values.absent(4),
                    false => self.values.present(value..value + 1, 5, values)?,
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
        let goes_on = std::mem::replace(&mut self.goes_on, BooleanBufferBuilder::new(0));
        let (bits, count) = (goes_on.as_slice(), goes_on.len());
        let mut names = Vec::new();
        prefixed(&mut names, |out| hybrid::write_bits(bits, count, out));
        let mut values = Vec::new();
        let levels = self.repetition.take();
        prefixed(&mut values, |out| match &levels {
            Some(levels) => hybrid::write(levels, 2, out),
            None => hybrid::write_bits_wide(bits, count, out),
        });
        self.names.end_page(names, PageSize { rows, values: count }, compressor)?;
        let count = levels.map_or(count, |levels| levels.len());
        self.values.end_page(values, PageSize { rows, values: count }, compressor)
    }

    pub(super) fn close(mut self, compressor: &mut Compressor) -> Result<[ClosedChunk; 2]> {
        if self.page_rows > 0 {
            self.end_page(compressor)?;
        }
        Ok([self.names.close(compressor)?, self.values.close(compressor)?])
    }
}

/// How much a page holds.
#[derive(Clone, Copy)]
struct PageSize {
    rows: usize,
    /// Values, and levels of what is absent.
    values: usize,
}

impl Leaf {
    fn new(column: ColumnDescPtr, properties: TextProperties) -> Self {
        Self {
            values: Values::new(properties),
            definition: Repeats::default(),
            codes: Repeats::default(),
            nulls: 0,
            // A single digit, see `TagsColumn::fits`.
            max_definition: u8::try_from(column.max_def_level()).unwrap_or(u8::MAX),
            pages: Pages::new(column),
            known: Vec::new(),
            looked_up: 0..0,
        }
    }

    fn memory(&self) -> usize {
        let levels = self.definition.memory() + self.codes.memory();
        let known = self.known.capacity() * size_of::<u32>();
        self.values.memory() + self.pages.memory() + levels + known
    }

    /// Prepares for an array: none of its texts is looked up yet.
    fn meet(&mut self, texts: &StringArray) {
        self.known.clear();
        self.known.resize(texts.len(), NONE);
        self.looked_up = 0..0;
    }

    /// A row or a tag that has none of this.
    fn absent(&mut self, definition: u8) {
        self.definition.push_same(definition, 1);
        self.nulls += 1;
    }

    /// A set of texts, or one text of it.
    fn present(&mut self, set: Range<usize>, definition: u8, texts: &StringArray) -> Result<()> {
        self.definition.push_same(definition, set.len());
        if self.values.mode() == Mode::Plain {
            return set.into_iter().try_for_each(|at| self.values.push_plain(text(texts, at)));
        }
        if self.known[set.start] == NONE {
            self.look_up(set.clone(), texts);
        }
        self.codes.each().extend_from_slice(&self.known[set]);
        Ok(())
    }

    /// Most of a set is as in the one before, at the same places.
    fn look_up(&mut self, set: Range<usize>, texts: &StringArray) {
        let before = std::mem::replace(&mut self.looked_up, set.clone());
        for (at, place) in set.zip(before.start..) {
            let this = text(texts, at);
            self.known[at] = match before.contains(&place) && text(texts, place) == this {
                true => self.known[place],
                false => self.values.code(this),
            };
        }
    }

    /// Ends a page whose body begins with the repetition levels.
    fn end_page(
        &mut self,
        mut body: Vec<u8>,
        size: PageSize,
        compressor: &mut Compressor,
    ) -> Result<()> {
        let definition = std::mem::take(&mut self.definition);
        let width = hybrid::width_of(usize::from(self.max_definition) + 1);
        prefixed(&mut body, |out| definition.write(width, out));
        let codes = std::mem::take(&mut self.codes);
        let encoding = self.values.end_page(&codes, &mut body)?;
        let content = PageContent { values: size.values, rows: size.rows, encoding };
        self.pages.add(body, content, compressor)
    }

    fn close(self, compressor: &mut Compressor) -> Result<ClosedChunk> {
        let ending = self.values.close(self.nulls)?;
        self.pages.close(ending, compressor)
    }
}

fn text(texts: &StringArray, at: usize) -> &[u8] {
    texts.value(at).as_bytes()
}
