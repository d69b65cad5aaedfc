//! A record of the Kinesis Producer Library holds several documents; each of them counts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::kpl::tests::aggregate_of;

fn send(message: &str) -> String {
    json!({
        "eventType": "Send",
        "mail": {
            "timestamp": "2026-09-01T08:00:00.000Z",
            "messageId": message,
            "destination": ["ana@example.net"],
        },
        "send": {},
    })
    .to_string()
}

fn lambda_event(data: &[u8]) -> String {
    json!({"Records": [{
        "eventSource": "aws:kinesis",
        "kinesis": {"sequenceNumber": "1", "partitionKey": "a", "data": STANDARD.encode(data)},
    }]})
    .to_string()
}

#[test]
fn every_document_of_an_aggregate_is_read_and_a_bad_one_takes_none_with_it() {
    let (first, second) = (send("m-1"), send("m-2"));
    let payloads: [&[u8]; 3] = [first.as_bytes(), b"not a document", second.as_bytes()];
    let decoded = decode(&lambda_event(&aggregate_of(&payloads)));
    assert_eq!(decoded.counts.records, 3);
    assert_eq!(decoded.counts.accepted, 2);
    assert_eq!(decoded.counts.rejected, 1);
    assert_eq!(rows(&decoded).len(), 2);
}

#[test]
fn a_damaged_aggregate_is_one_reject() {
    let mut bytes = aggregate_of(&[send("m-1").as_bytes()]);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let decoded = decode(&lambda_event(&bytes));
    assert_eq!((decoded.counts.records, decoded.counts.rejected), (1, 1));
    assert!(decoded.partitions.is_empty());
}
