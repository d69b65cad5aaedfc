//! Pinpoint event streams.

use crate::decode::DecodeOptions;
use crate::event::Event;
use crate::json::Result;
use crate::json::reader::Reader;

/// What a Pinpoint document turned out to be.
#[derive(Debug)]
pub(crate) enum Pinpoint<'a> {
    /// An event.
    Event(Box<Event<'a>>),
    /// A document that is Pinpoint's and carries no event.
    Control,
}

/// Reads a document that the reader stands before; `None` if it is not Pinpoint's.
pub(crate) fn read<'a>(
    reader: &mut Reader<'a>,
    _options: &DecodeOptions,
) -> Result<Option<Pinpoint<'a>>> {
    reader.skip()?;
    Ok(None)
}
