//! Pinpoint event streams: email, SMS, push and application events.
//!
//! Pinpoint User Guide, "Streaming app event data through Kinesis and Firehose". Email events carry
//! SES's facts in snake case under `facets.email_channel.mail_event`, without times of their own:
//! `event_timestamp` is the send's on every event of a message, so `arrival_timestamp` stands for
//! what came after it.

use std::borrow::Cow;

use hearback_schemas::{Channel, EventType, Source};

use crate::decode::DecodeOptions;
use crate::event::{Col, Event, Recipient};
use crate::extra::{ExtraField, ExtraValue, Path};
use crate::json::Result;
use crate::json::reader::{Field, Reader};
use crate::{link, recipients};

/// What a Pinpoint document turned out to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pinpoint {
    /// An event.
    Event,
    /// A document that is Pinpoint's and carries no event.
    Control,
    /// Not Pinpoint's.
    Other,
}

const MAIL_EVENT: Path = &["facets", "email_channel", "mail_event"];
const MAIL: Path = &["facets", "email_channel", "mail_event", "mail"];
const ATTRIBUTES: Path = &["attributes"];

/// Reads a document that the reader stands before into an empty event. The reader is left behind
/// the document, if it is Pinpoint's.
pub(crate) fn read<'a>(
    reader: &mut Reader<'a>,
    options: &DecodeOptions,
    event: &mut Event<'a>,
) -> Result<Pinpoint> {
    let Some(name) = type_name(&mut reader.clone())? else {
        return Ok(Pinpoint::Other);
    };
    // Applications give their own events any name they like, but never send them without saying who
    // they are; Pinpoint's own names begin with an underscore.
    if !name.starts_with('_') && !has_application(&mut reader.clone())? {
        return Ok(Pinpoint::Other);
    }
    if name == "_test.event_stream" {
        reader.skip()?;
        return Ok(Pinpoint::Control);
    }
    let (kind, channel) = kind_of(&name);
    event.source = Source::Pinpoint;
    event.kind = kind;
    event.channel = channel;
    event.sender_path = MAIL;
    event.sender_key = "from_address";
    read_top(reader, event, options)?;

    event.tags.sort();
    if kind == EventType::Bounce
        && channel == Some(Channel::Email)
        && event.texts.get(Col::BounceType).is_none()
    {
        let by_name = if name == "_email.hardbounce" { "Permanent" } else { "Transient" };
        event.texts.set(Col::BounceType, by_name);
    }
    event.extra.push(ExtraField::note("event_type", ExtraValue::Text(name.clone())));
    event.type_name = Some(name);
    Ok(Pinpoint::Event)
}

/// The last `event_type` of the object, as of equal keys the last counts.
fn type_name<'a>(reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>> {
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        if key == "event_type" {
            return match reader.field()? {
                Field::Text(name) => Ok(Some(name)),
                Field::Null | Field::Nested(_) => Ok(None),
            };
        }
        reader.skip()?;
    }
    Ok(None)
}

fn has_application(reader: &mut Reader<'_>) -> Result<bool> {
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        if key == "application" && reader.peek()? == b'{' {
            return Ok(true);
        }
        reader.skip()?;
    }
    Ok(false)
}

fn kind_of(name: &str) -> (EventType, Option<Channel>) {
    let email = Some(Channel::Email);
    let sms = Some(Channel::Sms);
    let push = Some(Channel::Push);
    match name {
        "_email.send" => (EventType::Send, email),
        "_email.delivered" => (EventType::Delivery, email),
        "_email.softbounce" | "_email.hardbounce" => (EventType::Bounce, email),
        "_email.complaint" => (EventType::Complaint, email),
        "_email.open" => (EventType::Open, email),
        "_email.click" => (EventType::Click, email),
        "_email.unsubscribe" => (EventType::Subscription, email),
        "_email.rejected" => (EventType::Reject, email),
        "_email.rendering_failure" => (EventType::RenderingFailure, email),
        // In lower case in archives of 2017.
        "_SMS.BUFFERED" | "_sms.send" => (EventType::Send, sms),
        "_SMS.SUCCESS" | "_sms.success" => (EventType::Delivery, sms),
        "_SMS.FAILURE" | "_sms.fail" => (EventType::Bounce, sms),
        "_SMS.OPTOUT" | "_sms.optout" => (EventType::Subscription, sms),
        "_campaign.opened_notification" => (EventType::Open, push),
        "_campaign.received_foreground" | "_campaign.received_background" => {
            (EventType::Delivery, push)
        }
        other if other.starts_with("_email.") => (EventType::Unknown, email),
        other if other.starts_with("_SMS.") || other.starts_with("_sms.") => {
            (EventType::Unknown, sms)
        }
        // A campaign's or journey's send is the decision to send; the message has its own event.
        _ => (EventType::Unknown, None),
    }
}

