//! `hearback ingest kinesis:…` on an emulated AWS: what is put on a stream is in the lake once,
//! whatever the records are, whatever happens to the shards, and whoever is killed.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use hearback_tests::{
    DataStream, FakeCloud, Hearback, Outcome, Record, S3Server, aggregate, hash_key,
};

use crate::aws::{SENDING, assert_feedback_of_simulator};
use crate::traffic::{Dice, ENVELOPES, events_as_such, ses_lines};

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What any two rows may not share: the place they were read from and the event.
pub(crate) const TWICE: &str =
    "SELECT source_shard, source_sequence, event_id, count(*) FROM events
    GROUP BY 1, 2, 3 HAVING count(*) > 1";

/// A lake that is read into from this cloud, with commits often enough for a test.
fn lake(cloud: &FakeCloud) -> Hearback {
    let hearback = Hearback::with(cloud.environment());
    hearback.file("hearback.toml", "[ingest]\nflush_interval = \"2s\"\n");
    hearback
}

fn catch_up(hearback: &Hearback, stream: &DataStream) -> Outcome {
    hearback.run(["ingest", &stream.source(), "--until-caught-up", "--format", "json"])
}

#[track_caller]
fn caught_up(hearback: &Hearback, stream: &DataStream) -> serde_json::Value {
    let outcome = catch_up(hearback, stream);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.json()
}

#[track_caller]
pub(crate) fn assert_once(hearback: &Hearback) {
    assert_eq!(hearback.query(TWICE), Vec::<serde_json::Value>::new());
    let ids = "SELECT count(*) - count(DISTINCT event_id) FROM events";
    assert_eq!(hearback.number(ids), 0);
    let rejects = "SELECT count(*) - count(DISTINCT reject_id) FROM rejects";
    assert_eq!(hearback.number(rejects), 0);
}

#[test]
fn mail_sent_through_ses_is_found_in_the_lake_by_way_of_eventbridge_and_kinesis() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 2);
    cloud.boto(&format!(
        "{SENDING}
sesv2.create_configuration_set_event_destination(
    ConfigurationSetName='main', EventDestinationName='bus', EventDestination={{
        'Enabled': True, 'MatchingEventTypes': ['SEND', 'DELIVERY', 'BOUNCE', 'COMPLAINT'],
        'EventBridgeDestination': {{
            'EventBusArn': 'arn:aws:events:us-east-1:123456789012:event-bus/default'}}}})
events.put_rule(Name='feedback', EventPattern=json.dumps({{'source': ['aws.ses']}}))
failed = events.put_targets(Rule='feedback', Targets=[{{
    'Id': 'stream', 'Arn': '{}', 'RoleArn': 'arn:aws:iam::123456789012:role/events'}}])
assert failed['FailedEntryCount'] == 0
send(['success', 'bounce', 'complaint', 'suppressionlist'] * 5)
",
        stream.arn()
    ));
    let hearback = lake(&cloud);
    let report = caught_up(&hearback, &stream);
    assert_eq!(report["events"], 45, "{report}");
    assert_eq!(report["records"], 45, "{report}");
    assert_feedback_of_simulator(&hearback, 5);
    let sources = "SELECT count(*) FROM events WHERE source_name = 'kinesis:feedback'
        AND source_shard LIKE 'shardId-%' AND source_sequence IS NOT NULL";
    assert_eq!(hearback.number(sources), 45);
    assert_once(&hearback);

    let again = caught_up(&hearback, &stream);
    assert_eq!((&again["events"], &again["records"]), (&0.into(), &0.into()), "{again}");
}

