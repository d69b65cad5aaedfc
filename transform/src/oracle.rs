//! A second decoder, slow and plain, that the fast one is compared with.
//!
//! It reads whole documents into `serde_json::Value` and shares with the fast decoder only the
//! judging functions (addresses, timestamps, links, classes), never the reading. What it gives is a
//! row as a map from column names to JSON values, NULL columns absent. It has no opinion on what is
//! not valid JSON, nor on objects that hold a key twice (RFC 8259 section 4).

pub mod compare;
pub mod mutate;
mod pinpoint;
mod row;
mod ses;
mod unique;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::DecodeOptions;

/// A row: its columns that are not NULL. `extra` is the object itself, not its text.
pub type Row = Map<String, Value>;

/// What a document comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Documents that became rows.
    pub accepted: u64,
    /// Documents that carry no event.
    pub ignored: u64,
    /// Documents that could not be understood.
    pub rejected: u64,
    /// Rows, in the order of the documents.
    pub rows: Vec<Row>,
}

/// Reads one JSON value; `None` if the oracle has no opinion on it.
#[must_use]
pub fn judge(text: &str, options: &DecodeOptions) -> Option<Verdict> {
    serde_json::from_str::<unique::Unique>(text).ok()?;
    let value: Value = serde_json::from_str(text).ok()?;
    let mut verdict = Verdict::default();
    let object = value.as_object()?;
    document(object, options, 0, &mut verdict)?;
    Some(verdict)
}

fn document(
    object: &Map<String, Value>,
    options: &DecodeOptions,
    depth: usize,
    verdict: &mut Verdict,
) -> Option<()> {
    let type_name =
        row::text(object.get("eventType")).or_else(|| row::text(object.get("notificationType")));
    if let Some(name) = &type_name {
        if name == "AmazonSnsSubscriptionSucceeded" || name == "Received" {
            verdict.ignored += 1;
            return Some(());
        }
        if object.get("mail").is_some_and(Value::is_object) {
            take(ses::rows(object, name, options, object), verdict);
            return Some(());
        }
    }
    if let Some(name) = row::text(object.get("event_type"))
        && (name.starts_with('_') || object.get("application").is_some_and(Value::is_object))
    {
        if name == "_test.event_stream" {
            verdict.ignored += 1;
        } else {
            take(pinpoint::rows(object, &name, options), verdict);
        }
        return Some(());
    }
    if let Some(name) = &type_name {
        if ["TEXT_", "VOICE_", "MEDIA_"].iter().any(|prefix| name.starts_with(prefix)) {
            return None;
        }
        if ses::kind_of(name) != "unknown" {
            verdict.rejected += 1;
            return Some(());
        }
    }
    envelope(object, options, depth, verdict)
}

fn take(rows: Option<Vec<Row>>, verdict: &mut Verdict) {
    match rows {
        Some(rows) => {
            verdict.accepted += 1;
            verdict.rows.extend(rows);
        }
        None => verdict.rejected += 1,
    }
}

fn envelope(
    object: &Map<String, Value>,
    options: &DecodeOptions,
    depth: usize,
    verdict: &mut Verdict,
) -> Option<()> {
    if depth >= 8 {
        return None;
    }
    let get = |name: &str| object.get(name).filter(|value| !value.is_null());
    if get("messageType").is_some_and(|kind| kind == "CONTROL_MESSAGE") {
        verdict.ignored += 1;
        return Some(());
    }
    for name in ["Records", "records", "Messages", "logEvents", "events"] {
        if let Some(list) = get(name).and_then(Value::as_array) {
            if list.is_empty() {
                verdict.ignored += 1;
            }
            for element in list {
                match element.as_object() {
                    Some(element) => document(element, options, depth + 1, verdict)?,
                    None => verdict.rejected += 1,
                }
            }
            return Some(());
        }
    }
    if let Some(kind) = get("messageType")
        && kind != "DATA_MESSAGE"
    {
        verdict.ignored += 1;
        return Some(());
    }
    if let Some(kind) = row::text(object.get("Type"))
        && (get("TopicArn").is_some() || get("Message").is_some())
    {
        if kind == "SubscriptionConfirmation" || kind == "UnsubscribeConfirmation" {
            verdict.ignored += 1;
            return Some(());
        }
        return match get("Message") {
            Some(message) => payload(message, options, depth, verdict),
            None => {
                verdict.rejected += 1;
                Some(())
            }
        };
    }
    if let (Some(detail), Some(source)) = (get("detail"), get("source")) {
        if source != "aws.ses" && source != "aws.sms-voice" {
            verdict.rejected += 1;
            return Some(());
        }
        if source == "aws.ses"
            && let Some(inner) = detail.as_object()
        {
            let name = row::text(inner.get("eventType"))
                .or_else(|| row::text(inner.get("notificationType")));
            let known = name.is_some_and(|name| ses::kind_of(&name) != "unknown");
            if inner.get("mail").is_none_or(Value::is_null) && !known {
                verdict.ignored += 1;
                return Some(());
            }
        }
        return payload(detail, options, depth, verdict);
    }
    for name in ["kinesis", "Sns", "sns", "awslogs", "requestPayload"] {
        if let Some(record) = get(name).and_then(Value::as_object) {
            return document(record, options, depth + 1, verdict);
        }
    }
    if get("eventSource").is_some_and(|source| source == "aws:ses") {
        verdict.ignored += 1;
        return Some(());
    }
    for name in ["data", "Data", "rawData"] {
        if let Some(encoded) = row::text(object.get(name)) {
            return encoded_stream(&encoded, options, depth, verdict);
        }
    }
    if get("isBase64Encoded").is_some_and(|encoded| encoded == true)
        && let Some(encoded) = row::text(object.get("body"))
    {
        return encoded_stream(&encoded, options, depth, verdict);
    }
    for name in ["body", "Body", "Message", "message"] {
        if let Some(value) = get(name) {
            return payload(value, options, depth, verdict);
        }
    }
    verdict.rejected += 1;
    Some(())
}

fn payload(
    value: &Value,
    options: &DecodeOptions,
    depth: usize,
    verdict: &mut Verdict,
) -> Option<()> {
    match value {
        Value::Object(object) => document(object, options, depth + 1, verdict),
        Value::String(text) => {
            if text.trim().starts_with("Successfully validated SNS topic for Amazon SES") {
                verdict.ignored += 1;
                return Some(());
            }
            stream(text, options, depth + 1, verdict)
        }
        _ => None,
    }
}

fn encoded_stream(
    encoded: &str,
    options: &DecodeOptions,
    depth: usize,
    verdict: &mut Verdict,
) -> Option<()> {
    let Ok(bytes) = STANDARD.decode(encoded.trim()) else {
        verdict.rejected += 1;
        return Some(());
    };
    let text = String::from_utf8(bytes).ok()?;
    stream(&text, options, depth + 1, verdict)
}

fn stream(text: &str, options: &DecodeOptions, depth: usize, verdict: &mut Verdict) -> Option<()> {
    let mut unique = serde_json::Deserializer::from_str(text).into_iter::<unique::Unique>();
    if !unique.all(|value| value.is_ok()) {
        return None;
    }
    let values: Result<Vec<Value>, _> =
        serde_json::Deserializer::from_str(text).into_iter().collect();
    let values = values.ok()?;
    if values.is_empty() {
        verdict.rejected += 1;
    }
    for value in values {
        document(value.as_object()?, options, depth, verdict)?;
    }
    Some(())
}
