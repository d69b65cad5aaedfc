//! A stand-in for Kinesis Data Streams that answers as AWS documents it where the emulation does
//! otherwise: errors of every kind, and the end of a shard as a subscription tells it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::fakecloud::{ACCOUNT, REGION};

const NAME: &str = "feedback";
/// Records of one answer at most.
const PAGE: usize = 20;
/// Events of one subscription; the real one ends after five minutes.
const EVENTS: usize = 4;
/// Between two of them.
const EVENT_EVERY: Duration = Duration::from_millis(100);
/// When everything on the stream arrived, and the stream was created: 2026-11-01T00:00:00Z.
const ARRIVED_S: f64 = 1_793_491_200.0;

/// A running stand-in with one stream, `feedback`, of one shard; it ends when dropped.
pub struct KinesisStandIn {
    stream: Arc<Mutex<Stream>>,
    address: SocketAddr,
    /// Serves as long as it is there.
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Stream {
    shards: Vec<Shard>,
    failures: VecDeque<Failure>,
    asked: Vec<String>,
    /// Of the records that are put, every how many-th is refused.
    refuse_every: Option<usize>,
    offered: usize,
}

#[derive(Default)]
struct Shard {
    parent: Option<usize>,
    records: Vec<Vec<u8>>,
    is_closed: bool,
}

struct Failure {
    action: &'static str,
    times: usize,
    status: u16,
    body: String,
}

type Shared = State<Arc<Mutex<Stream>>>;

impl KinesisStandIn {
    /// Starts one.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let stream = Stream { shards: vec![Shard::default()], ..Stream::default() };
        let stream = Arc::new(Mutex::new(stream));
        let service = Router::new().fallback(answer).with_state(Arc::clone(&stream));
        let address = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("an address");
            tokio::spawn(async move { axum::serve(listener, service).await });
            address
        });
        Self { stream, address, _runtime: runtime }
    }

    /// The variables that make any AWS client use it.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL_KINESIS", format!("http://{}", self.address)),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Puts a record on a shard; shards are counted from 0.
    ///
    /// # Panics
    /// When the shard is closed or not there.
    pub fn put(&self, shard: usize, data: impl Into<Vec<u8>>) {
        let mut stream = self.lock();
        assert!(!stream.shards[shard].is_closed);
        stream.shards[shard].records.push(data.into());
    }

    /// Splits a shard; its children are the next two.
    ///
    /// # Panics
    /// When the shard is not there.
    pub fn split(&self, shard: usize) {
        let mut stream = self.lock();
        stream.shards[shard].is_closed = true;
        for _ in 0..2 {
            stream.shards.push(Shard { parent: Some(shard), ..Shard::default() });
        }
    }

    /// Lets the next requests of an action (such as `GetRecords`) fail, with an error code and message
    /// of the API reference.
    pub fn fail(&self, action: &'static str, times: usize, code: &str, message: &str) {
        let body = json!({"__type": code, "message": message}).to_string();
        self.lock().failures.push_back(Failure { action, times, status: 400, body });
    }

    /// Lets the next requests of an action fail as a service that is overloaded.
    pub fn break_down(&self, action: &'static str, times: usize, status: u16, body: &str) {
        let body = body.to_owned();
        self.lock().failures.push_back(Failure { action, times, status, body });
    }

    /// Refuses every `nth` record of those that are put, each time another part of the request.
    pub fn refuse_every(&self, nth: usize) {
        self.lock().refuse_every = Some(nth);
    }

    /// Ends all failures.
    pub fn recover(&self) {
        self.lock().failures.clear();
    }

    /// How often an action was asked for.
    #[must_use]
    pub fn asked(&self, action: &str) -> usize {
        self.lock().asked.iter().filter(|asked| *asked == action).count()
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().expect("no test panics with it")
    }
}

