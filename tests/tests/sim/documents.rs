//! What producers write in a simulated world: feedback as SES publishes it, and garbage. Every
//! document has a number by which it is found again.

/// A document with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Document {
    /// An event; the same number is the same event. It becomes one row.
    Event(u64),
    /// Bytes that nobody understands. They become one reject for each time they are written.
    Garbage(u64),
}

impl Document {
    /// Its bytes.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Event(number) => event(number),
            Self::Garbage(number) => format!("{{\"garbage\": {number}, \"unfinished\": [1, }}"),
        }
    }
}

/// The message id of an event, from which its number is read back.
pub(crate) fn message_id(number: u64) -> String {
    format!("010001990000{number:08x}-sim")
}

/// The number in a message id.
pub(crate) fn number_of(message_id: &str) -> u64 {
    let digits = message_id.strip_prefix("010001990000").and_then(|id| id.get(..8));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).expect("a message of this world")
}

/// One event of one recipient; most happened on 2026-08-31, some on the days before.
fn event(number: u64) -> String {
    let day = if number.is_multiple_of(5) { 29 + number % 3 } else { 31 };
    let time = format!("2026-08-{day}T10:{:02}:{:02}.000Z", number / 60 % 60, number % 60);
    let id = message_id(number);
    let recipient = format!("reader{number}@example.net");
    let mail = format!(
        "\"mail\":{{\"timestamp\":\"{time}\",\"messageId\":\"{id}\",\"source\":\"shop@example.com\",\"destination\":[\"{recipient}\"],\"tags\":{{\"ses:configuration-set\":[\"main\"]}}}}"
    );
    match number % 3 {
        0 => format!("{{\"eventType\":\"Send\",{mail},\"send\":{{}}}}"),
        1 => format!(
            "{{\"eventType\":\"Delivery\",{mail},\"delivery\":{{\"timestamp\":\"{time}\",\"recipients\":[\"{recipient}\"],\"processingTimeMillis\":812,\"smtpResponse\":\"250 ok\"}}}}"
        ),
        _ => format!(
            "{{\"eventType\":\"Bounce\",{mail},\"bounce\":{{\"timestamp\":\"{time}\",\"feedbackId\":\"f{number}\",\"bounceType\":\"Permanent\",\"bounceSubType\":\"General\",\"bouncedRecipients\":[{{\"emailAddress\":\"{recipient}\",\"status\":\"5.1.1\"}}]}}}}"
        ),
    }
}
