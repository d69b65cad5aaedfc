//! The fields of SES documents: what each is called, and what it means to the reader.

use hearback_schemas::EventType;

use crate::event::Col;
use crate::extra::Path;

/// The fields of a document.
#[derive(Clone, Copy, Debug)]
pub(super) enum TopKey {
    EventType,
    NotificationType,
    Mail,
    Section(Section),
    Other,
}

impl TopKey {
    pub(super) fn of(key: &str) -> Self {
        match key {
            "eventType" => Self::EventType,
            "notificationType" => Self::NotificationType,
            "mail" => Self::Mail,
            name => Section::named(name).map_or(Self::Other, Self::Section),
        }
    }
}

/// The object that tells of an event of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Send,
    Delivery,
    DeliveryDelay,
    Bounce,
    Complaint,
    Reject,
    Open,
    Click,
    Failure,
    Subscription,
}

/// All of them, in order, with their names and where their fields stand.
pub(super) const SECTIONS: [(Section, &str, Path); 10] = [
    (Section::Send, "send", &["send"]),
    (Section::Delivery, "delivery", &["delivery"]),
    (Section::DeliveryDelay, "deliveryDelay", &["deliveryDelay"]),
    (Section::Bounce, "bounce", &["bounce"]),
    (Section::Complaint, "complaint", &["complaint"]),
    (Section::Reject, "reject", &["reject"]),
    (Section::Open, "open", &["open"]),
    (Section::Click, "click", &["click"]),
    (Section::Failure, "failure", &["failure"]),
    (Section::Subscription, "subscription", &["subscription"]),
];

impl Section {
    pub(super) fn of(kind: EventType) -> Option<Self> {
        match kind {
            EventType::Send => Some(Self::Send),
            EventType::Delivery => Some(Self::Delivery),
            EventType::DeliveryDelay => Some(Self::DeliveryDelay),
            EventType::Bounce => Some(Self::Bounce),
            EventType::Complaint => Some(Self::Complaint),
            EventType::Reject => Some(Self::Reject),
            EventType::Open => Some(Self::Open),
            EventType::Click => Some(Self::Click),
            EventType::RenderingFailure => Some(Self::Failure),
            EventType::Subscription => Some(Self::Subscription),
            EventType::Unknown => None,
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        SECTIONS.iter().find(|(_, known, _)| *known == name).map(|(section, ..)| *section)
    }

    pub(super) fn name(self) -> &'static str {
        SECTIONS[self as usize].1
    }

    pub(super) fn path(self) -> Path {
        SECTIONS[self as usize].2
    }
}

/// The fields of `mail`.
#[derive(Clone, Copy, Debug)]
pub(super) enum MailKey {
    Timestamp,
    Text(Col),
    SourceArn,
    Destination,
    Headers,
    CommonHeaders,
    Tags,
    Other,
}

impl MailKey {
    pub(super) fn of(key: &str) -> Self {
        match key {
            "timestamp" => Self::Timestamp,
            "messageId" => Self::Text(Col::MessageId),
            "source" => Self::Text(Col::Sender),
            "sendingAccountId" => Self::Text(Col::AccountId),
            "sourceArn" => Self::SourceArn,
            "destination" => Self::Destination,
            "headers" | "headersTruncated" => Self::Headers,
            "commonHeaders" => Self::CommonHeaders,
            "tags" => Self::Tags,
            _ => Self::Other,
        }
    }
}

/// The fields of `commonHeaders`.
#[derive(Clone, Copy, Debug)]
pub(super) enum HeaderKey {
    Subject,
    From,
    Other,
}

impl HeaderKey {
    pub(super) fn of(key: &str) -> Self {
        match key {
            "subject" => Self::Subject,
            "from" => Self::From,
            _ => Self::Other,
        }
    }
}

const DELIVERED: Path = &["delivery", "recipients[]"];
const BOUNCED: Path = &["bounce", "bouncedRecipients[]"];
const COMPLAINED: Path = &["complaint", "complainedRecipients[]"];
const DELAYED: Path = &["deliveryDelay", "delayedRecipients[]"];

/// The fields of an event's own object.
#[derive(Clone, Copy, Debug)]
pub(super) enum SectionKey {
    Timestamp,
    /// Those concerned; their fields stand here.
    Recipients(Path),
    ProcessingTime,
    Text(Col),
    FeedbackId,
    BotEvent,
    Link,
    LinkTags,
    ContactList,
    Other,
}

impl SectionKey {
    pub(super) fn of(section: Section, key: &str) -> Self {
        use Section::{Bounce, Click, Complaint, Delivery, DeliveryDelay, Open, Reject};
        match (section, key) {
            (_, "timestamp") => Self::Timestamp,
            (Bounce, "bouncedRecipients") => Self::Recipients(BOUNCED),
            (Complaint, "complainedRecipients") => Self::Recipients(COMPLAINED),
            (DeliveryDelay, "delayedRecipients") => Self::Recipients(DELAYED),
            (Delivery, "recipients") => Self::Recipients(DELIVERED),
            (Delivery, "processingTimeMillis") => Self::ProcessingTime,
            (Delivery, "smtpResponse") => Self::Text(Col::SmtpResponse),
            (Bounce | Delivery | DeliveryDelay, "reportingMTA") => Self::Text(Col::ReportingMta),
            (Bounce | Delivery | DeliveryDelay, "remoteMtaIp") => Self::Text(Col::RemoteIp),
            (Bounce, "bounceType") => Self::Text(Col::BounceType),
            (Bounce, "bounceSubType") => Self::Text(Col::BounceSubtype),
            (Bounce | Complaint, "feedbackId") => Self::FeedbackId,
            (Complaint, "complaintFeedbackType") => Self::Text(Col::ComplaintType),
            (Complaint, "complaintSubType") => Self::Text(Col::ComplaintSubtype),
            (Complaint | Open | Click, "userAgent") => Self::Text(Col::UserAgent),
            (Open | Click, "ipAddress") => Self::Text(Col::IpAddress),
            (Open | Click, "isBotEvent") => Self::BotEvent,
            (Click, "link" | "url") => Self::Link,
            (Click, "linkTags") => Self::LinkTags,
            (DeliveryDelay, "delayType") => Self::Text(Col::DelayType),
            (Reject, "reason") | (Section::Failure, "errorMessage") => {
                Self::Text(Col::FailureReason)
            }
            (Section::Failure, "templateName") => Self::Text(Col::Template),
            (Section::Subscription, "contactList") => Self::ContactList,
            _ => Self::Other,
        }
    }
}
