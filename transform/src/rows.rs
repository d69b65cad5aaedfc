//! From an event to its rows: one per recipient, judged, identified and placed in its day.

use std::borrow::Cow;

use hearback_schemas::{EventType, UNDATED_EVENT_DATE};

use crate::actor::{self, Agent, Fetch, FetchKind};
use crate::address::{Mailbox, parse_mailbox};
use crate::batch::{Batches, Row};
use crate::bounce::{self, Evidence};
use crate::decode::DecodeOptions;
use crate::event::{Col, Event, Recipient, recycle};
use crate::extra::{ExtraField, ExtraValue, WrittenExtras};
use crate::identity::Identity;
use crate::json::canonical;
use crate::link;
use crate::memory::Memory;
use crate::provider::mailbox_provider;
use crate::rules::RULE_VERSION;

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// 2009-01-01T00:00:00Z, in microseconds: SES opened in January 2011, its first tests in 2010.
const EARLIEST_PLAUSIBLE: i64 = 1_230_768_000_000_000;
/// An event cannot be later than it was read, give or take a clock that is set wrong.
const LATEST_PLAUSIBLE_AFTER_READ: i64 = 2 * MICROS_PER_DAY;

/// What the rows of one document may take up together, in bytes. SES allows 50 recipients a message;
/// a document that names thousands and carries megabytes is no event.
const MAX_FAN_OUT: usize = 64 << 20;

/// The largest document that becomes rows, in bytes: Arrow's offsets are 32 bits wide.
const MAX_DOCUMENT: usize = 512 << 20;

/// Where the rows of an event come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Provenance<'p> {
    /// The document.
    pub document: &'p str,
    /// Its place in the source.
    pub place: &'p str,
}

/// Turns events into rows; holds buffers that are used again.
#[derive(Debug, Default)]
pub(crate) struct RowWriter {
    identity: Identity,
    agents: Memory<Agent>,
    senders: Memory<Sender>,
    extras: String,
    extra_ends: Vec<usize>,
    written: WrittenExtras,
    fields: Vec<&'static ExtraField<'static>>,
    addressees: Vec<Addressee<'static, 'static>>,
}

impl RowWriter {
    /// Adds the rows of an event and gives back how many; or why it cannot be an event.
    pub(crate) fn write(
        &mut self,
        event: &mut Event<'_>,
        from: Provenance<'_>,
        options: &DecodeOptions,
        batches: &mut Batches,
    ) -> Result<u64, Cow<'static, str>> {
        let Some(time) = event.time.or(event.sent_time) else {
            return Err("no usable timestamp".into());
        };
        if event.time.is_none() {
            event.extra.push(ExtraField::note("time_from", ExtraValue::Text("mail".into())));
        }
        let event_date = if (EARLIEST_PLAUSIBLE
            ..=options.read_time_us.saturating_add(LATEST_PLAUSIBLE_AFTER_READ))
            .contains(&time)
        {
            // A plausible time is within a few million days of 1970.
            i32::try_from(time.div_euclid(MICROS_PER_DAY)).unwrap_or(UNDATED_EVENT_DATE)
        } else {
            event.extra.push(ExtraField::note("implausible_time", ExtraValue::True));
            UNDATED_EVENT_DATE
        };
        read_sender(event, &mut self.senders);
        judge_fetch(event, time, &mut self.agents);
        if let Some(full) = &event.full_link {
            let kept = link::keep_allowed(full, &options.link_parameters).into_owned();
            event.texts.set(Col::Link, kept);
        }
        let event = &*event;
        let recipients = recipients(event, recycle(std::mem::take(&mut self.addressees)));
        if recipients.len() > 1
            && recipients.len().saturating_mul(from.document.len()) > MAX_FAN_OUT
        {
            return Err("too many recipients for a document of this size".into());
        }
        if from.document.len() > MAX_DOCUMENT {
            return Err("document too large".into());
        }
        self.write_extras(event, &recipients)?;