#[test]
fn where_a_closed_shard_never_says_so_its_children_are_read_all_the_same() {
    let moto = S3Server::start("acme-mail");
    let hearback = Hearback::on("s3://acme-mail/lake", moto.environment());
    moto.boto("boto3.client('kinesis').create_stream(StreamName='feedback', ShardCount=2)");
    let put = |seed: &str| {
        let simulated = ["simulate", "--messages", "60", "--seed", seed, "-o", "kinesis:feedback"];
        assert_eq!(hearback.run(simulated).code, 0);
    };
    put("1");
    moto.boto(
        "boto3.client('kinesis').split_shard(StreamName='feedback',
    ShardToSplit='shardId-000000000000', NewStartingHashKey='1' + '0' * 37)",
    );
    // Half of these reach the closed shard, as moto has it, and half of the later ones do too.
    for seed in ["2", "3"] {
        put(seed);
        let ingest = ["ingest", "kinesis:feedback", "--until-caught-up", "--format", "json"];
        let outcome = hearback.run(ingest);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert_ne!(outcome.json()["events"], 0, "{outcome:?}");
    }
    assert_once(&hearback);
    let reference = Hearback::new();
    for seed in ["1", "2", "3"] {
        let simulated = ["simulate", "--messages", "60", "--seed", seed, "-o", "traffic.json"];
        assert_eq!(reference.run(simulated).code, 0);
        reference.ingest(&[&reference.folder().join("traffic.json")]);
    }
    let events = "SELECT count(*) FROM events";
    assert_eq!(hearback.number(events), reference.number(events));
}

#[test]
fn a_stream_is_read_through_while_it_is_scaled_and_becomes_on_demand() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 2);
    let hearback = lake(&cloud);
    let reading = hearback.start(&["ingest", &stream.source()]);
    let reference = Hearback::new();
    let steps = [
        "",
        "kinesis.update_shard_count(StreamName='feedback', TargetShardCount=4, ScalingType='UNIFORM_SCALING')",
        "kinesis.update_shard_count(StreamName='feedback', TargetShardCount=3, ScalingType='UNIFORM_SCALING')",
        "kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails={'StreamMode': 'ON_DEMAND'})",
    ];
    for (seed, step) in steps.iter().enumerate() {
        if !step.is_empty() {
            cloud.boto(&step.replace("=ARN", &format!("={:?}", stream.arn())));
        }
        let seed = seed.to_string();
        let simulated =
            ["simulate", "--messages", "60", "--seed", &seed, "--envelope", "eventbridge", "-o"];
        let put = hearback.run([&simulated[..], &[&stream.source()]].concat());
        assert_eq!(put.code, 0, "{put:?}");
        assert_eq!(reference.run([&simulated[..], &["traffic.json"]].concat()).code, 0);
        reference.ingest(&[&reference.folder().join("traffic.json")]);
    }
    let events = "SELECT count(*) FROM events";
    let expected = reference.number(events);
    assert!(eventually(|| hearback.exists() && hearback.number(events) == expected));
    assert_eq!(reading.signal_and_wait("INT", Duration::from_secs(10)), Some(0));
    caught_up(&hearback, &stream);
    assert_once(&hearback);
    assert_eq!(hearback.number(events), expected);
    assert!(hearback.number("SELECT count(DISTINCT source_shard) FROM events") > 4);
}

