//! The workspace's own decoder, held to the simulator's truth.

use std::collections::{BTreeMap, HashSet};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use hearback_transform::{Counts, DecodeOptions, Decoded, Decoder, Origin, Place};

use super::*;

struct Reading {
    counts: Counts,
    reasons: BTreeMap<String, u64>,
    ids: HashSet<u128>,
    /// Distinct rows by (event type, bounce class or actor).
    rows: BTreeMap<(String, String), u64>,
}

impl Reading {
    fn of(bytes: &[u8]) -> Self {
        let mut decoder = Decoder::new(DecodeOptions {
            read_time_us: DEFAULT_START + 60 * 86_400_000_000,
            ..DecodeOptions::default()
        });
        let origin = Origin { source_name: "simulated", shard: None, place: Place::Offset(0) };
        let decoded: Decoded = decoder.decode(bytes, &origin);
        let mut reading = Self {
            counts: decoded.counts,
            reasons: BTreeMap::new(),
            ids: HashSet::new(),
            rows: BTreeMap::new(),
        };
        for reject in decoded.rejects {
            *reading.reasons.entry(reject.reason).or_default() += 1;
        }
        for partition in decoded.partitions {
            let batch = partition.rows();
            let column = |name: &str| {
                let column = batch.column_by_name(name).unwrap();
                let texts = arrow_cast::cast(column, &DataType::Utf8).unwrap();
                let texts = texts.as_string::<i32>();
                (0..texts.len())
                    .map(|row| {
                        if texts.is_null(row) { String::new() } else { texts.value(row).to_owned() }
                    })
                    .collect::<Vec<_>>()
            };
            let (types, classes, actors) =
                (column("event_type"), column("bounce_class"), column("actor"));
            for (row, id) in partition.event_ids.iter().enumerate() {
                if reading.ids.insert(*id) {
                    let judged = format!("{}{}", classes[row], actors[row]);
                    *reading.rows.entry((types[row].clone(), judged)).or_default() += 1;
                }
            }
        }
        reading
    }

    fn of_type(&self, event_type: EventType) -> u64 {
        let of_type = |entry: &(&(String, String), &u64)| entry.0.0 == event_type.as_str();
        self.rows.iter().filter(of_type).map(|(_, rows)| rows).sum()
    }

    fn judged(&self, event_type: EventType, judgement: &str) -> u64 {
        let key = (event_type.as_str().to_owned(), judgement.to_owned());
        self.rows.get(&key).copied().unwrap_or(0)
    }
}

#[test]
fn the_decoder_finds_every_event_once_in_every_envelope() {
    let mut ids = None;
    for envelope in Envelope::ALL {
        let scenario = Scenario { messages: 3_000, envelope, ..Scenario::default() };
        let (bytes, tally) = bytes_of(&scenario);
        let reading = Reading::of(&bytes);
        let name = envelope.as_str();
        assert_eq!(reading.counts.rejected, tally.garbage, "{name}: {:?}", reading.reasons);
        assert_eq!(reading.counts.ignored, tally.ignored, "{name}");
        assert_eq!(reading.counts.records, tally.documents, "{name}");
        assert_eq!(reading.counts.rows, tally.rows() + tally.duplicate_rows, "{name}");
        for event_type in EventType::ALL {
            let rows = tally.of_type(event_type).rows;
            assert_eq!(reading.of_type(event_type), rows, "{name}: {event_type}");
        }
        if envelope != Envelope::Pinpoint {
            assert_eq!(*ids.get_or_insert(reading.ids.clone()), reading.ids, "{name}");
        }
    }
}

#[test]
fn causes_and_actors_are_judged_as_they_were_meant() {
    let (bytes, tally) = bytes_of(&Scenario { messages: 40_000, ..Scenario::default() });
    let reading = Reading::of(&bytes);
    let found = |class: BounceClass| reading.judged(EventType::Bounce, class.as_str());
    let judged = BounceClass::ALL.map(|class| (class, found(class)));
    let truth = BounceClass::ALL.map(|class| (class, tally.bounces_of(class)));
    assert_eq!(judged, truth);
    for (event_type, visits) in [(EventType::Open, tally.opens), (EventType::Click, tally.clicks)] {
        let expected = [
            ("human", visits.person),
            ("mpp", visits.prefetch),
            ("proxy", visits.image_proxy),
            ("scanner", visits.scanner),
        ];
        for (actor, truth) in expected {
            let mut judged = reading.judged(event_type, actor);
            // A scanner that says nothing of itself can be anybody.
            if actor == "scanner" {
                judged += reading.judged(event_type, "unknown");
            }
            // Some scanners pass for people with a browser: long after the send, and not labelled yet.
            let difference = judged.abs_diff(truth);
            assert!(difference * 5 <= truth, "{event_type} by {actor}: {judged}, truly {truth}");
        }
    }
}
