//! Traffic that looks like a real sender's, for tests, demonstrations and load.
//!
//! "Example Travel" mails people in Japan and in the West: sign-up confirmations, password resets,
//! booking receipts, weekly newsletters, one campaign to an old list. Its feedback comes back as it
//! does in life: from thirteen kinds of mailbox providers with their own speed and words, greylisted,
//! prefetched, scanned, complained about weeks later, repeated, out of order, in every envelope, with
//! some garbage in between. A two-hour block-list incident hits one provider in the second week (on the
//! first day, if there is only one).
//!
//! The same [`Scenario`] gives the same bytes on every machine; [`Tally`] is the truth about what
//! was written. What happens depends on `messages`, `seed`, `start`, `days` and the two switches for
//! kinds of mail; how it arrives depends on the rest, so that the same traffic can be had in every
//! [`Envelope`].
//!
//! | file | responsible for |
//! |---|---|
//! | `dice` | randomness |
//! | `calendar` | when what is sent |
//! | `population`, `provider`, `reply` | who is mailed, and how their providers answer |
//! | `sender`, `letter` | what is sent |
//! | `traffic`, `fate`, `engagement` | what happens, in order of arrival, in bounded memory |
//! | `ses`, `pinpoint`, `visit` | events as JSON |
//! | `envelope`, `garbage`, `transport` | the way here |
//! | `files` | objects as Firehose names them |
//! | `records` | records for a stream |
//! | `tally` | the truth |

mod calendar;
mod dice;
mod engagement;
mod envelope;
mod fate;
mod files;
mod garbage;
mod letter;
mod pinpoint;
mod population;
mod provider;
mod records;
mod reply;
mod sender;
mod ses;
mod tally;
#[cfg(test)]
mod tests;
mod text;
mod traffic;
mod transport;
mod visit;

use std::io::{self, Write};

pub use files::write_files;
pub use records::{Records, SimulatedRecord};
pub use tally::{Count, Tally, Visits};

use transport::Transport;

/// 2026-09-01T00:00:00Z, a Tuesday, in microseconds since the epoch.
pub const DEFAULT_START: i64 = 1_788_220_800_000_000;

/// Days over which messages are sent unless the scenario says otherwise. Feedback goes on for three
/// weeks more.
pub const DEFAULT_DAYS: u32 = 28;

/// Most days that a scenario may have: ten years.
pub const MAX_DAYS: u32 = 3_660;

/// How documents are wrapped and strung together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Envelope {
    /// Stretches of every other shape in turn, as a folder looks that several routes fill.
    #[default]
    Mixed,
    /// SES's own JSON, one event a line (SES to Firehose; a topic with raw delivery).
    Ses,
    /// SES's own JSON with nothing between documents (Firehose without a delimiter).
    FirehoseConcatenated,
    /// EventBridge events, one a line.
    EventBridge,
    /// EventBridge events with nothing between documents (EventBridge to Firehose).
    EventBridgeConcatenated,
    /// SNS notifications as Firehose receives them: one a line, unsigned.
    Sns,
    /// SNS notifications as posted over HTTP: signed, spread over several lines.
    SnsHttp,
    /// The Message of SNS notifications alone (raw delivery), one a line.
    SnsRaw,
    /// SNS's events for Lambda (`Records[].Sns`), one a line.
    SnsLambda,
    /// SQS's events for Lambda, up to ten records each, an SNS notification in each body.
    SqsSns,
    /// SQS's ReceiveMessage answers, up to ten messages each, an SNS notification in each body.
    SqsMessages,
    /// Kinesis's events for Lambda, up to a hundred records each, base64 of EventBridge events.
    KinesisLambda,
    /// Firehose's events for a transforming Lambda, up to a hundred records each, base64.
    FirehoseTransform,
    /// Firehose's deliveries to an HTTP endpoint, up to a hundred records each, base64.
    FirehoseHttp,
    /// JSON arrays of up to a hundred events, one array a line.
    JsonArray,
    /// Pinpoint's event stream, one record a line: every message is a campaign's or journey's.
    Pinpoint,
}

impl Envelope {
    /// Every envelope.
    pub const ALL: [Self; 16] = [
        Self::Mixed,
        Self::Ses,
        Self::FirehoseConcatenated,
        Self::EventBridge,
        Self::EventBridgeConcatenated,
        Self::Sns,
        Self::SnsHttp,
        Self::SnsRaw,
        Self::SnsLambda,
        Self::SqsSns,
        Self::SqsMessages,
        Self::KinesisLambda,
        Self::FirehoseTransform,
        Self::FirehoseHttp,
        Self::JsonArray,
        Self::Pinpoint,
    ];

