//! Reads endpoints, one after the other, out of NDJSON, JSON documents or CSV.

use std::io::{BufRead, Read};

use hearback_transform::address::parse_mailbox;
use serde_json::{Map, Value};

/// Longest line that is taken for an endpoint; Pinpoint's own limit is 15 KB.
const LONGEST: usize = 16 << 20;

/// One endpoint as an export has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Endpoint {
    /// Everything that it says; `Id` and `ChannelType` are there.
    pub(super) fields: Map<String, Value>,
}

/// What was found.
pub(super) enum Found {
    /// An endpoint.
    Endpoint(Endpoint),
    /// Something else, with where it is and why it is none. No more than that: it may hold addresses.
    Unreadable { place: String, reason: String },
    /// The input ends here because it cannot be read.
    Broken(std::io::Error),
}

/// How endpoints are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// JSON documents, one a line or over several lines.
    Json,
    /// Comma-separated, with a header of dotted names such as `User.UserId`.
    Csv,
}

impl Format {
    /// Tells by the first character that is no white space.
    pub(super) fn of(input: &mut dyn BufRead) -> std::io::Result<Self> {
        let begin = input.fill_buf()?;
        let begin = begin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begin);
        let first = begin.iter().find(|byte| !byte.is_ascii_whitespace());
        Ok(if matches!(first, Some(b'{' | b'[') | None) { Self::Json } else { Self::Csv })
    }
}

/// The endpoints of an input.
pub(super) fn endpoints<'a>(
    format: Format,
    input: Box<dyn BufRead + Send + 'a>,
) -> Box<dyn Iterator<Item = Found> + Send + 'a> {
    match format {
        Format::Json => Box::new(Lines { input, line: 0, open: None, waiting: Vec::new() }),
        Format::Csv => Box::new(csv_rows(input)),
    }
}

/// JSON, line by line. A document that is not whole at the end of its line goes on in the next ones.
struct Lines<'a> {
    input: Box<dyn BufRead + Send + 'a>,
    line: u64,
    /// A document that is not whole yet, and the line on which it began.
    open: Option<(u64, Vec<u8>)>,
    /// Endpoints of a document that holds several, the last first.
    waiting: Vec<Found>,
}

impl Iterator for Lines<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.waiting.pop() {
                return Some(found);
            }
            let mut text = Vec::new();
            let longest = LONGEST as u64 + 1;
            match (&mut self.input).take(longest).read_until(b'\n', &mut text) {
                Ok(0) => {
                    let (line, _) = self.open.take()?;
                    return Some(unreadable(line, "a JSON document without its end".to_owned()));
                }
                Ok(_) => {}
                Err(error) => return Some(Found::Broken(error)),
            }
            self.line += 1;
            if self.line == 1 && text.starts_with(b"\xef\xbb\xbf") {
                text.drain(..3);
            }
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            // A line that is a document by itself is one, also after one that never ended.
            let whole = serde_json::from_slice::<Value>(&text);
            if let (Ok(document @ (Value::Object(_) | Value::Array(_))), true) =
                (&whole, text.starts_with(b"{") || self.open.is_none())
            {
                if let Some((line, _)) = self.open.take() {
                    self.waiting
                        .push(unreadable(line, "a JSON document without its end".to_owned()));
                }
                let line = self.line;
                let mut all = taken_apart(document.clone(), line);
                all.reverse();
                all.append(&mut self.waiting);
                self.waiting = all;
                continue;
            }
            if let Some(found) = self.go_on(&text) {
                return Some(found);
            }
        }
    }
}

impl Lines<'_> {
    /// Adds a line to the document that is open, or opens one; something if that settles it.
    fn go_on(&mut self, text: &[u8]) -> Option<Found> {
        let (began, mut document) = self.open.take().unwrap_or((self.line, Vec::new()));
        document.extend_from_slice(text);
        if document.len() > LONGEST {
            return Some(unreadable(began, format!("longer than {LONGEST} bytes")));
        }
        match serde_json::from_slice::<Value>(&document) {
            Ok(whole) => {
                self.waiting = taken_apart(whole, began);
                self.waiting.reverse();
                None
            }
            Err(error) if error.is_eof() => {
                self.open = Some((began, document));
                None
            }
            Err(_) => Some(unreadable(began, "it is no JSON".to_owned())),
        }
    }
}

fn unreadable(line: u64, reason: String) -> Found {
    Found::Unreadable { place: format!("line {line}"), reason }
}

