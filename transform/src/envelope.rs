//! Envelopes, peeled from the outside by what they hold, never by where they came from.
//!
//! SES and Pinpoint cannot reach most sources directly: their documents lie in EventBridge events,
//! SNS notifications, SQS messages, Lambda events of all of these, HTTP requests, Firehose records and
//! CloudWatch Logs subscriptions, one inside the other. Whatever an envelope says about itself is dropped: all
//! columns are facts of the event.

use std::borrow::Cow;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearback_schemas::Source;
use prost::bytes::Bytes;

use crate::event::Event;
use crate::json::Result;
use crate::json::reader::{Field, Reader};
use crate::kpl;
use crate::pinpoint::Pinpoint;
use crate::ses::{self, Ses};
use crate::stream::{Reading, Site};
use crate::{messaging, pinpoint};

/// Envelopes inside each other that are peeled at most.
pub(crate) const MAX_ENVELOPES: usize = 8;

/// What a compressed record may unpack to, in bytes. CloudWatch Logs and Kinesis records are at
/// most 10 MiB.
const MAX_UNPACKED: u64 = 256 << 20;

/// The names of the fields that tell what an object is.
const TELLING: [&str; 31] = [
    "eventType",
    "notificationType",
    "mail",
    "event_type",
    "Type",
    "TopicArn",
    "Message",
    "detail-type",
    "source",
    "detail",
    "Records",
    "records",
    "Messages",
    "messageType",
    "logEvents",
    "message",
    "rawData",
    "kinesis",
    "Sns",
    "sns",
    "body",
    "Body",
    "data",
    "Data",
    "eventSource",
    "EventSource",
    "events",
    "awslogs",
    "requestPayload",
    "isBase64Encoded",
    "application",
];

fn telling(key: &str) -> Option<usize> {
    TELLING.iter().position(|name| *name == key)
}

/// The fields of an object that tell what it is, as they are written.
#[derive(Debug, Default)]
struct Outline<'a> {
    values: [Option<&'a str>; TELLING.len()],
}