async fn answer(State(stream): Shared, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let action = target.and_then(|target| target.split('.').nth(1)).unwrap_or_default().to_owned();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut found = stream.lock().expect("no test panics with it");
    found.asked.push(action.clone());
    if let Some(place) = found.failures.iter().position(|failure| failure.action == action) {
        let failure = &mut found.failures[place];
        let (status, body) = (failure.status, failure.body.clone());
        failure.times = failure.times.saturating_sub(1);
        if failure.times == 0 {
            found.failures.remove(place);
        }
        return response(status, body.into());
    }
    let answer = match action.as_str() {
        "DescribeStreamSummary" => found.describe(),
        "ListShards" => json!({"Shards": found.list()}),
        "GetShardIterator" => json!({"ShardIterator": found.begin(&asked)}),
        "GetRecords" => found.page(asked["ShardIterator"].as_str().unwrap_or_default()),
        "PutRecords" => found.take(&asked),
        "RegisterStreamConsumer" => json!({"Consumer": consumer("CREATING")}),
        "DescribeStreamConsumer" => json!({"ConsumerDescription": consumer("ACTIVE")}),
        "SubscribeToShard" => {
            let iterator = found.begin(&asked);
            drop(found);
            return subscribe(stream, iterator);
        }
        _ => {
            return response(
                400,
                json!({"__type": "UnknownOperationException"}).to_string().into(),
            );
        }
    };
    response(200, answer.to_string().into())
}

fn response(status: u16, body: Body) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("Content-Type", "application/x-amz-json-1.1")
        .body(body)
        .expect("a response")
}

fn consumer(status: &str) -> Value {
    json!({
        "ConsumerName": "hearback",
        "ConsumerARN": format!("{}/consumer/hearback:1793491200", arn()),
        "ConsumerStatus": status,
        "ConsumerCreationTimestamp": ARRIVED_S,
        "StreamARN": arn(),
    })
}

fn arn() -> String {
    format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{NAME}")
}

fn shard_id(shard: usize) -> String {
    format!("shardId-{shard:012}")
}

/// A number that grows along a shard and is its own on the stream.
fn sequence(shard: usize, record: usize) -> String {
    format!("4959{shard:010}{record:042}")
}

impl Stream {
    fn describe(&self) -> Value {
        json!({"StreamDescriptionSummary": {
            "StreamName": NAME,
            "StreamARN": arn(),
            "StreamStatus": "ACTIVE",
            "RetentionPeriodHours": 8760,
            "StreamCreationTimestamp": ARRIVED_S,
            "EnhancedMonitoring": [],
            "OpenShardCount": 1,
        }})
    }

    fn list(&self) -> Vec<Value> {
        let mut listed = Vec::new();
        for (number, shard) in self.shards.iter().enumerate() {
            let mut range = json!({"StartingSequenceNumber": sequence(number, 0)});
            if shard.is_closed {
                range["EndingSequenceNumber"] = json!(sequence(number, 999_999));
            }
            let mut found = json!({
                "ShardId": shard_id(number),
                "HashKeyRange": hash_keys(),
                "SequenceNumberRange": range,
            });
            if let Some(parent) = shard.parent {
                found["ParentShardId"] = json!(shard_id(parent));
            }
            listed.push(found);
        }
        listed
    }

    /// Where `GetShardIterator` and `SubscribeToShard` are asked to begin: `SHARD|RECORD`.
    fn begin(&self, asked: &Value) -> String {
        let id = asked["ShardId"].as_str().unwrap_or_default();
        let shard = (0..self.shards.len()).find(|shard| shard_id(*shard) == id).expect("a shard");
        let position = if asked["StartingPosition"].is_object() {
            asked["StartingPosition"].clone()
        } else {
            json!({
                "Type": asked["ShardIteratorType"],
                "SequenceNumber": asked["StartingSequenceNumber"],
            })
        };
        let number = position["SequenceNumber"].as_str().unwrap_or_default();
        let place = (0..self.shards[shard].records.len()).find(|n| sequence(shard, *n) == number);
        let record = match position["Type"].as_str() {
            Some("AT_SEQUENCE_NUMBER") => place.expect("a record"),
            Some("AFTER_SEQUENCE_NUMBER") => place.map_or(0, |place| place + 1),
            _ => 0,
        };
        format!("{shard}|{record}")
    }

