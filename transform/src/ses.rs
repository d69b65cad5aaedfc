//! SES documents: event publishing (`eventType`) and feedback notifications (`notificationType`).
//!
//! SES Developer Guide, "Contents of event data that Amazon SES publishes to Amazon SNS" and
//! "Amazon SNS notification contents for Amazon SES". One reader serves both dialects and the
//! services that write SES's format; fields may stand in any order and hold `null` anywhere.

mod fields;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use hearback_schemas::{Channel, EventType};
use memchr::memmem::Finder;

use crate::decode::DecodeOptions;
use crate::event::{Col, Event};
use crate::extra::{ExtraField, ExtraValue, Path};
use crate::json::Result;
use crate::json::keys::KeyOrder;
use crate::json::reader::{Field, Reader};
use crate::recipients;
use fields::{HeaderKey, MailKey, SECTIONS, Section, SectionKey, TopKey};

/// What an SES-like document turned out to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ses {
    /// An event.
    Event,
    /// A document that is SES's and carries no event.
    Control,
    /// Not an SES event: it has no type, or no `mail`.
    Other,
}

/// What documents read before make quick to read now.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    top: KeyOrder<TopKey>,
    mail: KeyOrder<MailKey>,
    headers: KeyOrder<HeaderKey>,
    sections: [KeyOrder<SectionKey>; SECTIONS.len()],
    arn: LastArn,
}

/// Reads a document that the reader stands before into an empty event. The reader is left behind
/// the document.
pub(crate) fn read<'a>(
    reader: &mut Reader<'a>,
    options: &DecodeOptions,
    memory: &mut Memory,
    event: &mut Event<'a>,
) -> Result<Ses> {
    let mut type_name: Option<Cow<'a, str>> = None;
    let mut notification_name: Option<Cow<'a, str>> = None;
    let mut kind = EventType::Unknown;
    let mut has_mail = false;
    let mut has_section = false;
    // Objects of types that are not known yet to be the event's own.
    let mut sections: Vec<(Section, Reader<'a>, &'a str)> = Vec::new();

    reader.enter_object()?;
    let Memory { top, mail, headers, sections: section_keys, arn } = memory;
    let mut keys = top.keys();
    while let Some((meaning, key)) = keys.next(reader, TopKey::of)? {
        match meaning {
            TopKey::EventType => {
                type_name = event.read_field(reader, &[], key)?;
                if let Some(name) = &type_name {
                    kind = kind_of(name);
                }
            }
            TopKey::NotificationType => {
                notification_name = event.read_field(reader, &[], key)?;
                if let (None, Some(name)) = (&type_name, &notification_name) {
                    kind = kind_of(name);
                }
            }
            TopKey::Mail if reader.peek()? == b'{' => {
                has_mail = true;
                read_mail(reader, mail, headers, event)?;
            }
            TopKey::Section(section) if reader.peek()? == b'{' => {
                if Some(section) == Section::of(kind) && !has_section {
                    has_section = true;
                    read_section(reader, section, &mut section_keys[section as usize], event)?;
                } else {
                    let own = reader.clone();
                    sections.push((section, own, reader.skip_container()?));
                }
            }
            TopKey::Mail | TopKey::Section(_) | TopKey::Other => {
                let raw = reader.skip()?;
                event.keep(&[], key, raw);
            }
        }
    }

    let type_name = match (type_name, notification_name) {
        (Some(name), Some(other)) => {
            event.extra.push(ExtraField {
                path: &[],
                key: Cow::Borrowed("notificationType"),
                value: ExtraValue::Text(other),
            });
            Some(name)
        }
        (name, other) => name.or(other),
    };
    let Some(name) = type_name else {
        return Ok(Ses::Other);
    };
    if name == "AmazonSnsSubscriptionSucceeded" || name == "Received" {
        return Ok(Ses::Control);
    }
    if !has_mail {
        return Ok(Ses::Other);
    }
    for (section, mut own, raw) in sections {
        if Some(section) == Section::of(kind) && !has_section {
            has_section = true;
            read_section(&mut own, section, &mut section_keys[section as usize], event)?;
        } else {
            event.keep(&[], Cow::Borrowed(section.name()), raw);
        }
    }
    event.kind = kind;
    event.channel = Some(Channel::Email);
    if kind == EventType::Unknown {
        event.extra.push(ExtraField {
            path: &[],
            key: Cow::Borrowed("eventType"),
            value: ExtraValue::Text(name.clone()),
        });
        event.type_name = Some(name);
    }
    finish(event, options, arn);
    Ok(Ses::Event)
}

