//! From an object's bytes to chunks that can be decoded by themselves: responsible for cutting
//! only where a document ends, and for bounding what one record may take.
//!
//! Invariant: the chunks of an object, put together, are its decompressed bytes, apart from a byte
//! order mark at the beginning and, where the object is damaged, the torn document at the end
//! (which comes whole when the repaired object is read again).
//!
//! Where the cuts are depends on the bytes alone, except for streams that fall quiet: what came so
//! far is then cut off early, so that it can be flushed in time.

use hearback_transform::Shape;
use hearback_transform::framing::{self, Splitter};

use super::buffer::Buffer;
use crate::source::{Content, Damage, Filled, Format};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes kept back at the end of a part of a record that is too long: what ends it may begin there.
const KEPT_BACK: usize = 64;

/// What a chunk's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole documents.
    Documents(Shape),
    /// A part of a record that is too long to be held; the first part is 1.
    Overlong { part: u32 },
}

/// A chunk; its bytes are in the buffer it was read into.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Offset of the first byte in the decompressed object.
    pub(crate) offset: u64,
    pub(crate) kind: Kind,
    /// Whether the object ends with this chunk, and how.
    pub(crate) end: Option<End>,
}

/// How an object ends.
#[derive(Debug)]
pub(crate) enum End {
    Whole,
    Damaged(Damage),
}

/// How many bytes a chunk has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Unless it is the last of its object or its record is longer.
    pub(crate) usual: usize,
    /// At most; a record that is longer becomes rejects.
    pub(crate) longest: usize,
}

/// What the next bytes of the object are in the middle of.
enum Position {
    /// Nothing: a document begins.
    Top,
    /// An array at the top. The splitter has followed everything that was read.
    Array(Box<Splitter>),
    /// A record that is too long; this many parts of it are out.
    Overlong { parts: u32 },
}

/// Where the buffer is cut, and what comes behind.
struct Cut {
    at: usize,
    then: Position,
}

/// Reads one object chunk by chunk.
pub(crate) struct ChunkStream {
    content: Content,
    limits: Limits,
    /// Read already, but behind the last cut.
    carry: Vec<u8>,
    /// Offset of the first byte of `carry`.
    offset: u64,
    position: Position,
    at_start: bool,
}

impl ChunkStream {
    pub(crate) fn new(content: Content, limits: Limits) -> Self {
        Self {
            content,
            limits,
            carry: Vec::new(),
            offset: 0,
            position: Position::Top,
            at_start: true,
        }
    }

    /// Bytes taken from the source so far, as stored.
    pub(crate) fn stored(&self) -> u64 {
        self.content.stored()
    }

    /// Whether reading a chunk takes about as long as decoding it.
    pub(crate) fn is_compressed(&self) -> bool {
        self.content.is_compressed()
    }

    /// Reads the next chunk into `buffer`; `None` if the stream is quiet and nothing whole is there.
    /// Not to be called again after a chunk with an end.
    pub(crate) fn next(&mut self, buffer: &mut Buffer) -> Option<Chunk> {
        buffer.clear(self.limits.usual);
        buffer.push(&self.carry);
        self.carry.clear();
        let mut search = Search::behind(buffer.len());
        let mut goal = self.limits.usual.max(buffer.len() + self.limits.usual / 2);
        loop {
            goal = goal.min(self.limits.longest).max(buffer.len());
            let (count, outcome) = self.content.fill(buffer.room(goal));
            buffer.grow(count);
            let filled = match outcome.and_then(|filled| self.inspect_start(buffer, filled)) {
                Ok(filled) => filled,
                Err(damage) => {
                    let whole = self.whole_documents(buffer.filled(), &search);
                    buffer.truncate(whole);
                    return Some(self.emit(buffer, Position::Top, Some(End::Damaged(damage))));
                }
            };
            let ends_here = match self.position {
                Position::Overlong { .. } => first_boundary(buffer.filled()).is_none(),
                Position::Top | Position::Array(_) => true,
            };
            if filled == Filled::End && ends_here {
                return Some(self.emit(buffer, Position::Top, Some(End::Whole)));
            }
            if let Some(cut) = self.cut(buffer.filled(), &mut search) {
                self.carry.extend_from_slice(&buffer.filled()[cut.at..]);
                buffer.truncate(cut.at);
                return Some(self.emit(buffer, cut.then, None));
            }
            if filled == Filled::Idle {
                self.carry.extend_from_slice(buffer.filled());
                return None;
            }
            goal = buffer.len() * 2;
        }
    }

