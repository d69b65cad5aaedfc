//! What a session promises, asked of small lakes that are ingested from documents written here.

mod choosing;
mod dialect;
mod due;
mod footers;
mod messages;
mod pruning;
mod refusal;
mod reports;
mod synonyms;
mod times;

use std::sync::Arc;

use hearback_ingest::lake::WriteSettings;
use hearback_ingest::{CancelFlag, IngestRequest, IngestSettings, NoProgress, SourceSpec, run};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Engine, EngineError, EngineSettings};
use crate::output::{Format, writer};

/// 2026-11-20T00:00:00Z, when the documents of the tests are read.
const READ_TIME: i64 = 1_795_132_800_000_000;

const SETTINGS: EngineSettings = EngineSettings { threads: 2, memory_limit: 256 << 20 };

/// A lake in a folder that goes with it.
struct TestLake {
    folder: TempDir,
    files: usize,
}

impl TestLake {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), files: 0 }
    }

    async fn of(documents: &[Value]) -> Self {
        let mut lake = Self::new();
        lake.add(documents).await;
        lake
    }

    fn uri(&self) -> String {
        self.folder.path().join("lake").display().to_string()
    }

    /// Ingests documents from a file of their own: one commit.
    async fn add(&mut self, documents: &[Value]) {
        self.files += 1;
        let path = self.folder.path().join(format!("{}.json", self.files));
        let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
        std::fs::write(&path, lines.join("\n")).expect("a file");
        let request = IngestRequest {
            lake: self.uri(),
            sources: vec![SourceSpec::Path(path)],
            settings: IngestSettings::default(),
            write: WriteSettings::default(),
            cancel: CancelFlag::new(),
            clock: Arc::new(|| READ_TIME),
            run: uuid::Uuid::from_u128(self.files as u128),
        };
        let summary = run(request, &NoProgress).await.expect("an ingest");
        assert_eq!(summary.report.rejected, 0, "the documents of a test are understood");
    }

    async fn engine(&self) -> Engine {
        Engine::open(&self.uri(), SETTINGS).await.expect("a lake")
    }

    /// The answer as lines of CSV, without the header.
    async fn ask(&self, sql: &str) -> Vec<String> {
        answer(&self.engine().await, sql).await.expect("an answer")
    }
}

async fn answer(engine: &Engine, sql: &str) -> Result<Vec<String>, EngineError> {
    let statement = engine.plan(sql).await?;
    let batches = statement.collect().await?;
    let mut bytes = Vec::new();
    {
        let out = Box::new(&mut bytes);
        let mut writer = writer(Format::Csv, &statement.schema(), out, false).expect("a writer");
        for batch in &batches {
            writer.write(batch).expect("rows");
        }
        writer.finish().expect("the end");
    }
    let text = String::from_utf8(bytes).expect("text");
    Ok(text.lines().skip(1).map(str::to_owned).collect())
}

/// An SES event of a message to one recipient; `section` is the object named after the type.
fn ses(event_type: &str, message: &str, recipient: &str, section: Value) -> Value {
    let name = match event_type {
        "DeliveryDelay" => "deliveryDelay".to_owned(),
        "Rendering Failure" => "failure".to_owned(),
        other => other.to_lowercase(),
    };
    let mut event = json!({
        "eventType": event_type,
        "mail": {
            "timestamp": "2026-11-01T10:00:00.000Z",
            "messageId": message,
            "source": "Example News <news@example.com>",
            "sendingAccountId": "111122223333",
            "destination": [recipient],
            "commonHeaders": {"subject": "November"},
            "tags": {"campaign": ["november"], "ses:configuration-set": ["main"]},
        },
    });
    event[name] = section;
    event
}

fn send(message: &str, recipient: &str) -> Value {
    ses("Send", message, recipient, json!({}))
}

fn delivery(message: &str, recipient: &str, at: &str) -> Value {
    let section = json!({
        "timestamp": at, "processingTimeMillis": 1200, "recipients": [recipient],
        "smtpResponse": "250 2.0.0 OK", "reportingMTA": "a1-2.smtp-out.example.net",
    });
    ses("Delivery", message, recipient, section)
}

fn bounce(message: &str, recipient: &str, kind: (&str, &str), code: &str, text: &str) -> Value {
    let section = json!({
        "bounceType": kind.0, "bounceSubType": kind.1, "timestamp": "2026-11-01T10:05:00.000Z",
        "feedbackId": format!("{message}-{recipient}-{}", kind.1),
        "bouncedRecipients": [{
            "emailAddress": recipient, "action": "failed", "status": code, "diagnosticCode": text,
        }],
    });
    ses("Bounce", message, recipient, section)
}

fn complaint(message: &str, recipient: &str, kind: Option<&str>, subtype: Option<&str>) -> Value {
    let section = json!({
        "complainedRecipients": [{"emailAddress": recipient}],
        "timestamp": "2026-11-03T08:00:00.000Z",
        "feedbackId": format!("{message}-{recipient}-complaint"),
        "complaintFeedbackType": kind, "complaintSubType": subtype,
    });
    ses("Complaint", message, recipient, section)
}

fn open(message: &str, recipient: &str, at: &str, user_agent: &str) -> Value {
    let section = json!({"timestamp": at, "ipAddress": "192.0.2.7", "userAgent": user_agent});
    ses("Open", message, recipient, section)
}
