//! Texts, each kept once and known by a code: the order of first appearance.
//!
//! Owns the invariant that two texts have the same code exactly if they are equal. Responsible for
//! telling so quickly: most columns of feedback hold few different texts, and most texts are the one
//! before.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

/// Slots of the smallest table.
const FEWEST_SLOTS: usize = 64;

/// Texts, each once. Whoever fills it keeps all of them together below 2 GiB.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    /// One behind the other.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
    /// Open addressing in a power of two of slots, at most three quarters full.
    slots: Vec<Slot>,
}

/// Where a text may be found.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Of the text: tells most others apart without looking at the bytes.
    hash: u32,
    /// One more than the code, or 0.
    taken: u32,
}

impl Dictionary {
    /// The code of a text, which is taken in if it is new.
    pub fn code(&mut self, text: &[u8]) -> u32 {
        if self.ends.len() * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let hash = hash(text);
        let slot = match self.search(text, hash) {
            Ok(code) => return code,
            Err(slot) => slot,
        };
        let code = self.ends.len() as u32;
        self.slots[slot] = Slot { hash, taken: code + 1 };
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
        code
    }

    /// The code of a text, if it is in here.
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        self.search(text, hash(text)).ok()
    }

    /// The code of a text, or the slot where it would go.
    #[inline]
    fn search(&self, text: &[u8], hash: u32) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            let Some(code) = slot.taken.checked_sub(1) else { return Err(at) };
            if slot.hash == hash && equal(self.get(code), text) {
                return Ok(code);
            }
            at = (at + 1) & mask;
        }
    }

    /// The text of a code that was given out.
    #[must_use]
    #[inline]
    pub fn get(&self, code: u32) -> &[u8] {
        let code = code as usize;
        let start = if code == 0 { 0 } else { self.ends[code - 1] };
        &self.bytes[start as usize..self.ends[code] as usize]
    }

    /// How many texts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All texts, one behind the other, in the order of their codes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each text ends in [`bytes`](Self::bytes).
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Memory held, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let slots = self.slots.capacity() * size_of::<Slot>();
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>() + slots
    }

    /// Forgets all texts and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.slots.fill(Slot::default());
    }

    fn grow(&mut self) {
        let count = (self.slots.len() * 2).max(FEWEST_SLOTS);
        let mut slots = vec![Slot::default(); count];
        for slot in self.slots.iter().filter(|slot| slot.taken > 0) {
            let mut at = slot.hash as usize & (count - 1);
            while slots[at].taken > 0 {
                at = (at + 1) & (count - 1);
            }
            slots[at] = *slot;
        }
        self.slots = slots;
    }
}

/// Most texts are short, and so is the way to their hash. Of it any bits do.
#[inline]
#[allow(clippy::cast_possible_truncation)]
fn hash(text: &[u8]) -> u32 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(text);
    hasher.finish() as u32
}

/// Whether two texts are equal. Most are short, and a call of `memcmp` costs more than they do.
#[inline(always)]
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        8..=16 => ends::<8>(a) == ends::<8>(b),
        17..=32 => ends::<16>(a) == ends::<16>(b),
        33..=64 => ends::<32>(a) == ends::<32>(b),
        4..=7 => ends::<4>(a) == ends::<4>(b),
        0..=3 => a.iter().zip(b).all(|(a, b)| a == b),
        _ => a == b,
    }
}

/// Beginning and end, which together are all of a text of at most twice as many bytes.
#[inline(always)]
fn ends<const N: usize>(text: &[u8]) -> (Option<&[u8; N]>, Option<&[u8; N]>) {
    (text.first_chunk(), text.last_chunk())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_and_only_those_share_a_code() {
        let mut dictionary = Dictionary::default();
        let texts: Vec<String> = (0..5000).map(|number| format!("text {number}")).collect();
        for round in 0..2 {
            for (number, text) in texts.iter().enumerate() {
                assert_eq!(dictionary.code(text.as_bytes()), number as u32, "round {round}");
            }
        }
        assert_eq!(dictionary.len(), texts.len());
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(dictionary.get(number as u32), text.as_bytes());
        }
    }

    #[test]
    fn texts_of_every_length_equal_only_themselves() {
        for length in 0..80 {
            let text: Vec<u8> = (0..length).collect();
            assert!(equal(&text, &text.clone()));
            assert!(!equal(&text, &[&text[..], b"x"].concat()));
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 1;
                assert!(!equal(&text, &other), "{length} bytes, different at {at}");
            }
        }
    }

    #[test]
    fn the_empty_text_is_a_text_and_clearing_begins_anew() {
        let mut dictionary = Dictionary::default();
        assert!(dictionary.is_empty());
        assert_eq!(dictionary.find(b"a"), None);
        assert_eq!(dictionary.code(b"a"), 0);
        assert_eq!((dictionary.find(b"a"), dictionary.find(b"")), (Some(0), None));
        assert_eq!(dictionary.code(b""), 1);
        assert_eq!(dictionary.code(b""), 1);
        assert_eq!((dictionary.get(0), dictionary.get(1)), (&b"a"[..], &b""[..]));
        dictionary.clear();
        assert_eq!(dictionary.code(b"b"), 0);
        assert_eq!(
            (dictionary.len(), dictionary.bytes(), dictionary.ends()),
            (1, &b"b"[..], &[1][..])
        );
    }
}
