//! A small lake of documents that a test writes.

use std::sync::Arc;

use hearback_ingest::lake::WriteSettings;
use hearback_ingest::{CancelFlag, IngestRequest, IngestSettings, NoProgress, SourceSpec};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::NOW;
use crate::engine::{Engine, EngineSettings};

/// A lake in a folder that goes with it.
pub(super) struct TestLake {
    folder: TempDir,
}

impl TestLake {
    /// Ingests documents, all at once.
    pub(super) async fn of(documents: &[Value]) -> Self {
        let lake = Self { folder: tempfile::tempdir().expect("a folder") };
        let path = lake.folder.path().join("events.json");
        let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
        std::fs::write(&path, lines.join("\n")).expect("a file");
        let request = IngestRequest {
            lake: lake.uri(),
            sources: vec![SourceSpec::Path(path)],
            settings: IngestSettings::default(),
            write: WriteSettings::default(),
            cancel: CancelFlag::new(),
            clock: Arc::new(|| NOW),
            run: Uuid::from_u128(1),
        };
        let summary = hearback_ingest::run(request, &NoProgress).await.expect("an ingest");
        assert_eq!(summary.report.rejected, 0, "the documents of a test are understood");
        lake
    }

    fn uri(&self) -> String {
        self.folder.path().join("lake").display().to_string()
    }

    pub(super) async fn engine(&self) -> Engine {
        let settings = EngineSettings { threads: 2, memory_limit: 256 << 20 };
        Engine::open(&self.uri(), settings).await.expect("a lake")
    }
}

/// An instant as SES writes it.
pub(super) fn instant(us: i64) -> String {
    let instant = jiff::Timestamp::from_microsecond(us).expect("an instant");
    instant.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// An SES event of a message that was sent at an instant.
pub(super) fn event(kind: &str, message: &str, recipients: &[&str], sent_us: i64) -> Value {
    json!({
        "eventType": kind,
        "mail": {
            "timestamp": instant(sent_us),
            "messageId": message,
            "source": "news@example.com",
            "sendingAccountId": "111122223333",
            "destination": recipients,
            "tags": {"campaign": ["november"]},
        },
    })
}

pub(super) fn send(message: &str, recipients: &[&str], sent_us: i64) -> Value {
    let mut event = event("Send", message, recipients, sent_us);
    event["send"] = json!({});
    event
}

pub(super) fn delivery(message: &str, recipient: &str, sent_us: i64, at_us: i64) -> Value {
    let mut event = event("Delivery", message, &[recipient], sent_us);
    event["delivery"] = json!({
        "timestamp": instant(at_us), "recipients": [recipient], "smtpResponse": "250 OK",
        "processingTimeMillis": 500,
    });
    event
}

/// A bounce that names a recipient, with type, subtype and reply.
pub(super) fn bounce(
    message: &str,
    recipient: &str,
    sent_us: i64,
    at_us: i64,
    kind: [&str; 3],
) -> Value {
    let mut event = event("Bounce", message, &[recipient], sent_us);
    event["bounce"] = json!({
        "bounceType": kind[0], "bounceSubType": kind[1], "timestamp": instant(at_us),
        "feedbackId": format!("{message}-{recipient}-{at_us}"),
        "bouncedRecipients": [{"emailAddress": recipient, "action": "failed", "diagnosticCode": kind[2]}],
    });
    event
}

pub(super) fn complaint(message: &str, recipients: &[&str], sent_us: i64, at_us: i64) -> Value {
    let mut event = event("Complaint", message, recipients, sent_us);
    let named: Vec<Value> = recipients.iter().map(|name| json!({"emailAddress": name})).collect();
    event["complaint"] = json!({
        "complainedRecipients": named, "timestamp": instant(at_us),
        "feedbackId": format!("{message}-{at_us}"), "complaintFeedbackType": "abuse",
    });
    event
}

/// A person's, or a scanner's, look at a message.
pub(super) fn open(message: &str, recipient: &str, sent_us: i64, at_us: i64, agent: &str) -> Value {
    let mut event = event("Open", message, &[recipient], sent_us);
    event["open"] =
        json!({"timestamp": instant(at_us), "ipAddress": "192.0.2.7", "userAgent": agent});
    event
}
