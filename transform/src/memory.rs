//! What texts that come again and again were found to mean, so that each is taken apart once.

use crate::dictionary::Dictionary;

/// Bytes of texts that are remembered; beyond it the memory begins anew.
const REMEMBERED_BYTES: usize = 1 << 20;
/// Longer texts are not remembered.
const LONGEST_REMEMBERED: usize = 4096;

/// Texts with what each of them means.
#[derive(Clone, Debug)]
pub(crate) struct Memory<T> {
    texts: Dictionary,
    meanings: Vec<T>,
    /// The number of the text that came last.
    last: u32,
    /// The meaning of a text that is too long to be remembered.
    passing: Option<T>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self { texts: Dictionary::default(), meanings: Vec::new(), last: 0, passing: None }
    }
}

impl<T> Memory<T> {
    /// What a text means. `learn` finds it out, the same at every call.
    #[inline]
    pub(crate) fn meaning(&mut self, text: &[u8], learn: impl FnOnce() -> T) -> &T {
        let last = self.last as usize;
        if last < self.meanings.len() && self.texts.get(self.last) == text {
            return &self.meanings[last];
        }
        self.find(text, learn)
    }

    fn find(&mut self, text: &[u8], learn: impl FnOnce() -> T) -> &T {
        if text.len() > LONGEST_REMEMBERED {
            return self.passing.insert(learn());
        }
        if self.texts.bytes().len() > REMEMBERED_BYTES {
            self.texts.clear();
            self.meanings.clear();
        }
        self.last = self.texts.code(text);
        let place = self.last as usize;
        if place == self.meanings.len() {
            self.meanings.push(learn());
        }
        &self.meanings[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_its_own_meaning_and_is_learned_once() {
        let mut memory = Memory::default();
        let mut learned = 0;
        for round in 0..3 {
            for text in ["a", "b", "", "b", "b", "a"] {
                let meaning = memory.meaning(text.as_bytes(), || {
                    learned += 1;
                    format!("<{text}>")
                });
                assert_eq!(*meaning, format!("<{text}>"), "round {round}");
            }
        }
        assert_eq!(learned, 3);
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut memory = Memory::default();
        let texts: Vec<String> = (0..3000).map(|i| format!("{i:01000}")).collect();
        let long = "x".repeat(LONGEST_REMEMBERED + 1);
        for text in texts.iter().chain([&long, &texts[0], &long]) {
            assert_eq!(memory.meaning(text.as_bytes(), || text.clone()), text);
            assert!(memory.texts.bytes().len() <= REMEMBERED_BYTES + LONGEST_REMEMBERED);
            assert_eq!(memory.texts.len(), memory.meanings.len());
        }
    }
}
