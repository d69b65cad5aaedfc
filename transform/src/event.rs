//! One event as a document tells it, before it becomes rows.
//!
//! An [`Event`] borrows from the document wherever it can. It is filled in by the readers of each
//! format ([`crate::ses`], [`crate::pinpoint`], [`crate::messaging`]) and turned into rows by
//! [`crate::rows`]. Whatever has no column is kept in [`Event::extra`].

use std::borrow::Cow;

use hearback_schemas::{Channel, EventType, Source};

use crate::extra::{ExtraField, ExtraValue, Path};
use crate::json::Result;
use crate::json::reader::{Field, Reader};
use crate::tags::Tags;

/// The columns that hold texts, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Col {
    EventId,
    EventType,
    Source,
    Channel,
    AccountId,
    Region,
    MessageId,
    Sender,
    SenderDomain,
    Recipient,
    RecipientDomain,
    MailboxProvider,
    Subject,
    ConfigurationSet,
    Campaign,
    Template,
    Tenant,
    SmtpResponse,
    StatusCode,
    Diagnostic,
    RemoteIp,
    ReportingMta,
    BounceType,
    BounceSubtype,
    BounceClass,
    RuleVersion,
    ComplaintType,
    ComplaintSubtype,
    DelayType,
    IpAddress,
    UserAgent,
    Link,
    Actor,
    ActorReason,
    FailureReason,
    EndpointId,
    ApplicationId,
    Extra,
    SourceSequence,
}

/// How many columns hold texts.
pub(crate) const COLS: usize = Col::SourceSequence as usize + 1;

impl Col {
    /// All of them, in order.
    pub(crate) const ALL: [Self; COLS] = [
        Self::EventId,
        Self::EventType,
        Self::Source,
        Self::Channel,
        Self::AccountId,
        Self::Region,
        Self::MessageId,
        Self::Sender,
        Self::SenderDomain,
        Self::Recipient,
        Self::RecipientDomain,
        Self::MailboxProvider,
        Self::Subject,
        Self::ConfigurationSet,
        Self::Campaign,
        Self::Template,
        Self::Tenant,
        Self::SmtpResponse,
        Self::StatusCode,
        Self::Diagnostic,
        Self::RemoteIp,
        Self::ReportingMta,
        Self::BounceType,
        Self::BounceSubtype,
        Self::BounceClass,
        Self::RuleVersion,
        Self::ComplaintType,
        Self::ComplaintSubtype,
        Self::DelayType,
        Self::IpAddress,
        Self::UserAgent,
        Self::Link,
        Self::Actor,
        Self::ActorReason,
        Self::FailureReason,
        Self::EndpointId,
        Self::ApplicationId,
        Self::Extra,
        Self::SourceSequence,
    ];
}

/// The texts that are the same in every row of an event. Nearly all of them are pieces of the document,
/// so that those few that are not are kept apart: most events have nothing to give back.
#[derive(Clone, Debug)]
pub(crate) struct Texts<'a> {
    /// The texts of the columns in `borrowed`.
    pieces: [&'a str; COLS],
    /// Columns whose texts are pieces of the document, as bits.
    borrowed: u64,
    /// The texts of the columns in `owned_cols`.
    owned: Vec<(Col, String)>,
    /// The other columns that are filled in, as bits.
    owned_cols: u64,
}

impl Default for Texts<'_> {
    fn default() -> Self {
        Self { pieces: [""; COLS], borrowed: 0, owned: Vec::new(), owned_cols: 0 }
    }
}

impl<'a> Texts<'a> {
    /// Fills a column in.
    #[inline]
    pub(crate) fn set(&mut self, col: Col, text: impl Into<Cow<'a, str>>) {
        match text.into() {
            Cow::Borrowed(text) => self.set_piece(col, text),
            Cow::Owned(text) => {
                self.drop_owned(col);
                self.borrowed &= !bit(col);
                self.owned_cols |= bit(col);
                self.owned.push((col, text));
            }
        }
    }

    /// Fills a column in with a piece of the document.
    #[inline(always)]
    pub(crate) fn set_piece(&mut self, col: Col, piece: &'a str) {
        self.drop_owned(col);
        self.pieces[col as usize] = piece;
        self.borrowed |= bit(col);
    }

    #[inline(always)]
    fn drop_owned(&mut self, col: Col) {
        if self.owned_cols & bit(col) != 0 {
            self.owned_cols &= !bit(col);
            self.owned.retain(|(other, _)| *other != col);
        }
    }

    /// What a column holds.
    #[inline]
    pub(crate) fn get(&self, col: Col) -> Option<&str> {
        if let Some(text) = self.piece(col) {
            return Some(text);
        }
        if self.owned_cols & bit(col) == 0 {
            return None;
        }
        let (_, text) = self.owned.iter().find(|(other, _)| *other == col)?;
        Some(text)
    }

