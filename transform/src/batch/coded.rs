//! Columns of few different values: rows hold codes, the values are kept once for all dates of a call.
//!
//! Owns the invariant that codes and dictionaries belong together: they are begun and ended at once.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, StringArray, new_null_array};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::columns::NumberColumn;
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
    /// For each code of a domain, that of its provider; or none yet.
    providers: Vec<Option<i32>>,
    /// Rows without any value, for columns that have none.
    nothing: ArrayRef,
}

/// The values of one column.
#[derive(Debug, Default)]
struct TextCodes {
    dictionary: Dictionary,
    /// The code that was given out last …
    last: i32,
    /// … and where its text stands in the dictionary; nowhere if there is none.
    last_text: Range<usize>,
}

impl TextCodes {
    #[inline(always)]
    fn code(&mut self, text: &str) -> i32 {
        let text = text.as_bytes();
        let last = self.dictionary.bytes().get(self.last_text.clone()).unwrap_or_default();
        if !text.is_empty() && equal(last, text) {
            return self.last;
        }
        self.other_code(text)
    }

    fn other_code(&mut self, text: &[u8]) -> i32 {
        let code = self.dictionary.code(text);
        let end = self.dictionary.ends()[code as usize] as usize;
        self.last_text = end - text.len()..end;
        self.last = code.cast_signed();
        self.last
    }

    fn finish(&mut self) -> ArrayRef {
        let mut offsets = Vec::with_capacity(self.dictionary.len() + 1);
        offsets.push(0);
        offsets.extend(self.dictionary.ends().iter().map(|end| end.cast_signed()));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let bytes = Buffer::from(self.dictionary.bytes());
        self.dictionary.clear();
        self.last_text = 0..0;
        Arc::new(StringArray::new(offsets, bytes, None))
    }
}

impl Default for Values {
    fn default() -> Self {
        Self {
            texts: std::array::from_fn(|_| TextCodes::default()),
            tags: TagSets::default(),
            providers: Vec::new(),
            nothing: new_null_array(&coded_type(&DataType::Utf8), 0),
        }
    }
}

impl Values {
    /// The code of a text in its column.
    #[inline(always)]
    pub(super) fn text(&mut self, col: Col, text: &str) -> i32 {
        self.texts[col as usize].code(text)
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
        let texts: usize = self.texts.iter().map(|codes| codes.dictionary.bytes().len()).sum();
        texts + self.tags.bytes()
    }

    /// Ends all dictionaries and begins new ones.
    pub(super) fn finish(&mut self, rows: usize, tags: &DataType) -> ValueArrays {
        if self.nothing.len() < rows {
            self.nothing = new_null_array(&coded_type(&DataType::Utf8), rows);
        }
        self.providers.clear();
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
    pub(super) fn texts(&self, col: usize, codes: &mut NumberColumn<i32>, rows: usize) -> ArrayRef {
        if codes.is_empty() && rows <= self.nothing.len() {
            return self.nothing.slice(0, rows);
        }
        array_of(codes, rows, &self.texts[col])
    }

    /// The column of tags as an array.
    pub(super) fn tags(&self, codes: &mut NumberColumn<i32>, rows: usize) -> ArrayRef {
        array_of(codes, rows, &self.tags)
    }
}

fn array_of(codes: &mut NumberColumn<i32>, rows: usize, values: &ArrayRef) -> ArrayRef {
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
    let mut codes = NumberColumn::default();
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