/// A time field and how it is written.
type Time<'a> = (Option<i64>, &'a str);

fn read_top<'a>(
    reader: &mut Reader<'a>,
    event: &mut Event<'a>,
    options: &DecodeOptions,
) -> Result<()> {
    let mut happened: Time<'a> = (None, "null");
    let mut arrived: Time<'a> = (None, "null");
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        match key.as_ref() {
            "event_type" => {
                reader.skip()?;
            }
            "event_timestamp" => happened = read_time(reader)?,
            "arrival_timestamp" => arrived = read_time(reader)?,
            // The second spelling is that of SMS events in archives of 2017.
            "awsAccountId" | "account_id" => event.read_text(reader, Col::AccountId, &[], key)?,
            "application" if reader.peek()? == b'{' => {
                read_one(reader, event, "app_id", Col::ApplicationId, &["application"])?;
            }
            "client" if reader.peek()? == b'{' => {
                read_one(reader, event, "client_id", Col::EndpointId, &["client"])?;
            }
            "attributes" if reader.peek()? == b'{' => read_attributes(reader, event, options)?,
            "facets" if reader.peek()? == b'{' => read_facets(reader, event)?,
            _ => {
                let raw = reader.skip()?;
                event.keep(&[], key, raw);
            }
        }
    }
    settle_times(event, happened, arrived);
    Ok(())
}

fn read_time<'a>(reader: &mut Reader<'a>) -> Result<Time<'a>> {
    reader.peek()?;
    let start = reader.position();
    let time = match reader.field()? {
        Field::Text(text) => crate::instant::parse_timestamp(&text),
        Field::Null | Field::Nested(_) => None,
    };
    Ok((time, reader.since(start)))
}

/// Decides which of the two times is the event's. What no column holds is kept.
fn settle_times<'a>(event: &mut Event<'a>, happened: Time<'a>, arrived: Time<'a>) {
    let is_message = matches!(event.channel, Some(Channel::Email | Channel::Sms));
    if is_message && event.sent_time.is_none() {
        event.sent_time = happened.0;
    }
    event.time = match event.kind {
        EventType::Send | EventType::Reject | EventType::RenderingFailure => {
            happened.0.or(event.sent_time).or(arrived.0)
        }
        EventType::Unknown => happened.0.or(arrived.0),
        _ if is_message => arrived.0,
        _ => arrived.0.or(happened.0),
    };
    let shown = [event.time, event.sent_time];
    for (key, (time, raw)) in [("event_timestamp", happened), ("arrival_timestamp", arrived)] {
        if time.is_none() || !shown.contains(&time) {
            event.keep(&[], Cow::Borrowed(key), raw);
        }
    }
}

/// Reads an object of which one field has a column.
fn read_one<'a>(
    reader: &mut Reader<'a>,
    event: &mut Event<'a>,
    name: &str,
    col: Col,
    path: Path,
) -> Result<()> {
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        if key == name {
            event.read_text(reader, col, path, key)?;
        } else {
            let raw = reader.skip()?;
            event.keep(path, key, raw);
        }
    }
    Ok(())
}