    /// What a column holds, if it is a piece of the document.
    #[inline]
    pub(crate) fn piece(&self, col: Col) -> Option<&'a str> {
        (self.borrowed & bit(col) != 0).then(|| self.pieces[col as usize])
    }

    /// What a column holds, and leaves it empty.
    pub(crate) fn take(&mut self, col: Col) -> Option<Cow<'a, str>> {
        if let Some(text) = self.piece(col) {
            self.borrowed &= !bit(col);
            return Some(Cow::Borrowed(text));
        }
        let at = self.owned.iter().position(|(other, _)| *other == col)?;
        self.owned_cols &= !bit(col);
        Some(Cow::Owned(self.owned.swap_remove(at).1))
    }

    /// Visits the columns that are filled in, and what they hold.
    #[inline(always)]
    pub(crate) fn each(&self, mut visit: impl FnMut(Col, &str)) {
        let mut rest = self.borrowed;
        while let Some(col) = Col::ALL.get(rest.trailing_zeros() as usize) {
            rest &= rest - 1;
            visit(*col, self.pieces[*col as usize]);
        }
        for (col, text) in &self.owned {
            visit(*col, text);
        }
    }
}

#[inline(always)]
const fn bit(col: Col) -> u64 {
    1 << col as usize
}

/// One recipient that an event names, with what it says about that one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recipient<'a> {
    /// The address (or telephone number) as given; `None` if it cannot be told.
    pub given: Option<Cow<'a, str>>,
    /// RFC 3463 status as given.
    pub status: Option<Cow<'a, str>>,
    /// Diagnostic text as given.
    pub diagnostic: Option<Cow<'a, str>>,
    /// What else the event says about this recipient.
    pub extra: Vec<ExtraField<'a>>,
}

/// One event as a document tells it.
#[derive(Clone, Debug)]
pub(crate) struct Event<'a> {
    /// What happened.
    pub kind: EventType,
    /// The service whose format this is.
    pub source: Source,
    /// Kind of message.
    pub channel: Option<Channel>,
    /// The service's own name for what happened, when `kind` does not say it all.
    pub type_name: Option<Cow<'a, str>>,
    /// When it happened, in microseconds since 1970-01-01 UTC.
    pub time: Option<i64>,
    /// When the message was sent, likewise.
    pub sent_time: Option<i64>,
    /// Columns that hold texts.
    pub texts: Texts<'a>,
    /// Destinations of the message.
    pub destinations: Vec<Cow<'a, str>>,
    /// Whether the document lists the destinations at all.
    pub has_destinations: bool,
    /// Recipients that the event itself names.
    pub named: Vec<Recipient<'a>>,
    /// From accepting the message to the remote server's acceptance.
    pub processing_ms: Option<i64>,
    /// Message tags.
    pub tags: Tags<'a>,
    /// What has no column.
    pub extra: Vec<ExtraField<'a>>,
    /// Identifies a bounce or complaint.
    pub feedback_id: Option<Cow<'a, str>>,
    /// The link as it was clicked, secrets included: hashed, never stored.
    pub full_link: Option<Cow<'a, str>>,
    /// ARN of the identity that sent the message.
    pub source_arn: Option<Cow<'a, str>>,
    /// The header From, where it was needed: services other than SES leave out the envelope's sender.
    pub from_header: Option<Cow<'a, str>>,
    /// Contact list of a subscription.
    pub contact_list: Option<Cow<'a, str>>,
    /// SES `isBotEvent`.
    pub bot_event: Option<Cow<'a, str>>,
    /// Whether the link is tagged as one to unsubscribe by.
    pub unsubscribe_link: bool,
    /// Where the From address stands in the document: the objects around it …
    pub sender_path: Path,
    /// … and its name.
    pub sender_key: &'static str,
}

/// The lists of an event, empty, to be used again for the next one.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    destinations: Vec<Cow<'static, str>>,
    named: Vec<Recipient<'static>>,
    tags: Tags<'static>,
    extra: Vec<ExtraField<'static>>,
}

/// Empties a list and gives its memory to one whose elements only differ in lifetime.
pub(crate) fn recycle<T, U>(mut list: Vec<T>) -> Vec<U> {
    list.clear();
    // Collecting from a list of the same layout is done in place.
    list.into_iter().map(|_| unreachable!("the list is empty")).collect()
}

impl<'a> Event<'a> {
    /// The lists of an event that is done with. Events are large, so they are not handed over.
    #[inline(always)]
    pub(crate) fn into_lists(self) -> Lists {
        Lists {
            destinations: recycle(self.destinations),
            named: recycle(self.named),
            tags: self.tags.recycle(),
            extra: recycle(self.extra),
        }
    }

    /// An event of which nothing is known yet. Events are large, so they are made where they stay.
    #[inline(always)]
    pub(crate) fn new(source: Source, lists: Lists) -> Self {
        Self {
            kind: EventType::Unknown,
            source,
            channel: None,
            type_name: None,
            time: None,
            sent_time: None,
            texts: Texts::default(),
            destinations: recycle(lists.destinations),
            has_destinations: false,
            named: recycle(lists.named),
            processing_ms: None,
            tags: lists.tags.recycle(),
            extra: recycle(lists.extra),
            feedback_id: None,
            full_link: None,
            source_arn: None,
            from_header: None,
            contact_list: None,
            bot_event: None,
            unsubscribe_link: false,
            sender_path: &["mail"],
            sender_key: "source",
        }
    }

