//! Simulated traffic, and the ways in which it can reach a lake.

use hearback_tests::Hearback;
use serde_json::{Value, json};

/// The rows of `events`, one JSON object a line, without what tells where and when they were read.
pub(crate) fn events_as_such(hearback: &Hearback) -> String {
    let outcome =
        hearback.run(["query", "SELECT * FROM events ORDER BY event_id", "--format", "ndjson"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let mut rows = String::new();
    for line in outcome.stdout.lines() {
        let mut row: Value = serde_json::from_str(line).expect("a row is JSON");
        let columns = row.as_object_mut().expect("a row is an object");
        for column in ["ingest_time", "source_name", "source_shard", "source_sequence"] {
            columns.remove(column).unwrap_or_else(|| panic!("no column {column}: {line}"));
        }
        rows.push_str(&row.to_string());
        rows.push('\n');
    }
    rows
}

/// Raw SES events, one a line, as the simulator writes them.
pub(crate) fn ses_lines(hearback: &Hearback, messages: u32, seed: u32) -> Vec<String> {
    let outcome = hearback.run([
        "simulate",
        "--messages",
        &messages.to_string(),
        "--seed",
        &seed.to_string(),
        "--plain",
    ]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.stdout.lines().map(str::to_owned).collect()
}

/// Every way in which one SES event can be wrapped on its journey.
pub(crate) const ENVELOPES: [fn(&str) -> String; 8] = [
    raw,
    event_bridge,
    sns,
    sns_of_lambda,
    sqs_over_sns,
    kinesis_lambda,
    cloudwatch_logs,
    array_of_one,
];

fn raw(event: &str) -> String {
    event.to_owned()
}

fn event_bridge(event: &str) -> String {
    let detail: Value = serde_json::from_str(event).expect("JSON");
    let region = "eu-west-1";
    json!({
        "version": "0",
        "id": "5c1a64cc-0d6b-4b0e-9a0f-1f1a2f3e4d5c",
        "detail-type": "Email Sent",
        "source": "aws.ses",
        "account": "999999999999",
        "time": "2026-09-01T00:00:00Z",
        "region": region,
        "resources": [format!("arn:aws:ses:{region}:999999999999:configuration-set/main")],
        "detail": detail,
    })
    .to_string()
}

fn notification(event: &str) -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:ap-northeast-1:999999999999:feedback",
        "Subject": "Amazon SES Email Event Notification",
        "Message": format!("{event}\n"),
        "Timestamp": "2026-09-01T00:00:00.000Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertURL": "https://sns.ap-northeast-1.amazonaws.com/example.pem",
        "UnsubscribeURL": "https://sns.ap-northeast-1.amazonaws.com/?Action=Unsubscribe",
    })
}

fn sns(event: &str) -> String {
    notification(event).to_string()
}

fn sns_of_lambda(event: &str) -> String {
    json!({"Records": [{
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": "arn:aws:sns:ap-northeast-1:999999999999:feedback:1",
        "Sns": notification(event),
    }]})
    .to_string()
}

fn sqs_over_sns(event: &str) -> String {
    json!({"Records": [{
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "receiptHandle": "EXAMPLE",
        "body": sns(event),
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1788220800000"},
        "messageAttributes": {},
        "md5OfBody": "00000000000000000000000000000000",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:ap-northeast-1:999999999999:feedback",
        "awsRegion": "ap-northeast-1",
    }]})
    .to_string()
}

fn kinesis_lambda(event: &str) -> String {
    json!({"Records": [{
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "1",
            "sequenceNumber": "49590338271490256608559692538361571095921575989136588898",
            "data": base64(event.as_bytes()),
            "approximateArrivalTimestamp": 1_788_220_800.123,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": "shardId-000000000006:49590338271490256608559692538361571095921575989136588898",
        "eventName": "aws:kinesis:record",
        "awsRegion": "ap-northeast-1",
        "eventSourceARN": "arn:aws:kinesis:ap-northeast-1:999999999999:stream/feedback",
    }]})
    .to_string()
}

fn cloudwatch_logs(event: &str) -> String {
    json!({
        "messageType": "DATA_MESSAGE",
        "owner": "999999999999",
        "logGroup": "/feedback",
        "logStream": "events",
        "subscriptionFilters": ["all"],
        "logEvents": [{"id": "1", "timestamp": 1_788_220_800_000_u64, "message": event}],
    })
    .to_string()
}

fn array_of_one(event: &str) -> String {
    format!("[\n{event}\n]")
}

/// Standard base64 (RFC 4648) with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = u32::from(chunk[0]) << 16
            | u32::from(chunk.get(1).copied().unwrap_or(0)) << 8
            | u32::from(chunk.get(2).copied().unwrap_or(0));
        for position in 0..4 {
            if position > chunk.len() {
                text.push('=');
                continue;
            }
            let index = (group >> (18 - 6 * position)) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

/// A small deterministic generator for shuffling (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let roll = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(roll).expect("31 bits fit") % bound
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}