#[test]
fn every_kind_of_record_is_read_while_shards_are_split_and_merged() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 2);
    let reference = Hearback::new();
    let events = ses_lines(&reference, 1500, 41);
    let source = reference.file("events.json", events.join("\n"));
    reference.ingest(&[&source]);

    let hearback = lake(&cloud);
    let reading = hearback.start(&["ingest", &stream.source()]);
    let mut dice = Dice::new(3);
    let mut garbage = 0;
    for (round, events) in events.chunks(events.len().div_ceil(6)).enumerate() {
        let (records, rejects) = records(&stream, events, &mut dice);
        garbage += rejects;
        stream.put(records);
        let open = stream.open_shards();
        match round % 3 {
            0 => stream.split(&open[dice.below(open.len())]),
            1 => stream.merge(&open[0], &open[1]),
            _ => std::thread::sleep(Duration::from_secs(1)),
        }
    }
    // All in one record, as large as Kinesis takes it.
    let repeats = (9 << 20) / events.iter().map(String::len).max().expect("an event");
    let large: Vec<String> = events.iter().cycle().take(repeats).cloned().collect();
    stream.put([("large".to_owned(), large.join("\n").into_bytes())]);

    let expected = reference.number("SELECT count(*) FROM events");
    let is_there = || {
        let counted = hearback.run(["query", "SELECT count(*) FROM events", "--format", "csv"]);
        counted.stdout.lines().last() == Some(expected.to_string().as_str())
    };
    assert!(eventually(is_there), "{}", reading.said());
    let ended = reading.signal_and_wait("TERM", Duration::from_secs(10));
    assert_eq!(ended, Some(0), "{}", reading.said());
    caught_up(&hearback, &stream);

    assert!(events_as_such(&hearback) == events_as_such(&reference), "the rows differ");
    assert_eq!(hearback.number("SELECT count(*) FROM rejects"), garbage);
    assert_once(&hearback);
    let seen = hearback.number("SELECT count(DISTINCT source_shard) FROM events");
    assert!(seen > 3, "rows came from {seen} shards");
}

/// Events in every wrapping that is met on a stream, some of them twice, and garbage. Returns how much
/// of it is garbage.
fn records(stream: &DataStream, events: &[String], dice: &mut Dice) -> (Vec<Record>, i64) {
    let ranges = stream.hash_ranges();
    let mut records: Vec<Record> = Vec::new();
    let mut garbage = 0;
    let mut rest = events;
    while !rest.is_empty() {
        let key = dice.below(1_000_000).to_string();
        let (some, others) = rest.split_at(rest.len().min(1 + dice.below(5)));
        rest = others;
        let data = match dice.below(5) {
            0 => some.join("\n").into_bytes(),
            1 => some.concat().into_bytes(),
            2 => gzip(some.join("\n").as_bytes()),
            3 => {
                // An aggregate goes to the shard that owns the keys of all its records.
                let (first, last) = ranges[dice.below(ranges.len())];
                let owned = |key: &String| (first..=last).contains(&hash_key(key));
                let mut keys = (0..).map(|number| format!("{key}-{number}")).filter(owned);
                let mut records_of = Vec::new();
                for event in some {
                    let key = keys.next().expect("there are enough");
                    records_of.push((key, event.clone().into_bytes()));
                }
                let key = records_of[0].0.clone();
                records.push((key, aggregate(&records_of)));
                continue;
            }
            _ => {
                let wrap = ENVELOPES[dice.below(ENVELOPES.len())];
                some.iter().map(|event| wrap(event)).collect::<String>().into_bytes()
            }
        };
        if dice.below(10) == 0 {
            records.push((format!("{key} again"), data.clone()));
        }
        if dice.below(15) == 0 {
            garbage += 1;
            records.push((key.clone(), b"{\"unfinished\": [1,".to_vec()));
        }
        records.push((key, data));
    }
    (records, garbage)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[test]
fn of_two_processes_one_stands_by_and_takes_over_when_the_other_is_killed() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 2);
    let hearback = lake(&cloud);
    let events = ses_lines(&hearback, 200, 42);
    let (first_half, second_half) = events.split_at(events.len() / 2);
    let reading = hearback.start(&["ingest", &stream.source()]);
    assert!(
        eventually(|| reading.said().contains("reading kinesis:feedback")),
        "{}",
        reading.said()
    );
    let waiting = hearback.start(&["ingest", &stream.source()]);
    assert!(eventually(|| waiting.said().contains("standing by")), "{}", waiting.said());

    let rows = || hearback.number("SELECT count(*) FROM events");
    let expected = |events: &[String]| {
        let reference = Hearback::new();
        let source = reference.file("events.json", events.join("\n"));
        reference.ingest(&[&source]);
        reference.number("SELECT count(*) FROM events")
    };
    stream.put_texts(first_half);
    let half = expected(first_half);
    assert!(eventually(|| hearback.exists() && rows() == half), "{}", reading.said());
    assert!(!waiting.said().contains("reading kinesis:feedback"), "{}", waiting.said());

    reading.kill();
    let killed = std::time::Instant::now();
    stream.put_texts(second_half);
    let all = expected(&events);
    assert!(eventually(|| rows() == all), "{}", waiting.said());
    assert!(killed.elapsed() < Duration::from_secs(35), "{:?}", killed.elapsed());
    assert_eq!(waiting.signal_and_wait("INT", Duration::from_secs(10)), Some(0));
    assert_once(&hearback);
}