impl<'a> Outline<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let mut outline = Self::default();
        reader.enter_object()?;
        let mut first = true;
        while let Some(key) = reader.key(&mut first)? {
            let value = reader.skip()?;
            if let Some(index) = telling(&key) {
                outline.values[index] = Some(value);
            }
        }
        Ok(outline)
    }

    /// What a field holds, as it is written; `None` for `null`.
    fn get(&self, name: &str) -> Option<&'a str> {
        self.values[telling(name)?].filter(|raw| *raw != "null")
    }

    fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        match Reader::new(self.get(name)?).field() {
            Ok(Field::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn array(&self, name: &str) -> Option<&'a str> {
        self.get(name).filter(|raw| raw.starts_with('['))
    }

    fn object(&self, name: &str) -> Option<&'a str> {
        self.get(name).filter(|raw| raw.starts_with('{'))
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl Reading<'_> {
    /// Reads the object that the reader stands before, and leaves the reader behind it. An error
    /// means that it is no JSON; then nothing has been taken in.
    pub(crate) fn read_document(
        &mut self,
        reader: &mut Reader<'_>,
        site: &mut Site<'_>,
        depth: usize,
    ) -> Result<()> {
        let before = reader.clone();
        let start = reader.position();
        let mut look = reader.clone();
        look.enter_object()?;
        let mut first = true;
        let first_key = look.key(&mut first)?;
        match first_key.as_deref() {
            Some("eventType" | "notificationType") => {
                if self.read_ses(reader, start, site)? {
                    return Ok(());
                }
                *reader = before.clone();
            }
            Some("event_type") => {
                if self.read_pinpoint(reader, start, site)? {
                    return Ok(());
                }
                *reader = before.clone();
            }
            Some("version" | "id" | "detail-type" | "source" | "account") => {
                if self.read_event_bridge(reader, start, site)? {
                    return Ok(());
                }
                *reader = before.clone();
            }
            _ => {}
        }
        let outline = Outline::read(reader)?;
        let document = reader.since(start);
        let mut own = *site;
        own.raw = own.raw.or(Some(document.as_bytes()));
        self.open(&outline, before, document, &mut own, depth)?;
        site.ordinal = own.ordinal;
        Ok(())
    }

    /// Reads an SES document; `false` if it is none.
    fn read_ses(
        &mut self,
        reader: &mut Reader<'_>,
        start: usize,
        site: &mut Site<'_>,
    ) -> Result<bool> {
        let mut event = self.empty_event(Source::Ses);
        let read = ses::read(reader, self.options, self.ses, &mut event)?;
        match read {
            Ses::Event => self.accept(&mut event, reader.since(start), site),
            Ses::Control => self.ignore(site),
            Ses::Other => {}
        }
        *self.lists = Some(event.into_lists());
        Ok(!matches!(read, Ses::Other))
    }

    /// Reads an EventBridge event with an SES document in it, in one pass; `false` if it is
    /// anything else.
    fn read_event_bridge(
        &mut self,
        reader: &mut Reader<'_>,
        start: usize,
        site: &mut Site<'_>,
    ) -> Result<bool> {
        let mut event = self.empty_event(Source::Ses);
        let mut detail = None;
        let mut from_ses = false;
        reader.enter_object()?;
        let mut first = true;
        while let Some(key) = reader.key(&mut first)? {
            match key.as_ref() {
                "source" => from_ses = reader.skip()? == "\"aws.ses\"",
                "detail" if detail.is_none() && reader.peek()? == b'{' => {
                    let from = reader.position();
                    let Ses::Event = ses::read(reader, self.options, self.ses, &mut event)? else {
                        *self.lists = Some(event.into_lists());
                        return Ok(false);
                    };
                    detail = Some(reader.since(from));
                }
                "detail-type" => {
                    reader.skip()?;
                }
                other if telling(other).is_some() => return Ok(false),
                _ => {
                    reader.skip()?;
                }
            }
        }
        let found = match detail {
            Some(detail) if from_ses => {
                let mut own = *site;
                own.raw = own.raw.or(Some(reader.since(start).as_bytes()));
                self.accept(&mut event, detail, &mut own);
                site.ordinal = own.ordinal;
                true
            }
            _ => false,
        };
        *self.lists = Some(event.into_lists());
        Ok(found)
    }

    /// Reads a Pinpoint document; `false` if it is none.
    fn read_pinpoint(
        &mut self,
        reader: &mut Reader<'_>,
        start: usize,
        site: &mut Site<'_>,
    ) -> Result<bool> {
        let mut event = self.empty_event(Source::Pinpoint);
        let read = pinpoint::read(reader, self.options, &mut event)?;
        match read {
            Pinpoint::Event => self.accept(&mut event, reader.since(start), site),
            Pinpoint::Control => self.ignore(site),
            Pinpoint::Other => {}
        }
        *self.lists = Some(event.into_lists());
        Ok(!matches!(read, Pinpoint::Other))
    }

    #[inline(always)]
    fn empty_event<'a>(&mut self, source: Source) -> Event<'a> {
        Event::new(source, self.lists.take().unwrap_or_default())
    }

    /// Opens an object whose outline is known, by what it holds.
    fn open(
        &mut self,
        outline: &Outline<'_>,
        mut reader: Reader<'_>,
        document: &str,
        site: &mut Site<'_>,
        depth: usize,
    ) -> Result<()> {
        let start = reader.position();
        let type_name = outline.text("eventType").or_else(|| outline.text("notificationType"));
        if type_name.is_some() && self.read_ses(&mut reader.clone(), start, site)? {
            return Ok(());
        }
        if outline.text("event_type").is_some()
            && self.read_pinpoint(&mut reader.clone(), start, site)?
        {
            return Ok(());
        }
        if let Some(name) = &type_name {
            if messaging::is_messaging(name) {
                let mut event = self.empty_event(Source::EndUserMessaging);
                messaging::read(&mut reader, &mut event)?;
                self.accept(&mut event, document, site);
                return Ok(());
            }
            if ses::is_known_type(name) {
                self.reject(site, document.as_bytes(), "SES event without mail".into());
                return Ok(());
            }
        }
        if depth >= MAX_ENVELOPES {
            self.reject(site, document.as_bytes(), "too many envelopes inside each other".into());
            return Ok(());
        }
        self.open_envelope(outline, document, site, depth)
    }

    fn open_envelope(
        &mut self,
        outline: &Outline<'_>,
        document: &str,
        site: &mut Site<'_>,
        depth: usize,
    ) -> Result<()> {
        if outline.text("messageType") == Some("CONTROL_MESSAGE".into()) {
            // CloudWatch Logs tries its destination with a log event that says so.
            self.ignore(site);
            return Ok(());
        }
        // Lambda events, GetRecords, Firehose, ReceiveMessage, CloudWatch Logs: several records.
        for name in ["Records", "records", "Messages", "logEvents", "events"] {
            if let Some(list) = outline.array(name) {
                return self.open_records(list, site, depth);
            }
        }
        if outline.has("messageType") && outline.text("messageType") != Some("DATA_MESSAGE".into())
        {
            self.ignore(site);
            return Ok(());
        }
        if let Some(kind) = outline.text("Type")
            && (outline.has("TopicArn") || outline.has("Message"))
        {
            return self.open_sns(&kind, outline, document, site, depth);
        }
        if let Some(detail) = outline.get("detail")
            && outline.has("source")
        {
            return self.open_event_bridge(detail, outline, document, site, depth);
        }
        // The parts of Lambda events, and what a function was asked when it failed.
        for name in ["kinesis", "Sns", "sns", "awslogs", "requestPayload"] {
            if let Some(record) = outline.object(name) {
                return self.open_object(record, site, depth);
            }
        }
        if outline.text("eventSource") == Some("aws:ses".into()) {
            self.ignore(site);
            return Ok(());
        }
        for name in ["data", "Data", "rawData"] {
            if let Some(encoded) = outline.text(name) {
                self.open_encoded(&encoded, site, depth);
                return Ok(());
            }
        }
        // An HTTP request as API Gateway and function URLs hand it on.
        if outline.get("isBase64Encoded") == Some("true")
            && let Some(encoded) = outline.text("body")
        {
            self.open_encoded(&encoded, site, depth);
            return Ok(());
        }
        for name in ["body", "Body", "Message", "message"] {
            if let Some(payload) = outline.get(name) {
                return self.open_value(payload, site, depth);
            }
        }
        self.reject(site, document.as_bytes(), "neither an event nor an envelope".into());
        Ok(())
    }

    fn open_records(&mut self, list: &str, site: &mut Site<'_>, depth: usize) -> Result<()> {
        // The list is looked through before anything is taken in: after that it cannot fail.
        let mut elements = Vec::new();
        let mut reader = Reader::new(list);
        reader.enter_array()?;
        let mut first = true;
        while reader.element(&mut first)? {
            elements.push(reader.skip()?);
        }
        if elements.is_empty() {
            self.ignore(site);
        }
        for element in elements {
            let mut own = self.site_of(element, site);
            if element.starts_with('{') {
                let taken = self.read_document(&mut Reader::new(element), &mut own, depth + 1);
                if let Err(error) = taken {
                    self.reject(&mut own, element.as_bytes(), error.to_string().into());
                }
            } else {
                self.reject(&mut own, element.as_bytes(), "not a JSON object".into());
            }
            self.hand_back(own, site);
        }
        Ok(())
    }

    fn open_sns(
        &mut self,
        kind: &str,
        outline: &Outline<'_>,
        document: &str,
        site: &mut Site<'_>,
        depth: usize,
    ) -> Result<()> {
        match kind {
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => {
                self.ignore(site);
                Ok(())
            }
            _ => match outline.get("Message") {
                Some(message) => self.open_value(message, site, depth),
                None => {
                    self.reject(site, document.as_bytes(), "SNS envelope without a message".into());
                    Ok(())
                }
            },
        }
    }

    /// EventBridge: only events of SES (and of End User Messaging) are email feedback; what else SES
    /// publishes there (tenant status, advisor recommendations, API calls) carries none.
    fn open_event_bridge(
        &mut self,
        detail: &str,
        outline: &Outline<'_>,
        document: &str,
        site: &mut Site<'_>,
        depth: usize,
    ) -> Result<()> {
        let source = outline.text("source").unwrap_or_default();
        let is_ses = source == "aws.ses";
        if !is_ses && source != "aws.sms-voice" {
            self.reject(site, document.as_bytes(), "EventBridge event of another service".into());
            return Ok(());
        }
        if is_ses && detail.starts_with('{') {
            let inner = Outline::read(&mut Reader::new(detail))?;
            let type_name = inner.text("eventType").or_else(|| inner.text("notificationType"));
            let is_event =
                inner.has("mail") || type_name.is_some_and(|name| ses::is_known_type(&name));
            if !is_event {
                self.ignore(site);
                return Ok(());
            }
        }
        self.open_value(detail, site, depth)
    }

    /// Opens what an envelope carries: an object as it is, or a text that holds one.
    fn open_value(&mut self, value: &str, site: &mut Site<'_>, depth: usize) -> Result<()> {
        match value.as_bytes().first() {
            Some(b'{') => self.open_object(value, site, depth),
            Some(b'"') => {
                let text = Reader::new(value).string()?.decode()?;
                self.read_payload(&text, site, depth + 1);
                Ok(())
            }
            _ => {
                self.read_payload(value, site, depth + 1);
                Ok(())
            }
        }
    }

    fn open_object(&mut self, object: &str, site: &mut Site<'_>, depth: usize) -> Result<()> {
        if let Err(error) = self.read_document(&mut Reader::new(object), site, depth + 1) {
            self.reject(site, object.as_bytes(), error.to_string().into());
        }
        Ok(())
    }

    /// Opens a record in base64, which may be compressed (CloudWatch Logs) or an aggregate of
    /// several (Kinesis Producer Library).
    fn open_encoded(&mut self, encoded: &str, site: &mut Site<'_>, depth: usize) {
        let Ok(mut bytes) = STANDARD.decode(encoded.trim_ascii()) else {
            self.reject(site, encoded.as_bytes(), "not valid base64".into());
            return;
        };
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut unpacked = Vec::new();
            let unpacking = flate2::read::MultiGzDecoder::new(bytes.as_slice());
            let read = unpacking.take(MAX_UNPACKED + 1).read_to_end(&mut unpacked);
            if read.is_err() || unpacked.len() as u64 > MAX_UNPACKED {
                self.reject(site, encoded.as_bytes(), "not valid gzip, or too large".into());
                return;
            }
            bytes = unpacked;
        }
        let bytes = Bytes::from(bytes);
        // What only begins like an aggregate is one plain record.
        let Some(user_records) = kpl::deaggregate(&bytes) else {
            self.open_bytes(&bytes, encoded, site, depth);
            return;
        };
        for user_record in user_records {
            self.open_bytes(&user_record.data, encoded, site, depth);
        }
    }

    fn open_bytes(&mut self, bytes: &[u8], encoded: &str, site: &mut Site<'_>, depth: usize) {
        match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => self.read_payload(text, site, depth + 1),
            Err(_) => self.reject(site, encoded.as_bytes(), "invalid UTF-8".into()),
        }
    }
}
