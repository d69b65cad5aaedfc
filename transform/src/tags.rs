//! Message tags of one event, and the memory of tags that were seen before.
//!
//! Senders put the same tags on all messages of a mailing, and SES adds a few of a handful of values.
//! So tags that were read once are recognised by their bytes. Owns the invariant that a set found in
//! memory is what reading the same bytes again would give.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem::Finder;

use crate::dictionary::Dictionary;
use crate::event::recycle;
use crate::json::Result;
use crate::json::canonical;
use crate::json::reader::{Field, Reader};

/// Bytes of tags that are remembered; beyond it the memory begins anew.
const REMEMBERED_BYTES: usize = 4 << 20;
/// Longer ones are read every time.
const LONGEST_REMEMBERED: usize = 16 << 10;
/// How objects of lists end that are written without white space.
static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("]}"));
/// Tags that fill columns of their own.
pub(crate) const WANTED: usize = 4;

/// Message tags; those of equal name are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tags<'a> {
    /// Names, each with the range of its values in `values`.
    names: Vec<(Cow<'a, str>, u32, u32)>,
    /// Values of all tags, one tag after the other.
    values: Vec<Option<Cow<'a, str>>>,
    /// Where the names of the event before had to go to be in order.
    order: Vec<u32>,
    /// Room to put names in order.
    spare: Vec<(Cow<'a, str>, u32, u32)>,
    /// The tags as they are written, if they may be remembered.
    raw: Option<&'a str>,
    /// Where in the memory they are; then `names` and `values` are empty.
    place: Option<usize>,
    memory: Box<Memory>,
}

/// Where a set of tags is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Number of the set.
    pub place: usize,
    /// Which beginning of the memory the number belongs to.
    pub generation: u64,
}

/// A part of a set: after each name come its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    Name(&'t str),
    Value(Option<&'t str>),
}

#[derive(Clone, Debug)]
struct Memory {
    /// The sets as they are written.
    raw: Dictionary,
    sets: Vec<SavedSet>,
    generation: u64,
}

/// No two beginnings of a memory have the same number, in whichever thread.
static GENERATIONS: AtomicU64 = AtomicU64::new(1);

impl Default for Memory {
    fn default() -> Self {
        let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed);
        Self { raw: Dictionary::default(), sets: Vec::new(), generation }
    }
}

/// Where the parts of a set stand in its bytes.
#[derive(Clone, Debug, Default)]
struct SavedSet {
    /// Names in order, each with the range of its values in `values`.
    names: Vec<(Span, u32, u32)>,
    values: Vec<Option<Span>>,
    /// First values of the wanted tags, once they were asked for.
    wanted: Option<[Option<Span>; WANTED]>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    #[inline]
    fn of(self, raw: &str) -> &str {
        &raw[self.start as usize..self.end as usize]
    }

    /// Where `part` stands in `raw`; `None` if it is not a piece of it.
    fn within(part: &str, raw: &str) -> Option<Self> {
        let start = (part.as_ptr() as usize).checked_sub(raw.as_ptr() as usize)?;
        if start + part.len() > raw.len() {
            return None;
        }
        Some(Self {
            start: u32::try_from(start).ok()?,
            end: u32::try_from(start + part.len()).ok()?,
        })
    }
}

impl<'a> Tags<'a> {
    /// No tags, in the memory of these.
    pub(crate) fn recycle<'b>(self) -> Tags<'b> {
        Tags {
            names: recycle(self.names),
            values: recycle(self.values),
            order: self.order,
            spare: recycle(self.spare),
            raw: None,
            place: None,
            memory: self.memory,
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        match self.place {
            Some(place) => self.memory.sets[place].names.is_empty(),
            None => self.names.is_empty(),
        }
    }

    /// Where the set is remembered.
    pub(crate) fn saved(&self) -> Option<Saved> {
        Some(Saved { place: self.place?, generation: self.memory.generation })
    }

    /// Reads the object of tags that the reader stands before: lists of texts. Single texts are lists
    /// of one. What was read before is forgotten.
    pub(crate) fn read(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.names.clear();
        self.values.clear();
        self.raw = None;
        self.place = None;
        if let Some((place, length)) = self.memory.recall(reader.rest()) {
            self.place = Some(place as usize);
            self.raw = Some(reader.take(length));
            return Ok(());
        }
        let mut ahead = reader.clone();
        let Ok(raw) = ahead.skip_container() else { return self.read_each(reader) };
        if raw.len() <= LONGEST_REMEMBERED {
            if let Some(place) = self.memory.raw.find(raw.as_bytes()) {
                self.place = Some(place as usize);
                self.raw = Some(raw);
                *reader = ahead;
                return Ok(());
            }
            self.raw = Some(raw);
        }
        self.read_each(reader)
    }

    fn read_each(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        reader.enter_object()?;
        let mut first = true;
        while let Some(name) = reader.key(&mut first)? {
            let start = self.values.len();
            if reader.peek()? == b'[' {
                reader.enter_array()?;
                let mut first_value = true;
                while reader.element(&mut first_value)? {
                    let value = tag_value(reader)?;
                    self.values.push(value);
                }
            } else if let Some(value) = tag_value(reader)? {
                self.values.push(Some(value));
            }
            let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(self.values.len()))
            else {
                return Err(crate::json::JsonError::TooDeep);
            };
            self.names.push((name, start, end));
        }
        Ok(())
    }

