//! What segments promise, on small lakes of documents written here, with a destination whose faults
//! are scripted.

mod applying;
mod endpoints;
mod guarding;
mod library;
mod places;
mod running;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hearback_ingest::lake::{Lake, WriteSettings};
use hearback_ingest::{CancelFlag, IngestRequest, IngestSettings, NoProgress, SourceSpec};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::apply::{Applied, ApplyOptions, apply};
use super::change::{Action, Change};
use super::definition::{DestinationSpec, GuardSettings, Place, Segment, Suppressed};
use super::destination::{
    Delivered, Destination, DestinationError, Manner, Outcome, Publication, Run,
};
use super::error::SegmentError;
use super::guards::Lifted;
use super::plan::{Bench, Plan, PlanOptions, plan};
use crate::engine::{Engine, EngineSettings};

/// 2026-11-20T00:00:00Z, when everything in these tests happens.
fn clock() -> Timestamp {
    Timestamp::from_second(1_795_132_800).expect("an instant")
}

/// A lake, and what segments need of it.
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
            clock: Arc::new(|| clock().as_microsecond()),
            run: Uuid::from_u128(self.files as u128),
        };
        let summary = hearback_ingest::run(request, &NoProgress).await.expect("an ingest");
        assert_eq!(summary.report.rejected, 0, "the documents of a test are understood");
    }

    async fn open(&self) -> Opened {
        let settings = EngineSettings { threads: 2, memory_limit: 256 << 20 };
        let engine = Engine::open(&self.uri(), settings).await.expect("a lake");
        let lake = Lake::open(&self.uri()).await.expect("a lake");
        Opened { engine, lake }
    }
}

struct Opened {
    engine: Engine,
    lake: Lake,
}

impl Opened {
    fn bench(&self) -> Bench<'_> {
        Bench { engine: &self.engine, lake: &self.lake, clock }
    }

    async fn plan(&self, segment: &Segment) -> Plan {
        self.plan_with(segment, PlanOptions::default()).await
    }

    async fn plan_with(&self, segment: &Segment, options: PlanOptions) -> Plan {
        plan(&self.bench(), segment, options).await.expect("a plan").remove(0)
    }

    async fn apply(
        &self,
        segment: &Segment,
        plan: &mut Plan,
        destination: &mut Scripted,
    ) -> Result<Applied, SegmentError> {
        self.apply_with(segment, plan, destination, Lifted::default()).await
    }

    async fn apply_with(
        &self,
        segment: &Segment,
        plan: &mut Plan,
        destination: &mut Scripted,
        lifted: Lifted,
    ) -> Result<Applied, SegmentError> {
        let cancel = CancelFlag::new();
        let options =
            ApplyOptions { lifted, run: Uuid::new_v4(), cancel: &cancel, progress: &|_, _| {} };
        apply(&self.bench(), plan, Some(segment), destination, &options).await
    }

    /// Plans and applies.
    async fn sync(&self, segment: &Segment, destination: &mut Scripted) -> Applied {
        let mut plan = self.plan(segment).await;
        self.apply(segment, &mut plan, destination).await.expect("an application")
    }

    async fn count(&self, sql: &str) -> i64 {
        let batches = self.engine.plan(sql).await.expect("SQL").collect().await.expect("rows");
        let cells = crate::output::Cells::new(batches[0].column(0)).expect("cells");
        let mut text = String::new();
        cells.text(0, &mut text);
        text.parse().expect("a number")
    }
}

/// A segment over a statement, that goes to one place.
fn segment(sql: &str) -> Segment {
    Segment {
        name: "test".to_owned(),
        description: None,
        sql: sql.to_owned(),
        key: "address".to_owned(),
        attributes: None,
        destinations: vec![DestinationSpec::S3 { uri: "/nowhere".to_owned() }],
        schedule: None,
        guards: GuardSettings::default(),
        suppressed: Suppressed::Excluded,
        topics: Vec::new(),
        origin: Place { path: "test".into(), line: 1 },
    }
}

/// Everybody who got mail, with how many messages.
const EVERYBODY: &str = "SELECT recipient AS address, deliveries FROM recipients;";

/// A destination in memory whose faults are scripted. Clones are the same place.
#[derive(Clone, Default)]
struct Scripted {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    members: BTreeMap<String, Value>,
    /// Members that are refused.
    refused: HashSet<String>,
    /// People who opted out at the place itself.
    declined: HashSet<String>,
    /// Requests after which the place is out of reach; None for never.
    dies_after: Option<usize>,
    requests: usize,
    /// Changes that were sent, over all requests.
    sent: usize,
    batch: usize,
    gone: bool,
}

impl Scripted {
    fn with_batches_of(size: usize) -> Self {
        let place = Self::default();
        place.set(|shared| shared.batch = size);
        place
    }

    fn set(&self, change: impl FnOnce(&mut Shared)) {
        change(&mut self.shared.lock().expect("a lock"));
    }

