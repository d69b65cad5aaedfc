//! The closed sets of words that columns of the lake may hold.

use std::fmt;

/// What happened to a message (`event_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// The service accepted the message and will attempt delivery.
    Send,
    /// The recipient's mail server accepted the message.
    Delivery,
    /// Delivery is being retried; not terminal, repeats many times per message.
    DeliveryDelay,
    /// The message could not be delivered, or came back after delivery.
    Bounce,
    /// A feedback loop reported the message (RFC 5965).
    Complaint,
    /// The service accepted the message and then refused to send it (a virus).
    Reject,
    /// The tracking pixel was fetched.
    Open,
    /// A tracked link was fetched.
    Click,
    /// A template could not be filled in; nothing was sent.
    RenderingFailure,
    /// A contact changed its topic preferences, or unsubscribed.
    Subscription,
    /// An event that was understood as one but whose type is not in this list.
    Unknown,
}

/// How common events of a type are in a lake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Frequency {
    /// Sends, deliveries, opens and clicks: nearly all rows.
    #[default]
    Common,
    /// What goes wrong and the like: one row in a hundred, and most of what is decided rests on them.
    Rare,
}

impl EventType {
    /// How common events of this type are.
    #[must_use]
    pub const fn frequency(self) -> Frequency {
        match self {
            Self::Send | Self::Delivery | Self::Open | Self::Click => Frequency::Common,
            Self::DeliveryDelay
            | Self::Bounce
            | Self::Complaint
            | Self::Reject
            | Self::RenderingFailure
            | Self::Subscription
            | Self::Unknown => Frequency::Rare,
        }
    }

    /// Every event type.
    pub const ALL: [Self; 11] = [
        Self::Send,
        Self::Delivery,
        Self::DeliveryDelay,
        Self::Bounce,
        Self::Complaint,
        Self::Reject,
        Self::Open,
        Self::Click,
        Self::RenderingFailure,
        Self::Subscription,
        Self::Unknown,
    ];

    /// The word in the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Delivery => "delivery",
            Self::DeliveryDelay => "delivery_delay",
            Self::Bounce => "bounce",
            Self::Complaint => "complaint",
            Self::Reject => "reject",
            Self::Open => "open",
            Self::Click => "click",
            Self::RenderingFailure => "rendering_failure",
            Self::Subscription => "subscription",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a message bounced, by cause rather than by the service's label (`bounce_class`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BounceClass {
    /// The mailbox does not exist.
    InvalidRecipient,
    /// The domain does not exist or takes no mail.
    BadDomain,
    /// The mailbox exists but is disabled, suspended or abandoned.
    InactiveMailbox,
    /// The mailbox is over its quota.
    MailboxFull,
    /// The sender's authentication or policy was refused (SPF, DKIM, DMARC, 5.7.x).
    Policy,
    /// The sender's reputation, address or content was judged as spam.
    SpamBlock,
    /// The content or an attachment was refused for what it is.
    Content,
    /// The message is larger than the recipient takes.
    TooLarge,
    /// Too many messages, connections or recipients in too short a time.
    RateLimited,
    /// DNS, connection or routing trouble on the way.
    Routing,
    /// Retries ended without an answer in the time allowed.
    Expired,
    /// An out-of-office or other automatic answer, not a failure.
    AutoReply,
    /// The service did not try: the address is on a suppression list. Never new evidence.
    SuppressionEcho,
    /// Nothing in the evidence says why.
    Undetermined,
}

impl BounceClass {
    /// Every bounce class.
    pub const ALL: [Self; 14] = [
        Self::InvalidRecipient,
        Self::BadDomain,
        Self::InactiveMailbox,
        Self::MailboxFull,
        Self::Policy,
        Self::SpamBlock,
        Self::Content,
        Self::TooLarge,
        Self::RateLimited,
        Self::Routing,
        Self::Expired,
        Self::AutoReply,
        Self::SuppressionEcho,
        Self::Undetermined,
    ];

    /// The word in the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRecipient => "invalid_recipient",
            Self::BadDomain => "bad_domain",
            Self::InactiveMailbox => "inactive_mailbox",
            Self::MailboxFull => "mailbox_full",
            Self::Policy => "policy",
            Self::SpamBlock => "spam_block",
            Self::Content => "content",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Routing => "routing",
            Self::Expired => "expired",
            Self::AutoReply => "auto_reply",
            Self::SuppressionEcho => "suppression_echo",
            Self::Undetermined => "undetermined",
        }
    }
}

/// Who opened or clicked (`actor`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Actor {
    /// A person, as far as the evidence goes.
    Human,
    /// Apple Mail Privacy Protection: prefetched, says nothing about reading.
    Mpp,
    /// An image proxy that fetches when a person opens (Gmail, Yahoo); address and device are its own.
    Proxy,
    /// A security scanner or another machine.
    Scanner,
    /// Nothing to judge by.
    Unknown,
}

impl Actor {
    /// Every actor.
    pub const ALL: [Self; 5] = [Self::Human, Self::Mpp, Self::Proxy, Self::Scanner, Self::Unknown];

    /// The word in the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Mpp => "mpp",
            Self::Proxy => "proxy",
            Self::Scanner => "scanner",
            Self::Unknown => "unknown",
        }
    }
}

/// The service whose format an event came in (`source`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Amazon SES, event publishing or feedback notifications.
    Ses,
    /// Amazon Pinpoint event streams.
    Pinpoint,
    /// AWS End User Messaging, SMS and voice.
    EndUserMessaging,
}

impl Source {
    /// The word in the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ses => "ses",
            Self::Pinpoint => "pinpoint",
            Self::EndUserMessaging => "end_user_messaging",
        }
    }
}

/// The kind of message (`channel`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Email.
    Email,
    /// Text messages.
    Sms,
    /// Mobile push.
    Push,
    /// Voice calls.
    Voice,
}

impl Channel {
    /// The word in the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Push => "push",
            Self::Voice => "voice",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for BounceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
