//! The Lambda function as Lambda runs it: its own process, polling the Runtime API.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearback_tests::{Hearback, LambdaFunction};
use serde_json::{Value, json};

use crate::traffic::{Dice, base64, events_as_such, ses_lines};

const STREAM: &str = "arn:aws:kinesis:eu-west-1:999999999999:stream/feedback";
const FIREHOSE: &str = "arn:aws:firehose:eu-west-1:999999999999:deliverystream/feedback";

/// A batch of one shard, with sequence numbers from `first` on.
fn batch(first: usize, documents: &[Vec<u8>]) -> Value {
    let records: Vec<Value> = documents
        .iter()
        .enumerate()
        .map(|(index, document)| {
            let sequence = sequence(first + index);
            json!({
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "1",
                    "sequenceNumber": sequence,
                    "data": base64(document),
                    "approximateArrivalTimestamp": 1_788_220_800.123,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": format!("shardId-000000000006:{sequence}"),
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::999999999999:role/feedback",
                "awsRegion": "eu-west-1",
                "eventSourceARN": STREAM,
            })
        })
        .collect();
    json!({ "Records": records })
}

fn sequence(number: usize) -> String {
    format!("4959033827149025660855969253836157109592157598913658{number:04}")
}

fn traffic(hearback: &Hearback, messages: u32, seed: u32) -> Vec<Vec<u8>> {
    ses_lines(hearback, messages, seed).into_iter().map(String::into_bytes).collect()
}

/// The rows that reading the documents from a file gives.
fn as_from_a_file(documents: &[Vec<u8>]) -> String {
    let plain = Hearback::new();
    let source = plain.file("plain.json", documents.join(&b'\n'));
    plain.ingest(&[&source]);
    events_as_such(&plain)
}

fn all_done() -> Value {
    json!({"batchItemFailures": []})
}

#[test]
fn batches_with_garbage_in_the_middle_are_committed_and_the_garbage_is_kept_once() {
    let hearback = Hearback::new();
    let events = traffic(&hearback, 100, 31);
    let mut documents = events.clone();
    documents.insert(7, b"no JSON at all".to_vec());
    documents.insert(20, b"no JSON at all".to_vec());
    documents.insert(30, vec![0xff, 0x00, 0xfe]);
    documents.insert(40, Vec::new());
    let function = LambdaFunction::start(&[("HEARBACK_LAKE", hearback.lake())]);
    let (first, rest) = documents.split_at(50);
    // Lambda delivers at least once: the same batch again, to the same function and to a new one.
    for function in
        [&function, &function, &LambdaFunction::start(&[("HEARBACK_LAKE", hearback.lake())])]
    {
        assert_eq!(function.invoke(&batch(0, first)), Ok(all_done()));
        assert_eq!(function.invoke(&batch(50, rest)), Ok(all_done()));
    }
    assert_eq!(events_as_such(&hearback), as_from_a_file(&events));
    let rejects = hearback.query(
        "SELECT source_name, source_shard, source_sequence, reason FROM rejects ORDER BY source_sequence",
    );
    let places: Vec<_> = rejects.iter().map(|row| row["source_sequence"].clone()).collect();
    assert_eq!(places, [sequence(7), sequence(20), sequence(30)]);
    assert_eq!(rejects[0]["source_name"], "kinesis:feedback");
    assert_eq!(rejects[0]["source_shard"], "shardId-000000000006");
    assert_eq!(
        hearback.number("SELECT count(*) FROM rejects WHERE encode(raw, 'hex') = 'ff00fe'"),
        1
    );
    let places = "SELECT count(*) FROM events WHERE source_name <> 'kinesis:feedback' \
                  OR source_shard <> 'shardId-000000000006' OR source_sequence NOT LIKE '4959%'";
    assert_eq!(hearback.number(places), 0);
}

