//! What was simulated, counted as it is written: the truth that an ingest of it must arrive at.

use hearback_schemas::{BounceClass, EventType};

use super::provider::Trouble;
use super::traffic::{Message, Occurrence, Visitor, What};

/// Events of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Distinct events: one per source document, repeats left out.
    pub events: u64,
    /// Distinct rows: one per event and recipient; one for an open or click however many
    /// destinations the message had.
    pub rows: u64,
}

/// Opens and clicks by who was really behind them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visits {
    /// A person with a mail program or browser of their own.
    pub person: u64,
    /// A person whose provider fetches images for them (Gmail, Yahoo).
    pub image_proxy: u64,
    /// Apple Mail Privacy Protection.
    pub prefetch: u64,
    /// A security scanner.
    pub scanner: u64,
}

/// The truth about what was written.
///
/// An `ingest` of the output must report `records` = [`Tally::documents`], `events` =
/// [`Tally::rows`], `duplicates` = [`Tally::duplicate_rows`], `ignored` = [`Tally::ignored`] and
/// `rejected` = [`Tally::garbage`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes written, before any compression.
    pub bytes: u64,
    /// Source documents, counting each inner document of an array or batch: events, repeats,
    /// control messages and garbage.
    pub documents: u64,
    /// Messages sent.
    pub messages: u64,
    /// Documents that repeat an event written before.
    pub duplicates: u64,
    /// Rows of those documents.
    pub duplicate_rows: u64,
    /// Control messages: subscription confirmations and SES's set-up notices.
    pub ignored: u64,
    /// Documents that no reader can make an event of, each on a line of its own.
    pub garbage: u64,
    /// Rows of bounces filed as `Permanent` with subtype `General`.
    pub hard_bounces: u64,
    /// Opens.
    pub opens: Visits,
    /// Clicks.
    pub clicks: Visits,
    by_type: [Count; EventType::ALL.len()],
    by_class: [u64; BounceClass::ALL.len()],
}

impl Tally {
    /// Distinct events of `event_type`, as `events` names it. Pinpoint's `_campaign.send` and
    /// `_journey.send` count as [`EventType::Unknown`], its `_email.unsubscribe` as
    /// [`EventType::Subscription`].
    #[must_use]
    pub fn of_type(&self, event_type: EventType) -> Count {
        self.by_type[event_type as usize]
    }

    /// Distinct bounce rows whose true cause is `class`.
    #[must_use]
    pub fn bounces_of(&self, class: BounceClass) -> u64 {
        self.by_class[class as usize]
    }

    /// Distinct events of all types.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.by_type.iter().map(|count| count.events).sum()
    }

    /// Distinct event-recipient rows of all types.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.by_type.iter().map(|count| count.rows).sum()
    }

    /// Counts one document about `occurrence`.
    pub(super) fn add(&mut self, occurrence: &Occurrence, message: &Message) {
        self.documents += 1;
        let rows = rows_of(occurrence, message);
        if occurrence.repeat {
            self.duplicates += 1;
            self.duplicate_rows += rows;
            return;
        }
        let count = &mut self.by_type[event_type(occurrence.what) as usize];
        count.events += 1;
        count.rows += rows;
        match occurrence.what {
            What::Bounce(trouble) => {
                self.by_class[bounce_class(trouble) as usize] += rows;
                if super::ses::bounce_label(trouble) == ("Permanent", "General") {
                    self.hard_bounces += rows;
                }
            }
            What::Open(visitor) => self.opens.add(visitor),
            What::Click(visitor, _) => self.clicks.add(visitor),
            _ => {}
        }
    }
}

impl Visits {
    fn add(&mut self, visitor: Visitor) {
        let count = match visitor {
            Visitor::Person => &mut self.person,
            Visitor::GoogleProxy | Visitor::YahooProxy => &mut self.image_proxy,
            Visitor::Prefetch => &mut self.prefetch,
            Visitor::Scanner => &mut self.scanner,
        };
        *count += 1;
    }
}

fn rows_of(occurrence: &Occurrence, message: &Message) -> u64 {
    match occurrence.what {
        What::Open(_) | What::Click(..) => 1,
        What::Send | What::Reject | What::RenderingFailure | What::Decision => {
            u64::from(message.count)
        }
        _ => u64::from(occurrence.who.count_ones()),
    }
}

const fn event_type(what: What) -> EventType {
    match what {
        What::Send => EventType::Send,
        What::Delivery => EventType::Delivery,
        What::Delay { .. } => EventType::DeliveryDelay,
        What::Bounce(_) => EventType::Bounce,
        What::Complaint(_) => EventType::Complaint,
        What::Reject => EventType::Reject,
        What::RenderingFailure => EventType::RenderingFailure,
        What::Open(_) => EventType::Open,
        What::Click(..) => EventType::Click,
        What::Subscription { .. } => EventType::Subscription,
        What::Decision => EventType::Unknown,
    }
}

const fn bounce_class(trouble: Trouble) -> BounceClass {
    match trouble {
        Trouble::UnknownUser => BounceClass::InvalidRecipient,
        Trouble::BadDomain => BounceClass::BadDomain,
        Trouble::Disabled => BounceClass::InactiveMailbox,
        Trouble::MailboxFull => BounceClass::MailboxFull,
        Trouble::SpamBlock | Trouble::BlockList => BounceClass::SpamBlock,
        Trouble::Policy => BounceClass::Policy,
        Trouble::RateLimited => BounceClass::RateLimited,
        Trouble::TooLarge => BounceClass::TooLarge,
        Trouble::Content => BounceClass::Content,
        Trouble::Expired => BounceClass::Expired,
        Trouble::AutoReply => BounceClass::AutoReply,
        Trouble::SuppressedByAccount | Trouble::SuppressedGlobally => BounceClass::SuppressionEcho,
        Trouble::Undetermined => BounceClass::Undetermined,
    }
}
