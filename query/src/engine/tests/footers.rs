//! What is known of a file from an earlier statement changes no answer.

use std::fs::{self, File};
use std::path::PathBuf;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{TestLake, answer, delivery};

const ALL: &str = "SELECT * FROM events ORDER BY message_id";

async fn lake() -> TestLake {
    let mut lake = TestLake::new();
    for day in 1..=3 {
        let at = format!("2026-11-{day:02}T10:00:02.000Z");
        lake.add(&[delivery(&format!("m{day}"), "reader@example.com", &at)]).await;
    }
    lake
}

fn data_file(lake: &TestLake, day: &str) -> PathBuf {
    let folder = lake.folder.path().join(format!("lake/events/event_date={day}"));
    fs::read_dir(folder).expect("a day").next().expect("a file").expect("a file").path()
}

/// Writes a data file anew without its last columns, as if it came from before they were added.
fn make_old(lake: &TestLake, day: &str, columns: usize) {
    let path = data_file(lake, day);
    let before = fs::metadata(&path).expect("a file").len();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).expect("a file"))
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .expect("it is Parquet");
    let batches: Vec<_> = reader.map(|batch| batch.expect("rows")).collect();
    let kept: Vec<usize> = (0..batches[0].num_columns() - columns).collect();
    let narrow = batches[0].project(&kept).expect("fewer columns");
    let file = File::create(&path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, narrow.schema(), None).expect("a writer");
    writer.write(&narrow).expect("rows");
    writer.close().expect("a file");
    let after = fs::metadata(&path).expect("a file").len();
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    for entry in fs::read_dir(lake.folder.path().join("lake/events/_delta_log")).expect("a log") {
        let entry = entry.expect("an entry").path();
        let Ok(text) = fs::read_to_string(&entry) else { continue };
        if text.contains(&name) {
            let size = |bytes: u64| format!("\"size\":{bytes}");
            fs::write(entry, text.replace(&size(before), &size(after))).expect("written");
        }
    }
}

#[tokio::test]
async fn a_second_statement_finds_what_the_first_found() {
    let lake = lake().await;
    let engine = lake.engine().await;
    let first = answer(&engine, ALL).await.expect("an answer");
    assert_eq!(first.len(), 3);
    for _ in 0..2 {
        assert_eq!(answer(&engine, ALL).await.expect("an answer"), first);
    }
    let by_tag = "SELECT tags['campaign'], extra, event_time FROM events WHERE message_id = 'm2'";
    assert_eq!(answer(&engine, by_tag).await.expect("an answer"), lake.ask(by_tag).await);
}

#[tokio::test]
async fn files_from_before_a_column_was_added_are_read_beside_newer_ones() {
    let lake = lake().await;
    make_old(&lake, "2026-11-02", 2);
    let engine = lake.engine().await;
    let first = answer(&engine, ALL).await.expect("an answer");
    assert_eq!(first.len(), 3);
    assert_eq!(answer(&engine, ALL).await.expect("an answer"), first);
    let sql = "SELECT count(*), count(ingest_time), count(source_sequence) FROM events";
    for _ in 0..2 {
        assert_eq!(answer(&engine, sql).await.expect("an answer"), ["3,3,2"]);
    }
}
