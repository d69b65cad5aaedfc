//! Levels or codes of a page, which often are all the same: then they are only counted.

use super::hybrid;

/// Numbers in their order.
#[derive(Debug)]
pub(super) enum Repeats<T> {
    /// So many times the same.
    Same(T, usize),
    Each(Vec<T>),
}

impl<T: Copy + Eq + Into<u32> + Default> Default for Repeats<T> {
    fn default() -> Self {
        Self::Same(T::default(), 0)
    }
}

impl<T: Copy + Eq + Into<u32>> Repeats<T> {
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Same(..) => 0,
            Self::Each(numbers) => numbers.capacity() * size_of::<T>(),
        }
    }

    /// Adds the same number so many times.
    #[inline]
    pub(super) fn push_same(&mut self, number: T, more: usize) {
        match self {
            Self::Same(same, count) if *same == number || *count == 0 => {
                (*same, *count) = (number, *count + more);
            }
            _ => {
                let each = self.each();
                each.resize(each.len() + more, number);
            }
        }
    }

    /// The numbers one by one.
    pub(super) fn each(&mut self) -> &mut Vec<T> {
        if let Self::Same(same, count) = self {
            *self = Self::Each(vec![*same; *count]);
        }
        match self {
            Self::Each(each) => each,
            Self::Same(..) => unreachable!("it was just turned into the other"),
        }
    }

    /// Appends them as levels and codes are written, each of at most `width` bits.
    pub(super) fn write(&self, width: u8, out: &mut Vec<u8>) {
        match self {
            Self::Same(same, count) => hybrid::write_run((*same).into(), *count, width, out),
            Self::Each(each) => hybrid::write(each, width, out),
        }
    }
}
