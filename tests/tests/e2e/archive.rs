//! The archive of a stream on Firehose: what it holds, and that reading it doubles nothing.

use std::io::Write;

use hearback_tests::{FakeCloud, Hearback, aggregate};
use serde_json::Value;

use crate::traffic::{Dice, events_as_such, ses_lines};

const BUCKETS_AND_FIREHOSES: &str = "
for name in ('archive', 'rejects', 'large'):
    s3.create_bucket(Bucket=name)
for name, compression in (('archive', 'GZIP'), ('rejects', 'UNCOMPRESSED')):
    firehose.create_delivery_stream(
        DeliveryStreamName=name, DeliveryStreamType='DirectPut',
        ExtendedS3DestinationConfiguration={
            'RoleARN': 'arn:aws:iam::123456789012:role/firehose',
            'BucketARN': 'arn:aws:s3:::' + name, 'CompressionFormat': compression})
";

const CONFIGURATION: &str = "
[archive]
firehose = \"archive\"
s3 = \"s3://large/feedback\"

[rejects]
firehose = \"rejects\"
";

/// Python: the content of all objects of a bucket, one after the other, in hex.
const CONTENT: &str = "
import gzip
content = b''
for item in s3.list_objects_v2(Bucket=BUCKET).get('Contents', []):
    body = s3.get_object(Bucket=BUCKET, Key=item['Key'])['Body'].read()
    content += gzip.decompress(body) if body[:2] == b'\\x1f\\x8b' else body
print(content.hex())
";

