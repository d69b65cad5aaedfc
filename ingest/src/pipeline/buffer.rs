//! Bytes with room to read into: responsible for being allocated once and used for one chunk after
//! the other, without clearing memory that is about to be overwritten.

/// A buffer of one worker.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// All initialised; what is behind `filled` is left over from earlier chunks.
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    /// What was read.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// Forgets the content, and gives back memory that only an unusually long record needed.
    pub(crate) fn clear(&mut self, usual: usize) {
        self.filled = 0;
        if self.bytes.len() > 2 * usual {
            self.bytes.truncate(usual);
            self.bytes.shrink_to_fit();
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.room(end)[..bytes.len()].copy_from_slice(bytes);
        self.filled = end;
    }

    /// Where the bytes up to a length of `goal` go. [`grow`](Self::grow) tells how many came.
    pub(crate) fn room(&mut self, goal: usize) -> &mut [u8] {
        if self.bytes.len() < goal {
            self.bytes.resize(goal, 0);
        }
        &mut self.bytes[self.filled..goal]
    }

    pub(crate) fn grow(&mut self, count: usize) {
        self.filled += count;
        debug_assert!(self.filled <= self.bytes.len());
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.filled = self.filled.min(len);
    }

    pub(crate) fn drop_front(&mut self, count: usize) {
        self.bytes.copy_within(count..self.filled, 0);
        self.filled -= count;
    }
}
