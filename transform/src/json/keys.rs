//! Guesses which key comes next: what writes feedback writes the fields of an object in one order.
//!
//! Owns the invariant that a guess is taken only where the very bytes of the key stand, so that guessing
//! changes how fast an object is read and never what is read.

use std::borrow::Cow;

use super::Result;
use super::reader::Reader;

/// Bytes that are compared at once: a guess is at most as long, its quotes and colon included.
const LANE: usize = 32;
/// Keys that are remembered of one kind of object; beyond it the last is replaced.
const MOST_KEYS: usize = 24;

/// The keys that objects of one kind have had, in their order, each with what it means to the reader
/// of such objects.
#[derive(Clone, Debug)]
pub(crate) struct KeyOrder<K> {
    guesses: Vec<Guess<K>>,
}

#[derive(Clone, Copy, Debug)]
struct Guess<K> {
    /// The key in quotes and its colon, filled up with zeros.
    bytes: Lane,
    /// Ones where `bytes` count.
    mask: Lane,
    length: usize,
    meaning: K,
}

type Lane = [u64; LANE / 8];

fn lane(bytes: &[u8; LANE]) -> Lane {
    let mut words = [0; LANE / 8];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    words
}

impl<K> Guess<K> {
    /// `None` if the key is too long for a guess.
    fn of(key: &str, meaning: K) -> Option<Self> {
        let length = key.len() + 3;
        let (mut bytes, mut mask) = ([0; LANE], [0; LANE]);
        let place = bytes.get_mut(..length)?;
        place[0] = b'"';
        place[1..length - 2].copy_from_slice(key.as_bytes());
        place[length - 2..].copy_from_slice(b"\":");
        mask[..length].fill(0xff);
        Some(Self { bytes: lane(&bytes), mask: lane(&mask), length, meaning })
    }

    /// Whether the key stands at the beginning of `found`.
    #[inline(always)]
    fn is(&self, found: &Lane) -> bool {
        let mut different = 0;
        for ((found, byte), mask) in found.iter().zip(&self.bytes).zip(&self.mask) {
            different |= (found ^ byte) & mask;
        }
        different == 0
    }
}

impl<K> Default for KeyOrder<K> {
    fn default() -> Self {
        Self { guesses: Vec::new() }
    }
}

impl<K: Copy> KeyOrder<K> {
    /// The keys of an object that the reader has entered.
    pub(crate) fn keys(&mut self) -> Keys<'_, K> {
        Keys { order: self, at: 0, first: true }
    }

    /// Takes in where a key stood that was not guessed; gives back what to guess behind it.
    fn learn(&mut self, at: usize, key: &str, meaning: K) -> usize {
        let Some(guess) = Guess::of(key, meaning) else { return at };
        if let Some(known) = self.guesses.iter().position(|known| known.bytes == guess.bytes) {
            return known + 1;
        }
        if self.guesses.len() < MOST_KEYS {
            self.guesses.insert(at, guess);
            return at + 1;
        }
        let at = at.min(MOST_KEYS - 1);
        self.guesses[at] = guess;
        at + 1
    }
}

/// The keys of one object.
#[derive(Debug)]
pub(crate) struct Keys<'o, K> {
    order: &'o mut KeyOrder<K>,
    /// The guess that is due.
    at: usize,
    first: bool,
}

impl<K: Copy> Keys<'_, K> {
    /// The next key with its colon, and what it means; `None` at the object's end. `meaning` tells what
    /// a key means, the same at every call.
    #[inline(always)]
    pub(crate) fn next<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        meaning: impl Fn(&str) -> K,
    ) -> Result<Option<(K, Cow<'a, str>)>> {
        if let Some(found) = reader.lane_of_key(self.first) {
            let found = lane(found);
            if let Some(guess) = self.guessed(&found) {
                let key = reader.take_guessed_key(self.first, guess.length);
                self.first = false;
                return Ok(Some((guess.meaning, Cow::Borrowed(key))));
            }
        }
        self.next_unguessed(reader, meaning)
    }

    /// The guess that is due, or the one behind it, for a key may be left out now and then.
    #[inline(always)]
    fn guessed(&mut self, found: &Lane) -> Option<Guess<K>> {
        let (due, rest) = self.order.guesses.get(self.at..)?.split_first()?;
        if due.is(found) {
            self.at += 1;
            return Some(*due);
        }
        let next = rest.first().filter(|guess| guess.is(found))?;
        self.at += 2;
        Some(*next)
    }

    fn next_unguessed<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        meaning: impl Fn(&str) -> K,
    ) -> Result<Option<(K, Cow<'a, str>)>> {
        let Some(key) = reader.key(&mut self.first)? else { return Ok(None) };
        let meaning = meaning(&key);
        // A key with escapes in it is spelled unlike its text.
        if let Cow::Borrowed(key) = key {
            self.at = self.order.learn(self.at, key, meaning);
        }
        Ok(Some((meaning, key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(order: &mut KeyOrder<usize>, text: &str) -> Result<Vec<(String, usize, String)>> {
        let mut reader = Reader::new(text);
        reader.enter_object()?;
        let mut keys = order.keys();
        let mut fields = Vec::new();
        while let Some((meaning, key)) = keys.next(&mut reader, str::len)? {
            fields.push((key.into_owned(), meaning, reader.skip()?.to_owned()));
        }
        Ok(fields)
    }

    #[test]
    fn what_is_read_does_not_depend_on_what_was_read_before() {
        let long = format!(r#"{{"{}":1,"a":2,"{}":3}}"#, "k".repeat(29), "k".repeat(30));
        let many: Vec<String> = (0..40).map(|i| format!("\"key {i}\":{i}")).collect();
        let many = format!("{{{}}}", many.join(","));
        let mut texts = vec![
            r#"{"a":1,"bb":"x","ccc":[]}"#.to_owned(),
            r#"{"bb":1,"a":2}"#.to_owned(),
            r#"{ "a" : 1 , "ccc":2}"#.to_owned(),
            r#"{"a":1,"a":2,"\u0061":3,"aa":4}"#.to_owned(),
            r#"{}"#.to_owned(),
            long,
            many,
        ];
        for (i, text) in texts.clone().iter().enumerate() {
            // At the very end of the input, and far from it.
            texts[i] = format!("{text}{}", " ".repeat(64));
            texts.push(text.clone());
        }
        let fresh = |text: &String| read(&mut KeyOrder::default(), text).expect("it is JSON");
        let expected: Vec<_> = texts.iter().map(fresh).collect();
        assert_eq!(expected[3].len(), 4);
        let mut order = KeyOrder::default();
        for step in [1, 3, 5, 9, 11] {
            for i in (0..texts.len()).map(|i| i * step % texts.len()) {
                assert_eq!(read(&mut order, &texts[i]).as_ref(), Ok(&expected[i]), "{}", texts[i]);
            }
        }
    }

    #[test]
    fn what_is_not_json_is_refused_as_if_nothing_was_guessed() {
        let mut order = KeyOrder::default();
        read(&mut order, r#"{"a":1,"b":2}"#).expect("it is JSON");
        for bad in [r#"{"a":1,}"#, r#"{,"a":1}"#, r#"{"a":1"b":2}"#, r#"{"a":1,"b""#, r#"{"a" 1}"#]
        {
            for text in [bad.to_owned(), format!("{bad}{}", " ".repeat(64))] {
                assert_eq!(
                    read(&mut order, &text).is_err(),
                    read(&mut KeyOrder::default(), &text).is_err(),
                    "{text}"
                );
                assert!(read(&mut order, &text).is_err(), "{text}");
            }
        }
    }
}
