//! The rows of a page of texts: which have a value, and the codes of those that have.
//!
//! Arrow's bits for NULL are levels of Parquet as they stand when packed, so nobody looks at them one
//! by one.

use arrow_array::Array;
use arrow_array::builder::NullBufferBuilder;

use super::hybrid;
use super::repeats::Repeats;

/// The rows of the page in hand.
pub(super) struct PageRows {
    count: usize,
    present: usize,
    levels: NullBufferBuilder,
    /// One for each row with a value, unless values are plain.
    pub(super) codes: Repeats<u32>,
}

impl PageRows {
    pub(super) fn new() -> Self {
        let levels = NullBufferBuilder::new(0);
        Self { count: 0, present: 0, levels, codes: Repeats::default() }
    }

    /// Rows, those without a value included.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Rows with a value.
    pub(super) fn present(&self) -> usize {
        self.present
    }

    pub(super) fn memory(&self) -> usize {
        self.codes.memory() + self.levels.allocated_size()
    }

    /// Adds rows as far as their levels go; codes are added apart, where there are any.
    pub(super) fn add_levels_of(&mut self, array: &dyn Array) {
        match array.nulls() {
            Some(nulls) => self.levels.append_buffer(nulls),
            None => self.levels.append_n_non_nulls(array.len()),
        }
        self.count += array.len();
        self.present += array.len() - array.null_count();
    }

    /// The same for rows without a value.
    pub(super) fn add_nulls(&mut self, rows: usize) {
        self.levels.append_n_nulls(rows);
        self.count += rows;
    }

    /// Appends the definition levels of a column that may be NULL.
    pub(super) fn write_levels(&self, out: &mut Vec<u8>) {
        match self.levels.as_slice() {
            Some(bits) => hybrid::write_bits(bits, self.count, out),
            None => hybrid::write_run(1, self.count, 1, out),
        }
    }
}
