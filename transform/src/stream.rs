//! A stream of JSON values, and what to do where it is none.
//!
//! Owns two invariants. Every byte of the source that is not white space (or the comma and brackets
//! around array elements) belongs to exactly one document, which is accepted, ignored or rejected.
//! And a bad document takes nothing good with it: reading goes on behind its last bracket if its
//! brackets balance, else behind its line, and in either case where the next document begins.

use std::borrow::Cow;

use crate::batch::Batches;
use crate::decode::{Counts, DecodeOptions, Place, Reject, Shape};
use crate::envelope::MAX_ENVELOPES;
use crate::event::{Event, Lists};
use crate::json::JsonError;
use crate::json::reader::{RawString, Reader, container_end};
use crate::rows::{Provenance, RowWriter};
use crate::ses;

/// How many times its own length a source may be looked through for the ends and beginnings of bad
/// documents. Beyond that every line is taken for itself.
const RECOVERY_FACTOR: u64 = 64;
/// What a short source may be looked through besides, in bytes.
const RECOVERY_FLOOR: u64 = 1 << 20;

/// A part of the source that stands by itself, and how many documents it has given so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'s> {
    pub place: Place<'s>,
    pub ordinal: u64,
    /// Its bytes; `None` as long as it is the document itself.
    pub raw: Option<&'s [u8]>,
}

/// One pass over a source.
#[derive(Debug)]
pub(crate) struct Reading<'d> {
    pub options: &'d DecodeOptions,
    rows: &'d mut RowWriter,
    batches: &'d mut Batches,
    pub ses: &'d mut ses::Memory,
    source: (usize, usize),
    place: Place<'d>,
    pub counts: Counts,
    rejects: Vec<Reject>,
    recovery: u64,
    place_text: String,
    /// Lists of the event before; none while an event has them.
    pub lists: &'d mut Option<Lists>,
}

impl<'d> Reading<'d> {
    /// A pass over `source`.
    pub(crate) fn new(
        options: &'d DecodeOptions,
        rows: &'d mut RowWriter,
        batches: &'d mut Batches,
        ses: &'d mut ses::Memory,
        lists: &'d mut Option<Lists>,
        source: &[u8],
        place: Place<'d>,
    ) -> Self {
        Self {
            options,
            rows,
            batches,
            ses,
            source: (source.as_ptr() as usize, source.len()),
            place,
            counts: Counts::default(),
            rejects: Vec::new(),
            recovery: RECOVERY_FLOOR + RECOVERY_FACTOR * source.len() as u64,
            place_text: String::new(),
            lists,
        }
    }

    /// Ends the pass.
    pub(crate) fn finish(mut self) -> (Vec<Reject>, Counts) {
        self.counts.records = self.counts.accepted + self.counts.ignored + self.counts.rejected;
        (self.rejects, self.counts)
    }

