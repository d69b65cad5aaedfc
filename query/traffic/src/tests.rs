//! Several readers find what one plain loop over the events finds, whatever types the columns have.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::{COLUMNS, Found, Reader, SEND_COLUMNS, Seen, Sends, Survey, number_of};

const DAY_US: i64 = 86_400_000_000;
const HOUR_US: i64 = 3_600_000_000;
const SINCE: i32 = 20_000;
const ACTIVE: std::ops::RangeInclusive<i32> = 20_003..=20_006;

#[derive(Clone, Debug)]
struct Event {
    day: i32,
    time_us: Option<i64>,
    kind: &'static str,
    channel: Option<&'static str>,
    actor: Option<&'static str>,
    recipient: Option<String>,
    provider: Option<&'static str>,
    domain: Option<&'static str>,
}

/// Numbers that look random and are the same in each run (Knuth's MMIX generator).
struct Numbering(u64);

impl Numbering {
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn events() -> Vec<Event> {
    let mut numbers = Numbering(11);
    let kinds = ["send", "delivery", "bounce", "open", "click", "complaint", "reject"];
    let event = |_| {
        let day = SINCE - 2 + numbers.below(10) as i32;
        let time_us = i64::from(day) * DAY_US + numbers.below(5) as i64 * HOUR_US + 7;
        Event {
            day,
            time_us: (numbers.below(20) > 0).then_some(time_us),
            kind: numbers.of(&kinds),
            channel: numbers.of(&[Some("email"), Some("email"), Some("email"), Some("sms"), None]),
            actor: numbers.of(&[Some("human"), Some("proxy"), Some("bot"), None]),
            recipient: (numbers.below(20) > 0).then(|| format!("reader{}", numbers.below(600))),
            provider: numbers.of(&[Some("gmail"), Some("yahoo"), Some("other"), None]),
            domain: numbers.of(&[Some("gmail"), Some("a.example"), Some("b.example"), None]),
        }
    };
    (0..20_000).map(event).collect()
}

fn batch(events: &[Event], is_coded: bool) -> RecordBatch {
    let texts = |of: fn(&Event) -> Option<&str>| -> ArrayRef {
        let column: ArrayRef = Arc::new(events.iter().map(of).collect::<StringArray>());
        let code = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        if is_coded { cast(&column, &code).expect("codes") } else { column }
    };
    let times: TimestampMicrosecondArray = events.iter().map(|event| event.time_us).collect();
    let recipients: StringArray = events.iter().map(|event| event.recipient.as_deref()).collect();
    let columns: [ArrayRef; 8] = [
        Arc::new(Date32Array::from_iter_values(events.iter().map(|event| event.day))),
        Arc::new(times.with_timezone("UTC")),
        texts(|event| Some(event.kind)),
        texts(|event| event.channel),
        texts(|event| event.actor),
        Arc::new(recipients),
        texts(|event| event.provider),
        texts(|event| event.domain),
    ];
    RecordBatch::try_from_iter(COLUMNS.into_iter().zip(columns)).expect("columns of one length")
}

fn watched() -> Vec<Box<str>> {
    (0..300).map(|n| format!("reader{}", n * 3).into()).collect()
}

fn hours() -> Vec<(String, i64)> {
    let start = i64::from(SINCE + 3) * DAY_US;
    let names = ["gmail", "a.example", "nobody"];
    names
        .into_iter()
        .flat_map(|name| (0..3).map(move |n| (name.to_owned(), start + n * HOUR_US)))
        .collect()
}

/// The same, event by event in the words of the question.
fn plainly(events: &[Event]) -> Found {
    let mut found = Found::default();
    let mut active = HashSet::new();
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    for (name, hour_us) in hours() {
        found.providers.entry(name).or_default().by_hour.insert(hour_us, 0);
    }
    for event in events {
        let Some(recipient) = event.recipient.as_deref() else { continue };
        if event.channel != Some("email") {
            continue;
        }
        if ["send", "delivery", "bounce"].contains(&event.kind) && ACTIVE.contains(&event.day) {
            active.insert(recipient);
        }
        if event.day < SINCE {
            continue;
        }
        let seen = seen.entry(recipient).or_default();
        let by_person = matches!(event.actor, Some("human" | "proxy"));
        match event.kind {
            "send" => {
                found.sends = true;
                seen.mailed = true;
            }
            "open" | "click" if by_person => {
                seen.last_success_us = seen.last_success_us.max(event.time_us);
            }
            "delivery" => {
                seen.last_success_us = seen.last_success_us.max(event.time_us);
                let provider = event.provider.filter(|name| *name != "other").or(event.domain);
                let delivered = provider.and_then(|name| found.providers.get_mut(name));
                if let (Some(delivered), Some(time_us)) = (delivered, event.time_us) {
                    delivered.any = true;
                    let hour_us = time_us.div_euclid(HOUR_US) * HOUR_US;
                    delivered.by_hour.entry(hour_us).and_modify(|messages| *messages += 1);
                }
            }
            _ => {}
        }
    }
    let of = |name: &str| seen.get(name).copied().unwrap_or_default();
    found.recipients = watched().iter().map(|name| of(name)).collect();
    found.active = active.len() as u64;
    found
}

#[test]
fn several_readers_find_what_a_plain_loop_finds() {
    let events = events();
    let expected = plainly(&events);
    assert!(expected.sends && expected.active > 500);
    assert!(expected.providers["gmail"].by_hour.values().all(|messages| *messages > 0));
    assert!(!expected.providers["nobody"].any);
    let survey = Arc::new(Survey::new(SINCE, Some(ACTIVE), watched(), hours().into_iter()));
    let mut readers: Vec<Reader> = (0..3).map(|_| survey.reader()).collect();
    for (n, events) in events.chunks(777).enumerate() {
        let reader = &mut readers[n % 3];
        reader.take(&batch(events, n % 2 == 0)).expect("the columns are there");
    }
    readers.into_iter().for_each(Reader::finish);
    assert_eq!(survey.found(), expected);
}

#[test]
fn without_days_nobody_is_active() {
    let survey = Arc::new(Survey::new(SINCE, None, Vec::new(), std::iter::empty()));
    let mut reader = survey.reader();
    reader.take(&batch(&events(), true)).expect("the columns are there");
    reader.finish();
    assert_eq!(survey.found(), Found { sends: true, ..Found::default() });
}

/// Kind, channel, message, recipient.
type Row = (&'static str, &'static str, Option<&'static str>, Option<&'static str>);

#[test]
fn sends_are_found_by_their_message_alone() {
    let rows: [Row; 7] = [
        ("send", "email", Some("m1"), Some("a@example.com")),
        ("send", "email", Some("m1"), Some("b@example.com")),
        ("delivery", "email", Some("m1"), Some("c@example.com")),
        ("send", "sms", Some("m1"), Some("d@example.com")),
        ("send", "email", Some("m2"), Some("e@example.com")),
        ("send", "email", None, Some("f@example.com")),
        ("send", "email", Some("m3"), None),
    ];
    let column = |of: fn(&Row) -> Option<&'static str>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let columns = [
        column(|row| Some(row.0)),
        column(|row| Some(row.1)),
        column(|row| row.2),
        column(|row| row.3),
    ];
    let batch = RecordBatch::try_from_iter(SEND_COLUMNS.into_iter().zip(columns)).expect("columns");
    let mut found = Vec::new();
    let sends = Sends::of(["m1", "m3"].into_iter().map(number_of));
    sends.find(&batch, &mut found).expect("the columns are there");
    let m1 = number_of("m1");
    assert_eq!(found, [(m1, "a@example.com".to_owned()), (m1, "b@example.com".to_owned())]);
    let missing = batch.project(&[0, 1, 2]).expect("three of them");
    assert!(sends.find(&missing, &mut found).is_err());
}
