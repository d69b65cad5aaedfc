//! SES documents: event publishing (`eventType`) and feedback notifications (`notificationType`).
//!
//! SES Developer Guide, "Contents of event data that Amazon SES publishes to Amazon SNS" and
//! "Amazon SNS notification contents for Amazon SES". One reader serves both dialects and the
//! services that write SES's format; fields may stand in any order and hold `null` anywhere.

use std::borrow::Cow;
use std::sync::LazyLock;

use hearback_schemas::{Channel, EventType};

use crate::decode::DecodeOptions;
use crate::event::{Col, Event};
use crate::extra::{ExtraField, ExtraValue, Path};
use crate::json::Result;
use crate::json::reader::{Field, Reader};
use crate::recipients;

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

/// Reads a document that the reader stands before into an empty event. The reader is left behind
/// the document.
pub(crate) fn read<'a>(
    reader: &mut Reader<'a>,
    options: &DecodeOptions,
    event: &mut Event<'a>,
) -> Result<Ses> {
    let mut type_name: Option<Cow<'a, str>> = None;
    let mut notification_name: Option<Cow<'a, str>> = None;
    let mut kind = EventType::Unknown;
    let mut has_mail = false;
    let mut has_section = false;
    // Objects of types that are not known yet to be the event's own.
    let mut sections: Vec<(&'static str, Reader<'a>, &'a str)> = Vec::new();

    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        match key.as_ref() {
            "eventType" => {
                type_name = event.read_field(reader, &[], key)?;
                if let Some(name) = &type_name {
                    kind = kind_of(name);
                }
            }
            "notificationType" => {
                notification_name = event.read_field(reader, &[], key)?;
                if let (None, Some(name)) = (&type_name, &notification_name) {
                    kind = kind_of(name);
                }
            }
            "mail" if reader.peek()? == b'{' => {
                has_mail = true;
                read_mail(reader, event)?;
            }
            name => match section_named(name) {
                Some(section) if reader.peek()? == b'{' => {
                    if Some(section) == section_of(kind) && !has_section {
                        has_section = true;
                        read_section(reader, section, event)?;
                    } else {
                        let own = reader.clone();
                        sections.push((section, own, reader.skip_container()?));
                    }
                }
                _ => {
                    let raw = reader.skip()?;
                    event.keep(&[], key, raw);
                }
            },
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
        if Some(section) == section_of(kind) && !has_section {
            has_section = true;
            read_section(&mut own, section, event)?;
        } else {
            event.keep(&[], Cow::Borrowed(section), raw);
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
    finish(event, options);
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

/// The name of the object that tells of an event of this type.
fn section_of(kind: EventType) -> Option<&'static str> {
    match kind {
        EventType::Send => Some("send"),
        EventType::Delivery => Some("delivery"),
        EventType::DeliveryDelay => Some("deliveryDelay"),
        EventType::Bounce => Some("bounce"),
        EventType::Complaint => Some("complaint"),
        EventType::Reject => Some("reject"),
        EventType::Open => Some("open"),
        EventType::Click => Some("click"),
        EventType::RenderingFailure => Some("failure"),
        EventType::Subscription => Some("subscription"),
        EventType::Unknown => None,
    }
}

fn section_named(name: &str) -> Option<&'static str> {
    let section = match name {
        "send" => "send",
        "delivery" => "delivery",
        "deliveryDelay" => "deliveryDelay",
        "bounce" => "bounce",
        "complaint" => "complaint",
        "reject" => "reject",
        "open" => "open",
        "click" => "click",
        "failure" => "failure",
        "subscription" => "subscription",
        _ => return None,
    };
    Some(section)
}

const MAIL: Path = &["mail"];
const COMMON_HEADERS: Path = &["mail", "commonHeaders"];

fn read_mail<'a>(reader: &mut Reader<'a>, event: &mut Event<'a>) -> Result<()> {
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        match key.as_ref() {
            "timestamp" => event.sent_time = event.read_time(reader, MAIL, key)?,
            "messageId" => event.read_text(reader, Col::MessageId, MAIL, key)?,
            "source" => event.read_text(reader, Col::Sender, MAIL, key)?,
            "sourceArn" => event.source_arn = event.read_and_keep(reader, MAIL, key)?,
            "sendingAccountId" => event.read_text(reader, Col::AccountId, MAIL, key)?,
            "destination" => {
                let mut list = std::mem::take(&mut event.destinations);
                list.clear();
                event.has_destinations = event.read_texts(reader, &mut list, MAIL, key)?;
                event.destinations = list;
            }
            "headers" | "headersTruncated" => {
                reader.skip()?;
            }
            "commonHeaders" => read_common_headers(reader, event)?,
            "tags" => event.read_tags(reader, MAIL, key)?,
            _ => {
                let raw = reader.skip()?;
                event.keep(MAIL, key, raw);
            }
        }
    }
    Ok(())
}

