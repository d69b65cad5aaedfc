//! A pull reader over a text that holds JSON values.
//!
//! Owns the invariant that every slice handed out is a part of the input, so positions in the input
//! can be computed from it.

use std::borrow::Cow;

use super::block::{self, BLOCK, Carry, Machine, Plain};
use super::{JsonError, Result, text};

/// A string as it stands between its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawString<'a> {
    /// What stands between the quotes.
    pub inner: &'a str,
    /// Whether there are escapes in it.
    pub escaped: bool,
}

impl<'a> RawString<'a> {
    /// The text that the string means.
    #[inline]
    pub(crate) fn decode(self) -> Result<Cow<'a, str>> {
        if self.escaped {
            let mut out = String::new();
            text::unescape(self.inner, &mut out)?;
            return Ok(Cow::Owned(out));
        }
        Ok(Cow::Borrowed(self.inner))
    }
}

/// What a field holds where a text is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    /// `null`
    Null,
    /// A string; or a number, `true` or `false` as it is written.
    Text(Cow<'a, str>),
    /// An object or array, as it is written.
    Nested(&'a str),
}

/// Reads JSON values one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        Self::at(text, 0)
    }

    /// A reader in the middle of `text`.
    pub(crate) fn at(text: &'a str, pos: usize) -> Self {
        Self { text, bytes: text.as_bytes(), pos }
    }

    /// Offset of what is read next.
    pub(crate) fn position(&self) -> usize {
        self.pos
    }

    /// The text from `start` to here.
    #[inline]
    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.pos]
    }

    /// What has not been read.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.pos..]
    }

    /// Takes the next `length` bytes, which end where a character does.
    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> &'a str {
        let start = self.pos;
        self.pos += length;
        self.since(start)
    }

    /// The next byte that is not white space, without consuming it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<u8> {
        loop {
            match self.bytes.get(self.pos) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.pos += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(JsonError::Truncated),
            }
        }
    }

    #[inline]
    fn expect(&mut self, wanted: u8) -> Result<()> {
        if self.peek()? != wanted {
            return Err(JsonError::Malformed);
        }
        self.pos += 1;
        Ok(())
    }

    /// Enters an object.
    #[inline]
    pub(crate) fn enter_object(&mut self) -> Result<()> {
        self.expect(b'{')
    }

    /// Enters an array.
    #[inline]
    pub(crate) fn enter_array(&mut self) -> Result<()> {
        self.expect(b'[')
    }

    /// The next key of the object that was entered, with its colon; `None` at the object's end.
    /// `first` is true for the first call and set to false by it.
    #[inline(always)]
    pub(crate) fn key(&mut self, first: &mut bool) -> Result<Option<Cow<'a, str>>> {
        match self.peek()? {
            b'}' => {
                self.pos += 1;
                return Ok(None);
            }
            b',' if !*first => {
                self.pos += 1;
                if self.peek()? != b'"' {
                    return Err(JsonError::Malformed);
                }
            }
            b'"' if *first => {}
            _ => return Err(JsonError::Malformed),
        }
        *first = false;
        let key = match self.short_string() {
            Some(key) => Cow::Borrowed(key),
            None => self.string()?.decode()?,
        };
        if self.bytes.get(self.pos) == Some(&b':') {
            self.pos += 1;
        } else {
            self.expect(b':')?;
        }
        Ok(Some(key))
    }

    /// The string that the reader stands before, if it is short and nothing in it is escaped. Else the
    /// reader stays where it is.
    #[inline(always)]
    fn short_string(&mut self) -> Option<&'a str> {
        let start = self.pos + 1;
        let length = text::short_length(self.bytes.get(start..)?)?;
        self.pos = start + length + 1;
        // SAFETY: `length` bytes after `start` stands a quote, and before `start` another, as the
        // callers have seen: a character begins and ends where an ASCII byte stands.
        Some(unsafe { self.text.get_unchecked(start..start + length) })
    }

    /// The bytes where the next key of an object should stand, if there are enough of them and the
    /// comma before it is where it should be.
    #[inline(always)]
    pub(crate) fn lane_of_key(&self, first: bool) -> Option<&'a [u8; 32]> {
        let comma = usize::from(!first);
        if !first && self.bytes.get(self.pos) != Some(&b',') {
            return None;
        }
        self.bytes.get(self.pos + comma..)?.first_chunk()
    }

    /// Takes a key that was found in [`lane_of_key`](Self::lane_of_key), quotes and colon included
    /// `length` bytes.
    #[inline(always)]
    pub(crate) fn take_guessed_key(&mut self, first: bool, length: usize) -> &'a str {
        let start = self.pos + usize::from(!first);
        self.pos = start + length;
        // SAFETY: the lane begins at `start`, inside the text, and was found to hold a text between two
        // quotes and a colon there: a character begins and ends where an ASCII byte stands.
        unsafe { self.text.get_unchecked(start + 1..start + length - 2) }
    }

    /// The text of a short string without escapes that stands right here. Else the reader stays where
    /// it is: [`field`](Self::field) reads whatever stands there.
    #[inline(always)]
    pub(crate) fn plain_text(&mut self) -> Option<&'a str> {
        if self.bytes.get(self.pos) != Some(&b'"') {
            return None;
        }
        self.short_string()
    }

    /// Whether the array that was entered has another element; at its end it is left. `first` is
    /// true for the first call and set to false by it.
    #[inline]
    pub(crate) fn element(&mut self, first: &mut bool) -> Result<bool> {
        match self.peek()? {
            b']' => {
                self.pos += 1;
                return Ok(false);
            }
            b',' if !*first => {
                self.pos += 1;
                if self.peek()? == b']' {
                    return Err(JsonError::Malformed);
                }
            }
            _ if *first => {}
            _ => return Err(JsonError::Malformed),
        }
        *first = false;
        Ok(true)
    }

    /// A string.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<RawString<'a>> {
        self.expect(b'"')?;
        let start = self.pos;
        let mut escaped = false;
        loop {
            let at = text::special(self.bytes, self.pos);
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.pos = at + 1;
                    return Ok(RawString { inner: &self.text[start..at], escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.pos = at + 2;
                }
                Some(_) => {
                    self.pos = at;
                    return Err(JsonError::Control);
                }
                None => {
                    self.pos = self.bytes.len();
                    return Err(JsonError::Truncated);
                }
            }
        }
    }

    /// A value where a text is expected.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Field<'a>> {
        match self.peek()? {
            b'"' => match self.short_string() {
                Some(text) => Ok(Field::Text(Cow::Borrowed(text))),
                None => Ok(Field::Text(self.string()?.decode()?)),
            },
            b'{' | b'[' => Ok(Field::Nested(self.skip_container()?)),
            b'n' => {
                self.skip_scalar()?;
                Ok(Field::Null)
            }
            _ => Ok(Field::Text(Cow::Borrowed(self.skip_scalar()?))),
        }
    }

    /// Skips any value and gives it back as it is written.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<&'a str> {
        match self.peek()? {
            b'"' => {
                let start = self.pos;
                if self.short_string().is_none() {
                    self.string()?;
                }
                Ok(self.since(start))
            }
            b'[' => match self.list_of_one_text() {
                Some(list) => Ok(list),
                None => self.skip_container(),
            },
            b'{' => self.skip_container(),
            _ => self.skip_scalar(),
        }
    }

    /// A list of one short text without escapes. Else the reader stays where it is.
    #[inline]
    fn list_of_one_text(&mut self) -> Option<&'a str> {
        let start = self.pos;
        let inside = self.bytes.get(start + 1..)?.strip_prefix(b"\"")?;
        let length = text::short_length(inside)?;
        (inside.get(length + 1) == Some(&b']')).then(|| self.take(length + 4))
    }

    /// Skips an object or array by its brackets.
    pub(crate) fn skip_container(&mut self) -> Result<&'a str> {
        let start = self.pos;
        self.pos = container_end(self.bytes, start)?;
        self.text.get(start..self.pos).ok_or(JsonError::Malformed)
    }

    /// A number, `true`, `false` or `null`.
    fn skip_scalar(&mut self) -> Result<&'a str> {
        let start = self.pos;
        let rest = &self.bytes[start..];
        let ends = |byte: &u8| ENDS_SCALAR[usize::from(*byte)];
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        let scalar = &rest[..length];
        if !matches!(scalar, b"null" | b"true" | b"false") && !is_number(scalar) {
            return Err(JsonError::Malformed);
        }
        self.pos = start + length;
        Ok(self.since(start))
    }
}