#[test]
fn functions_at_work_on_the_same_and_on_other_batches_at_once_add_each_event_once() {
    let hearback = Hearback::new();
    let events = traffic(&hearback, 400, 32);
    let lake = [("HEARBACK_LAKE", hearback.lake())];
    let functions: Vec<LambdaFunction> = (0..4).map(|_| LambdaFunction::start(&lake)).collect();
    let mut answers = Vec::new();
    for (index, documents) in events.chunks(60).enumerate() {
        let mut documents = documents.to_vec();
        documents.push(format!("garbage {index}").into_bytes());
        // Each batch goes to two of the functions.
        for which in [index % 4, (index + 1) % 4] {
            let event = batch(index * 100, &documents);
            answers.push(functions[which].begin(&event, Duration::from_secs(60)));
        }
    }
    let batches = answers.len() / 2;
    for answer in answers {
        let answer = answer.recv_timeout(Duration::from_secs(70)).expect("an answer");
        assert_eq!(answer, Ok(all_done()));
    }
    assert_eq!(events_as_such(&hearback), as_from_a_file(&events));
    assert_eq!(hearback.number("SELECT count(*) FROM rejects"), batches as i64);
}

#[test]
fn a_lake_that_fails_fails_the_batch_from_the_first_record_that_is_not_in_it() {
    let hearback = Hearback::new();
    let mut documents = traffic(&hearback, 10, 33);
    documents.truncate(10);
    let events = documents.clone();
    // A reject that cannot be compressed, on a disk that has no room for it.
    let mut dice = Dice::new(5);
    let noise = (0..300_000).map(|_| 0x80 | dice.below(256) as u8);
    documents.insert(3, noise.collect());
    let environment = [
        ("HEARBACK_LAKE", hearback.lake()),
        // Each record is committed by itself.
        ("HEARBACK_INGEST_FLUSH_ROWS", "1"),
    ];
    let function = LambdaFunction::start_without_room(&environment, 128);
    let expected = json!({"batchItemFailures": [{"itemIdentifier": sequence(3)}]});
    assert_eq!(function.invoke(&batch(0, &documents)), Ok(expected));
    assert_eq!(hearback.number("SELECT count(DISTINCT source_sequence) FROM events"), 3);

    // Nothing of it can be committed: an error, which tells Lambda the same.
    let error = function.invoke(&batch(3, &documents[3..])).expect_err("a failed invocation");
    let message = error["errorMessage"].as_str().expect("a message");
    assert!(message.starts_with("the lake did not take the batch: "), "{message}");

    let function = LambdaFunction::start(&environment);
    assert_eq!(function.invoke(&batch(3, &documents[3..])), Ok(all_done()));
    assert_eq!(events_as_such(&hearback), as_from_a_file(&events));
    assert_eq!(hearback.number("SELECT count(*) FROM rejects"), 1);
}

#[test]
fn a_store_that_does_not_answer_fails_the_invocation_before_its_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = format!("http://{}", listener.local_addr().expect("a bound port"));
    let function = LambdaFunction::start(&[
        ("HEARBACK_LAKE", "s3://acme-mail/lake"),
        ("AWS_ENDPOINT_URL", &silent),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
    ]);
    let hearback = Hearback::new();
    let documents = traffic(&hearback, 1, 34);
    let started = std::time::Instant::now();
    let timeout = Duration::from_secs(3);
    let error = function.invoke_within(&batch(0, &documents), timeout).expect_err("a failure");
    assert!(started.elapsed() < timeout, "{:?}", started.elapsed());
    let message = error["errorMessage"].as_str().expect("a message");
    assert!(message.contains("raise the timeout"), "{message}");
}

#[test]
fn an_event_of_another_service_and_a_missing_lake_are_named() {
    let function = LambdaFunction::start(&[]);
    let error = function.invoke(&json!({"detail-type": "Email Sent"})).expect_err("an error");
    assert!(error["errorMessage"].as_str().is_some_and(|text| text.contains("neither Records")));
    let error = function.invoke(&batch(0, &[b"{}".to_vec()])).expect_err("an error");
    assert!(error["errorMessage"].as_str().is_some_and(|text| text.contains("HEARBACK_LAKE")));
}

fn transformation(documents: &[&[u8]]) -> Value {
    let records: Vec<Value> = documents
        .iter()
        .enumerate()
        .map(|(index, document)| {
            json!({
                "recordId": format!("record-{index}"),
                "approximateArrivalTimestamp": 1_788_220_800_123_i64,
                "data": base64(document),
            })
        })
        .collect();
    json!({
        "invocationId": "2f3a0f3c-6f5b-4d0e-8f0e-2d1c3b4a5f6e",
        "deliveryStreamArn": FIREHOSE,
        "region": "eu-west-1",
        "records": records,
    })
}

