//! Suppression lists of other places, as files: SES's own format, plain CSV and NDJSON, and the exports of
//! SendGrid, Mailgun and Postmark.
//!
//! Invariant: only what stops mail there stops mail here. Blocks, unsubscribes and lifted entries of other
//! senders are told apart and counted, never turned into bounces.

use std::io::Read;

use serde_json::Value;

use super::list::{Reason, folded};

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `address,REASON` without a header, or NDJSON with emailAddress and reason
    Ses,
    /// CSV with a header, or NDJSON: address or email, and reason if there is one
    Generic,
    /// SendGrid's exports: bounces, invalid emails, spam reports; blocks are left out
    Sendgrid,
    /// Mailgun's exports: bounces, complaints; unsubscribes are left out
    Mailgun,
    /// Postmark's suppressions, or its bounces: HardBounce, SpamComplaint, BadEmailAddress
    Postmark,
}

impl Format {
    /// The name in rules and notes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ses => "ses",
            Self::Generic => "generic",
            Self::Sendgrid => "sendgrid",
            Self::Mailgun => "mailgun",
            Self::Postmark => "postmark",
        }
    }
}

/// One entry of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// As events spell it.
    pub recipient: String,
    /// What it becomes here.
    pub reason: Reason,
    /// What the other place says of it: reason and date, on one line.
    pub provenance: String,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignList {
    /// Entries, each address once, complaints before bounces.
    pub entries: Vec<Foreign>,
    /// Entries that stop no mail: blocks, unsubscribes, lifted ones.
    pub left_out: u64,
    /// Lines without an address, with the number of the first, from 1.
    pub unreadable: u64,
    /// The first of them.
    pub first_unreadable: Option<u64>,
}

/// Why a file is none.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It has no column for the address.
    #[error("line 1 names no column for the address: {0}")]
    NoAddress(String),
    /// It is not CSV.
    #[error("is not CSV: {0}")]
    Csv(#[from] csv::Error),
}

const ADDRESS_COLUMNS: [&str; 6] =
    ["address", "email", "emailaddress", "email_address", "recipient", "emailaddress*"];
const REASON_COLUMNS: [&str; 7] =
    ["reason", "suppressionreason", "suppression_reason", "type", "status", "code", "error"];
const DATE_COLUMNS: [&str; 7] =
    ["created", "created_at", "createdat", "bouncedat", "bounced_at", "date", "time"];

/// Reads a file of whatever of the two forms, CSV or NDJSON, it has. Memory: its entries.
///
/// # Errors
/// [`ForeignError`].
pub fn read(
    mut from: impl Read,
    format: Format,
    file_says: &str,
) -> Result<ForeignList, ForeignError> {
    let mut text = Vec::new();
    from.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let text = text.trim_start_matches('\u{feff}');
    let mut list = Collected::default();
    if text.trim_start().starts_with(['{', '[']) {
        read_json(text, format, file_says, &mut list);
    } else {
        read_csv(text, format, file_says, &mut list)?;
    }
    Ok(list.finish())
}

#[derive(Default)]
struct Collected {
    list: ForeignList,
    line: u64,
}

impl Collected {
    fn unreadable(&mut self) {
        self.list.unreadable += 1;
        self.list.first_unreadable.get_or_insert(self.line);
    }

    fn take(&mut self, format: Format, address: &str, words: &str, date: &str, file_says: &str) {
        let recipient = folded(address);
        if !recipient.contains('@') || recipient.contains(char::is_whitespace) {
            self.unreadable();
            return;
        }
        match reason_of(format, words, file_says) {
            Some(reason) => {
                let parts = [format.as_str(), words, date];
                let provenance: Vec<&str> =
                    parts.into_iter().filter(|part| !part.is_empty()).collect();
                let provenance = super::evidence::shortened(&provenance.join(", "));
                self.list.entries.push(Foreign { recipient, reason, provenance });
            }
            None => self.list.left_out += 1,
        }
    }

    fn finish(mut self) -> ForeignList {
        self.list.entries.sort_by(|a, b| (&a.recipient, b.reason).cmp(&(&b.recipient, a.reason)));
        self.list.entries.dedup_by(|later, first| later.recipient == first.recipient);
        self.list
    }
}

fn read_json(text: &str, format: Format, file_says: &str, list: &mut Collected) {
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        list.line += 1;
        match value {
            Ok(Value::Array(items)) => {
                for item in items {
                    take_object(&item, format, file_says, list);
                }
            }
            Ok(Value::Object(object)) => {
                // Envelopes of the services' APIs: {"items": […]}, {"Suppressions": […]}, {"Bounces": […]}.
                let inner = object.values().find_map(|value| match value {
                    Value::Array(items) if items.iter().any(Value::is_object) => Some(items),
                    _ => None,
                });
                match inner {
                    Some(items) => {
                        for item in items {
                            take_object(item, format, file_says, list);
                        }
                    }
                    None => take_object(&Value::Object(object), format, file_says, list),
                }
            }
            _ => {
                list.unreadable();
                return;
            }
        }
    }
}

