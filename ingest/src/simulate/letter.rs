//! What a message looks like: its ids, headers and addresses, derived from the seed whenever an
//! event about it is written.

use std::fmt::Write as _;

use super::dice::Derived;
use super::population::Recipient;
use super::sender::{Flow, Identity, Particulars, Service, identity};
use super::text::{Pen, encoded_words, mail_date, put_hex};
use super::traffic::{Message, Occurrence};

/// A message in words. Reused from event to event: [`Letter::write`] fills it anew.
#[derive(Default)]
pub(super) struct Letter {
    written: Option<u64>,
    /// Envelope recipients, in the order of the message.
    pub(super) addresses: Vec<String>,
    /// The same as they stand in To and Cc, with a name where the sender knows one.
    pub(super) mailboxes: Vec<String>,
    pub(super) message_id: String,
    /// The Message-ID header with its brackets.
    pub(super) header_id: String,
    pub(super) from: String,
    pub(super) from_header: String,
    pub(super) from_address: String,
    pub(super) subject: String,
    pub(super) subject_header: String,
    pub(super) date: String,
    pub(super) campaign: String,
    pub(super) caller: &'static str,
    pub(super) source_ip: &'static str,
    pub(super) outgoing_ip: String,
    pub(super) tenant: Option<&'static str>,
    /// Everything beyond ASCII is escaped in this message's events.
    pub(super) ascii: bool,
    /// A multipart boundary, so that no two messages have the same headers.
    pub(super) boundary: String,
}

const CALLERS: [&str; 3] = ["mailer-service", "booking-worker", "campaign-runner"];
const SOURCE_IPS: [&str; 4] = ["203.0.113.17", "203.0.113.24", "198.51.100.8", "2001:db8:20::15"];
const TENANTS: [&str; 3] = ["travel-group", "city-breaks", "rail-pass"];

impl Letter {
    /// Writes the letter of `message`, unless it is the one that stands there already.
    pub(super) fn write(&mut self, seed: u64, message: &Message) {
        if self.written == Some(message.index) {
            return;
        }
        self.written = Some(message.index);
        let mut traits = Derived::new(seed, message.index, 3);
        let sender = identity(message.market);
        let particulars = particulars(seed, message);
        self.ids(message, sender, &mut traits);

        self.addresses.resize_with(usize::from(message.count), String::new);
        self.mailboxes.resize_with(usize::from(message.count), String::new);
        let named = traits.chance(550_000);
        for (place, id) in message.destinations().iter().enumerate() {
            let recipient = Recipient::of(seed, *id);
            let address = &mut self.addresses[place];
            address.clear();
            recipient.address(address);
            let mailbox = &mut self.mailboxes[place];
            mailbox.clear();
            if named {
                recipient.display_name(mailbox);
                mailbox.push_str(" <");
                mailbox.push_str(address);
                mailbox.push('>');
            } else {
                mailbox.push_str(address);
            }
        }

        let mailbox = message.flow.profile().mailbox;
        refill(&mut self.from_address, |text| {
            let _ = write!(text, "{mailbox}@{}", sender.domain);
        });
        refill(&mut self.from, |text| {
            let _ = write!(text, "{} <{mailbox}@{}>", sender.display, sender.domain);
        });
        self.from_header.clear();
        if sender.display.is_ascii() {
            self.from_header.push_str(&self.from);
        } else {
            encoded_words(sender.display, &mut self.from_header);
            let _ = write!(self.from_header, " <{mailbox}@{}>", sender.domain);
        }

        self.subject.clear();
        particulars.subject(message.flow, message.market, &mut traits, &mut self.subject);
        self.subject_header.clear();
        if self.subject.is_ascii() {
            self.subject_header.push_str(&self.subject);
        } else {
            encoded_words(&self.subject, &mut self.subject_header);
        }
        self.date.clear();
        mail_date(message.sent, &mut self.date);
        self.campaign.clear();
        if message.flow.profile().marketing {
            particulars.campaign(message.flow, &mut self.campaign);
        }
        self.caller = traits.pick(&CALLERS);
        self.source_ip = traits.pick(&SOURCE_IPS);
        let host = 8 + traits.below(40);
        refill(&mut self.outgoing_ip, |text| {
            let _ = write!(text, "{}.{host}", sender.network);
        });
        self.tenant = if message.flow == Flow::Receipt && traits.chance(250_000) {
            Some(traits.pick(&TENANTS))
        } else {
            None
        };
        self.ascii = traits.chance(120_000);
        let boundary = traits.next();
        refill(&mut self.boundary, |text| {
            let _ = write!(
                text,
                "----=_Part_{}_{}.{}",
                boundary % 9_000_000,
                boundary >> 40,
                message.sent
            );
        });
    }

    fn ids(&mut self, message: &Message, sender: &Identity, traits: &mut Derived) {
        let (high, low) = (traits.next(), traits.next());
        let mut bytes = Vec::with_capacity(64);
        if message.service() == Service::Pinpoint {
            bytes.extend_from_slice(b"0201");
        } else {
            bytes.extend_from_slice(sender.id_prefix.as_bytes());
        }
        put_hex(&mut bytes, message.sent.unsigned_abs(), 12);
        bytes.push(b'-');
        Pen::new(&mut bytes, true).uuid(high, low);
        bytes.extend_from_slice(b"-000000");
        self.message_id.clear();
        self.message_id.extend(bytes.iter().map(|byte| char::from(*byte)));
        let raw = message.flow.profile().operation == "SendRawEmail";
        let id = &self.message_id;
        refill(&mut self.header_id, |text| {
            let _ = if raw {
                write!(text, "<{high:016x}.{}@{}>", message.sent, sender.domain)
            } else {
                write!(text, "<{id}@{}.amazonses.com>", sender.region)
            };
        });
    }
}

/// What fills the gaps in subject and links of `message`.
pub(super) fn particulars(seed: u64, message: &Message) -> Particulars {
    Particulars::of(&mut Derived::new(seed, message.index, 4), message.sent)
}

/// Traits of one event, the same for each of its copies.
pub(super) fn event_traits(seed: u64, message: &Message, occurrence: &Occurrence) -> Derived {
    let key = (occurrence.time - message.sent) as u64;
    Derived::new(seed ^ key.rotate_left(20), message.index, 5 + u64::from(occurrence.who))
}

/// Writing into a String cannot fail, which is why callers drop the result of `write!`.
fn refill(text: &mut String, write: impl FnOnce(&mut String)) {
    text.clear();
    write(text);
}
