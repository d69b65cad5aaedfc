//! Rows of many days, a few of each: an archive of years, or a source in no order.

use std::sync::Arc;

use hearback_schemas::EVENTS;
use object_store::memory::InMemory;

use super::rows::*;
use crate::lake::WriteSettings;

const DAYS: u128 = 200;
/// Rows of a day that are decoded at once.
const ROWS: u128 = 3;
const ROUNDS: u128 = 20;

/// What is decoded at once.
fn round(round: u128) -> Vec<Event> {
    let per_round = DAYS * ROWS;
    let numbers = round * per_round..(round + 1) * per_round;
    numbers.map(|number| Event::on(number, TODAY - (number % DAYS) as i32)).collect()
}

#[tokio::test]
async fn a_flush_of_many_days_has_one_file_of_each() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let bounds = WriteSettings { staged_bytes: 1 << 20, open_bytes: 16 << 20, ..settings() };
    let mut writer = begin(&lake, bounds).await.expect("the writer begins");
    let mut all = Vec::new();
    for number in 0..ROUNDS {
        let events = round(number);
        writer.stage(decoded(&events), from("archive")).await.expect("staged");
        // Half of them come again with the next ones.
        writer.stage(decoded(&events[..events.len() / 2]), from("archive")).await.expect("staged");
        all.extend(events);
    }
    let staged = writer.staged();
    assert!(staged.bytes < 17 << 20, "{} bytes are staged", staged.bytes);
    let committed = writer.commit(objects(&["archive"]), NOW_US).await.expect("committed");
    assert_eq!((committed.events, committed.duplicates), (12_000, 6_000));
    assert_holds(&lake, &all).await;
    let files = lake.snapshot(&EVENTS).await.expect("a snapshot").files;
    assert_eq!(files.len(), DAYS as usize);
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    assert!(bytes < 12_000 * 400, "{bytes} bytes for 12,000 small rows");
}

#[tokio::test]
async fn when_memory_is_used_up_days_get_another_file_and_lose_nothing() {
    let lake = lake_in(Arc::new(InMemory::new()));
    let bounds = WriteSettings { staged_bytes: 64 << 10, open_bytes: 256 << 10, ..settings() };
    let mut writer = begin(&lake, bounds).await.expect("the writer begins");
    let mut all = Vec::new();
    for number in 0..ROUNDS {
        all.extend(round(number));
        writer.stage(decoded(&round(number)), from("archive")).await.expect("staged");
    }
    let committed = writer.commit(objects(&["archive"]), NOW_US).await.expect("committed");
    assert_eq!((committed.events, committed.duplicates), (12_000, 0));
    assert_holds(&lake, &all).await;
    let files = lake.snapshot(&EVENTS).await.expect("a snapshot").files;
    assert!(files.len() > DAYS as usize && files.len() <= (DAYS * ROUNDS) as usize);
}
