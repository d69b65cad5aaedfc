//! Columns of few different values: rows hold codes, the values are kept once for all dates of a call.
//!
//! Owns the invariant that codes and dictionaries belong together: they are begun and ended at once.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, StringArray, new_null_array};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::columns::CodeColumn;
use super::tags::TagSets;
use crate::dictionary::{Dictionary, equal};
use crate::event::{COLS, Col};
use crate::tags::Tags;

/// Columns whose values repeat, as bits: closed vocabularies, what senders, campaigns, servers and
/// programs are called. All others mostly differ from row to row.
pub(super) const CODED: u64 = {
    let coded = [
        Col::EventType,
        Col::Source,
        Col::Channel,
        Col::AccountId,
        Col::Region,
        Col::Sender,
        Col::SenderDomain,
        Col::RecipientDomain,
        Col::MailboxProvider,
        Col::Subject,
        Col::ConfigurationSet,
        Col::Campaign,
        Col::Template,
        Col::Tenant,
        Col::StatusCode,
        Col::ReportingMta,
        Col::BounceType,
        Col::BounceSubtype,
        Col::BounceClass,
        Col::RuleVersion,
        Col::ComplaintType,
        Col::ComplaintSubtype,
        Col::DelayType,
        Col::UserAgent,
        Col::Actor,
        Col::ActorReason,
        Col::FailureReason,
        Col::ApplicationId,
        Col::Extra,
    ];
    let mut bits = 0;
    let mut at = 0;
    while at < coded.len() {
        bits |= 1 << coded[at] as usize;
        at += 1;
    }
    bits
};

/// Whether a column holds codes.
#[inline]
pub(super) const fn is_coded(col: Col) -> bool {
    CODED >> col as usize & 1 == 1
}

/// The type of a column whose values are kept in a dictionary.
pub(super) fn coded_type(values: &DataType) -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(values.clone()))
}

/// The values of all coded columns since the last call that took rows.
#[derive(Debug)]
pub(super) struct Values {
    texts: [TextCodes; COLS],
    tags: TagSets,
    /// Bytes of all texts.
    bytes: usize,
    /// For each code of a domain, that of its provider; or none yet.
    providers: Vec<Option<i32>>,
    /// Rows without any value, for columns that have none.
    nothing: ArrayRef,
}

/// The values of one column.
#[derive(Debug, Default)]
struct TextCodes {
    dictionary: Dictionary,
    /// Texts that came lately, each in the place that its bytes give it.
    recent: [Recent; RECENT],
}

/// A text of the dictionary; an empty one if there is none.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    code: i32,
    start: u32,
    end: u32,
}

/// Places for recent texts of a column: feedback of a few mailings, providers and servers comes mixed.
const RECENT: usize = 16;

impl TextCodes {
    /// The code of a text, if it came lately.
    #[inline(always)]
    fn recent(&self, text: &[u8]) -> Option<i32> {
        let recent = &self.recent[place(text)];
        let known = self.dictionary.bytes().get(recent.start as usize..recent.end as usize)?;
        (!text.is_empty() && equal(known, text)).then_some(recent.code)
    }

    /// The code of any text. The bytes of one that is new are counted in `bytes`.
    #[inline(never)]
    fn other_code(&mut self, text: &[u8], bytes: &mut usize) -> i32 {
        let before = self.dictionary.bytes().len();
        let code = self.dictionary.code(text);
        *bytes += self.dictionary.bytes().len() - before;
        let end = self.dictionary.ends()[code as usize];
        // The text is in the dictionary, whose ends are as wide.
        let start = end - text.len() as u32;
        let code = code.cast_signed();
        self.recent[place(text)] = Recent { code, start, end };
        code
    }

    fn finish(&mut self) -> ArrayRef {
        let mut offsets = Vec::with_capacity(self.dictionary.len() + 1);
        offsets.push(0);
        offsets.extend(self.dictionary.ends().iter().map(|end| end.cast_signed()));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let bytes = Buffer::from(self.dictionary.bytes());
        self.dictionary.clear();
        self.recent = [Recent::default(); RECENT];
        Arc::new(StringArray::new(offsets, bytes, None))
    }
}