    /// Name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Ses => "ses",
            Self::FirehoseConcatenated => "firehose-concatenated",
            Self::EventBridge => "eventbridge",
            Self::EventBridgeConcatenated => "eventbridge-concatenated",
            Self::Sns => "sns",
            Self::SnsHttp => "sns-http",
            Self::SnsRaw => "sns-raw",
            Self::SnsLambda => "sns-lambda",
            Self::SqsSns => "sqs-sns",
            Self::SqsMessages => "sqs-messages",
            Self::KinesisLambda => "kinesis-lambda",
            Self::FirehoseTransform => "firehose-transform",
            Self::FirehoseHttp => "firehose-http",
            Self::JsonArray => "json-array",
            Self::Pinpoint => "pinpoint",
        }
    }

    /// The envelope of a name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|envelope| envelope.as_str() == name)
    }
}

/// What to simulate. The same values give the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Messages that the sender sends; each causes two to three events on average. Default 10,000.
    pub messages: u64,
    /// Seed of everything random. Default 42.
    pub seed: u64,
    /// When the first message may be sent, in microseconds since the epoch, UTC (truncated to
    /// milliseconds). Default [`DEFAULT_START`].
    pub start: i64,
    /// Days over which the messages are sent, at least 1 and at most [`MAX_DAYS`] (what is outside
    /// is taken as the nearest). Default [`DEFAULT_DAYS`].
    pub days: u32,
    /// How documents are wrapped. Default [`Envelope::Mixed`].
    pub envelope: Envelope,
    /// Some events arrive more than once, up to a day later. Default true.
    pub duplicates: bool,
    /// Events take their time to arrive, a few of them hours. Off: they arrive in the order in
    /// which they happen. Default true.
    pub disorder: bool,
    /// Some documents are garbage. Default true.
    pub garbage: bool,
    /// Control messages (subscription confirmations, SES's set-up notices) are among the
    /// documents. Default true.
    pub control: bool,
    /// One kind of mail comes from an identity with feedback notifications (`notificationType`)
    /// instead of event publishing. Default true.
    pub feedback_notifications: bool,
    /// Some campaigns and journeys are Pinpoint's. Default true.
    pub pinpoint: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            messages: 10_000,
            seed: 42,
            start: DEFAULT_START,
            days: DEFAULT_DAYS,
            envelope: Envelope::Mixed,
            duplicates: true,
            disorder: true,
            garbage: true,
            control: true,
            feedback_notifications: true,
            pinpoint: true,
        }
    }
}

impl Scenario {
    /// A benchmark's input: SES event publishing, one event a line, nothing that another engine's
    /// JSON reader could not take; no repeats, so that rows can be compared.
    #[must_use]
    pub fn ses_only(messages: u64, seed: u64) -> Self {
        Self {
            messages,
            seed,
            envelope: Envelope::Ses,
            duplicates: false,
            garbage: false,
            control: false,
            feedback_notifications: false,
            pinpoint: false,
            ..Self::default()
        }
    }
}

/// How far a simulation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Messages sent so far; events of theirs may still be on their way.
    pub messages: u64,
    /// Messages in all.
    pub of: u64,
    /// Bytes written so far.
    pub bytes: u64,
}

/// Bytes that are gathered before they are written.
const CHUNK: usize = 1 << 18;

/// Writes the scenario to `out` in order of arrival and returns what was written. `progress` is
/// called about once per 256 KiB.
///
/// Memory does not grow with the scenario beyond 150 MB (see the module `traffic`).
///
/// # Errors
///
/// Whatever `out` answers; what was written until then is a prefix of the whole.
pub fn write(
    scenario: &Scenario,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
) -> io::Result<Tally> {
    let mut transport = Transport::new(scenario);
    let mut chunk = Vec::with_capacity(CHUNK * 2);
    let mut bytes = 0;
    loop {
        let more = transport.document(&mut chunk);
        if !more {
            transport.finish(&mut chunk);
        }
        if chunk.len() >= CHUNK || !more {
            out.write_all(&chunk)?;
            bytes += chunk.len() as u64;
            chunk.clear();
            progress(Progress { messages: transport.messages(), of: scenario.messages, bytes });
        }
        if !more {
            break;
        }
    }
    out.flush()?;
    Ok(transport.into_tally(bytes))
}

/// What [`write()`] would write, without writing it.
#[must_use]
pub fn truth(scenario: &Scenario) -> Tally {
    // A sink never fails.
    write(scenario, &mut io::sink(), &mut |_| {}).unwrap_or_default()
}
