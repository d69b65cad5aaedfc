//! Where a stream of JSON documents may be cut: what makes a long input divisible.
//!
//! Two ways, both pure:
//!
//! - [`last_boundary`] looks backwards for a line end between `}` and `{`. In valid JSON that can
//!   only be a boundary between top-level documents (inside an array a comma would have to stand
//!   there, inside a string the line end would be escaped), so it needs no knowledge of what came
//!   before. This is the fast way, and enough for the lines that most sources write.
//! - [`Splitter`] follows strings and brackets from the beginning, for streams without line ends and
//!   for one array that holds everything.
//!
//! Both cut only between documents as long as the input is valid. Where it is not, they cut where
//! the next document seems to begin; the decoder gives every byte on both sides its due.

use crate::Shape;
use crate::json::block::{self, BLOCK, Carry};

/// The last place in `bytes` where a document ends and, behind a line end, another begins: the
/// offset of the first byte after that line end.
///
/// `None` does not mean that there is no boundary, only that none can be told from a line end.
#[must_use]
pub fn last_boundary(bytes: &[u8]) -> Option<usize> {
    let mut end = bytes.len();
    // What stands behind the line end. Remembered, so that white space is looked at only once.
    let mut after = None;
    while let Some(newline) = memchr::memrchr(b'\n', &bytes[..end]) {
        let line = &bytes[newline + 1..end];
        if let Some(byte) = line.iter().find(|byte| !byte.is_ascii_whitespace()) {
            after = Some(*byte);
        }
        end = newline;
        if after == Some(b'{') {
            let before = bytes[..newline].trim_ascii_end();
            if before.last() == Some(&b'}') {
                return Some(newline + 1);
            }
            end = before.len();
        }
    }
    None
}

/// A place where a stream may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Offset of the first byte after the cut, in the bytes given to [`Splitter::advance`].
    pub at: usize,
    /// What the bytes after the cut begin with; to be passed on to
    /// [`Decoder::decode_shaped`](crate::Decoder::decode_shaped).
    pub shape: Shape,
}

/// Follows the structure of a stream of JSON documents over any number of pieces.
///
/// It may be cut after every top-level document, and after every element of a top-level array. A
/// line end inside a string, and a line that begins with `{` where no value may stand, are taken as
/// the ragged end of a document that was cut off: the stream goes on at the top. Without line ends
/// an unbalanced document hides all boundaries behind it, so a caller that has to bound its memory
/// cuts where it must after a time, and goes on with a new `Splitter`.
#[derive(Clone, Debug)]
pub struct Splitter {
    carry: Carry,
    depth: u64,
    in_array: bool,
    last_significant: u8,
    line_start: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Splitter {
    /// At the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self {
            carry: Carry::default(),
            depth: 0,
            in_array: false,
            last_significant: 0,
            line_start: false,
        }
    }

    /// Follows the next bytes of the stream and gives back the last place in them where it may be
    /// cut, if there is one. Every byte is to be passed exactly once.
    pub fn advance(&mut self, bytes: &[u8]) -> Option<Cut> {
        let mut last = None;
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for (i, block) in blocks.iter().enumerate() {
            if !self.advance_block(block, i * BLOCK, &mut last) {
                self.advance_bytes(block, i * BLOCK, &mut last);
            }
        }
        self.advance_bytes(rest, blocks.len() * BLOCK, &mut last);
        last
    }

    /// Follows a block that has no line ends or other control characters in it; `false` if it has.
    fn advance_block(
        &mut self,
        block: &[u8; BLOCK],
        offset: usize,
        last: &mut Option<Cut>,
    ) -> bool {
        let masks = block::masks(block);
        if masks.control != 0 || self.line_start {
            return false;
        }
        let string = self.carry.string_mask(&masks);
        let mut brackets = (masks.open | masks.close) & !string;
        while brackets != 0 {
            let i = brackets.trailing_zeros() as usize;
            brackets &= brackets - 1;
            self.bracket(block[i], offset + i, last);
        }
        if let Some(byte) = block.iter().rev().find(|byte| **byte != b' ') {
            self.last_significant = *byte;
        }
        true
    }

    fn advance_bytes(&mut self, bytes: &[u8], offset: usize, last: &mut Option<Cut>) {
        let mut in_string = self.carry.in_string();
        let mut escape = self.carry.after_backslash();
        for (i, byte) in bytes.iter().enumerate() {
            if in_string {
                match byte {
                    b'\n' => {
                        in_string = false;
                        escape = false;
                        self.resume_at_top(offset + i, last);
                        self.line_start = true;
                        continue;
                    }
                    _ if escape => escape = false,
                    b'\\' => escape = true,
                    b'"' => in_string = false,
                    _ => {}
                }
                self.last_significant = *byte;
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\r' => continue,
                b'\n' => {
                    self.line_start = true;
                    continue;
                }
                b'"' => in_string = true,
                b'{' if self.line_start && !matches!(self.last_significant, b',' | b':' | b'[') => {
                    self.resume_at_top(offset + i, last);
                    self.bracket(*byte, offset + i, last);
                }
                b'{' | b'[' | b'}' | b']' => self.bracket(*byte, offset + i, last),
                _ => {}
            }
            self.line_start = false;
            self.last_significant = *byte;
        }
        self.carry = Carry::new(in_string, escape);
    }

    fn bracket(&mut self, byte: u8, at: usize, last: &mut Option<Cut>) {
        if matches!(byte, b'{' | b'[') {
            if self.depth == 0 {
                self.in_array = byte == b'[';
            }
            self.depth += 1;
            return;
        }
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.in_array = false;
        }
        if self.depth == self.top() {
            *last = Some(Cut { at: at + 1, shape: self.shape() });
        }
    }

    /// Takes what went before as cut off, and goes on at the top.
    fn resume_at_top(&mut self, at: usize, last: &mut Option<Cut>) {
        if self.depth > self.top() {
            self.depth = self.top();
            *last = Some(Cut { at, shape: self.shape() });
        }
    }

    fn top(&self) -> u64 {
        u64::from(self.in_array)
    }

    fn shape(&self) -> Shape {
        if self.in_array { Shape::ArrayElements } else { Shape::Documents }
    }
}

#[cfg(test)]
mod tests;