/// The event type by any of its spellings: the payload's (`Rendering Failure`), the API's
/// (`RENDERING_FAILURE`), EventBridge's (`Email Rendering Failed`).
fn kind_of(name: &str) -> EventType {
    match name {
        "Send" => return EventType::Send,
        "Delivery" => return EventType::Delivery,
        "Open" => return EventType::Open,
        "Click" => return EventType::Click,
        "Bounce" => return EventType::Bounce,
        _ => {}
    }
    let mut letters = String::new();
    for letter in name.chars().filter(char::is_ascii_alphabetic).take(32) {
        letters.push(letter.to_ascii_lowercase());
    }
    match letters.strip_prefix("email").unwrap_or(&letters) {
        "send" | "sent" => EventType::Send,
        "delivery" | "delivered" => EventType::Delivery,
        "deliverydelay" | "deliverydelayed" => EventType::DeliveryDelay,
        "bounce" | "bounced" => EventType::Bounce,
        "complaint" | "complaintreceived" | "complained" => EventType::Complaint,
        "reject" | "rejected" => EventType::Reject,
        "open" | "opened" => EventType::Open,
        "click" | "clicked" => EventType::Click,
        "renderingfailure" | "renderingfailed" => EventType::RenderingFailure,
        "subscription" | "subscribed" | "unsubscribe" | "unsubscribed" => EventType::Subscription,
        _ => EventType::Unknown,
    }
}

/// Whether this is the name of an SES event type, by any spelling.
pub(crate) fn is_known_type(name: &str) -> bool {
    kind_of(name) != EventType::Unknown
}

const MAIL: Path = &["mail"];
const COMMON_HEADERS: Path = &["mail", "commonHeaders"];

fn read_mail<'a>(
    reader: &mut Reader<'a>,
    keys: &mut KeyOrder<MailKey>,
    header_keys: &mut KeyOrder<HeaderKey>,
    event: &mut Event<'a>,
) -> Result<()> {
    reader.enter_object()?;
    let mut keys = keys.keys();
    while let Some((meaning, key)) = keys.next(reader, MailKey::of)? {
        match meaning {
            MailKey::Timestamp => event.sent_time = event.read_time(reader, MAIL, key)?,
            MailKey::Text(col) => event.read_text(reader, col, MAIL, key)?,
            MailKey::SourceArn => event.source_arn = event.read_and_keep(reader, MAIL, key)?,
            MailKey::Destination => {
                let mut list = std::mem::take(&mut event.destinations);
                list.clear();
                event.has_destinations = event.read_texts(reader, &mut list, MAIL, key)?;
                event.destinations = list;
            }
            MailKey::Headers => {
                reader.skip()?;
            }
            MailKey::CommonHeaders => read_common_headers(reader, header_keys, event)?,
            MailKey::Tags => event.read_tags(reader, MAIL, key)?,
            MailKey::Other => {
                let raw = reader.skip()?;
                event.keep(MAIL, key, raw);
            }
        }
    }
    Ok(())
}

fn read_common_headers<'a>(
    reader: &mut Reader<'a>,
    keys: &mut KeyOrder<HeaderKey>,
    event: &mut Event<'a>,
) -> Result<()> {
    if reader.peek()? != b'{' {
        reader.skip()?;
        return Ok(());
    }
    reader.enter_object()?;
    let mut keys = keys.keys();
    while let Some((meaning, _)) = keys.next(reader, HeaderKey::of)? {
        match meaning {
            HeaderKey::Subject => {
                if let Field::Text(subject) = reader.field()? {
                    event.texts.set(Col::Subject, subject);
                }
            }
            HeaderKey::From if event.texts.get(Col::Sender).is_none() => {
                event.from_header = first_text(reader)?;
            }
            HeaderKey::From | HeaderKey::Other => {
                reader.skip()?;
            }
        }
    }
    Ok(())
}

/// A text, or the first element of a list if that is one.
fn first_text<'a>(reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>> {
    let mut field = reader.clone();
    let whole = reader.skip()?;
    if whole.starts_with('[') {
        field.enter_array()?;
        if !field.element(&mut true)? {
            return Ok(None);
        }
    }
    match field.field()? {
        Field::Text(text) => Ok(Some(text)),
        Field::Null | Field::Nested(_) => Ok(None),
    }
}

fn read_section<'a>(
    reader: &mut Reader<'a>,
    section: Section,
    keys: &mut KeyOrder<SectionKey>,
    event: &mut Event<'a>,
) -> Result<()> {
    let path = section.path();
    reader.enter_object()?;
    let mut keys = keys.keys();
    while let Some((meaning, key)) = keys.next(reader, |key| SectionKey::of(section, key))? {
        match meaning {
            SectionKey::Timestamp => event.time = event.read_time(reader, path, key)?,
            SectionKey::Recipients(elements) => {
                recipients::read(reader, event, path, elements, key)?;
            }
            SectionKey::ProcessingTime => {
                event.processing_ms = event.read_integer(reader, path, key)?;
            }
            SectionKey::Text(col) => event.read_text(reader, col, path, key)?,
            SectionKey::FeedbackId => event.feedback_id = event.read_and_keep(reader, path, key)?,
            SectionKey::BotEvent => event.bot_event = event.read_and_keep(reader, path, key)?,
            SectionKey::Link => event.full_link = event.read_field(reader, path, key)?,
            SectionKey::LinkTags => {
                let raw = reader.skip()?;
                event.unsubscribe_link = UNSUBSCRIBE.find(raw.as_bytes()).is_some();
                event.keep(path, key, raw);
            }
            SectionKey::ContactList => {
                event.contact_list = event.read_and_keep(reader, path, key)?;
            }
            SectionKey::Other => {
                let raw = reader.skip()?;
                event.keep(path, key, raw);
            }
        }
    }
    Ok(())
}