/// The endpoints of a document: one, a list, or an answer of Pinpoint's API around them.
fn taken_apart(document: Value, line: u64) -> Vec<Found> {
    match document {
        Value::Array(all) => all.into_iter().flat_map(|one| taken_apart(one, line)).collect(),
        Value::Object(mut fields) => {
            for wrapping in ["EndpointsResponse", "EndpointResponse", "Item"] {
                if let Some(inner @ (Value::Object(_) | Value::Array(_))) = fields.remove(wrapping)
                {
                    return taken_apart(inner, line);
                }
            }
            vec![checked(fields, line)]
        }
        _ => vec![unreadable(line, "it is no JSON object".to_owned())],
    }
}

fn checked(mut fields: Map<String, Value>, line: u64) -> Found {
    fields.retain(|_, value| !value.is_null());
    if let Err(reason) = settle(&mut fields) {
        return unreadable(line, reason);
    }
    Found::Endpoint(Endpoint { fields })
}

/// What an endpoint has to have; its address spelt as the lake spells addresses.
fn settle(fields: &mut Map<String, Value>) -> Result<(), String> {
    let text = |fields: &Map<String, Value>, name: &str| match fields.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let Some(channel) = text(fields, "ChannelType") else {
        return Err("it has no ChannelType".to_owned());
    };
    let address = text(fields, "Address");
    if text(fields, "Id").is_none() {
        // Files for import need no id; Pinpoint made one of channel and address.
        let Some(address) = &address else {
            return Err("it has neither Id nor Address".to_owned());
        };
        let id = crate::activate::segments::change::identity_of(&[&channel, address]);
        fields.insert("Id".to_owned(), Value::from(id));
    }
    if channel != "EMAIL" {
        return Ok(());
    }
    if let Some(given) = address {
        let Some(mailbox) = parse_mailbox(&given) else {
            return Err("its Address is no e-mail address".to_owned());
        };
        fields.insert("Address".to_owned(), Value::from(mailbox.address.as_ref()));
    }
    Ok(())
}

fn csv_rows<'a>(input: Box<dyn BufRead + Send + 'a>) -> impl Iterator<Item = Found> + Send + 'a {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let header = match reader.headers() {
        Ok(header) => Ok(header.clone()),
        Err(error) => Err(error.to_string()),
    };
    let mut rows = reader.into_records();
    std::iter::from_fn(move || {
        let row = rows.next()?;
        let header = match &header {
            Ok(header) => header,
            Err(error) => return Some(Found::Broken(std::io::Error::other(error.clone()))),
        };
        let row = match row {
            Ok(row) => row,
            Err(error) if error.is_io_error() => {
                return Some(Found::Broken(std::io::Error::other(error.to_string())));
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                return Some(unreadable(line, "it is no row of CSV".to_owned()));
            }
        };
        let line = row.position().map_or(0, csv::Position::line);
        if row.len() > header.len() {
            return Some(unreadable(line, "it has more columns than the header".to_owned()));
        }
        let mut fields = Map::new();
        for (name, text) in header.iter().zip(&row) {
            let name = name.trim_start_matches('\u{feff}').trim();
            if !text.is_empty() {
                place(&mut fields, name, text);
            }
        }
        Some(checked(fields, line))
    })
}

/// Puts the value of a dotted name, such as `User.UserAttributes.interests`, where JSON has it.
fn place(fields: &mut Map<String, Value>, name: &str, text: &str) {
    let value = |text: &str| Value::from(text);
    // A list of values is written as a JSON array.
    let list = |text: &str| match serde_json::from_str::<Value>(text) {
        Ok(list @ Value::Array(_)) => list,
        _ => Value::from(vec![text.to_owned()]),
    };
    let inner = |fields: &mut Map<String, Value>, outer: &str, name: &str, value: Value| {
        let entry = fields.entry(outer).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(object) = entry {
            object.insert(name.to_owned(), value);
        }
    };
    if let Some(name) = name.strip_prefix("User.UserAttributes.") {
        let entry = fields.entry("User").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(user) = entry {
            inner(user, "UserAttributes", name, list(text));
        }
        return;
    }
    match name.split_once('.') {
        None => {
            fields.insert(name.to_owned(), value(text));
        }
        Some(("Attributes", name)) => inner(fields, "Attributes", name, list(text)),
        Some(("Metrics", name)) => {
            let number = text.parse::<f64>().map_or_else(|_| value(text), Value::from);
            inner(fields, "Metrics", name, number);
        }
        Some((outer, name)) => inner(fields, outer, name, value(text)),
    }
}