fn read_common_headers<'a>(reader: &mut Reader<'a>, event: &mut Event<'a>) -> Result<()> {
    if reader.peek()? != b'{' {
        reader.skip()?;
        return Ok(());
    }
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        if key == "subject" {
            if let Field::Text(subject) = reader.field()? {
                event.texts.set(Col::Subject, subject);
            }
        } else if key == "from" && event.texts.get(Col::Sender).is_none() {
            event.from_header = first_text(reader)?;
        } else {
            reader.skip()?;
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

/// Where the fields of an event's own object stand.
fn section_path(section: &'static str) -> Path {
    match section {
        "delivery" => &["delivery"],
        "deliveryDelay" => &["deliveryDelay"],
        "bounce" => &["bounce"],
        "complaint" => &["complaint"],
        "reject" => &["reject"],
        "open" => &["open"],
        "click" => &["click"],
        "failure" => &["failure"],
        "subscription" => &["subscription"],
        _ => &["send"],
    }
}

const DELIVERED: Path = &["delivery", "recipients[]"];
const BOUNCED: Path = &["bounce", "bouncedRecipients[]"];
const COMPLAINED: Path = &["complaint", "complainedRecipients[]"];
const DELAYED: Path = &["deliveryDelay", "delayedRecipients[]"];

fn read_section<'a>(
    reader: &mut Reader<'a>,
    section: &'static str,
    event: &mut Event<'a>,
) -> Result<()> {
    let path = section_path(section);
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        match (section, key.as_ref()) {
            (_, "timestamp") => event.time = event.read_time(reader, path, key)?,
            ("bounce", "bouncedRecipients") => recipients::read(reader, event, path, BOUNCED, key)?,
            ("complaint", "complainedRecipients") => {
                recipients::read(reader, event, path, COMPLAINED, key)?;
            }
            ("deliveryDelay", "delayedRecipients") => {
                recipients::read(reader, event, path, DELAYED, key)?;
            }
            ("delivery", "recipients") => {
                recipients::read(reader, event, path, DELIVERED, key)?;
            }
            ("delivery", "processingTimeMillis") => {
                event.processing_ms = event.read_integer(reader, path, key)?;
            }
            ("delivery", "smtpResponse") => {
                event.read_text(reader, Col::SmtpResponse, path, key)?;
            }
            ("bounce" | "delivery" | "deliveryDelay", "reportingMTA") => {
                event.read_text(reader, Col::ReportingMta, path, key)?;
            }
            ("bounce" | "delivery" | "deliveryDelay", "remoteMtaIp") => {
                event.read_text(reader, Col::RemoteIp, path, key)?;
            }
            ("bounce", "bounceType") => event.read_text(reader, Col::BounceType, path, key)?,
            ("bounce", "bounceSubType") => {
                event.read_text(reader, Col::BounceSubtype, path, key)?;
            }
            ("bounce" | "complaint", "feedbackId") => {
                event.feedback_id = event.read_and_keep(reader, path, key)?;
            }
            ("complaint", "complaintFeedbackType") => {
                event.read_text(reader, Col::ComplaintType, path, key)?;
            }
            ("complaint", "complaintSubType") => {
                event.read_text(reader, Col::ComplaintSubtype, path, key)?;
            }
            ("complaint" | "open" | "click", "userAgent") => {
                event.read_text(reader, Col::UserAgent, path, key)?;
            }
            ("open" | "click", "ipAddress") => {
                event.read_text(reader, Col::IpAddress, path, key)?;
            }
            ("open" | "click", "isBotEvent") => {
                event.bot_event = event.read_and_keep(reader, path, key)?;
            }
            ("click", "link" | "url") => {
                event.full_link = event.read_field(reader, path, key)?;
            }
            ("click", "linkTags") => {
                let raw = reader.skip()?;
                event.unsubscribe_link = raw.contains("nsubscribe");
                event.keep(path, key, raw);
            }
            ("deliveryDelay", "delayType") => event.read_text(reader, Col::DelayType, path, key)?,
            ("reject", "reason") | ("failure", "errorMessage") => {
                event.read_text(reader, Col::FailureReason, path, key)?;
            }
            ("failure", "templateName") => event.read_text(reader, Col::Template, path, key)?,
            ("subscription", "contactList") => {
                event.contact_list = event.read_and_keep(reader, path, key)?;
            }
            _ => {
                let raw = reader.skip()?;
                event.keep(path, key, raw);
            }
        }
    }
    Ok(())
}

/// The tag that SES puts on every message sent with a configuration set.
static CONFIGURATION_SET: LazyLock<[String; 1]> =
    LazyLock::new(|| ["ses:configuration-set".to_owned()]);

/// Fills in the columns that follow from what was read.
fn finish<'a>(event: &mut Event<'a>, options: &DecodeOptions) {
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
    read_source_arn(event);
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

/// Region and account out of the ARN of the sending identity: `arn:aws:ses:REGION:ACCOUNT:identity/…`.
fn read_source_arn<'a>(event: &mut Event<'a>) {
    let Some(arn) = event.source_arn.take() else { return };
    let (region, account) = match arn {
        Cow::Borrowed(arn) => {
            let (region, account) = parts_of_arn(arn);
            (region.map(Cow::Borrowed), account.map(Cow::Borrowed))
        }
        Cow::Owned(arn) => {
            let (region, account) = parts_of_arn(&arn);
            let owned = |part: &str| Cow::Owned(part.to_owned());
            (region.map(owned), account.map(owned))
        }
    };
    if let Some(region) = region {
        event.texts.set(Col::Region, region);
    }
    if event.texts.get(Col::AccountId).is_none_or(str::is_empty)
        && let Some(account) = account
    {
        event.texts.set(Col::AccountId, account);
    }
}

/// Region and account of an ARN; what is empty is not there.
fn parts_of_arn(arn: &str) -> (Option<&str>, Option<&str>) {
    let mut colons = memchr::memchr_iter(b':', arn.as_bytes()).skip(2);
    let Some(before) = colons.next() else { return (None, None) };
    let between = colons.next();
    let part = |start: usize, end: Option<usize>| {
        Some(&arn[start..end.unwrap_or(arn.len())]).filter(|part| !part.is_empty())
    };
    let account = between.and_then(|between| part(between + 1, colons.next()));
    (part(before + 1, between), account)
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