    /// Reads the source itself.
    pub(crate) fn read_source(&mut self, bytes: &[u8], shape: Shape) {
        let mut site = Site { place: self.place, ordinal: 0, raw: None };
        let mut arrays = u64::from(shape == Shape::ArrayElements);
        if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
            self.read_values(text, &mut arrays, &mut site, 0, Ending::Final);
            return;
        }
        let mut rest = bytes;
        while let Err(error) = simdutf8::compat::from_utf8(rest) {
            // What stands before the bad byte is read as it is; the document around it is rejected.
            let (good, _) = rest.split_at(error.valid_up_to());
            let good = std::str::from_utf8(good).unwrap_or_default();
            let bad = self.read_values(good, &mut arrays, &mut site, 0, Ending::Open);
            let end = self.end_of_bad_bytes(rest, bad, error.valid_up_to());
            let reason = match end > error.valid_up_to() {
                true => "invalid UTF-8",
                false => "ends in the middle of a JSON value",
            };
            self.reject_at(&rest[bad..end], &mut site, reason.into());
            rest = &rest[end..];
        }
        let text = std::str::from_utf8(rest).unwrap_or_default();
        self.read_values(text, &mut arrays, &mut site, 0, Ending::Final);
    }

    /// Reads what an envelope carries.
    pub(crate) fn read_payload(&mut self, text: &str, site: &mut Site<'_>, depth: usize) {
        let before = self.counts;
        let mut arrays = 0;
        self.read_values(text, &mut arrays, site, depth, Ending::Final);
        if self.counts == before {
            self.reject(site, b"", "envelope without content".into());
        }
    }

    /// Reads values until the end and gives back where it is. If the end is open, that is the
    /// beginning of what is not complete.
    fn read_values(
        &mut self,
        text: &str,
        arrays: &mut u64,
        site: &mut Site<'_>,
        depth: usize,
        ending: Ending,
    ) -> usize {
        let bytes = text.as_bytes();
        let mut pos = 0;
        while let Some(byte) = bytes.get(pos) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => pos += 1,
                b'{' => {
                    // A document that is not complete is looked for until the end of the source, but
                    // not over and over again.
                    let limit = match self.recovery {
                        0 => end_of_line(bytes, pos),
                        _ => text.len(),
                    };
                    let mut reader = Reader::at(&text[..limit], pos);
                    let mut own = if depth > 0 { *site } else { self.site_at(text, pos, site) };
                    match self.read_document(&mut reader, &mut own, depth) {
                        Ok(()) => pos = reader.position(),
                        Err(JsonError::Truncated)
                            if ending == Ending::Open && limit == text.len() =>
                        {
                            return pos;
                        }
                        Err(error) => {
                            if error == JsonError::Truncated {
                                self.recovery = self.recovery.saturating_sub((limit - pos) as u64);
                            }
                            let end = self.end_of_bad(text, pos, depth);
                            if ending == Ending::Open && end == text.len() {
                                return pos;
                            }
                            self.reject(&mut own, &bytes[pos..end], error.to_string().into());
                            pos = end;
                        }
                    }
                    self.hand_back(own, site);
                }
                b'[' if opens_elements(&bytes[pos + 1..]) => {
                    *arrays += 1;
                    pos += 1;
                }
                b']' if *arrays > 0 => {
                    *arrays -= 1;
                    pos += 1;
                }
                b',' if *arrays > 0 => pos += 1,
                0xef if bytes[pos..].starts_with("\u{feff}".as_bytes()) => pos += 3,
                _ => {
                    let end = self.end_of_other(text, pos, *arrays > 0, depth);
                    if ending == Ending::Open && end == text.len() {
                        return pos;
                    }
                    let mut own = if depth > 0 { *site } else { self.site_at(text, pos, site) };
                    self.read_other(&text[pos..end], &mut own, depth);
                    self.hand_back(own, site);
                    pos = end;
                }
            }
        }
        pos
    }

    /// The site of the document that begins at `pos`.
    fn site_at<'s>(&self, text: &str, pos: usize, around: &Site<'s>) -> Site<'s> {
        match (self.offset_of(text), around.place) {
            (Some(start), Place::Offset(_)) => {
                let Place::Offset(base) = self.place else { return *around };
                Site { place: Place::Offset(base + (start + pos) as u64), ordinal: 0, raw: None }
            }
            _ => *around,
        }
    }

    /// The site of a part of an envelope that stands by itself.
    pub(crate) fn site_of<'s>(&self, element: &'s str, around: &Site<'s>) -> Site<'s> {
        if self.offset_of(element).is_none() {
            return *around;
        }
        Site { raw: Some(element.as_bytes()), ..self.site_at(element, 0, around) }
    }

    /// Carries on the numbering of documents.
    pub(crate) fn hand_back(&self, own: Site<'_>, around: &mut Site<'_>) {
        match (own.place, around.place) {
            (Place::Offset(own_offset), Place::Offset(offset)) if own_offset != offset => {}
            _ => around.ordinal = own.ordinal,
        }
    }

    /// Where in the source a text stands, if it is a part of it.
    fn offset_of(&self, text: &str) -> Option<usize> {
        let (start, length) = self.source;
        let offset = (text.as_ptr() as usize).checked_sub(start)?;
        (offset + text.len() <= length).then_some(offset)
    }

    /// Takes an event in; what is no event after all is rejected.
    pub(crate) fn accept(&mut self, event: &mut Event<'_>, document: &str, site: &mut Site<'_>) {
        let mut place = std::mem::take(&mut self.place_text);
        write_place(site, &mut place);
        let from = Provenance { document, place: &place };
        let written = self.rows.write(event, from, self.options, self.batches);
        self.place_text = place;
        match written {
            Ok(rows) => {
                self.counts.accepted += 1;
                self.counts.rows += rows;
                site.ordinal += 1;
            }
            Err(reason) => self.reject(site, document.as_bytes(), reason),
        }
    }

    /// Counts a document that carries no event.
    pub(crate) fn ignore(&mut self, site: &mut Site<'_>) {
        self.counts.ignored += 1;
        site.ordinal += 1;
    }

    /// Rejects a document; what is kept is the part of the source that it stands in.
    pub(crate) fn reject(
        &mut self,
        site: &mut Site<'_>,
        document: &[u8],
        reason: Cow<'static, str>,
    ) {
        let mut place = String::new();
        write_place(site, &mut place);
        let raw = site.raw.unwrap_or(document).to_vec();
        self.rejects.push(Reject { place, reason: reason.into_owned(), raw });
        self.counts.rejected += 1;
        site.ordinal += 1;
    }

    fn reject_at(&mut self, bytes: &[u8], site: &mut Site<'_>, reason: Cow<'static, str>) {
        let offset = (bytes.as_ptr() as usize).wrapping_sub(self.source.0) as u64;
        match self.place {
            Place::Offset(base) => {
                let place = Place::Offset(base + offset);
                self.reject(&mut Site { place, ordinal: 0, raw: None }, bytes, reason);
            }
            Place::Sequence(_) => self.reject(site, bytes, reason),
        }
    }

    /// Takes a stretch in that is not an object.
    fn read_other(&mut self, stretch: &str, site: &mut Site<'_>, depth: usize) {
        if ses::is_set_up_notice(stretch) {
            self.ignore(site);
            return;
        }
        let stretch = stretch.trim_end();
        let taken = match stretch.as_bytes().first() {
            Some(b'"') => self.read_quoted(stretch, site, depth),
            Some(b'[') => self.read_list(stretch, site, depth),
            _ => false,
        };
        if !taken {
            self.reject(site, stretch.as_bytes(), "not a JSON object".into());
        }
    }

    /// Reads documents that were written into a JSON text; `false` if it is anything else.
    fn read_quoted(&mut self, stretch: &str, site: &mut Site<'_>, depth: usize) -> bool {
        let mut reader = Reader::new(stretch);
        let Ok(text) = reader.string().and_then(RawString::decode) else { return false };
        let is_document = text.trim_start().starts_with(['{', '[']);
        if !is_document || reader.position() != stretch.len() || depth >= MAX_ENVELOPES {
            return false;
        }
        let mut own = *site;
        own.raw = own.raw.or(Some(stretch.as_bytes()));
        self.read_payload(&text, &mut own, depth + 1);
        site.ordinal = own.ordinal;
        true
    }

    /// Reads the elements of an array inside an array; `false` if there is none to be read.
    fn read_list(&mut self, stretch: &str, site: &mut Site<'_>, depth: usize) -> bool {
        // What only nests is one document, of which nobody can tell what it was meant to be.
        let nesting = stretch.bytes().filter(|byte| !byte.is_ascii_whitespace());
        if nesting.take_while(|byte| *byte == b'[').count() + depth > MAX_ENVELOPES {
            return false;
        }
        let Ok(elements) = elements_of(stretch) else { return false };
        let holds = |first: &[u8]| first.starts_with(b"{") || first.starts_with(b"[");
        if depth >= MAX_ENVELOPES || !elements.iter().any(|element| holds(element.as_bytes())) {
            return false;
        }
        for element in elements {
            let mut own = self.site_of(element, site);
            if element.starts_with('{') {
                let taken = self.read_document(&mut Reader::new(element), &mut own, depth + 1);
                if let Err(error) = taken {
                    self.reject(&mut own, element.as_bytes(), error.to_string().into());
                }
            } else {
                self.read_other(element, &mut own, depth + 1);
            }
            self.hand_back(own, site);
        }
        true
    }

    /// Where a stretch that does not begin with an object ends.
    fn end_of_other(&mut self, text: &str, start: usize, in_array: bool, depth: usize) -> usize {
        if in_array {
            let mut reader = Reader::at(text, start);
            if reader.skip().is_ok() && matches!(reader.peek(), Ok(b',' | b']')) {
                return reader.position();
            }
        } else if text.as_bytes()[start] == b'['
            && let Some(end) = self.balanced_end(text.as_bytes(), start)
        {
            return end;
        }
        let line = if depth > 0 { text.len() } else { end_of_line(text.as_bytes(), start) };
        self.next_beginning(text.as_bytes(), start, line, false)
    }

    /// Where a document that cannot be read ends.
    fn end_of_bad(&mut self, text: &str, start: usize, depth: usize) -> usize {
        let bytes = text.as_bytes();
        let line = end_of_line(bytes, start);
        match self.balanced_end(bytes, start) {
            Some(end) if end <= line => end,
            Some(end) => self.next_line_beginning(bytes, line, end),
            None if depth > 0 => text.len(),
            None => self.next_beginning(bytes, start, line, true),
        }
    }

    /// Where the stretch with an invalid byte at `invalid` ends, that begins at `start`.
    fn end_of_bad_bytes(&mut self, bytes: &[u8], start: usize, invalid: usize) -> usize {
        let line = end_of_line(bytes, start);
        if bytes[start] == b'{'
            && let Some(end) = self.balanced_end(bytes, start)
            && end > invalid
        {
            return if end <= line { end } else { self.next_line_beginning(bytes, line, end) };
        }
        if line < invalid {
            // Not this document holds the invalid byte: it was cut off before.
            return self.next_beginning(bytes, start, line, true);
        }
        self.next_beginning(bytes, invalid, line, true)
    }

    fn balanced_end(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        if self.recovery == 0 {
            return None;
        }
        let end = container_end(bytes, start).ok();
        let seen = end.unwrap_or(bytes.len()) - start;
        self.recovery = self.recovery.saturating_sub(seen as u64);
        end
    }

    /// The first line in `from..end` that begins a document which the lines before cannot hold;
    /// `end` if there is none.
    fn next_line_beginning(&self, bytes: &[u8], from: usize, end: usize) -> usize {
        let mut line = from;
        while line < end {
            let beginning = line + 1 + blanks(&bytes[line + 1..end]);
            let before = bytes[..line].iter().rev().find(|byte| !byte.is_ascii_whitespace());
            if is_beginning(&bytes[beginning..end]) && !matches!(before, Some(b',' | b':' | b'[')) {
                return beginning;
            }
            line = end_of_line(bytes, line + 1);
        }
        end
    }

    /// Where in `start + 1..end` a document begins that is complete; `end` if none does.
    fn next_beginning(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: usize,
        in_document: bool,
    ) -> usize {
        for found in memchr::memchr_iter(b'{', &bytes[start + 1..end]) {
            let at = start + 1 + found;
            let before = bytes[start..at].iter().rev().find(|byte| !byte.is_ascii_whitespace());
            if (in_document && before == Some(&b':')) || !is_beginning(&bytes[at..]) {
                continue;
            }
            if self.balanced_end(bytes, at).is_some() {
                return at;
            }
            if self.recovery == 0 {
                break;
            }
        }
        end
    }
}