fn content(cloud: &FakeCloud, bucket: &str) -> Vec<u8> {
    let hex = cloud.boto(&format!("BUCKET = {bucket:?}\n{CONTENT}"));
    let hex = hex.trim();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn holds(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}

/// What is in `rejects`, as it is.
fn rejects(hearback: &Hearback) -> Vec<Value> {
    hearback.query(
        "SELECT reason, encode(raw, 'hex') AS raw, source_name, source_shard, source_sequence \
         FROM rejects ORDER BY source_shard, source_sequence, raw",
    )
}

#[test]
fn an_archive_holds_every_record_and_reading_it_doubles_nothing() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 2);
    cloud.boto(BUCKETS_AND_FIREHOSES);
    let hearback = Hearback::on("s3://archive-lake/lake", cloud.environment());
    cloud.boto("s3.create_bucket(Bucket='archive-lake')");
    hearback.file("hearback.toml", CONFIGURATION);

    let events = ses_lines(&hearback, 60, 61);
    let (plain, special) = events.split_at(events.len() - 12);
    let mut records: Vec<Vec<u8>> = plain.iter().map(|event| event.clone().into_bytes()).collect();
    let together = |event: &String| ("a".to_owned(), event.clone().into_bytes());
    let aggregated: Vec<(String, Vec<u8>)> = special[..4].iter().map(together).collect();
    // On the shard that its keys are for; elsewhere it would be left out.
    stream.put([("a".to_owned(), aggregate(&aggregated))]);
    records.push(gzip(special[4..8].join("\n").as_bytes()));
    // Twelve events in all that are not one plain record each.
    records.push(special[8..10].concat().into_bytes());
    records.push(format!("{}\nhalf of it is garbage", special[10]).into_bytes());
    // Too large for Firehose.
    let mut large: Value = serde_json::from_str(&special[11]).expect("JSON");
    large["mail"]["headers"] =
        serde_json::json!([{"name": "X-Large", "value": "l".repeat(2 << 20)}]);
    records.push(large.to_string().into_bytes());
    let garbage: [&[u8]; 5] = [
        b"no JSON",
        b"no JSON",
        b"\xff\xfe\x00",
        b"{\"eventType\":\"Bou",
        b"{\"neither\":\"nor\"}",
    ];
    records.extend(garbage.iter().map(|garbage| garbage.to_vec()));
    records.push(b" \n".to_vec());
    let mut dice = Dice::new(7);
    dice.shuffle(&mut records);
    let keyed = records.iter().enumerate();
    stream.put(keyed.map(|(index, record)| (format!("key-{index}"), record.clone())));

    let arguments = ["ingest", &stream.source(), "--until-caught-up", "--format", "json"];
    let outcome = hearback.run(arguments);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let (rows, kept) = (events_as_such(&hearback), rejects(&hearback));
    assert_eq!(kept.len(), garbage.len() + 1, "{kept:?}");

    let archived = content(&cloud, "archive");
    for event in plain {
        assert!(holds(&archived, format!("{event}\n").as_bytes()), "not as it came: {event}");
    }
    let keys = cloud.boto(
        "print([item['Key'] for item in s3.list_objects_v2(Bucket='large').get('Contents', [])])",
    );
    assert_eq!(keys.matches("feedback/too-large/archive/shardId-").count(), 1, "{keys}");
    let letters = content(&cloud, "rejects");
    let letters: Vec<Value> = String::from_utf8(letters)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a letter is JSON"))
        .collect();
    assert_eq!(letters.len(), kept.len());
    assert!(letters.iter().all(|letter| letter["sourceName"] == "kinesis:feedback"));

    // Into the same lake: nothing is new.
    let outcome = hearback.run(["ingest", "s3://archive/", "s3://large/", "--format", "json"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(outcome.json()["events"], 0, "{outcome:?}");
    assert_eq!(events_as_such(&hearback), rows);
    assert_eq!(rejects(&hearback), kept);

    // Into another one: everything is there, rejects as they were on the stream.
    let other = Hearback::on("s3://archive-lake/other", cloud.environment());
    let outcome = other.run(["ingest", "s3://archive/", "s3://large/"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(events_as_such(&other), rows);
    assert_eq!(rejects(&other), kept);
}

/// The answer to `GET /healthz`, as it is.
fn health(address: &str) -> String {
    let mut connection = std::net::TcpStream::connect(address).expect("it listens");
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).expect("it reads");
    std::io::read_to_string(connection).expect("it answers")
}

#[test]
fn a_position_waits_until_the_archive_has_its_records() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 1);
    let hearback = Hearback::on("s3://archive-lake/lake", cloud.environment());
    cloud.boto("s3.create_bucket(Bucket='archive-lake')");
    hearback.file("hearback.toml", CONFIGURATION);
    let events = ses_lines(&hearback, 5, 62);
    stream.put(events.iter().map(|event| ("a".to_owned(), event.clone().into_bytes())));
    // There is no such Firehose yet.
    let mut child = hearback
        .command()
        .args(["ingest", &stream.source(), "--until-caught-up", "--log-format", "json"])
        .args(["--metrics", "127.0.0.1:0"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let stderr = child.stderr.take().expect("stderr is piped");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stderr));
    let mut said = lines
        .by_ref()
        .map(|line| serde_json::from_str::<Value>(&line.expect("a line")).expect("JSON"));
    let metrics = said.find(|line| line["message"] == "metrics").expect("where metrics are");
    let failure =
        said.find(|line| line["what"] == "safekeeping").expect("it says what it waits for");
    let reason = failure["reason"].as_str().expect("a reason");
    assert_eq!(reason, "there is no Firehose archive in this account and Region");
    let health = health(metrics["address"].as_str().expect("an address"));
    assert!(health.starts_with("HTTP/1.1 503 "), "{health}");
    assert!(health.contains(&format!("blocked by safekeeping: {reason}")), "{health}");
    let outcome = hearback.run(["query", "SELECT count(*) FROM events", "--format", "csv"]);
    assert!(outcome.code == 2 || outcome.stdout.ends_with("\n0\n"), "{outcome:?}");

    cloud.boto(BUCKETS_AND_FIREHOSES);
    let rest = std::thread::spawn(move || lines.count());
    assert!(child.wait().expect("it ends").success());
    rest.join().expect("the log ends");
    let archived = content(&cloud, "archive");
    assert!(events.iter().all(|event| holds(&archived, event.as_bytes())));
    assert!(hearback.number("SELECT count(*) FROM events") > 0);

    // And the lag is that of a reader at the tip.
    let lag = hearback.run(["report", "lag", "--format", "json"]).json();
    let shard = &lag["figures"][0];
    assert_eq!(shard["stream"], "kinesis:feedback", "{lag}");
    assert_eq!(shard["behind_ms"], 0, "{lag}");
    assert_eq!(shard["records_behind"], 0, "{lag}");
    assert_eq!(shard["records"], events.len(), "{lag}");
    assert_eq!(shard["gaps"], 0, "{lag}");
    assert!(shard["last_commit_age_ms"].as_i64().is_some_and(|age| age < 600_000), "{lag}");
}
