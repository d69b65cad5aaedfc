//! Plain columns: texts one behind the other, numbers, and which rows have a value.
//!
//! A column is written to only where it has a value; it catches up when it is next written to, or
//! ended.

use arrow_array::StringArray;
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

/// Which rows have a value.
#[derive(Debug)]
struct Filled {
    words: Vec<u64>,
}

impl Filled {
    const EMPTY: Self = Self { words: Vec::new() };

    #[inline(always)]
    fn set(&mut self, row: usize) {
        let word = row / 64;
        if self.words.len() <= word {
            self.catch_up(word);
        }
        self.words[word] |= 1 << (row % 64);
    }

    #[cold]
    fn catch_up(&mut self, word: usize) {
        self.words.resize(word + 1, 0);
    }

    fn finish(&mut self, rows: usize) -> Option<NullBuffer> {
        let count: usize = self.words.iter().map(|word| word.count_ones() as usize).sum();
        if count == rows {
            self.words.clear();
            return None;
        }
        self.words.resize(rows.div_ceil(64), 0);
        let words = Buffer::from_vec(std::mem::take(&mut self.words));
        Some(NullBuffer::new(BooleanBuffer::new(words, 0, rows)))
    }
}

/// A column of texts.
#[derive(Debug)]
pub(super) struct TextColumn {
    /// Where each row's text begins; the last one ends with `bytes`.
    pub(super) offsets: Vec<i32>,
    pub(super) bytes: Vec<u8>,
    filled: Filled,
}

impl TextColumn {
    pub(super) const EMPTY: Self =
        Self { offsets: Vec::new(), bytes: Vec::new(), filled: Filled::EMPTY };

    #[inline]
    pub(super) fn set(&mut self, row: usize, text: &str) {
        // Batches are closed long before their offsets could overflow (MAX_BATCH_BYTES, MAX_FAN_OUT).
        let start = self.bytes.len() as i32;
        if self.offsets.len() != row {
            self.offsets.resize(row, start);
        }
        self.offsets.push(start);
        append(&mut self.bytes, text.as_bytes());
        self.filled.set(row);
    }

    pub(super) fn finish(&mut self, rows: usize) -> StringArray {
        let end = self.bytes.len() as i32;
        self.offsets.resize(rows + 1, end);
        let nulls = self.filled.finish(rows);
        let offsets = ScalarBuffer::from(std::mem::take(&mut self.offsets));
        let bytes = Buffer::from_vec(std::mem::take(&mut self.bytes));
        // SAFETY: `set` is the only one to write. Each offset is the length that `bytes` had when
        // the row was begun, so offsets never fall and lie between whole texts.
        unsafe { StringArray::new_unchecked(OffsetBuffer::new_unchecked(offsets), bytes, nulls) }
    }
}

/// Appends a text. Most are short, and a call of `memcpy` costs more than they do.
#[inline(always)]
fn append(bytes: &mut Vec<u8>, text: &[u8]) {
    let length = text.len();
    if length > 64 {
        bytes.extend_from_slice(text);
        return;
    }
    bytes.reserve(64);
    let end = bytes.len();
    // SAFETY: 64 bytes are reserved behind `end`; each copy reads inside `text` and writes at most
    // `length` bytes. The two copies of a branch overlap and together cover all of `text`.
    unsafe {
        let from = text.as_ptr();
        let to = bytes.as_mut_ptr().add(end);
        if length >= 32 {
            std::ptr::copy_nonoverlapping(from, to, 32);
            std::ptr::copy_nonoverlapping(from.add(length - 32), to.add(length - 32), 32);
        } else if length >= 16 {
            std::ptr::copy_nonoverlapping(from, to, 16);
            std::ptr::copy_nonoverlapping(from.add(length - 16), to.add(length - 16), 16);
        } else if length >= 8 {
            std::ptr::copy_nonoverlapping(from, to, 8);
            std::ptr::copy_nonoverlapping(from.add(length - 8), to.add(length - 8), 8);
        } else if length >= 4 {
            std::ptr::copy_nonoverlapping(from, to, 4);
            std::ptr::copy_nonoverlapping(from.add(length - 4), to.add(length - 4), 4);
        } else {
            for i in 0..length {
                *to.add(i) = *from.add(i);
            }
        }
        bytes.set_len(end + length);
    }
}

/// A column of codes of a dictionary.
#[derive(Debug, Default)]
pub(super) struct CodeColumn {
    /// [`NO_CODE`] where a row has none.
    pub(super) codes: Vec<i32>,
}

/// Codes are numbers of values, so never negative.
const NO_CODE: i32 = -1;

impl CodeColumn {
    /// Whether no row has a code.
    pub(super) fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    #[inline(always)]
    pub(super) fn set(&mut self, row: usize, code: i32) {
        if self.codes.len() != row {
            self.catch_up(row);
        }
        self.codes.push(code);
    }

    #[inline(never)]
    fn catch_up(&mut self, row: usize) {
        self.codes.resize(row, NO_CODE);
    }

    /// The codes, 0 where there is none, and where there is one.
    pub(super) fn finish(&mut self, rows: usize) -> (Vec<i32>, Option<NullBuffer>) {
        self.codes.resize(rows, NO_CODE);
        let mut codes = std::mem::take(&mut self.codes);
        let missing: usize = codes.iter().map(|code| usize::from(*code < 0)).sum();
        if missing == 0 {
            return (codes, None);
        }
        let filled = BooleanBuffer::collect_bool(rows, |row| codes[row] >= 0);
        for code in &mut codes {
            *code = (*code).max(0);
        }
        (codes, Some(NullBuffer::new(filled)))
    }
}

/// A column of numbers.
#[derive(Debug)]
pub(super) struct NumberColumn<T> {
    pub(super) values: Vec<T>,
    filled: Filled,
}

impl<T> Default for NumberColumn<T> {
    fn default() -> Self {
        Self { values: Vec::new(), filled: Filled::EMPTY }
    }
}

impl<T: Copy + Default> NumberColumn<T> {
    #[inline(always)]
    pub(super) fn set(&mut self, row: usize, value: T) {
        if self.values.len() != row {
            self.catch_up(row);
        }
        self.values.push(value);
        self.filled.set(row);
    }

    #[inline(never)]
    fn catch_up(&mut self, row: usize) {
        self.values.resize(row, T::default());
    }

    pub(super) fn finish(&mut self, rows: usize) -> (Vec<T>, Option<NullBuffer>) {
        self.values.resize(rows, T::default());
        (std::mem::take(&mut self.values), self.filled.finish(rows))
    }
}