fn take_object(item: &Value, format: Format, file_says: &str, list: &mut Collected) {
    let field = |names: &[&str]| -> String {
        let Some(object) = item.as_object() else { return String::new() };
        let found = names.iter().find_map(|name| {
            object.iter().find(|(key, _)| key.to_lowercase() == *name).map(|(_, value)| value)
        });
        match found {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    };
    let (address, words, date) =
        (field(&ADDRESS_COLUMNS), field(&REASON_COLUMNS), field(&DATE_COLUMNS));
    list.take(format, &address, &words, &date, file_says);
}

fn read_csv(
    text: &str,
    format: Format,
    file_says: &str,
    list: &mut Collected,
) -> Result<(), ForeignError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut columns: Option<(usize, Option<usize>, Option<usize>)> = None;
    for record in reader.records() {
        let record = record?;
        list.line += 1;
        let Some((address, reason, date)) = columns else {
            let first = record.get(0).unwrap_or_default();
            if first.contains('@') {
                // No header: the address, then the reason.
                columns = Some((0, Some(1), None));
                list.take(format, first, record.get(1).unwrap_or_default(), "", file_says);
                continue;
            }
            let named = |names: &[&str]| {
                names.iter().find_map(|name| {
                    record.iter().position(|column| column.to_lowercase().replace(' ', "") == *name)
                })
            };
            let Some(address) = named(&ADDRESS_COLUMNS) else {
                let names: Vec<&str> = record.iter().collect();
                return Err(ForeignError::NoAddress(names.join(", ")));
            };
            columns = Some((address, named(&REASON_COLUMNS), named(&DATE_COLUMNS)));
            continue;
        };
        let field = |at: Option<usize>| at.and_then(|at| record.get(at)).unwrap_or_default();
        list.take(format, field(Some(address)), field(reason), field(date), file_says);
    }
    Ok(())
}

/// What an entry becomes; None if it stops no mail. `file_says` is the name of the file: exports hold one
/// kind each and say which in their names only.
fn reason_of(format: Format, words: &str, file_says: &str) -> Option<Reason> {
    if let Some(reason) = Reason::parse(words) {
        return Some(reason);
    }
    let words = words.to_lowercase();
    let file = file_says.to_lowercase();
    let either = |needle: &str| words.contains(needle) || file.contains(needle);
    match format {
        Format::Ses => None,
        Format::Generic => {
            if words.contains("unsub") {
                return None;
            }
            let complaint = words.contains("complain")
                || words.contains("spam report")
                || words.contains("abuse");
            Some(if complaint { Reason::Complaint } else { Reason::Bounce })
        }
        Format::Sendgrid => {
            if file.contains("block") || file.contains("unsub") || file.contains("group") {
                return None;
            }
            Some(if file.contains("spam") { Reason::Complaint } else { Reason::Bounce })
        }
        Format::Mailgun => {
            if file.contains("unsub") {
                return None;
            }
            Some(if file.contains("complain") { Reason::Complaint } else { Reason::Bounce })
        }
        Format::Postmark => {
            if either("spamcomplaint") {
                return Some(Reason::Complaint);
            }
            let hard = ["hardbounce", "bademailaddress", "manuallydeactivated", "hard bounce"];
            hard.iter().any(|name| words.contains(name)).then_some(Reason::Bounce)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str, format: Format, file: &str) -> Vec<(String, Reason)> {
        let list = read(text.as_bytes(), format, file).expect("a list");
        list.entries.into_iter().map(|entry| (entry.recipient, entry.reason)).collect()
    }

    fn one(address: &str, reason: Reason) -> Vec<(String, Reason)> {
        vec![(address.to_owned(), reason)]
    }

    #[test]
    fn ses_files_are_read_in_both_forms() {
        let csv = "A@example.com,BOUNCE\na@example.com,COMPLAINT\n";
        assert_eq!(entries(csv, Format::Ses, "x.csv"), one("a@example.com", Reason::Complaint));
        let json = "{\"emailAddress\":\"b@example.com\",\"reason\":\"BOUNCE\"}\n";
        assert_eq!(entries(json, Format::Ses, "x.json"), one("b@example.com", Reason::Bounce));
    }

    #[test]
    fn sendgrid_blocks_suppress_nobody() {
        let export = "email,reason,status,created\nx@example.com,550 blocked,5.7.1,1700000000\n";
        assert!(entries(export, Format::Sendgrid, "suppression_blocks.csv").is_empty());
        let bounced = entries(export, Format::Sendgrid, "suppression_bounces.csv");
        assert_eq!(bounced, one("x@example.com", Reason::Bounce));
        let spam = "email,ip,created\nx@example.com,192.0.2.1,1700000000\n";
        assert_eq!(
            entries(spam, Format::Sendgrid, "suppression_spam_reports.csv"),
            one("x@example.com", Reason::Complaint)
        );
    }

    #[test]
    fn mailgun_and_postmark_say_what_stops_mail() {
        let bounces = "address,code,error,created_at\ny@example.com,550,no such user,2026-01-01\n";
        assert_eq!(
            entries(bounces, Format::Mailgun, "bounces.csv"),
            one("y@example.com", Reason::Bounce)
        );
        let postmark = r#"{"Suppressions":[{"EmailAddress":"z@example.com","SuppressionReason":"SpamComplaint","CreatedAt":"2026-01-01"},{"EmailAddress":"u@example.com","SuppressionReason":"Unsubscribe"}]}"#;
        assert_eq!(
            entries(postmark, Format::Postmark, "s.json"),
            one("z@example.com", Reason::Complaint)
        );
    }

    #[test]
    fn what_is_no_address_is_counted_with_its_line() {
        let list =
            read("address,reason\nok@example.com,\nnonsense,\n".as_bytes(), Format::Generic, "x")
                .expect("a list");
        assert_eq!((list.entries.len(), list.unreadable, list.first_unreadable), (1, 1, Some(3)));
        let error =
            read("name,city\nJo,Rome\n".as_bytes(), Format::Generic, "x").expect_err("no column");
        assert!(error.to_string().contains("name, city"));
    }
}