        self.identity.begin(event, time, || {
            let mut document = String::new();
            // A document that was read is JSON, at least where it was looked at.
            if canonical::write(from.document, &mut document).is_err() {
                document.push_str(from.document);
            }
            document
        });
        batches.begin_event();
        let tags = batches.tags(&event.tags);
        let mut extra_start = 0;
        for (recipient, extra_end) in recipients.iter().zip(&self.extra_ends) {
            let extra = &self.extras[extra_start..*extra_end];
            extra_start = *extra_end;
            let identity = recipient.mailbox.as_ref().map(|mailbox| mailbox.identity.as_ref());
            let event_id = self.identity.of(identity.or(recipient.verbatim()));
            let mut row = batches.row(event.kind, event_date, time, event_id);
            write_event(&mut row, event, tags);
            write_recipient(&mut row, event, recipient);
            if !extra.is_empty() {
                row.text(Col::Extra, extra);
            }
            row.text(Col::SourceSequence, from.place);
        }
        let rows = recipients.len() as u64;
        self.addressees = recycle(recipients);
        Ok(rows)
    }

    /// Writes the column `extra` of each recipient, one behind the other, and notes the ends.
    fn write_extras(
        &mut self,
        event: &Event<'_>,
        recipients: &[Addressee<'_, '_>],
    ) -> Result<(), Cow<'static, str>> {
        self.extras.clear();
        self.extra_ends.clear();
        for recipient in recipients {
            let original = recipient.respelled().map(|given| {
                ExtraField::note("original_recipient", ExtraValue::Text(Cow::Borrowed(given)))
            });
            let mut fields: Vec<&ExtraField<'_>> = recycle(std::mem::take(&mut self.fields));
            fields.extend(&event.extra);
            fields.extend(recipient.named.map_or(&[][..], |named| &named.extra).iter());
            fields.extend(original.as_ref());
            self.written.write(&mut fields, &mut self.extras).map_err(|error| error.to_string())?;
            self.extra_ends.push(self.extras.len());
            self.fields = recycle(fields);
        }
        Ok(())
    }
}

/// Whom a row is about.
#[derive(Debug)]
struct Addressee<'e, 'a> {
    given: Option<&'e str>,
    mailbox: Option<Mailbox<'e>>,
    named: Option<&'e Recipient<'a>>,
}

impl<'e, 'a> Addressee<'e, 'a> {
    fn new(given: Option<&'e str>, named: Option<&'e Recipient<'a>>) -> Self {
        Self { given, mailbox: given.and_then(parse_mailbox), named }
    }

    /// What was given, if it is no mail address: a telephone number, or something unreadable.
    fn verbatim(&self) -> Option<&'e str> {
        match self.mailbox {
            Some(_) => None,
            None => self.given.map(str::trim).filter(|given| !given.is_empty()),
        }
    }

    /// What was given, if the column `recipient` has another spelling of it.
    fn respelled(&self) -> Option<&'e str> {
        let given = self.given?;
        match &self.mailbox {
            Some(mailbox) if mailbox.address == given => None,
            None if is_telephone_number(given) => None,
            _ => Some(given),
        }
    }
}