    /// Puts the names in order, so that the order in the document does not matter; of equal names
    /// the last counts. Then remembers the set.
    pub(crate) fn sort(&mut self) {
        if self.place.is_some() {
            return;
        }
        self.sort_names();
        if let Some(raw) = self.raw
            && let Some(set) = self.spans(raw)
        {
            self.place = Some(self.memory.save(raw, set));
        }
    }

    fn sort_names(&mut self) {
        if self.names.is_sorted_by(|a, b| by_name(&a.0, &b.0).is_lt()) {
            return;
        }
        // Events of one sender carry the same tags: mostly the order of the last one fits.
        let fits = self.order.len() == self.names.len()
            && self.order.is_sorted_by(|a, b| {
                by_name(&self.names[*a as usize].0, &self.names[*b as usize].0).is_lt()
            });
        if !fits {
            self.order.clear();
            self.order.extend(0..u32::try_from(self.names.len()).unwrap_or(0));
            let names = &self.names;
            self.order.sort_by(|a, b| by_name(&names[*a as usize].0, &names[*b as usize].0));
        }
        self.spare.clear();
        for (i, index) in self.order.iter().enumerate() {
            let next = self.order.get(i + 1).map(|next| &self.names[*next as usize].0);
            if next != Some(&self.names[*index as usize].0) {
                self.spare.push(self.names[*index as usize].clone());
            }
        }
        std::mem::swap(&mut self.names, &mut self.spare);
    }

    /// Where everything stands in `raw`; `None` if a part had escapes in it or was none.
    fn spans(&self, raw: &str) -> Option<SavedSet> {
        let mut set = SavedSet::default();
        for (name, first, end) in &self.names {
            let start = u32::try_from(set.values.len()).ok()?;
            for value in &self.values[*first as usize..*end as usize] {
                set.values.push(match value {
                    Some(value) => Some(Span::within(value, raw)?),
                    None => None,
                });
            }
            let end = u32::try_from(set.values.len()).ok()?;
            set.names.push((Span::within(name, raw)?, start, end));
        }
        Some(set)
    }

    /// Visits names and values in order.
    pub(crate) fn each(&self, mut visit: impl FnMut(Part<'_>)) {
        if let (Some(place), Some(raw)) = (self.place, self.raw) {
            let set = &self.memory.sets[place];
            for (name, first, end) in &set.names {
                visit(Part::Name(name.of(raw)));
                for value in &set.values[*first as usize..*end as usize] {
                    visit(Part::Value(value.map(|value| value.of(raw))));
                }
            }
            return;
        }
        for (name, first, end) in &self.names {
            visit(Part::Name(name));
            for value in &self.values[*first as usize..*end as usize] {
                visit(Part::Value(value.as_deref()));
            }
        }
    }

    /// The first values of the wanted tags: of each list of names, the first name that has one. The
    /// lists have to be the same at every call.
    pub(crate) fn wanted(&mut self, lists: [&[String]; WANTED]) -> [Option<Cow<'a, str>>; WANTED] {
        let (Some(place), Some(raw)) = (self.place, self.raw) else {
            return lists.map(|names| names.iter().find_map(|name| self.first(name)).cloned());
        };
        let set = &mut self.memory.sets[place];
        let spans = match set.wanted {
            Some(spans) => spans,
            None => {
                let spans = lists.map(|names| names.iter().find_map(|name| set.first(name, raw)));
                set.wanted = Some(spans);
                spans
            }
        };
        spans.map(|span| span.map(|span| Cow::Borrowed(span.of(raw))))
    }

    /// The first value of a tag.
    fn first(&self, name: &str) -> Option<&Cow<'a, str>> {
        let (_, start, end) = self.names.iter().rev().find(|tag| tag.0 == name)?;
        self.values[*start as usize..*end as usize].first()?.as_ref()
    }
}