fn read_attributes<'a>(
    reader: &mut Reader<'a>,
    event: &mut Event<'a>,
    options: &DecodeOptions,
) -> Result<()> {
    let is_sms = event.channel == Some(Channel::Sms);
    let mut journey = None;
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        match key.as_ref() {
            "campaign_id" => event.read_text(reader, Col::Campaign, ATTRIBUTES, key)?,
            "journey_id" => journey = event.read_field(reader, ATTRIBUTES, key)?,
            "message_id" if is_sms => event.read_text(reader, Col::MessageId, ATTRIBUTES, key)?,
            "destination_phone_number" if is_sms => {
                event.named.clear();
                if let Some(given) = event.read_field(reader, ATTRIBUTES, key)? {
                    event.named.push(Recipient { given: Some(given), ..Recipient::default() });
                }
            }
            // On clicks this is the link, which may carry a secret in its query.
            "feedback" => {
                if let Some(feedback) = event.read_field(reader, ATTRIBUTES, key)? {
                    let kept = match feedback.contains("://") {
                        true => {
                            link::keep_allowed(&feedback, &options.link_parameters).into_owned()
                        }
                        false => feedback.into_owned(),
                    };
                    event.extra.push(ExtraField {
                        path: ATTRIBUTES,
                        key: Cow::Borrowed("feedback"),
                        value: ExtraValue::Text(Cow::Owned(kept)),
                    });
                }
            }
            _ => {
                let raw = reader.skip()?;
                event.keep(ATTRIBUTES, key, raw);
            }
        }
    }
    if let Some(journey) = journey {
        if event.texts.get(Col::Campaign).is_none() {
            event.texts.set(Col::Campaign, journey);
        } else {
            event.extra.push(ExtraField {
                path: ATTRIBUTES,
                key: Cow::Borrowed("journey_id"),
                value: ExtraValue::Text(journey),
            });
        }
    }
    Ok(())
}

fn read_facets<'a>(reader: &mut Reader<'a>, event: &mut Event<'a>) -> Result<()> {
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        if key == "email_channel" && reader.peek()? == b'{' {
            read_email_channel(reader, event)?;
        } else {
            let raw = reader.skip()?;
            event.keep(&["facets"], key, raw);
        }
    }
    Ok(())
}

fn read_email_channel<'a>(reader: &mut Reader<'a>, event: &mut Event<'a>) -> Result<()> {
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        if key == "mail_event" && reader.peek()? == b'{' {
            read_mail_event(reader, event)?;
        } else {
            let raw = reader.skip()?;
            event.keep(&["facets", "email_channel"], key, raw);
        }
    }
    Ok(())
}

fn read_mail_event<'a>(reader: &mut Reader<'a>, event: &mut Event<'a>) -> Result<()> {
    let own = section_of(event.kind);
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        let is_object = reader.peek()? == b'{';
        match key.as_ref() {
            "mail" if is_object => read_mail(reader, event)?,
            name if is_object && own.iter().any(|(own, _)| *own == name) => {
                let path = own.iter().find(|(own, _)| *own == name).map_or(MAIL_EVENT, |own| own.1);
                read_section(reader, event, path)?;
            }
            _ => {
                let raw = reader.skip()?;
                event.keep(MAIL_EVENT, key, raw);
            }
        }
    }
    Ok(())
}

/// The names of the object that tells of an event of this type, and where its fields stand.
fn section_of(kind: EventType) -> &'static [(&'static str, Path)] {
    const SEND: Path = &["facets", "email_channel", "mail_event", "send"];
    const DELIVERY: Path = &["facets", "email_channel", "mail_event", "delivery"];
    const BOUNCE: Path = &["facets", "email_channel", "mail_event", "bounce"];
    const COMPLAINT: Path = &["facets", "email_channel", "mail_event", "complaint"];
    const OPEN: Path = &["facets", "email_channel", "mail_event", "open"];
    const CLICK: Path = &["facets", "email_channel", "mail_event", "click"];
    const REJECT: Path = &["facets", "email_channel", "mail_event", "reject"];
    const RENDERING: Path = &["facets", "email_channel", "mail_event", "rendering_failure"];
    const FAILURE: Path = &["facets", "email_channel", "mail_event", "failure"];
    match kind {
        EventType::Send => &[("send", SEND)],
        EventType::Delivery => &[("delivery", DELIVERY)],
        EventType::Bounce => &[("bounce", BOUNCE)],
        EventType::Complaint => &[("complaint", COMPLAINT)],
        EventType::Open => &[("open", OPEN)],
        // An unsubscription is a click on a link with the tag `unsubscribeLinkTag`.
        EventType::Click | EventType::Subscription => &[("click", CLICK)],
        EventType::Reject => &[("reject", REJECT)],
        EventType::RenderingFailure => &[("rendering_failure", RENDERING), ("failure", FAILURE)],
        EventType::DeliveryDelay | EventType::Unknown => &[],
    }
}