/// `HEARBACK_STORM_ROUNDS` says how often processes are killed.
#[test]
fn killed_at_random_moments_a_stream_is_in_the_lake_once() {
    let rounds = std::env::var("HEARBACK_STORM_ROUNDS").ok();
    let rounds: usize = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(12);
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 2);
    let hearback = lake(&cloud);
    hearback.file("hearback.toml", "[ingest]\nflush_interval = \"1s\"\nflush_rows = 300\n");
    let events = ses_lines(&hearback, 60 * u32::try_from(rounds).expect("not that many"), 43);
    let mut dice = Dice::new(u64::from(std::process::id()));
    let mut garbage = 0;
    for events in events.chunks(events.len().div_ceil(rounds)) {
        let (records, rejects) = records(&stream, events, &mut dice);
        garbage += rejects;
        let process = hearback.start(&["ingest", &stream.source()]);
        let rival = (dice.below(3) == 0).then(|| hearback.start(&["ingest", &stream.source()]));
        stream.put(records);
        let open = stream.open_shards();
        match dice.below(4) {
            0 => stream.split(&open[dice.below(open.len())]),
            1 if open.len() > 1 => stream.merge(&open[0], &open[1]),
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(dice.below(2500) as u64));
        process.kill();
        if let Some(rival) = rival {
            std::thread::sleep(Duration::from_millis(dice.below(1000) as u64));
            rival.kill();
        }
        if hearback.exists() {
            assert_eq!(hearback.query(TWICE), Vec::<serde_json::Value>::new());
        }
    }
    caught_up(&hearback, &stream);
    let reference = Hearback::new();
    let source = reference.file("events.json", events.join("\n"));
    reference.ingest(&[&source]);
    assert!(events_as_such(&hearback) == events_as_such(&reference), "the rows differ");
    assert_eq!(hearback.number("SELECT count(*) FROM rejects"), garbage);
    assert_once(&hearback);
    let again = caught_up(&hearback, &stream);
    assert_eq!((&again["events"], &again["records"]), (&0.into(), &0.into()), "{again}");
}

#[test]
fn going_back_reads_again_and_adds_nothing() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 2);
    let hearback = lake(&cloud);
    let events = ses_lines(&hearback, 100, 44);
    stream.put_texts(&events);
    let first = caught_up(&hearback, &stream);
    let arguments = ["--until-caught-up", "--format", "json", "--rewind", "2020-01-01T00:00:00Z"];
    let outcome = hearback.run(["ingest", &stream.source()].into_iter().chain(arguments));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let again = outcome.json();
    assert_eq!(again["events"], 0, "{again}");
    assert_eq!(again["records"], first["records"], "{again}");
    assert_once(&hearback);

    // To the record behind which a tenth of a shard is; the stream is the same by its other name.
    let place = "SELECT source_sequence FROM events WHERE source_shard = 'shardId-000000000000'
        GROUP BY 1 ORDER BY 1 DESC LIMIT 1 OFFSET 9";
    let place = hearback.query(place)[0]["source_sequence"].as_str().expect("a text").to_owned();
    let by_arn = format!("kinesis:{}", stream.arn());
    let arguments =
        ["ingest", &by_arn, "--until-caught-up", "--format", "json", "--rewind", &place];
    let outcome = hearback.run(arguments);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let again = outcome.json();
    assert_eq!((&again["events"], &again["records"]), (&0.into(), &10.into()), "{again}");

    let nowhere = ["ingest", &by_arn, "--until-caught-up", "--rewind", "4711"];
    let outcome = hearback.run(nowhere);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.stderr.contains("no record on it has the sequence number 4711"), "{outcome:?}");

    // And goes on from where it was.
    stream.put_texts(&ses_lines(&hearback, 10, 45));
    assert!(caught_up(&hearback, &stream)["events"].as_i64() > Some(0));
}

