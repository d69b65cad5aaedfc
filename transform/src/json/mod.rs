//! Reading JSON in place, at the speed of the memory it lies in.
//!
//! The reader hands out slices of its input and never builds a tree. It is lenient about what a
//! field holds (a number where a text is expected), strict about what JSON is where it looks (raw
//! control characters, bad escapes), and skips what nobody asks for by its brackets alone: a
//! skipped value is only known to end where its brackets balance. No depth of nesting can exhaust
//! the stack.

pub(crate) mod block;
pub(crate) mod canonical;
pub(crate) mod keys;
pub(crate) mod reader;
pub(crate) mod text;

/// Why a text is not the JSON it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// The text ends inside a value.
    #[error("ends in the middle of a JSON value")]
    Truncated,
    /// Something stands where the grammar does not allow it.
    #[error("not valid JSON")]
    Malformed,
    /// A control character stands in a string without an escape.
    #[error("control character in a JSON string")]
    Control,
    /// Values are nested deeper than [`canonical::MAX_DEPTH`].
    #[error("nested too deep")]
    TooDeep,
}

/// What a read gives back.
pub(crate) type Result<T> = std::result::Result<T, JsonError>;
