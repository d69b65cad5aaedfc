use std::collections::{HashMap, HashSet};
use std::io::Read;

use flate2::read::MultiGzDecoder;
use hearback_schemas::{BounceClass, EventType};

use super::*;

mod decoded;
mod recount;

use recount::Recount;

fn bytes_of(scenario: &Scenario) -> (Vec<u8>, Tally) {
    let mut out = Vec::new();
    let tally = write(scenario, &mut out, &mut |_| {}).unwrap();
    (out, tally)
}

fn assert_recount_agrees(recount: &Recount, tally: &Tally) {
    assert_eq!(recount.documents, tally.documents, "documents");
    assert_eq!(recount.ignored, tally.ignored, "ignored");
    assert_eq!(recount.garbage, tally.garbage, "garbage");
    assert_eq!(recount.duplicate_rows, tally.duplicate_rows, "duplicate rows");
    for event_type in EventType::ALL {
        let rows = recount.rows.get(event_type.as_str()).copied().unwrap_or(0);
        assert_eq!(rows, tally.of_type(event_type).rows, "{event_type}");
    }
}

#[test]
fn a_scenario_gives_the_same_bytes_on_every_machine() {
    let scenario = Scenario { messages: 2_000, seed: 7, ..Scenario::default() };
    let (bytes, _) = bytes_of(&scenario);
    assert_eq!(bytes, bytes_of(&scenario).0);
    assert_ne!(bytes, bytes_of(&Scenario { seed: 8, ..scenario }).0);
    // A change of this number is a change of what users get for the same seed: say so in the
    // commit that makes it.
    assert_eq!(xxhash_rust::xxh3::xxh3_64(&bytes), PINNED);
}

const PINNED: u64 = 6_994_696_929_049_977_924;

#[test]
fn an_independent_reader_counts_what_the_tally_says() {
    for seed in [1, 2, 3] {
        let scenario = Scenario { messages: 4_000, seed, ..Scenario::default() };
        let (bytes, tally) = bytes_of(&scenario);
        assert_eq!(bytes.len() as u64, tally.bytes);
        assert_eq!(tally.messages, 4_000);
        assert!(tally.garbage > 3 && tally.ignored >= 4 && tally.duplicates > 50, "{tally:?}");
        assert_recount_agrees(&Recount::of(&bytes), &tally);
    }
}

#[test]
fn records_hold_the_documents_of_the_file() {
    for envelope in Envelope::ALL {
        let scenario = Scenario { messages: 1_500, seed: 5, envelope, ..Scenario::default() };
        let (mut joined, mut keys, mut largest) = (Vec::new(), HashSet::new(), 0);
        let mut records = Records::new(&scenario);
        for record in records.by_ref() {
            assert!(keys.insert(record.partition_key.clone()), "{envelope:?}: {record:?}");
            assert!(!record.data.is_empty() && !record.data.ends_with(b"\n"));
            largest = largest.max(record.data.len());
            joined.extend_from_slice(&record.data);
            joined.push(b'\n');
        }
        let tally = records.into_tally();
        assert_eq!(tally.bytes, (joined.len() - keys.len()) as u64, "{envelope:?}");
        let mut expected = bytes_of(&scenario).1;
        expected.bytes = tally.bytes;
        assert_eq!(tally, expected, "{envelope:?}");
        assert_recount_agrees(&Recount::of(&joined), &tally);
        // A record of Kinesis takes 10 MiB, and used to take 1 MiB.
        assert!(largest < 1 << 20, "{envelope:?}: {largest}");
    }
}

#[test]
fn every_envelope_carries_the_same_traffic() {
    let scenario = |envelope| Scenario { messages: 1_500, envelope, ..Scenario::default() };
    let (bytes, tally) = bytes_of(&scenario(Envelope::Ses));
    let expected = Recount::of(&bytes);
    assert_recount_agrees(&expected, &tally);
    for envelope in Envelope::ALL {
        let (bytes, tally) = bytes_of(&scenario(envelope));
        let recount = Recount::of(&bytes);
        assert_recount_agrees(&recount, &tally);
        if envelope != Envelope::Pinpoint {
            assert_eq!(recount.identities, expected.identities, "{}", envelope.as_str());
        }
    }
}