#[test]
fn a_registered_consumer_reads_through_splits_and_merges() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 2);
    let hearback = lake(&cloud);
    let events = ses_lines(&hearback, 300, 46);
    let reference = Hearback::new();
    reference.ingest(&[&reference.file("events.json", events.join("\n"))]);
    let expected = reference.number("SELECT count(*) FROM events");
    let reading = hearback.start(&["ingest", &stream.source(), "--fan-out", "hearback"]);
    for (round, events) in events.chunks(events.len().div_ceil(4)).enumerate() {
        stream.put_texts(events);
        let open = stream.open_shards();
        match round {
            0 | 1 => stream.split(&open[round]),
            2 => stream.merge(&open[0], &open[1]),
            _ => {}
        }
    }
    let rows = || hearback.number("SELECT count(*) FROM events");
    assert!(eventually(|| hearback.exists() && rows() == expected), "{}", reading.said());
    assert_eq!(reading.signal_and_wait("TERM", Duration::from_secs(10)), Some(0));
    // And to its tip, with shards that have ended and shards that hold nothing.
    let open = stream.open_shards();
    stream.split(&open[0]);
    stream.put_texts(&ses_lines(&hearback, 10, 47));
    let arguments = ["--until-caught-up", "--fan-out", "hearback"];
    let outcome = hearback.run(["ingest", &stream.source()].into_iter().chain(arguments));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(caught_up(&hearback, &stream)["records"], 0);
    assert_once(&hearback);
}

#[test]
fn what_cannot_be_read_is_said_in_a_sentence() {
    let cloud = FakeCloud::start();
    let stream = cloud.create_stream("feedback", 1);
    let hearback = lake(&cloud);

    let missing = hearback.run(["ingest", "kinesis:feedbak", "--until-caught-up"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.stderr.contains("feedbak"), "{missing:?}");

    let mut elsewhere = cloud.environment();
    elsewhere.retain(|(name, _)| !name.contains("REGION"));
    elsewhere.push(("AWS_REGION".to_owned(), "eu-west-1".to_owned()));
    let elsewhere = Hearback::on(hearback.lake(), elsewhere);
    let outcome = elsewhere.run(["ingest", "kinesis:feedback", "--until-caught-up"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.stderr.contains("AWS_REGION"), "{outcome:?}");

    let mut nobody = cloud.environment();
    nobody.retain(|(name, _)| !name.contains("_KEY"));
    let nobody = Hearback::on(hearback.lake(), nobody);
    let outcome = nobody.run(["ingest", "kinesis:feedback", "--until-caught-up"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("credentials"), "{outcome:?}");

    let reading = hearback.start(&["ingest", &stream.source()]);
    assert!(
        eventually(|| reading.said().contains("reading kinesis:feedback")),
        "{}",
        reading.said()
    );
    stream.delete();
    assert_eq!(reading.wait(PATIENCE), Some(1), "{}", reading.said());
    assert!(reading.said().contains("was deleted"), "{}", reading.said());
    for said in [&missing.stderr, &outcome.stderr, &reading.said()] {
        assert!(!said.contains("panicked") && said.lines().count() <= 6, "{said}");
    }
}

/// Whether it comes to hold while a test has patience.
pub(crate) fn eventually(holds: impl Fn() -> bool) -> bool {
    let began = std::time::Instant::now();
    while began.elapsed() < PATIENCE {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    false
}