#[test]
fn a_firehose_gets_rows_for_events_and_an_answer_for_every_record() {
    let hearback = Hearback::new();
    let events = ses_lines(&hearback, 40, 35);
    let two_at_once = format!("{}{}", events[1], events[2]);
    let half_good = format!("{}\ngarbage", events[3]);
    let notice = json!({
        "Type": "SubscriptionConfirmation",
        "TopicArn": "arn:aws:sns:eu-west-1:999999999999:feedback",
        "Message": "You have chosen to subscribe",
    })
    .to_string();
    let mut documents: Vec<&[u8]> =
        vec![notice.as_bytes(), b"garbage", half_good.as_bytes(), two_at_once.as_bytes()];
    documents.extend(events[4..].iter().map(String::as_bytes));
    let function = LambdaFunction::start(&[]);
    let answer = function.invoke(&transformation(&documents)).expect("an answer");
    let records = answer["records"].as_array().expect("records");
    assert_eq!(records.len(), documents.len());
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record["recordId"], format!("record-{index}"));
        let expected = match index {
            0 => "Dropped",
            1 | 2 => "ProcessingFailed",
            _ => "Ok",
        };
        assert_eq!(record["result"], expected, "{index}: {record}");
        assert_eq!(record.get("data").is_some(), expected == "Ok", "{record}");
    }

    // The rows are those that hearback itself makes of the same events.
    let good: Vec<Vec<u8>> = documents[3..].iter().map(|document| document.to_vec()).collect();
    let plain = Hearback::new();
    let source = plain.file("plain.json", good.join(&b'\n'));
    plain.ingest(&[&source]);
    let columns = "event_id, event_type, CAST(event_date AS VARCHAR) AS event_date, recipient, bounce_class, subject";
    let mut expected: Vec<Value> =
        plain.query(&format!("SELECT {columns} FROM events ORDER BY event_id"));
    for row in &mut expected {
        let columns = row.as_object_mut().expect("a row");
        columns.retain(|_, value| !value.is_null());
    }
    let mut rows = Vec::new();
    for record in &records[3..] {
        let lines = STANDARD.decode(record["data"].as_str().expect("data")).expect("base64");
        let lines = String::from_utf8(lines).expect("UTF-8");
        assert!(lines.ends_with('\n'), "rows end with a line end");
        for line in lines.lines() {
            let row: Value = serde_json::from_str(line).expect("a row is JSON");
            let date = &row["event_date"];
            if let Some(day) = record["metadata"]["partitionKeys"].get("event_date") {
                assert_eq!(day, date);
            }
            let time = row["event_time"].as_str().expect("a time");
            assert!(time.ends_with('Z') && time.contains('T'), "{time}");
            let wanted =
                ["event_id", "event_type", "event_date", "recipient", "bounce_class", "subject"];
            let kept = wanted
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), row.get(name)?.clone())))
                .collect();
            rows.push(Value::Object(kept));
        }
    }
    rows.sort_by_key(|row| row["event_id"].to_string());
    assert_eq!(rows, expected);
}

#[test]
fn an_answer_to_a_firehose_never_exceeds_what_lambda_allows() {
    let hearback = Hearback::new();
    let event = ses_lines(&hearback, 5, 36).swap_remove(0);
    let mut event: Value = serde_json::from_str(&event).expect("JSON");
    // One row for each of fifty recipients, each with the long subject.
    let recipients: Vec<String> = (0..50).map(|n| format!("person-{n}@example.com")).collect();
    event["mail"]["destination"] = json!(recipients);
    event["mail"]["commonHeaders"] = json!({"subject": "s".repeat(2_000)});
    let document = event.to_string();
    let documents: Vec<&[u8]> = vec![document.as_bytes(); 100];
    let function = LambdaFunction::start(&[]);
    let answer = function.invoke(&transformation(&documents)).expect("an answer of at most 6 MB");
    let results: Vec<&str> = answer["records"]
        .as_array()
        .expect("records")
        .iter()
        .filter_map(|record| record["result"].as_str())
        .collect();
    assert_eq!(results.len(), 100);
    assert!(results.contains(&"Ok") && results.contains(&"ProcessingFailed"), "{results:?}");
}
