//! Numbers, each kept once and known by a code: the order of first appearance.

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// Numbers, each once.
#[derive(Debug, Default)]
pub(super) struct NumberCodes {
    numbers: Vec<i64>,
    codes: HashMap<i64, u32, FixedState>,
}

impl NumberCodes {
    /// The code of a number, which is taken in if it is new.
    #[inline]
    pub(super) fn code(&mut self, number: i64) -> u32 {
        // A dictionary is given up long before it has as many.
        let next = self.numbers.len() as u32;
        let code = *self.codes.entry(number).or_insert(next);
        if code == next {
            self.numbers.push(number);
        }
        code
    }

    /// All numbers, in the order of their codes.
    pub(super) fn numbers(&self) -> &[i64] {
        &self.numbers
    }

    /// Memory held, in bytes.
    pub(super) fn memory(&self) -> usize {
        let entries = self.codes.capacity() * (size_of::<(i64, u32)>() + 1);
        self.numbers.capacity() * size_of::<i64>() + entries
    }
}