fn read_mail<'a>(reader: &mut Reader<'a>, event: &mut Event<'a>) -> Result<()> {
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        match key.as_ref() {
            "message_id" => event.read_text(reader, Col::MessageId, MAIL, key)?,
            "message_send_timestamp" => event.sent_time = event.read_time(reader, MAIL, key)?,
            "from_address" => event.read_text(reader, Col::Sender, MAIL, key)?,
            "destination" => {
                let mut list = std::mem::take(&mut event.destinations);
                list.clear();
                event.has_destinations = event.read_texts(reader, &mut list, MAIL, key)?;
                event.destinations = list;
            }
            "headers" | "headers_truncated" => {
                reader.skip()?;
            }
            "common_headers" if reader.peek()? == b'{' => {
                reader.enter_object()?;
                let mut first = true;
                while let Some(key) = reader.key(&mut first)? {
                    match key.as_ref() {
                        "subject" => {
                            if let Field::Text(subject) = reader.field()? {
                                event.texts.set(Col::Subject, subject);
                            }
                        }
                        _ => {
                            reader.skip()?;
                        }
                    }
                }
            }
            "common_headers" => {
                reader.skip()?;
            }
            "tags" => event.read_tags(reader, MAIL, key)?,
            _ => {
                let raw = reader.skip()?;
                event.keep(MAIL, key, raw);
            }
        }
    }
    Ok(())
}

const BOUNCED: Path = &["facets", "email_channel", "mail_event", "bounce", "bounced_recipients[]"];
const COMPLAINED: Path =
    &["facets", "email_channel", "mail_event", "complaint", "complained_recipients[]"];
const DELIVERED: Path = &["facets", "email_channel", "mail_event", "delivery", "recipients[]"];

fn read_section<'a>(reader: &mut Reader<'a>, event: &mut Event<'a>, path: Path) -> Result<()> {
    reader.enter_object()?;
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        match key.as_ref() {
            "bounced_recipients" => recipients::read(reader, event, path, BOUNCED, key)?,
            "complained_recipients" => recipients::read(reader, event, path, COMPLAINED, key)?,
            "recipients" => recipients::read(reader, event, path, DELIVERED, key)?,
            "smtp_response" => event.read_text(reader, Col::SmtpResponse, path, key)?,
            "reporting_mta" => event.read_text(reader, Col::ReportingMta, path, key)?,
            "remote_mta_ip" => event.read_text(reader, Col::RemoteIp, path, key)?,
            "processing_time_millis" => {
                event.processing_ms = event.read_integer(reader, path, key)?;
            }
            "ip_address" => event.read_text(reader, Col::IpAddress, path, key)?,
            "user_agent" => event.read_text(reader, Col::UserAgent, path, key)?,
            "link" => event.full_link = event.read_field(reader, path, key)?,
            "link_tags" => {
                let raw = reader.skip()?;
                event.unsubscribe_link = raw.contains("nsubscribe");
                event.keep(path, key, raw);
            }
            "reason" | "error_message" => event.read_text(reader, Col::FailureReason, path, key)?,
            "template_name" => event.read_text(reader, Col::Template, path, key)?,
            "bounce_type" => event.read_text(reader, Col::BounceType, path, key)?,
            "bounce_sub_type" => event.read_text(reader, Col::BounceSubtype, path, key)?,
            "feedback_id" => event.feedback_id = event.read_and_keep(reader, path, key)?,
            "complaint_feedback_type" => event.read_text(reader, Col::ComplaintType, path, key)?,
            "complaint_sub_type" => event.read_text(reader, Col::ComplaintSubtype, path, key)?,
            _ => {
                let raw = reader.skip()?;
                event.keep(path, key, raw);
            }
        }
    }
    Ok(())
}
