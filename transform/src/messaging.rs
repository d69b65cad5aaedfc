//! AWS End User Messaging: SMS, voice and MMS events, which share the key `eventType` with SES.

use hearback_schemas::Source;

use crate::event::Event;
use crate::json::Result;
use crate::json::reader::Reader;

/// Whether this is an event type of End User Messaging.
pub(crate) fn is_messaging(type_name: &str) -> bool {
    ["TEXT_", "VOICE_", "MEDIA_"].iter().any(|prefix| type_name.starts_with(prefix))
}

/// Reads a document that the reader stands before.
pub(crate) fn read<'a>(reader: &mut Reader<'a>) -> Result<Event<'a>> {
    reader.skip()?;
    Ok(Event::new(Source::Ses))
}