/// What links to unsubscribe by have in their tags, with a capital or without.
static UNSUBSCRIBE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("nsubscribe"));

/// The tag that SES puts on every message sent with a configuration set.
static CONFIGURATION_SET: LazyLock<[String; 1]> =
    LazyLock::new(|| ["ses:configuration-set".to_owned()]);

/// Fills in the columns that follow from what was read.
fn finish<'a>(event: &mut Event<'a>, options: &DecodeOptions, arn: &mut LastArn) {
    if matches!(event.kind, EventType::Send | EventType::Reject | EventType::RenderingFailure) {
        event.time = event.sent_time;
    }
    if event.texts.get(Col::Sender).is_none()
        && let Some(from) = event.from_header.take()
    {
        event.texts.set(Col::Sender, from);
        event.sender_path = COMMON_HEADERS;
        event.sender_key = "from";
    }
    read_source_arn(event, arn);
    if event.texts.get(Col::Region).is_none()
        && let Some(region) = event.texts.get(Col::MessageId).and_then(region_of_message_id)
    {
        event.texts.set(Col::Region, region);
    }
    event.tags.sort();
    let failed_template = event.texts.take(Col::Template);
    let wanted = event.tags.wanted([
        &options.campaign_tags,
        &options.template_tags,
        &options.tenant_tags,
        CONFIGURATION_SET.as_slice(),
    ]);
    let columns = [Col::Campaign, Col::Template, Col::Tenant, Col::ConfigurationSet];
    for (col, value) in columns.into_iter().zip(wanted) {
        if let Some(value) = value {
            event.texts.set(col, value);
        }
    }
    if let Some(name) = failed_template {
        match event.texts.get(Col::Template) {
            None => event.texts.set(Col::Template, name),
            Some(tagged) if tagged == name => {}
            Some(_) => event.extra.push(ExtraField {
                path: &["failure"],
                key: Cow::Borrowed("templateName"),
                value: ExtraValue::Text(name),
            }),
        }
    }
}

/// The ARN of a sending identity that was seen last, taken apart: most senders are one.
#[derive(Debug, Default)]
struct LastArn {
    text: String,
    region: Option<Range<usize>>,
    account: Option<Range<usize>>,
}

impl LastArn {
    /// Takes `arn:aws:ses:REGION:ACCOUNT:identity/…` apart; what is empty is not there.
    fn read(&mut self, arn: &str) {
        arn.clone_into(&mut self.text);
        let mut colons = memchr::memchr_iter(b':', arn.as_bytes()).skip(2);
        let mut part = |start: usize| {
            let end = colons.next();
            let part = start..end.unwrap_or(arn.len());
            (Some(part).filter(|part| !part.is_empty()), end)
        };
        (self.region, self.account) = match part(0).1 {
            None => (None, None),
            Some(before) => match part(before + 1) {
                (region, None) => (region, None),
                (region, Some(between)) => (region, part(between + 1).0),
            },
        };
    }
}

/// Region and account out of the ARN of the sending identity.
fn read_source_arn<'a>(event: &mut Event<'a>, last: &mut LastArn) {
    let Some(arn) = event.source_arn.take() else { return };
    if last.text != arn {
        last.read(&arn);
    }
    let part = |range: &Option<Range<usize>>| -> Option<Cow<'a, str>> {
        let range = range.clone()?;
        Some(match &arn {
            Cow::Borrowed(arn) => Cow::Borrowed(&arn[range]),
            Cow::Owned(arn) => Cow::Owned(arn[range].to_owned()),
        })
    };
    if let Some(region) = part(&last.region) {
        event.texts.set(Col::Region, region);
    }
    if event.texts.get(Col::AccountId).is_none_or(str::is_empty)
        && let Some(account) = part(&last.account)
    {
        event.texts.set(Col::AccountId, account);
    }
}

/// SES writes the Region into the first four digits of its message ids.
fn region_of_message_id(id: &str) -> Option<&'static str> {
    match id.get(..4)? {
        "0100" => Some("us-east-1"),
        "0101" => Some("us-west-2"),
        "0102" => Some("eu-west-1"),
        "0106" => Some("ap-northeast-1"),
        "0107" => Some("eu-central-1"),
        "010f" => Some("us-east-2"),
        _ => None,
    }
}

/// Whether a text is one of the notices that SES publishes when a destination is set up.
pub(crate) fn is_set_up_notice(text: &str) -> bool {
    text.trim().starts_with("Successfully validated SNS topic for Amazon SES")
}