    fn members(&self) -> Vec<String> {
        self.shared.lock().expect("a lock").members.keys().cloned().collect()
    }

    fn sent(&self) -> usize {
        self.shared.lock().expect("a lock").sent
    }
}

#[async_trait]
impl Destination for Scripted {
    fn manner(&self, _: u64) -> Manner {
        let size = self.shared.lock().expect("a lock").batch.max(1);
        Manner::Batches { changes: size, at_once: 2 }
    }

    async fn prepare(&mut self, run: &Run) -> Result<(), DestinationError> {
        if self.shared.lock().expect("a lock").gone && run.acknowledged.is_some() {
            let (destination, reason) = ("scripted".to_owned(), "it is gone".to_owned());
            return Err(DestinationError::Drifted { destination, reason });
        }
        Ok(())
    }

    async fn deliver(&self, _: &Run, batch: &[Change]) -> Result<Vec<Delivered>, DestinationError> {
        tokio::task::yield_now().await;
        let mut shared = self.shared.lock().expect("a lock");
        if shared.dies_after.is_some_and(|most| shared.requests >= most) {
            let (destination, reason) = ("scripted".to_owned(), "out of reach".to_owned());
            return Err(DestinationError::Unavailable { destination, reason });
        }
        shared.requests += 1;
        let mut delivered = Vec::new();
        for change in batch {
            shared.sent += 1;
            if shared.refused.contains(&change.member) {
                delivered.push(Delivered::failed("refused", Some("r".to_owned())));
                continue;
            }
            if shared.declined.contains(&change.member) {
                let outcome = Outcome::Declined("opted out".to_owned());
                delivered.push(Delivered { outcome, request_id: None });
                continue;
            }
            match change.action {
                Action::Remove => {
                    shared.members.remove(&change.member);
                }
                _ => {
                    let values = Value::Object(change.values());
                    shared.members.insert(change.member.clone(), values);
                }
            }
            delivered.push(Delivered::done(Some("r".to_owned())));
        }
        Ok(delivered)
    }

    async fn publish(
        &mut self,
        _: &Run,
        _: Publication<'_>,
    ) -> Result<Option<String>, DestinationError> {
        Ok(None)
    }
}

/// SES's mail object of message `id` to one address.
fn mail(id: &str, address: &str) -> Value {
    json!({
        "timestamp": "2026-11-01T10:00:00.000Z",
        "messageId": id,
        "source": "news@example.com",
        "sendingAccountId": "111122223333",
        "destination": [address],
        "tags": {"campaign": ["spring-sale"]},
    })
}

fn delivered(id: &str, address: &str) -> Value {
    delivered_at(id, address, "2026-11-01T10:00:02.000Z")
}

fn delivered_at(id: &str, address: &str, time: &str) -> Value {
    json!({
        "eventType": "Delivery",
        "mail": mail(id, address),
        "delivery": {
            "timestamp": time,
            "processingTimeMillis": 1500,
            "recipients": [address],
            "smtpResponse": "250 2.0.0 OK",
        },
    })
}

fn complained(id: &str, address: &str) -> Value {
    json!({
        "eventType": "Complaint",
        "mail": mail(id, address),
        "complaint": {
            "timestamp": "2026-11-02T10:00:00.000Z",
            "feedbackId": format!("f-{id}"),
            "complaintFeedbackType": "abuse",
            "complainedRecipients": [{"emailAddress": address}],
        },
    })
}

fn subscription(id: &str, address: &str, time: &str, all: bool, topics: &[(&str, &str)]) -> Value {
    let topics: Vec<Value> = topics
        .iter()
        .map(|(name, status)| json!({"topicName": name, "subscriptionStatus": status}))
        .collect();
    json!({
        "eventType": "Subscription",
        "mail": mail(id, address),
        "subscription": {
            "contactList": "main",
            "timestamp": time,
            "source": "UnsubscribeHeader",
            "newTopicPreferences": {"unsubscribeAll": all, "topicSubscriptionStatus": topics},
            "oldTopicPreferences": {"unsubscribeAll": false, "topicSubscriptionStatus": []},
        },
    })
}

fn bounced(id: &str, address: &str, time: &str, subtype: &str, diagnostic: &str) -> Value {
    let kind = if matches!(subtype, "NoEmail" | "OnAccountSuppressionList") {
        "Permanent"
    } else {
        "Transient"
    };
    json!({
        "eventType": "Bounce",
        "mail": mail(id, address),
        "bounce": {
            "timestamp": time,
            "feedbackId": format!("b-{id}"),
            "bounceType": kind,
            "bounceSubType": subtype,
            "bouncedRecipients": [{"emailAddress": address, "diagnosticCode": diagnostic}],
        },
    })
}

/// `count` people with a delivery each: p000@example.com, p001@example.com …
fn people(count: usize) -> Vec<Value> {
    (0..count).map(|n| delivered(&format!("m{n:03}"), &format!("p{n:03}@example.com"))).collect()
}
