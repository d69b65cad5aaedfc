//! One event as a document tells it, before it becomes rows.
//!
//! An [`Event`] borrows from the document wherever it can. It is filled in by the readers of each
//! format ([`crate::ses`], [`crate::pinpoint`], [`crate::messaging`]) and turned into rows by
//! [`crate::rows`]. Whatever has no column is kept in [`Event::extra`].

use std::borrow::Cow;

use hearback_schemas::{Channel, EventType, Source};

use crate::extra::{ExtraField, ExtraValue, Path};
use crate::json::Result;
use crate::json::canonical;
use crate::json::reader::{Field, Reader};

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

/// The texts that are the same in every row of an event.
#[derive(Clone, Debug)]
pub(crate) struct Texts<'a> {
    values: [Cow<'a, str>; COLS],
    set: u64,
}

impl Default for Texts<'_> {
    fn default() -> Self {
        Self { values: [const { Cow::Borrowed("") }; COLS], set: 0 }
    }
}

impl<'a> Texts<'a> {
    /// Fills a column in.
    #[inline]
    pub(crate) fn set(&mut self, col: Col, text: impl Into<Cow<'a, str>>) {
        self.values[col as usize] = text.into();
        self.set |= 1 << col as usize;
    }

    /// What a column holds.
    #[inline]
    pub(crate) fn get(&self, col: Col) -> Option<&str> {
        (self.set >> col as usize & 1 == 1).then(|| self.values[col as usize].as_ref())
    }

    /// What a column holds, and leaves it empty.
    pub(crate) fn take(&mut self, col: Col) -> Option<Cow<'a, str>> {
        if self.set >> col as usize & 1 == 0 {
            return None;
        }
        self.set &= !(1 << col as usize);
        Some(std::mem::take(&mut self.values[col as usize]))
    }

    /// The columns that are filled in, as bits, and what they hold.
    #[inline]
    pub(crate) fn filled(&self) -> (u64, &[Cow<'a, str>; COLS]) {
        (self.set, &self.values)
    }
}

/// Message tags, in the order of the document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tags<'a> {
    /// Names, each with the range of its values in `values`.
    pub names: Vec<(Cow<'a, str>, u32, u32)>,
    /// Values of all tags, one tag after the other.
    pub values: Vec<Option<Cow<'a, str>>>,
    /// Where the names of the event before had to go to be in order.
    order: Vec<u32>,
    /// Room to put names in order.
    spare: Vec<(Cow<'a, str>, u32, u32)>,
}

impl<'a> Tags<'a> {
    /// No tags, in the memory of these.
    fn recycle<'b>(self) -> Tags<'b> {
        Tags {
            names: recycle(self.names),
            values: recycle(self.values),
            order: self.order,
            spare: recycle(self.spare),
        }
    }

    /// The first value of a tag.
    pub(crate) fn first(&self, name: &str) -> Option<&Cow<'a, str>> {
        let (_, start, end) = self.names.iter().rev().find(|tag| tag.0 == name)?;
        self.values[*start as usize..*end as usize].first()?.as_ref()
    }

    /// Puts the names in order, so that the order in the document does not matter; of equal names
    /// the last counts.
    pub(crate) fn sort(&mut self) {
        if self.names.is_sorted_by(|a, b| by_name(&a.0, &b.0).is_lt()) {
            return;
        }
        // Events of one sender carry the same tags: mostly the order of the last one fits.
        let fits = self.order.len() == self.names.len()
            && self.order.is_sorted_by(|a, b| {
                by_name(&self.names[*a as usize].0, &self.names[*b as usize].0).is_lt()
            });
        if !fits {
            self.order.clear();
            self.order.extend(0..u32::try_from(self.names.len()).unwrap_or(0));
            let names = &self.names;
            self.order.sort_by(|a, b| by_name(&names[*a as usize].0, &names[*b as usize].0));
        }
        self.spare.clear();
        for (i, index) in self.order.iter().enumerate() {
            let next = self.order.get(i + 1).map(|next| &self.names[*next as usize].0);
            if next != Some(&self.names[*index as usize].0) {
                self.spare.push(self.names[*index as usize].clone());
            }
        }
        std::mem::swap(&mut self.names, &mut self.spare);
    }
}

/// The order of names. The first bytes decide nearly always.
fn by_name(a: &str, b: &str) -> std::cmp::Ordering {
    beginning(a).cmp(&beginning(b)).then_with(|| a.cmp(b))
}

fn beginning(name: &str) -> u128 {
    let mut first = [0; 16];
    match name.as_bytes().first_chunk::<16>() {
        Some(chunk) => first = *chunk,
        None => first[..name.len()].copy_from_slice(name.as_bytes()),
    }
    u128::from_be_bytes(first)
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
    /// The lists of an event that is done with.
    pub(crate) fn into_lists(self) -> Lists {
        Lists {
            destinations: recycle(self.destinations),
            named: recycle(self.named),
            tags: self.tags.recycle(),
            extra: recycle(self.extra),
        }
    }

    /// An event of which nothing is known yet.
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
        reader.enter_object()?;
        self.tags.names.clear();
        self.tags.values.clear();
        let mut first = true;
        while let Some(name) = reader.key(&mut first)? {
            let start = self.tags.values.len();
            if reader.peek()? == b'[' {
                reader.enter_array()?;
                let mut first_value = true;
                while reader.element(&mut first_value)? {
                    let value = tag_value(reader)?;
                    self.tags.values.push(value);
                }
            } else if let Some(value) = tag_value(reader)? {
                self.tags.values.push(Some(value));
            }
            let (Ok(start), Ok(end)) =
                (u32::try_from(start), u32::try_from(self.tags.values.len()))
            else {
                return Err(crate::json::JsonError::TooDeep);
            };
            self.tags.names.push((name, start, end));
        }
        Ok(())
    }
}

fn tag_value<'a>(reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>> {
    match reader.field()? {
        Field::Text(text) => Ok(Some(text)),
        Field::Null => Ok(None),
        Field::Nested(raw) => {
            let mut text = String::new();
            canonical::write(raw, &mut text)?;
            Ok(Some(Cow::Owned(text)))
        }
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