/// Bytes that may stand behind a number or a word.
static ENDS_SCALAR: [bool; 256] = {
    let mut ends = [false; 256];
    let bytes = b",}] \n\r\t:\"";
    let mut at = 0;
    while at < bytes.len() {
        ends[bytes[at] as usize] = true;
        at += 1;
    }
    ends
};

/// Where the object or array that begins at `start` ends, by its brackets alone.
pub(crate) fn container_end(bytes: &[u8], start: usize) -> Result<usize> {
    #[cfg(target_arch = "x86_64")]
    if block::machine_is_wide() {
        // SAFETY: the machine has what the function is compiled for.
        return unsafe { container_end_wide(bytes, start) };
    }
    follow::<Plain>(bytes, start)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,pclmulqdq")]
fn container_end_wide(bytes: &[u8], start: usize) -> Result<usize> {
    follow::<block::Wide>(bytes, start)
}

#[inline(always)]
fn follow<M: Machine>(bytes: &[u8], start: usize) -> Result<usize> {
    let mut carry = Carry::default();
    let mut depth: usize = 0;
    let mut offset = start;
    let (blocks, rest) = bytes[start..].as_chunks::<BLOCK>();
    for block in blocks {
        if let Some(end) = step::<M>(block, &mut carry, &mut depth)? {
            return Ok(offset + end);
        }
        offset += BLOCK;
    }
    let mut last = [b' '; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    match step::<M>(&last, &mut carry, &mut depth)? {
        Some(end) => Ok(offset + end),
        None => Err(JsonError::Truncated),
    }
}

/// Follows one block; gives back the offset behind the bracket that ends the container.
#[inline(always)]
fn step<M: Machine>(
    block: &[u8; BLOCK],
    carry: &mut Carry,
    depth: &mut usize,
) -> Result<Option<usize>> {
    let masks = M::masks(block);
    let string = carry.string_mask_by::<M>(&masks);
    let open = masks.open & !string;
    let mut close = masks.close & !string;
    let closing = close.count_ones() as usize;
    if *depth > closing {
        if masks.control & string != 0 {
            return Err(JsonError::Control);
        }
        *depth = *depth + open.count_ones() as usize - closing;
        return Ok(None);
    }
    // This block may hold the end: only what stands before it counts.
    let mut seen: usize = 0;
    while close != 0 {
        let at = close.trailing_zeros();
        let before = (1u64 << at) - 1;
        seen += 1;
        if *depth + (open & before).count_ones() as usize == seen {
            if masks.control & string & before != 0 {
                return Err(JsonError::Control);
            }
            return Ok(Some(at as usize + 1));
        }
        close &= close - 1;
    }
    if masks.control & string != 0 {
        return Err(JsonError::Control);
    }
    *depth = *depth + open.count_ones() as usize - closing;
    Ok(None)
}

/// Whether this is a number of RFC 8259.
fn is_number(text: &[u8]) -> bool {
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    match rest {
        [b'0', tail @ ..] => rest = tail,
        [b'1'..=b'9', ..] => rest = without_digits(rest),
        _ => return false,
    }
    if let [b'.', tail @ ..] = rest {
        rest = without_digits(tail);
        if rest.len() == tail.len() {
            return false;
        }
    }
    if let [b'e' | b'E', tail @ ..] = rest {
        let digits = match tail {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        rest = without_digits(digits);
        if rest.len() == digits.len() {
            return false;
        }
    }
    rest.is_empty()
}

fn without_digits(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    &text[end..]
}

#[cfg(test)]
mod tests;