impl SavedSet {
    fn first(&self, name: &str, raw: &str) -> Option<Span> {
        let (_, start, end) = self.names.iter().find(|tag| tag.0.of(raw) == name)?;
        *self.values[*start as usize..*end as usize].first()?
    }
}

impl Memory {
    /// Remembers a set that is not in here yet, and says where.
    fn save(&mut self, raw: &str, set: SavedSet) -> usize {
        if self.raw.bytes().len() > REMEMBERED_BYTES {
            *self = Self::default();
        }
        self.raw.code(raw.as_bytes());
        self.sets.push(set);
        self.sets.len() - 1
    }

    /// Which of the sets `rest` begins with, and its length, found without following its brackets. Where
    /// an object ends can be told from its own bytes, so nothing that begins with a whole one is another.
    fn recall(&self, rest: &[u8]) -> Option<(u32, usize)> {
        let near = rest.get(..LONGEST_REMEMBERED).unwrap_or(rest);
        let length = END.find(near)? + END.needle().len();
        Some((self.raw.find(&rest[..length])?, length))
    }
}

/// The order of names. The first bytes decide nearly always.
fn by_name(a: &str, b: &str) -> std::cmp::Ordering {
    beginning(a).cmp(&beginning(b)).then_with(|| a.cmp(b))
}

fn beginning(name: &str) -> u128 {
    let mut first = [0; 16];
    match name.as_bytes().first_chunk::<16>() {
        Some(chunk) => first = *chunk,
        None => first[..name.len()].copy_from_slice(name.as_bytes()),
    }
    u128::from_be_bytes(first)
}

fn tag_value<'a>(reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>> {
    match reader.field()? {
        Field::Text(text) => Ok(Some(text)),
        Field::Null => Ok(None),
        Field::Nested(raw) => {
            let mut text = String::new();
            canonical::write(raw, &mut text)?;
            Ok(Some(Cow::Owned(text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(tags: &Tags<'_>) -> Vec<String> {
        let mut parts = Vec::new();
        tags.each(|part| parts.push(format!("{part:?}")));
        parts
    }

    #[test]
    fn remembered_tags_are_those_that_reading_gives() {
        let texts = [
            r#"{"b":["1","2"],"a":["x"],"b":["3"],"c":null,"d":[],"e":"one","f":[null,7]}"#,
            r#"{"a\u0062":["escaped"],"n":[{"z":1}]}"#,
            "{}",
            r#"{ "spread" : [ "out" ] }"#,
        ];
        let lists = [
            vec!["b".to_owned()],
            vec!["no".to_owned(), "e".to_owned()],
            vec![],
            vec!["f".to_owned()],
        ];
        let mut tags = Tags::default();
        let mut rounds = Vec::new();
        for _ in 0..3 {
            let mut round = Vec::new();
            for text in texts {
                let mut reader = Reader::new(text);
                tags.read(&mut reader).unwrap();
                assert_eq!(reader.position(), text.len());
                tags.sort();
                let wanted = tags.wanted(lists.each_ref().map(Vec::as_slice));
                round.push((parts(&tags), tags.is_empty(), format!("{wanted:?}")));
            }
            rounds.push(round);
        }
        assert_eq!(rounds[0], rounds[1]);
        assert_eq!(rounds[0], rounds[2]);
        let (first, _, wanted) = &rounds[0][0];
        assert_eq!(first[0], r#"Name("a")"#);
        assert_eq!(first[2..4], [r#"Name("b")"#, r#"Value(Some("3"))"#]);
        assert_eq!(wanted, r#"[Some("3"), Some("one"), None, None]"#);
    }

    #[test]
    fn what_is_not_json_is_refused_however_often_it_comes() {
        let mut tags = Tags::default();
        for _ in 0..2 {
            for bad in [r#"{"a":[1,]}"#, r#"{"a" 1}"#, r#"{"a":[}"#, r#"{"a":["\q"]}"#] {
                assert!(tags.read(&mut Reader::new(bad)).is_err(), "{bad}");
            }
        }
    }

    #[test]
    fn the_memory_is_bounded_and_begins_anew() {
        let texts: Vec<String> =
            (0..3000).map(|i| format!("{{\"tag\":[\"{i:04000}\"]}}")).collect();
        let mut tags = Tags::default();
        let mut generations = Vec::new();
        for text in &texts {
            tags.read(&mut Reader::new(text)).unwrap();
            tags.sort();
            assert_eq!(parts(&tags)[1], format!("Value(Some({:?}))", &text[9..text.len() - 3]));
            generations.extend(tags.saved().map(|saved| saved.generation));
            assert!(tags.memory.raw.bytes().len() <= REMEMBERED_BYTES + LONGEST_REMEMBERED);
        }
        generations.dedup();
        assert_eq!(generations.len(), 3);
    }
}