    /// Keeps a field that has no column. `null` says nothing and is dropped.
    #[inline]
    pub(crate) fn keep(&mut self, path: Path, key: Cow<'a, str>, raw: &'a str) {
        if raw != "null" {
            self.extra.push(ExtraField { path, key, value: ExtraValue::Raw(raw) });
        }
    }

    /// Reads a field into a column; what is not a text is kept in `extra`.
    #[inline]
    pub(crate) fn read_text(
        &mut self,
        reader: &mut Reader<'a>,
        col: Col,
        path: Path,
        key: Cow<'a, str>,
    ) -> Result<()> {
        if let Some(text) = reader.plain_text() {
            self.texts.set_piece(col, text);
            return Ok(());
        }
        if let Some(text) = self.read_field(reader, path, key)? {
            self.texts.set(col, text);
        }
        Ok(())
    }

    /// Reads a field that should be a text; what is not one is kept in `extra`.
    #[inline]
    pub(crate) fn read_field(
        &mut self,
        reader: &mut Reader<'a>,
        path: Path,
        key: Cow<'a, str>,
    ) -> Result<Option<Cow<'a, str>>> {
        match reader.field()? {
            Field::Text(text) => Ok(Some(text)),
            Field::Null => Ok(None),
            Field::Nested(raw) => {
                self.keep(path, key, raw);
                Ok(None)
            }
        }
    }

    /// Reads a text that identity or judgement need and that has no column.
    pub(crate) fn read_and_keep(
        &mut self,
        reader: &mut Reader<'a>,
        path: Path,
        key: Cow<'a, str>,
    ) -> Result<Option<Cow<'a, str>>> {
        reader.peek()?;
        let start = reader.position();
        let field = reader.field()?;
        self.keep(path, key, reader.since(start));
        match field {
            Field::Text(text) => Ok(Some(text)),
            Field::Null | Field::Nested(_) => Ok(None),
        }
    }

    /// Reads a time; what cannot be read as one is kept in `extra`.
    #[inline]
    pub(crate) fn read_time(
        &mut self,
        reader: &mut Reader<'a>,
        path: Path,
        key: Cow<'a, str>,
    ) -> Result<Option<i64>> {
        let mut ahead = reader.clone();
        if let Some(text) = ahead.plain_text()
            && let Some(time) = crate::instant::parse_timestamp(text)
        {
            *reader = ahead;
            return Ok(Some(time));
        }
        reader.peek()?;
        let start = reader.position();
        let Some(text) = self.read_field(reader, path, key.clone())? else {
            return Ok(None);
        };
        let time = crate::instant::parse_timestamp(&text);
        if time.is_none() {
            self.keep(path, key, reader.since(start));
        }
        Ok(time)
    }

    /// Reads a whole number, also one written as a text or with a fraction; what cannot be read as
    /// one is kept in `extra`.
    pub(crate) fn read_integer(
        &mut self,
        reader: &mut Reader<'a>,
        path: Path,
        key: Cow<'a, str>,
    ) -> Result<Option<i64>> {
        reader.peek()?;
        let start = reader.position();
        let Some(text) = self.read_field(reader, path, key.clone())? else {
            return Ok(None);
        };
        let number = integer(&text);
        if number.is_none() {
            self.keep(path, key, reader.since(start));
        }
        Ok(number)
    }

    /// Reads a list of texts into `list`. A single text is a list of one. `false`, and nothing is
    /// read into `list`, if it holds anything else; then it is kept in `extra`.
    pub(crate) fn read_texts(
        &mut self,
        reader: &mut Reader<'a>,
        list: &mut Vec<Cow<'a, str>>,
        path: Path,
        key: Cow<'a, str>,
    ) -> Result<bool> {
        let first_byte = reader.peek()?;
        let start = reader.position();
        let before = list.len();
        let mut plain = true;
        if first_byte == b'[' {
            reader.enter_array()?;
            let mut first = true;
            while reader.element(&mut first)? {
                if let Some(text) = reader.plain_text() {
                    list.push(Cow::Borrowed(text));
                    continue;
                }
                match reader.field()? {
                    Field::Text(text) => list.push(text),
                    Field::Null => {}
                    Field::Nested(_) => plain = false,
                }
            }
        } else {
            match reader.field()? {
                Field::Text(text) => list.push(text),
                Field::Null => return Ok(false),
                Field::Nested(_) => plain = false,
            }
        }
        if !plain {
            list.truncate(before);
            self.keep(path, key, reader.since(start));
        }
        Ok(plain)
    }

    /// Reads message tags: an object of lists of texts. Single texts are lists of one.
    pub(crate) fn read_tags(
        &mut self,
        reader: &mut Reader<'a>,
        path: Path,
        key: Cow<'a, str>,
    ) -> Result<()> {
        if reader.peek()? != b'{' {
            let raw = reader.skip()?;
            self.keep(path, key, raw);
            return Ok(());
        }
        self.tags.read(reader)
    }
}

/// A whole number out of a text; a fraction is cut off.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    // Beyond 2^53 a float no longer tells whole numbers apart.
    (number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}