    fn page(&self, iterator: &str) -> Value {
        let (number, from) = parse(iterator);
        let shard = &self.shards[number];
        let end = shard.records.len().min(from + PAGE);
        let records: Vec<Value> = (from..end)
            .map(|record| {
                json!({
                    "SequenceNumber": sequence(number, record),
                    "PartitionKey": "key",
                    "ApproximateArrivalTimestamp": ARRIVED_S,
                    "Data": STANDARD.encode(&shard.records[record]),
                })
            })
            .collect();
        let is_behind = end < shard.records.len();
        let mut page = json!({"Records": records, "MillisBehindLatest": u32::from(is_behind)});
        if is_behind || !shard.is_closed {
            page["NextShardIterator"] = json!(format!("{number}|{end}"));
            page["ContinuationSequenceNumber"] = json!(sequence(number, end.max(1) - 1));
        } else {
            page["ChildShards"] = self.children(number);
        }
        page
    }

    /// `PutRecords` within its limits (API reference): some of the records are taken, some are not.
    fn take(&mut self, asked: &Value) -> Value {
        let offered = asked["Records"].as_array().expect("records");
        assert!((1..=500).contains(&offered.len()), "{} records", offered.len());
        let (mut failed, mut bytes, mut results) = (0, 0, Vec::new());
        for record in offered {
            let key = record["PartitionKey"].as_str().expect("a key");
            let data = record["Data"].as_str().expect("data");
            let data = STANDARD.decode(data).expect("base64");
            assert!((1..=256).contains(&key.len()), "{key}");
            bytes += key.len() + data.len();
            self.offered += 1;
            if self.refuse_every.is_some_and(|nth| self.offered.is_multiple_of(nth)) {
                failed += 1;
                results.push(json!({
                    "ErrorCode": "ProvisionedThroughputExceededException",
                    "ErrorMessage": "Rate exceeded for shard shardId-000000000000 in stream feedback under account 123456789012.",
                }));
                continue;
            }
            results.push(json!({
                "SequenceNumber": sequence(0, self.shards[0].records.len()),
                "ShardId": shard_id(0),
            }));
            self.shards[0].records.push(data);
        }
        assert!(bytes <= 10 << 20, "{bytes} bytes in one request");
        json!({"FailedRecordCount": failed, "Records": results})
    }

    fn children(&self, parent: usize) -> Value {
        let children = self.shards.iter().enumerate();
        let children = children.filter(|(_, shard)| shard.parent == Some(parent));
        let described = children.map(|(child, _)| {
            json!({
                "ShardId": shard_id(child),
                "ParentShards": [shard_id(parent)],
                "HashKeyRange": hash_keys(),
            })
        });
        described.collect()
    }
}

fn hash_keys() -> Value {
    json!({"StartingHashKey": "0", "EndingHashKey": u128::MAX.to_string()})
}

fn parse(iterator: &str) -> (usize, usize) {
    let (shard, record) = iterator.split_once('|').expect("an iterator");
    (shard.parse().expect("a shard"), record.parse().expect("a record"))
}

/// Events as `SubscribeToShard` sends them, the last of a shard with its children and nothing to go on
/// with.
fn subscribe(stream: Arc<Mutex<Stream>>, iterator: String) -> Response<Body> {
    let first = Some((iterator, 0));
    let events = stream::unfold(first, move |next| {
        let stream = Arc::clone(&stream);
        async move {
            let (iterator, sent) = next?;
            if sent == EVENTS {
                return None;
            }
            if sent == 0 {
                let begun = frame("initial-response", &json!({}));
                return Some((begun, Some((iterator, 1))));
            }
            tokio::time::sleep(EVENT_EVERY).await;
            let mut page = stream.lock().expect("no test panics with it").page(&iterator);
            let next = page.as_object_mut().and_then(|page| page.remove("NextShardIterator"));
            let next = next.and_then(|next| next.as_str().map(str::to_owned));
            Some((frame("SubscribeToShardEvent", &page), next.map(|next| (next, sent + 1))))
        }
    });
    Response::builder()
        .header("Content-Type", "application/vnd.amazon.eventstream")
        .body(Body::from_stream(events.map(Ok::<Vec<u8>, Infallible>)))
        .expect("a response")
}

/// One message in the encoding of AWS's event streams.
fn frame(kind: &str, payload: &Value) -> Vec<u8> {
    let header = |name: &'static str, value: &str| {
        Header::new(name, HeaderValue::String(value.to_owned().into()))
    };
    let message = Message::new(payload.to_string().into_bytes())
        .add_header(header(":message-type", "event"))
        .add_header(header(":event-type", kind))
        .add_header(header(":content-type", "application/x-amz-json-1.1"));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("memory takes it");
    bytes
}
