//! Rows of rare types stand together at the end of each file, and none of them is lost on the way.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use hearback_schemas::{EVENTS, EventType};
use hearback_transform::{DecodeOptions, Decoded, Decoder, Origin, Place};
use object_store::memory::InMemory;

use super::rows::*;
use crate::lake::WriteSettings;

const COMMON: [&str; 4] = ["Send", "Delivery", "Open", "Click"];
const RARE: [&str; 2] = ["Bounce", "DeliveryDelay"];

/// Events that are decoded at once.
const ROUND: usize = 3_000;

/// Events of two days in turn, each so many of a rare type.
fn traffic(numbers: std::ops::Range<usize>, rare_in: usize) -> Decoded {
    let mut text = String::new();
    for n in numbers {
        let kind = if n % rare_in == 1 { RARE[n / rare_in % 2] } else { COMMON[n % 4] };
        let time = format!("2025-11-2{}T10:00:00.000Z", n / 5 % 2);
        text += &serde_json::json!({
            "eventType": kind,
            "mail": { "timestamp": time, "messageId": format!("m{n}"), "destination": ["a@example.com"] },
            kind.to_lowercase(): { "timestamp": time },
        })
        .to_string();
    }
    let options = DecodeOptions { read_time_us: NOW_US, ..DecodeOptions::default() };
    let origin = Origin { source_name: "test", shard: None, place: Place::Offset(0) };
    Decoder::new(options).decode(text.as_bytes(), &origin)
}

async fn kinds_of_each_file(
    settings: WriteSettings,
    rounds: usize,
    rare_in: usize,
) -> Vec<Vec<String>> {
    let lake = lake_in(Arc::new(InMemory::new()));
    let mut writer = begin(&lake, settings).await.expect("the writer begins");
    for round in 0..rounds {
        let rows = traffic(round * ROUND..(round + 1) * ROUND, rare_in);
        assert_eq!(rows.counts.rows, ROUND as u64);
        writer.stage(rows, from("test")).await.expect("staged");
    }
    let committed = writer.commit(objects(&["test"]), NOW_US).await.expect("committed");
    assert_eq!(committed.events, (rounds * ROUND) as u64);
    let mut kinds = Vec::new();
    for batches in files(&lake, &EVENTS).await {
        let texts = batches.iter().flat_map(|batch| {
            let column = batch.column_by_name("event_type").expect("the column");
            let column = column.as_string::<i32>();
            (0..column.len()).map(|row| column.value(row).to_owned()).collect::<Vec<_>>()
        });
        kinds.push(texts.collect());
    }
    kinds
}

fn is_rare(kind: &str) -> bool {
    let rare = [EventType::Bounce, EventType::DeliveryDelay];
    rare.iter().any(|known| known.as_str() == kind)
}

#[tokio::test]
async fn rows_of_rare_types_stand_together_at_the_end_of_each_file() {
    // Small files, and files that are begun before the commit.
    for (rounds, staged_bytes) in [(1, 48 << 20), (20, 8 << 20)] {
        let bounds = WriteSettings { staged_bytes, ..settings() };
        let files = kinds_of_each_file(bounds, rounds, 79).await;
        assert_eq!(files.len(), 2);
        for kinds in &files {
            assert_eq!(kinds.len(), rounds * ROUND / 2);
            assert!(kinds.is_sorted_by_key(|kind| is_rare(kind)), "{rounds} rounds");
            assert!(is_rare(&kinds[kinds.len() - 1]) && !is_rare(&kinds[0]));
        }
    }
}

#[tokio::test]
async fn when_many_rows_are_of_rare_types_they_do_not_wait() {
    let bounds = WriteSettings { staged_bytes: 1 << 20, open_bytes: 8 << 20, ..settings() };
    let files = kinds_of_each_file(bounds, 20, 3).await;
    let rows: usize = files.iter().map(Vec::len).sum();
    assert_eq!(rows, 20 * ROUND);
    assert!(files.iter().any(|kinds| !kinds.is_sorted_by_key(|kind| is_rare(kind))));
}