    fn emit(&mut self, buffer: &Buffer, then: Position, end: Option<End>) -> Chunk {
        let (kind, then) = match (std::mem::replace(&mut self.position, Position::Top), then) {
            (Position::Overlong { parts }, then) => (Kind::Overlong { part: parts + 1 }, then),
            (_, Position::Overlong { parts: 1 }) => {
                (Kind::Overlong { part: 1 }, Position::Overlong { parts: 1 })
            }
            (Position::Array(_), then) => (Kind::Documents(Shape::ArrayElements), then),
            (Position::Top, then) => (Kind::Documents(Shape::Documents), then),
        };
        self.position = then;
        let offset = self.offset;
        self.offset += buffer.len() as u64;
        Chunk { offset, kind, end }
    }

    /// Looks once at the first bytes: skips a byte order mark, and refuses what no one can read.
    fn inspect_start(&mut self, buffer: &mut Buffer, filled: Filled) -> Result<Filled, Damage> {
        if !self.at_start || (filled == Filled::Idle && buffer.len() < BYTE_ORDER_MARK.len()) {
            return Ok(filled);
        }
        self.at_start = false;
        if self.content.is_compressed() {
            let inside = match Format::of(buffer.filled()) {
                Format::Plain => None,
                Format::Gzip | Format::Zstd => Some("compressed once more"),
                Format::Foreign(what) => Some(what),
            };
            if let Some(what) = inside {
                buffer.truncate(0);
                return Err(Damage::foreign(what));
            }
        }
        if buffer.filled().starts_with(BYTE_ORDER_MARK) {
            buffer.drop_front(BYTE_ORDER_MARK.len());
            self.offset += BYTE_ORDER_MARK.len() as u64;
        }
        Ok(filled)
    }

    /// The last place where the bytes may be cut, if there is one.
    fn cut(&mut self, bytes: &[u8], search: &mut Search) -> Option<Cut> {
        let start = search.followed;
        search.followed = bytes.len();
        match &mut self.position {
            Position::Top => {
                if let Some(at) = framing::last_boundary(bytes) {
                    return Some(Cut { at, then: Position::Top });
                }
                let (splitter, start) = match search.splitter.take() {
                    Some(splitter) => (search.splitter.insert(splitter), start),
                    // Nothing was followed of what an earlier call carried over.
                    None => (search.splitter.insert(Box::default()), 0),
                };
                if let Some(cut) = splitter.advance(&bytes[start..]) {
                    let splitter = splitter.clone();
                    return Some(Cut { at: start + cut.at, then: behind(cut.shape, splitter) });
                }
            }
            Position::Array(splitter) => {
                if let Some(cut) = splitter.advance(&bytes[start..]) {
                    let splitter = splitter.clone();
                    return Some(Cut { at: start + cut.at, then: behind(cut.shape, splitter) });
                }
            }
            Position::Overlong { parts } => {
                if let Some(at) = first_boundary(bytes) {
                    return Some(Cut { at, then: Position::Top });
                }
                if bytes.len() >= self.limits.usual {
                    return Some(Cut {
                        at: bytes.len() - KEPT_BACK,
                        then: Position::Overlong { parts: *parts + 1 },
                    });
                }
            }
        }
        (bytes.len() >= self.limits.longest)
            .then_some(Cut { at: bytes.len(), then: Position::Overlong { parts: 1 } })
    }

    /// How many of the bytes are whole documents, in an object that is damaged behind them.
    fn whole_documents(&self, bytes: &[u8], search: &Search) -> usize {
        match &self.position {
            Position::Top => Splitter::new().advance(bytes).map_or(0, |cut| cut.at),
            Position::Array(splitter) => {
                let mut splitter = splitter.clone();
                splitter
                    .advance(&bytes[search.followed..])
                    .map_or(0, |cut| search.followed + cut.at)
            }
            Position::Overlong { .. } => 0,
        }
    }
}

/// How far the bytes of a growing chunk have been followed.
struct Search {
    splitter: Option<Box<Splitter>>,
    followed: usize,
}

impl Search {
    fn behind(carried: usize) -> Self {
        Self { splitter: None, followed: carried }
    }
}

fn behind(shape: Shape, splitter: Box<Splitter>) -> Position {
    match shape {
        Shape::Documents => Position::Top,
        Shape::ArrayElements => Position::Array(splitter),
    }
}

/// The first place where, whatever came before, a new document must begin: a `{` behind a `}` with
/// a line end between them, or directly behind it and before a key. In valid JSON a comma stands
/// between two objects that are not documents of their own, a string has no line ends, and a string
/// that ends with `}{` is not followed by the beginning of a key.
fn first_boundary(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = memchr::memchr(b'{', &bytes[from..]) {
        let at = from + found;
        from = at + 1;
        let before = &bytes[..at];
        let tight = before.trim_ascii_end();
        if tight.last() != Some(&b'}') {
            continue;
        }
        if before[tight.len()..].contains(&b'\n') {
            return Some(at);
        }
        let key = bytes[from..].strip_prefix(b"\"").and_then(<[u8]>::first);
        if tight.len() == at
            && key.is_some_and(|letter| letter.is_ascii_alphanumeric() || *letter == b'_')
        {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests;