/// Whether a text ends where a document ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It does.
    Final,
    /// It may be cut off anywhere.
    Open,
}

fn write_place(site: &Site<'_>, out: &mut String) {
    out.clear();
    match site.place {
        Place::Offset(offset) => out.push_str(itoa::Buffer::new().format(offset)),
        Place::Sequence(sequence) => out.push_str(sequence),
    }
    if site.ordinal > 0 {
        out.push(':');
        out.push_str(itoa::Buffer::new().format(site.ordinal));
    }
}

/// The elements of an array that is the whole text.
fn elements_of(text: &str) -> crate::json::Result<Vec<&str>> {
    let mut elements = Vec::new();
    let mut reader = Reader::new(text);
    reader.enter_array()?;
    let mut first = true;
    while reader.element(&mut first)? {
        elements.push(reader.skip()?);
    }
    Ok(elements)
}

/// Whether an array that goes on like this holds elements to be taken one by one. Of an array of
/// arrays the whole has to be seen first: a long row of brackets is none.
fn opens_elements(rest: &[u8]) -> bool {
    rest.get(blanks(rest)) != Some(&b'[')
}

fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len())
}

fn end_of_line(bytes: &[u8], from: usize) -> usize {
    memchr::memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |found| from + found)
}

/// Names that documents and envelopes begin with.
const FIRST_KEYS: [&[u8]; 16] = [
    b"eventType",
    b"notificationType",
    b"event_type",
    b"version",
    b"Type",
    b"Records",
    b"records",
    b"mail",
    b"messageType",
    b"Message",
    b"id",
    b"detail-type",
    b"invocationId",
    b"requestId",
    b"rawData",
    b"attemptsMade",
];

/// Whether a document seems to begin here.
fn is_beginning(bytes: &[u8]) -> bool {
    let Some(inside) = bytes.strip_prefix(b"{") else { return false };
    let Some(name) = inside[blanks(inside)..].strip_prefix(b"\"") else { return false };
    FIRST_KEYS.iter().any(|key| name.starts_with(key) && name.get(key.len()) == Some(&b'"'))
}