/// Where among the recent texts a text belongs: mostly another place for another text.
#[inline(always)]
fn place(text: &[u8]) -> usize {
    let ends = match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u32::from_le_bytes(*first).rotate_left(13) ^ u32::from_le_bytes(*last)
        }
        _ => text.iter().fold(0, |mixed, byte| mixed << 8 | u32::from(*byte)),
    };
    // Of the length and of a product the upper bits depend on all that goes in.
    let mixed = (ends ^ (text.len() as u32) << 16).wrapping_mul(0x9e37_79b1);
    (mixed >> 28) as usize % RECENT
}

impl Default for Values {
    fn default() -> Self {
        Self {
            texts: std::array::from_fn(|_| TextCodes::default()),
            tags: TagSets::default(),
            bytes: 0,
            providers: Vec::new(),
            nothing: new_null_array(&coded_type(&DataType::Utf8), 0),
        }
    }
}

impl Values {
    /// The code of a text in its column.
    #[inline(always)]
    pub(super) fn text(&mut self, col: Col, text: &str) -> i32 {
        let codes = &mut self.texts[col as usize];
        match codes.recent(text.as_bytes()) {
            Some(code) => code,
            None => codes.other_code(text.as_bytes(), &mut self.bytes),
        }
    }

    /// The codes of a domain and of whoever runs its mailboxes, which is asked once for each domain.
    #[inline]
    pub(super) fn domain(&mut self, domain: &str, ask: fn(&str) -> &'static str) -> (i32, i32) {
        let code = self.text(Col::RecipientDomain, domain);
        let place = code.cast_unsigned() as usize;
        if let Some(Some(provider)) = self.providers.get(place) {
            return (code, *provider);
        }
        let provider = self.text(Col::MailboxProvider, ask(domain));
        if self.providers.len() <= place {
            self.providers.resize(place + 1, None);
        }
        self.providers[place] = Some(provider);
        (code, provider)
    }

    /// The code of a set of tags; `None` if there are none.
    pub(super) fn tags(&mut self, tags: &Tags<'_>) -> Option<i32> {
        self.tags.code(tags)
    }

    /// Bytes of all values. Arrow's offsets are 32 bits wide, so they must not become too many.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.tags.bytes()
    }

    /// Ends all dictionaries and begins new ones.
    pub(super) fn finish(&mut self, rows: usize, tags: &DataType) -> ValueArrays {
        if self.nothing.len() < rows {
            self.nothing = new_null_array(&coded_type(&DataType::Utf8), rows);
        }
        self.providers.clear();
        self.bytes = 0;
        ValueArrays {
            texts: self.texts.each_mut().map(TextCodes::finish),
            tags: self.tags.finish(tags),
            nothing: Arc::clone(&self.nothing),
        }
    }
}

/// The dictionaries of all coded columns, complete.
#[derive(Debug)]
pub(super) struct ValueArrays {
    texts: [ArrayRef; COLS],
    tags: ArrayRef,
    nothing: ArrayRef,
}

impl ValueArrays {
    /// A column of codes as an array.
    pub(super) fn texts(&self, col: usize, codes: &mut CodeColumn, rows: usize) -> ArrayRef {
        if codes.is_empty() && rows <= self.nothing.len() {
            return self.nothing.slice(0, rows);
        }
        array_of(codes, rows, &self.texts[col])
    }

    /// The column of tags as an array.
    pub(super) fn tags(&self, codes: &mut CodeColumn, rows: usize) -> ArrayRef {
        array_of(codes, rows, &self.tags)
    }
}

fn array_of(codes: &mut CodeColumn, rows: usize, values: &ArrayRef) -> ArrayRef {
    let (codes, nulls) = codes.finish(rows);
    let keys = Int32Array::new(codes.into(), nulls);
    Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::clone(values)))
}

/// The same text in every row that comes from the same origin. `runs` says from which row on which
/// text; `None` is none.
pub(super) fn repeated<'t>(
    runs: impl Iterator<Item = (usize, Option<&'t str>)>,
    rows: usize,
) -> ArrayRef {
    let mut texts: Vec<&str> = Vec::new();
    let mut codes = CodeColumn::default();
    let mut runs = runs.peekable();
    while let Some((start, text)) = runs.next() {
        let end = runs.peek().map_or(rows, |(next, _)| *next);
        let Some(text) = text else { continue };
        // A run is a whole object or record: far fewer than 2^31 of them.
        let code = i32::try_from(texts.len()).unwrap_or(i32::MAX);
        texts.push(text);
        for row in start..end {
            codes.set(row, code);
        }
    }
    let values: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    array_of(&mut codes, rows, &values)
}