#[test]
fn without_garbage_every_line_of_ses_is_a_json_document() {
    let (bytes, tally) = bytes_of(&Scenario::ses_only(3_000, 1));
    let text = String::from_utf8(bytes).unwrap();
    let mut types = HashSet::new();
    for line in text.lines() {
        let document: serde_json::Value = serde_json::from_str(line).unwrap();
        types.insert(document["eventType"].as_str().unwrap().to_owned());
    }
    assert_eq!(text.lines().count() as u64, tally.documents);
    assert_eq!(tally.events(), tally.documents);
    assert!(types.len() >= 7, "{types:?}");
    let size = tally.bytes / tally.documents;
    assert!((1_400..1_800).contains(&size), "{size} bytes each");
}

#[test]
fn rates_are_those_of_a_healthy_sender() {
    let tally = truth(&Scenario { messages: 60_000, ..Scenario::default() });
    let share = |part: u64, whole: u64| part as f64 / whole as f64;
    let rows = |event_type| tally.of_type(event_type).rows;
    let sends = rows(EventType::Send);
    let delivered = rows(EventType::Delivery);
    let delivery_rate = share(delivered, sends);
    // Deliveries of the identity without event publishing have no send beside them.
    assert!((0.96..1.03).contains(&delivery_rate), "{delivery_rate}");
    let hard = share(tally.hard_bounces, delivered);
    assert!((0.01..0.02).contains(&hard), "{hard}");
    let complaints = share(rows(EventType::Complaint), delivered);
    assert!((0.000_25..0.001).contains(&complaints), "{complaints}");
    let opens = share(rows(EventType::Open), delivered);
    assert!((0.4..0.9).contains(&opens), "{opens}");
    assert!(rows(EventType::Click) < rows(EventType::Open));
    for class in BounceClass::ALL {
        // Routing trouble ends as a message that expired.
        assert!(tally.bounces_of(class) > 0 || class == BounceClass::Routing, "{class}");
    }
    for event_type in EventType::ALL {
        assert!(rows(event_type) > 0, "{event_type}");
    }
    for visits in [tally.opens, tally.clicks] {
        assert!(visits.person > 0 && visits.scanner > 0, "{visits:?}");
    }
    assert!(tally.opens.prefetch > 0 && tally.opens.image_proxy > 0, "{:?}", tally.opens);
}

#[test]
fn the_sender_alone_delivers_between_96_and_98_percent() {
    let tally = truth(&Scenario::ses_only(60_000, 5));
    let delivered = tally.of_type(EventType::Delivery).rows as f64;
    let rate = delivered / tally.of_type(EventType::Send).rows as f64;
    assert!((0.96..0.985).contains(&rate), "{rate}");
}

#[test]
fn a_block_list_hits_one_provider_for_two_hours() {
    let (bytes, _) = bytes_of(&Scenario::ses_only(60_000, 3));
    let mut by_hour: HashMap<String, u64> = HashMap::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let document: serde_json::Value = serde_json::from_slice(line).unwrap();
        let text = document["bounce"]["bouncedRecipients"][0]["diagnosticCode"].as_str();
        if text.is_some_and(|text| text.contains("blocked using Spamhaus")) {
            let sent = document["mail"]["timestamp"].as_str().unwrap();
            *by_hour.entry(sent[..13].to_owned()).or_default() += 1;
        }
    }
    let mut hours: Vec<_> = by_hour.into_keys().collect();
    hours.sort();
    assert_eq!(hours, ["2026-09-08T07", "2026-09-08T08"]);
}

