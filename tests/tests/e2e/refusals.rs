//! What Kinesis refuses, as AWS documents it, is one sentence and the right exit code; what passes is
//! waited out; and what only AWS does right is read as AWS does it.

use std::time::Duration;

use hearback_tests::{Hearback, KinesisStandIn};

use crate::stream::{PATIENCE, assert_once, eventually};
use crate::traffic::ses_lines;

const SOURCE: &str = "kinesis:feedback";

fn lake(kinesis: &KinesisStandIn) -> Hearback {
    let hearback = Hearback::with(kinesis.environment());
    hearback.file("hearback.toml", "[ingest]\nflush_interval = \"1s\"\n");
    hearback
}

/// An action, the error code and message that AWS gives, the exit code, and what has to be said.
type Case = (&'static str, &'static str, &'static str, i32, &'static [&'static str]);

const REFUSALS: [Case; 9] = [
    (
        "DescribeStreamSummary",
        "ExpiredTokenException",
        "The security token included in the request is expired",
        1,
        &["the AWS credentials have expired", "aws sso login"],
    ),
    (
        "GetRecords",
        "ExpiredTokenException",
        "The security token included in the request is expired",
        1,
        &["the AWS credentials have expired", "aws sso login"],
    ),
    (
        "DescribeStreamSummary",
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
        1,
        &["the AWS credentials are not valid", "AWS_PROFILE"],
    ),
    (
        "DescribeStreamSummary",
        "ResourceNotFoundException",
        "Stream feedback under account 123456789012 not found.",
        2,
        &["Stream feedback under account 123456789012 not found", "AWS_REGION"],
    ),
    (
        "DescribeStreamSummary",
        "AccessDeniedException",
        "User: arn:aws:sts::123456789012:assumed-role/reader/i-1 is not authorized to perform: kinesis:DescribeStreamSummary",
        1,
        &["DescribeStreamSummary: access is denied", "docs/kinesis.md"],
    ),
    (
        "GetShardIterator",
        "AccessDeniedException",
        "User: arn:aws:sts::123456789012:assumed-role/reader/i-1 is not authorized to perform: kinesis:GetShardIterator",
        1,
        &["GetShardIterator: access is denied", "docs/kinesis.md"],
    ),
    (
        "GetRecords",
        "KMSAccessDeniedException",
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
        1,
        &["KMS key", "kms:Decrypt"],
    ),
    (
        "GetRecords",
        "KMSDisabledException",
        "arn:aws:kms:us-east-1:123456789012:key/1 is disabled.",
        1,
        &["the KMS key of the stream is disabled"],
    ),
    (
        "GetRecords",
        "KMSInvalidStateException",
        "arn:aws:kms:us-east-1:123456789012:key/1 is pending deletion.",
        1,
        &["not in a usable state"],
    ),
];

#[test]
fn what_kinesis_refuses_is_one_sentence_with_its_remedy() {
    for (action, code, message, exit, words) in REFUSALS {
        let kinesis = KinesisStandIn::start();
        let hearback = lake(&kinesis);
        kinesis.fail(action, usize::MAX, code, message);
        let outcome = hearback.run(["ingest", SOURCE, "--until-caught-up"]);
        assert_eq!(outcome.code, exit, "{action} {code}: {outcome:?}");
        for word in words {
            assert!(outcome.stderr.contains(word), "{action} {code}: {outcome:?}");
        }
        let errors = outcome.stderr.lines().filter(|line| line.starts_with("error:")).count();
        assert_eq!(errors, 1, "{action} {code}: {outcome:?}");
        assert!(!outcome.stderr.contains("assumed-role"), "{outcome:?}");
        assert!(kinesis.asked(action) <= 2, "{action} {code} was tried again");
    }
}

/// The name of a host that does not exist fails to resolve with a network and without.
#[test]
fn a_region_that_does_not_exist_is_called_a_region() {
    let mut environment = KinesisStandIn::start().environment();
    environment.retain(|(name, _)| name != "AWS_ENDPOINT_URL_KINESIS" && name != "AWS_REGION");
    environment.push(("AWS_REGION".to_owned(), "eu-wset-1".to_owned()));
    let hearback = Hearback::with(environment);
    let outcome = hearback.run(["ingest", SOURCE]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.stderr.contains("AWS_REGION; a Region looks like eu-west-1"), "{outcome:?}");
}

#[test]
fn what_passes_is_waited_out_and_nothing_is_lost() {
    let kinesis = KinesisStandIn::start();
    let hearback = lake(&kinesis);
    let events = ses_lines(&hearback, 40, 81);
    for event in &events {
        kinesis.put(0, event.clone());
    }
    let rate = "Rate exceeded for shard shardId-000000000000 in stream feedback";
    kinesis.fail("GetRecords", 3, "ProvisionedThroughputExceededException", rate);
    kinesis.fail("GetRecords", 1, "ExpiredIteratorException", "Iterator expired.");
    kinesis.fail("GetRecords", 1, "KMSThrottlingException", "Rate exceeded");
    kinesis.break_down("GetRecords", 2, 503, "<html>Service Unavailable</html>");
    kinesis.break_down("GetRecords", 1, 500, r#"{"__type":"InternalFailure"}"#);
    kinesis.fail("ListShards", 2, "LimitExceededException", "Rate exceeded");
    kinesis.fail("DescribeStreamSummary", 2, "LimitExceededException", "Rate exceeded");
    let outcome = hearback.run(["ingest", SOURCE, "--until-caught-up", "--format", "json"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(outcome.json()["records"], events.len(), "{outcome:?}");
    assert_once(&hearback);
}

#[test]
fn an_outage_is_said_while_it_lasts_and_reading_goes_on_behind_it() {
    let kinesis = KinesisStandIn::start();
    let hearback = lake(&kinesis);
    let events = ses_lines(&hearback, 20, 82);
    let (first, second) = events.split_at(events.len() / 2);
    let rows = || hearback.number("SELECT count(*) FROM events");
    let reading = hearback.start(&["ingest", SOURCE]);
    for event in first {
        kinesis.put(0, event.clone());
    }
    assert!(eventually(|| hearback.exists() && rows() > 0), "{}", reading.said());
    kinesis.break_down("GetRecords", usize::MAX, 500, r#"{"__type":"InternalFailure"}"#);
    assert!(eventually(|| reading.said().contains("cannot be read")), "{}", reading.said());
    for event in second {
        kinesis.put(0, event.clone());
    }
    kinesis.recover();
    let last = "SELECT count(DISTINCT source_sequence) FROM events";
    assert!(eventually(|| hearback.number(last) == events.len() as i64), "{}", reading.said());
    // Credentials that expire while it runs are no outage.
    let expired = "The security token included in the request is expired";
    kinesis.fail("GetRecords", usize::MAX, "ExpiredTokenException", expired);
    assert_eq!(reading.wait(PATIENCE), Some(1), "{}", reading.said());
    assert!(reading.said().contains("cannot be read any further"), "{}", reading.said());
    assert!(reading.said().contains("credentials have expired"), "{}", reading.said());
}

#[test]
fn a_subscription_says_that_its_shard_has_ended_and_what_comes_after_it() {
    let kinesis = KinesisStandIn::start();
    let hearback = lake(&kinesis);
    let events = ses_lines(&hearback, 60, 83);
    let rows = || hearback.number("SELECT count(DISTINCT source_sequence) FROM events");
    // Nothing but the subscriptions may tell it.
    kinesis.fail("GetRecords", usize::MAX, "AccessDeniedException", "not for you");
    let reading = hearback.start(&["ingest", SOURCE, "--fan-out", "hearback"]);
    for (number, event) in events.iter().enumerate() {
        // Each shard is split when it has a third of them: 0 into 1 and 2, 2 into 3 and 4.
        let shard = [0, 2, 4][number * 3 / events.len()];
        kinesis.put(shard, event.clone());
        if number + 1 == events.len() / 3 || number + 1 == events.len() * 2 / 3 {
            kinesis.split(shard);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let expected = events.len() as i64;
    assert!(eventually(|| hearback.exists() && rows() == expected), "{}", reading.said());
    assert_eq!(reading.signal_and_wait("TERM", Duration::from_secs(10)), Some(0));
    assert_eq!(hearback.number("SELECT count(DISTINCT source_shard) FROM events"), 3);
    assert_once(&hearback);
    assert!(kinesis.asked("SubscribeToShard") >= 5);
}

#[test]
fn simulated_records_that_a_stream_did_not_take_are_put_again() {
    let kinesis = KinesisStandIn::start();
    kinesis.refuse_every(7);
    kinesis.fail("PutRecords", 1, "ProvisionedThroughputExceededException", "Rate exceeded");
    let hearback = lake(&kinesis);
    let simulated = ["simulate", "--messages", "150", "--seed", "3"];
    let put = hearback.run([&simulated[..], &["-o", SOURCE]].concat());
    assert_eq!((put.code, put.stdout.as_str()), (0, ""), "{put:?}");
    assert!(kinesis.asked("PutRecords") >= 3, "{}", kinesis.asked("PutRecords"));

    let file = [&simulated[..], &["--envelope", "eventbridge", "-o", "traffic.json"]].concat();
    assert_eq!(hearback.run(file).code, 0);
    let reference = Hearback::new();
    let expected = reference.ingest(&[&hearback.folder().join("traffic.json")]);
    let caught_up = ["ingest", SOURCE, "--until-caught-up", "--format", "json"];
    let report = hearback.run(caught_up).json();
    for figure in ["records", "events", "duplicates", "rejected", "ignored"] {
        assert_eq!(report[figure], expected[figure], "{figure}: {report} {expected}");
    }
    assert_once(&hearback);
}

#[test]
fn a_stream_that_cannot_be_written_to_is_one_sentence() {
    let kinesis = KinesisStandIn::start();
    let hearback = lake(&kinesis);
    let message = "Stream feedback under account 123456789012 not found.";
    kinesis.fail("PutRecords", 1, "ResourceNotFoundException", message);
    let outcome = hearback.run(["simulate", "--messages", "10", "-o", SOURCE]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    for word in ["kinesis:feedback cannot be written to", message, "AWS_REGION"] {
        assert!(outcome.stderr.contains(word), "{outcome:?}");
    }
    let outcome = hearback.run(["simulate", "-o", "kinesis:no/name"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
}
