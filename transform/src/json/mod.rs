//! Reading JSON in place, at the speed of the memory it lies in.
//!
//! The reader hands out slices of its input and never builds a tree. It is lenient about what a
//! field holds (a number where a text is expected), strict about what JSON is where it looks (raw
//! control characters, bad UTF-8), and skips what nobody asks for by its brackets alone. Nothing in
//! here recurses, so no depth of nesting can exhaust the stack.

pub(crate) mod block;
