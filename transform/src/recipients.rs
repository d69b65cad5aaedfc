//! The recipients that an event names, with what it says about each.

use std::borrow::Cow;

use crate::event::{Event, Recipient};
use crate::extra::{ExtraField, ExtraValue, Path};
use crate::json::Result;
use crate::json::reader::{Field, Reader};

/// Reads the recipients that a bounce, complaint or delay names. The documentation calls them
/// objects in an array; one object alone and plain addresses are understood too.
pub(crate) fn read<'a>(
    reader: &mut Reader<'a>,
    event: &mut Event<'a>,
    path: Path,
    element_path: Path,
    key: Cow<'a, str>,
) -> Result<()> {
    event.named.clear();
    let mut odd = false;
    let start_byte = reader.peek()?;
    let start = reader.position();
    if start_byte == b'[' {
        reader.enter_array()?;
        let mut first = true;
        while reader.element(&mut first)? {
            odd |= !read_recipient(reader, event, element_path)?;
        }
    } else {
        odd |= !read_recipient(reader, event, element_path)?;
    }
    if odd {
        event.keep(path, key, reader.since(start));
    }
    Ok(())
}

/// Reads one recipient; `false` if it is none.
fn read_recipient<'a>(reader: &mut Reader<'a>, event: &mut Event<'a>, path: Path) -> Result<bool> {
    if reader.peek()? != b'{' {
        return match reader.field()? {
            Field::Text(given) => {
                event.named.push(Recipient { given: Some(given), ..Recipient::default() });
                Ok(true)
            }
            Field::Null => Ok(true),
            Field::Nested(_) => Ok(false),
        };
    }
    let mut recipient = Recipient::default();
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        let start_byte = reader.peek()?;
        let start = reader.position();
        let wanted = match key.as_ref() {
            "emailAddress" | "email_address" => Some(&mut recipient.given),
            "status" => Some(&mut recipient.status),
            "diagnosticCode" | "diagnostic_code" => Some(&mut recipient.diagnostic),
            _ => None,
        };
        if let Some(wanted) = wanted
            && !matches!(start_byte, b'{' | b'[')
        {
            *wanted = match reader.field()? {
                Field::Text(text) => Some(text),
                Field::Null | Field::Nested(_) => None,
            };
            continue;
        }
        reader.skip()?;
        let raw = reader.since(start);
        if raw != "null" {
            recipient.extra.push(ExtraField { path, key, value: ExtraValue::Raw(raw) });
        }
    }
    event.named.push(recipient);
    Ok(true)
}