#[test]
fn complaints_come_late_and_never_from_gmail() {
    let (bytes, _) = bytes_of(&Scenario::ses_only(80_000, 4));
    let mut latest = 0.0_f64;
    let mut complaints = 0;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let document: serde_json::Value = serde_json::from_slice(line).unwrap();
        if document["eventType"] != "Complaint" {
            continue;
        }
        complaints += 1;
        let at: jiff::Timestamp =
            document["complaint"]["timestamp"].as_str().unwrap().parse().unwrap();
        let sent: jiff::Timestamp =
            document["mail"]["timestamp"].as_str().unwrap().parse().unwrap();
        latest = latest.max((at - sent).total(jiff::Unit::Hour).unwrap());
        for recipient in document["complaint"]["complainedRecipients"].as_array().unwrap() {
            let address = recipient["emailAddress"].as_str().unwrap().to_lowercase();
            assert!(!address.ends_with("@gmail.com"), "{address}");
        }
    }
    assert!(complaints > 20, "{complaints}");
    assert!((24.0..22.0 * 24.0).contains(&latest), "{latest} hours");
}

#[test]
fn without_disorder_events_arrive_as_they_happen() {
    let scenario = Scenario { disorder: false, ..Scenario::ses_only(3_000, 1) };
    let (bytes, _) = bytes_of(&scenario);
    let mut last = String::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let document: serde_json::Value = serde_json::from_slice(line).unwrap();
        let own =
            ["delivery", "deliveryDelay", "bounce", "complaint", "open", "click", "subscription"]
                .iter()
                .find_map(|name| document[name]["timestamp"].as_str());
        let time = own.or(document["mail"]["timestamp"].as_str()).unwrap().to_owned();
        assert!(last <= time, "{time} after {last}");
        last = time;
    }
}

#[test]
fn any_number_of_messages_and_days_will_do() {
    for (messages, days) in [(0, 1), (1, 0), (1, 28), (50, 1), (300, 3)] {
        for envelope in Envelope::ALL {
            let scenario = Scenario { messages, days, envelope, ..Scenario::default() };
            let (bytes, tally) = bytes_of(&scenario);
            assert_eq!(tally.messages, messages);
            assert_recount_agrees(&Recount::of(&bytes), &tally);
        }
    }
}

#[test]
fn a_full_heap_brings_events_forward_and_loses_none() {
    use super::calendar::{Calendar, Mix};
    use super::traffic::{MAX_PENDING, Traffic};

    let count = |max_pending| {
        let mix = Mix { feedback_notifications: true, pinpoint: true, pinpoint_only: false };
        let calendar = Calendar::new(DEFAULT_START / 1_000, 28, 2_000, mix);
        let mut traffic = Traffic::new(1, calendar, 2_000, true, max_pending);
        let mut count = 0;
        while traffic.next().is_some() {
            count += 1;
        }
        count
    };
    assert_eq!(count(8), count(MAX_PENDING));
}

#[test]
fn files_hold_the_same_events_under_names_like_firehoses() {
    let scenario = Scenario { messages: 2_000, ..Scenario::default() };
    let folder = tempfile::tempdir().unwrap();
    let tally = write_files(&scenario, folder.path(), 12, &mut |_| {}).unwrap();
    let mut all = Recount::default();
    let (mut files, mut compressed) = (0, 0);
    for entry in walkdir::WalkDir::new(folder.path()).sort_by_file_name() {
        let entry = entry.unwrap();
        if entry.file_type().is_dir() {
            continue;
        }
        let relative =
            entry.path().strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
        let parts: Vec<_> = relative.split('/').collect();
        assert_eq!(parts.len(), 5, "{relative}");
        let stamp = format!("email-feedback-1-{}", parts[..4].join("-"));
        assert!(parts[4].starts_with(&stamp), "{relative}");
        files += 1;
        let mut bytes = std::fs::read(entry.path()).unwrap();
        if bytes.starts_with(&[0x1F, 0x8B]) {
            compressed += 1;
            let mut plain = Vec::new();
            MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
            bytes = plain;
        }
        all.read(&bytes);
    }
    assert_eq!(files, 12);
    assert!((1..12).contains(&compressed), "{compressed}");
    assert_recount_agrees(&all, &tally);
    let stream = Recount::of(&bytes_of(&scenario).0);
    assert_eq!(all.identities, stream.identities);
}

#[test]
fn names_of_envelopes_lead_back_to_them() {
    for envelope in Envelope::ALL {
        assert_eq!(Envelope::named(envelope.as_str()), Some(envelope));
    }
    assert_eq!(Envelope::named("nonesuch"), None);
}
