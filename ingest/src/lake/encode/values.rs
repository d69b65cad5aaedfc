//! The values of one text leaf: codes of a dictionary as long as that pays, plain bytes from then on.
//!
//! Invariant: pages of codes come before plain pages, and every code is in the dictionary that the
//! column ends with. A column falls back to plain pages between two pages only.

use arrow_array::{Array, StringArray};
use hearback_transform::dictionary::Dictionary;
use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::hybrid;
use super::pages::Ending;
use super::properties::{BLOOM_FALSE_POSITIVES, STATISTICS_BYTES, TextProperties};
use super::repeats::Repeats;

/// A dictionary larger than this no longer pays, in bytes.
pub(super) const DICTIONARY_BYTES: usize = 1 << 20;
/// Bytes that a page takes in at most, give or take one value.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// Before each text of a plain page.
const LENGTH_BYTES: usize = size_of::<u32>();

/// Values on their way into pages.
pub(super) struct Values {
    properties: TextProperties,
    mode: Mode,
    /// Smallest and largest of the values that are not in the dictionary.
    plain_bounds: Option<(Vec<u8>, Vec<u8>)>,
    /// Look-up filter, once values are not in the dictionary.
    bloom: Option<Sbbf>,
    dictionary: Dictionary,
    /// Bytes of the dictionary when the page was begun.
    dictionary_before: usize,
    /// Plain values of the page in hand, each behind its length.
    plain: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Coded,
    Plain,
}

impl Values {
    pub(super) fn new(properties: TextProperties) -> Self {
        Self {
            mode: if properties.dictionary { Mode::Coded } else { Mode::Plain },
            properties,
            plain_bounds: None,
            bloom: None,
            dictionary: Dictionary::default(),
            dictionary_before: 0,
            plain: Vec::new(),
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn memory(&self) -> usize {
        let bloom = self.bloom.as_ref().map_or(0, |bloom| bloom.num_blocks() * 32);
        self.dictionary.memory() + self.plain.capacity() + bloom
    }

    /// Whether the page in hand has taken in as much as a page should.
    #[inline]
    pub(super) fn page_is_full(&self) -> bool {
        self.plain.len() + self.dictionary.bytes().len() >= self.dictionary_before + PAGE_BYTES
    }

    /// The code of a value, for pages of codes.
    #[inline]
    pub(super) fn code(&mut self, text: &[u8]) -> u32 {
        self.dictionary.code(text)
    }

    /// Adds a value to a plain page.
    #[inline]
    pub(super) fn push_plain(&mut self, text: &[u8]) -> Result<()> {
        write_plain(text, &mut self.plain)?;
        if self.properties.statistics {
            match &mut self.plain_bounds {
                None => self.plain_bounds = Some((text.to_vec(), text.to_vec())),
                Some((min, _)) if text < min.as_slice() => text.clone_into(min),
                Some((_, max)) if text > max.as_slice() => text.clone_into(max),
                Some(_) => {}
            }
        }
        if let Some(bloom) = &mut self.bloom {
            bloom.insert(text);
        }
        Ok(())
    }

    /// Whether plain values need not be looked at one by one.
    pub(super) fn takes_plain_unseen(&self) -> bool {
        self.mode == Mode::Plain && !self.properties.statistics && self.bloom.is_none()
    }

    /// Adds values, none of them NULL, to a plain page that takes them unseen.
    pub(super) fn push_all_plain(&mut self, texts: &StringArray) {
        let ends = texts.value_offsets();
        let first = ends[0] as usize;
        let last = ends[texts.len()] as usize;
        self.plain.reserve(last - first + texts.len() * LENGTH_BYTES);
        for [start, end] in ends.array_windows() {
            self.plain.extend_from_slice(&(end - start).to_le_bytes());
            self.plain.extend_from_slice(&texts.value_data()[*start as usize..*end as usize]);
        }
    }

    /// Appends the values of the page in hand to its body: those of `codes`, or the plain ones. Gives
    /// back how they are encoded and begins the next page.
    pub(super) fn end_page(
        &mut self,
        codes: &Repeats<u32>,
        body: &mut Vec<u8>,
    ) -> Result<Encoding> {
        if self.mode == Mode::Plain || self.dictionary.is_empty() {
            body.append(&mut self.plain);
            return Ok(Encoding::PLAIN);
        }
        let width = hybrid::width_of(self.dictionary.len());
        body.push(width);
        codes.write(width, body);
        if self.dictionary.bytes().len() > DICTIONARY_BYTES {
            self.fall_back()?;
        }
        self.dictionary_before = self.dictionary.bytes().len();
        Ok(Encoding::RLE_DICTIONARY)
    }

    /// Whether so many values gave a dictionary of nearly as many.
    pub(super) fn hardly_repeat(&self, values: usize) -> bool {
        self.mode == Mode::Coded && self.dictionary.len() * 4 > values * 3
    }

    /// Goes over to plain values before the first page: `codes` are all values so far.
    pub(super) fn fall_back_at_once(&mut self, codes: &Repeats<u32>) -> Result<()> {
        self.fall_back()?;
        let dictionary = std::mem::take(&mut self.dictionary);
        self.dictionary_before = 0;
        match codes {
            Repeats::Each(codes) => {
                codes.iter().try_for_each(|code| self.push_plain(dictionary.get(*code)))
            }
            Repeats::Same(code, count) => {
                (0..*count).try_for_each(|_| self.push_plain(dictionary.get(*code)))
            }
        }
    }

    fn fall_back(&mut self) -> Result<()> {
        self.mode = Mode::Plain;
        if self.properties.bloom {
            let expected = self.properties.distinct.max(self.dictionary.len());
            self.bloom = Some(self.bloom_of_dictionary(expected)?);
        }
        Ok(())
    }

    fn bloom_of_dictionary(&self, distinct: usize) -> Result<Sbbf> {
        let mut bloom = Sbbf::new_with_ndv_fpp(distinct.max(1) as u64, BLOOM_FALSE_POSITIVES)?;
        for text in texts(&self.dictionary) {
            bloom.insert(text);
        }
        Ok(bloom)
    }

    /// Ends the column, `nulls` of whose rows have no value.
    pub(super) fn close(mut self, nulls: usize) -> Result<Ending> {
        let bloom = match self.bloom.take() {
            Some(mut bloom) => {
                bloom.fold_to_target_fpp(BLOOM_FALSE_POSITIVES);
                Some(bloom)
            }
            None if self.properties.bloom => Some(self.bloom_of_dictionary(self.dictionary.len())?),
            None => None,
        };
        let statistics = self.properties.statistics.then(|| self.statistics(nulls));
        let mut dictionary = None;
        if !self.dictionary.is_empty() {
            let count = self.dictionary.len();
            let mut body = Vec::with_capacity(self.dictionary.bytes().len() + 4 * count);
            for text in texts(&self.dictionary) {
                write_plain(text, &mut body)?;
            }
            dictionary = Some((body, count));
        }
        Ok(Ending { dictionary, statistics, bloom })
    }

    fn statistics(&self, nulls: usize) -> Statistics {
        let plain = self.plain_bounds.as_ref();
        let plain_min = plain.map(|(min, _)| min.as_slice());
        let plain_max = plain.map(|(_, max)| max.as_slice());
        let min = texts(&self.dictionary).chain(plain_min).min().and_then(lower_bound);
        let max = texts(&self.dictionary).chain(plain_max).max().and_then(upper_bound);
        let nulls = Some(nulls as u64);
        let known = match (min, max) {
            (Some((min, min_is_exact)), Some((max, max_is_exact))) => {
                let (min, max) = (ByteArray::from(min), ByteArray::from(max));
                ValueStatistics::new(Some(min), Some(max), None, nulls, false)
                    .with_min_is_exact(min_is_exact)
                    .with_max_is_exact(max_is_exact)
            }
            _ => ValueStatistics::new(None, None, None, nulls, false),
        };
        Statistics::ByteArray(known)
    }
}

fn texts(dictionary: &Dictionary) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    dictionary.ends().iter().map(move |end| {
        let text = &dictionary.bytes()[start..*end as usize];
        start = *end as usize;
        text
    })
}

/// Appends a value as `PLAIN` writes it: behind its length.
#[inline]
fn write_plain(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&length(text)?.to_le_bytes());
    out.extend_from_slice(text);
    Ok(())
}

