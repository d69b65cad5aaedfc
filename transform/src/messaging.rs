//! AWS End User Messaging: SMS, MMS and voice events, which share the key `eventType` with SES.
//!
//! End User Messaging guide, "Event format". They are flat objects and no email feedback; they are
//! kept as rows of type `unknown` so that nothing on a shared stream is lost.

use std::borrow::Cow;

use hearback_schemas::{Channel, Source};

use crate::event::{Col, Event, Recipient};
use crate::extra::{ExtraField, ExtraValue};
use crate::json::Result;
use crate::json::reader::Reader;

/// Whether this is an event type of End User Messaging.
pub(crate) fn is_messaging(type_name: &str) -> bool {
    channel_of(type_name).is_some()
}

fn channel_of(type_name: &str) -> Option<Channel> {
    match type_name.split_once('_')?.0 {
        "TEXT" | "MEDIA" => Some(Channel::Sms),
        "VOICE" => Some(Channel::Voice),
        _ => None,
    }
}

/// Reads a document that the reader stands before into an empty event.
pub(crate) fn read<'a>(reader: &mut Reader<'a>, event: &mut Event<'a>) -> Result<()> {
    event.source = Source::EndUserMessaging;
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        match key.as_ref() {
            "eventType" => event.type_name = event.read_field(reader, &[], key)?,
            "eventTimestamp" => event.time = event.read_time(reader, &[], key)?,
            "messageRequestTimestamp" => event.sent_time = event.read_time(reader, &[], key)?,
            "messageId" => event.read_text(reader, Col::MessageId, &[], key)?,
            "destinationPhoneNumber" => {
                event.named.clear();
                if let Some(given) = event.read_field(reader, &[], key)? {
                    event.named.push(Recipient { given: Some(given), ..Recipient::default() });
                }
            }
            _ => {
                let raw = reader.skip()?;
                event.keep(&[], key, raw);
            }
        }
    }
    if let Some(name) = &event.type_name {
        event.channel = channel_of(name);
        event.extra.push(ExtraField {
            path: &[],
            key: Cow::Borrowed("eventType"),
            value: ExtraValue::Text(name.clone()),
        });
    }
    Ok(())
}