fn is_telephone_number(given: &str) -> bool {
    let digits = given.strip_prefix('+').unwrap_or(given);
    (3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whom the rows of an event are about; never nobody.
fn recipients<'e, 'a>(
    event: &'e Event<'a>,
    mut list: Vec<Addressee<'e, 'a>>,
) -> Vec<Addressee<'e, 'a>> {
    let only = match event.destinations.as_slice() {
        [only] if event.named.len() == 1 => Some(only.as_ref()),
        _ => None,
    };
    for named in &event.named {
        list.push(Addressee::new(named.given.as_deref().or(only), Some(named)));
    }
    if !list.is_empty() {
        return list;
    }
    let concerns_all = matches!(
        event.kind,
        EventType::Send | EventType::Reject | EventType::RenderingFailure | EventType::Delivery
    );
    if concerns_all || event.destinations.len() == 1 {
        for given in &event.destinations {
            list.push(Addressee::new(Some(given), None));
        }
    }
    if list.is_empty() {
        list.push(Addressee::new(None, None));
    }
    list
}

/// The mailbox of a From address.
#[derive(Debug)]
struct Sender {
    /// `None` if the address has none.
    address: Option<String>,
    /// Where the `@` before the domain stands in it.
    at: usize,
}

impl Sender {
    fn of(given: &str) -> Self {
        let mailbox = parse_mailbox(given);
        let at = mailbox.as_ref().map_or(0, |mailbox| mailbox.local().len());
        Self { address: mailbox.map(|mailbox| mailbox.address.into_owned()), at }
    }
}

/// Splits the From address into its columns; another spelling of it is kept in `extra`.
fn read_sender(event: &mut Event<'_>, senders: &mut Memory<Sender>) {
    let Some(given) = event.texts.take(Col::Sender) else { return };
    let sender = senders.meaning(given.as_bytes(), || Sender::of(&given));
    if let Some(address) = sender.address.as_ref().filter(|address| **address == given) {
        let domain = match &given {
            Cow::Borrowed(given) => Cow::Borrowed(&given[sender.at + 1..]),
            Cow::Owned(_) => Cow::Owned(address[sender.at + 1..].to_owned()),
        };
        event.texts.set(Col::SenderDomain, domain);
        event.texts.set(Col::Sender, given);
        return;
    }
    if let Some(address) = &sender.address {
        event.texts.set(Col::SenderDomain, address[sender.at + 1..].to_owned());
        event.texts.set(Col::Sender, address.clone());
    }
    event.extra.push(ExtraField {
        path: event.sender_path,
        key: Cow::Borrowed(event.sender_key),
        value: ExtraValue::Text(given),
    });
}

/// Judges who opened or clicked.
fn judge_fetch(event: &mut Event<'_>, time: i64, agents: &mut Memory<Agent>) {
    let kind = match event.kind {
        EventType::Open => FetchKind::Open,
        EventType::Click => FetchKind::Click,
        _ => return,
    };
    let agent = event
        .texts
        .get(Col::UserAgent)
        .map(|name| agents.meaning(name.as_bytes(), || Agent::of(name)));
    let fetch = Fetch {
        kind,
        bot_event: event.bot_event.as_deref(),
        user_agent: event.texts.get(Col::UserAgent),
        ip: event.texts.get(Col::IpAddress),
        millis_after_send: event.sent_time.map(|sent| time.saturating_sub(sent) / 1000),
        unsubscribe_link: event.unsubscribe_link,
    };
    let (actor, reason) = actor::judge_known(&fetch, agent);
    event.texts.set(Col::Actor, actor.as_str());
    event.texts.set(Col::ActorReason, reason);
    event.texts.set(Col::RuleVersion, RULE_VERSION);
}

fn write_event(row: &mut Row<'_>, event: &Event<'_>, tags: Option<i32>) {
    row.text(Col::EventType, event.kind.as_str());
    row.text(Col::Source, event.source.as_str());
    if let Some(channel) = event.channel {
        row.text(Col::Channel, channel.as_str());
    }
    row.texts(&event.texts);
    row.sent_time(event.sent_time);
    row.processing_ms(event.processing_ms);
    if event.has_destinations {
        row.recipient_count(i32::try_from(event.destinations.len()).ok());
    }
    row.tags(tags);
}

fn write_recipient(row: &mut Row<'_>, event: &Event<'_>, recipient: &Addressee<'_, '_>) {
    if let Some(mailbox) = &recipient.mailbox {
        row.text(Col::Recipient, &mailbox.address);
        row.recipient_domain(mailbox.domain(), mailbox_provider);
    } else if let Some(given) = recipient.verbatim() {
        row.text(Col::Recipient, given);
    }
    let status = recipient.named.and_then(|named| named.status.as_deref());
    let diagnostic = recipient.named.and_then(|named| named.diagnostic.as_deref());
    if let Some(diagnostic) = diagnostic {
        row.text(Col::Diagnostic, diagnostic);
    }
    if event.texts.get(Col::StatusCode).is_none() {
        let text = diagnostic.or_else(|| event.texts.get(Col::SmtpResponse));
        if let Some(code) = bounce::status_code(status, text) {
            row.text(Col::StatusCode, &code);
        }
    }
    if event.kind == EventType::Bounce {
        let class = bounce::classify(&Evidence {
            bounce_type: event.texts.get(Col::BounceType),
            bounce_subtype: event.texts.get(Col::BounceSubtype),
            status,
            diagnostic,
        });
        row.text(Col::BounceClass, class.as_str());
        row.text(Col::RuleVersion, RULE_VERSION);
    }
}