fn length(text: &[u8]) -> Result<i32> {
    i32::try_from(text.len())
        .map_err(|_| ParquetError::General("a value of 2 GiB or more".to_owned()))
}

/// The text, or if it is long a shorter one that is not larger. Says which.
fn lower_bound(text: &[u8]) -> Option<(Vec<u8>, bool)> {
    if text.len() <= STATISTICS_BYTES {
        return Some((text.to_vec(), true));
    }
    let text = std::str::from_utf8(text).ok()?;
    Some((beginning(text).as_bytes().to_vec(), false))
}

/// The text, or if it is long a shorter one that is not smaller. Says which; `None` if there is none.
fn upper_bound(text: &[u8]) -> Option<(Vec<u8>, bool)> {
    if text.len() <= STATISTICS_BYTES {
        return Some((text.to_vec(), true));
    }
    let mut cut = beginning(std::str::from_utf8(text).ok()?);
    // The last character that has a next one of the same length is replaced by it.
    while let Some(last) = cut.chars().next_back() {
        cut = &cut[..cut.len() - last.len_utf8()];
        let next = char::from_u32(u32::from(last) + 1);
        if let Some(next) = next.filter(|next| next.len_utf8() == last.len_utf8()) {
            return Some((format!("{cut}{next}").into_bytes(), false));
        }
    }
    None
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(STATISTICS_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_long_texts_are_short_and_still_bounds() {
        for text in ["b".repeat(100), "é".repeat(50), "\u{10ffff}".repeat(30), "\u{7f}".repeat(70)]
        {
            let (lower, exact) = lower_bound(text.as_bytes()).expect("there always is one");
            assert!(!exact && lower.len() <= STATISTICS_BYTES && *lower <= *text.as_bytes());
            match upper_bound(text.as_bytes()) {
                Some((upper, exact)) => {
                    assert!(!exact && upper.len() <= STATISTICS_BYTES);
                    assert!(*upper >= *text.as_bytes());
                    assert!(std::str::from_utf8(&upper).is_ok());
                }
                None => assert!(text.starts_with(['\u{10ffff}', '\u{7f}'])),
            }
        }
        assert_eq!(upper_bound(b"short"), Some((b"short".to_vec(), true)));
    }
}
