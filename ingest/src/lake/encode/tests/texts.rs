//! Texts without a dictionary.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat_batches;
use hearback_schemas::EVENTS;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;

use crate::lake::encode::FileEncoder;
use crate::lake::settings::WriteSettings;

/// Texts of every length, some larger than a page's share, some the same.
fn text(i: usize) -> String {
    match i % 11 {
        0 => String::new(),
        1..4 => format!("é{}", "x".repeat(i % 700)),
        4 => format!("{}{i}", "long beginning ".repeat(30)),
        5 if i % 5000 == 5 => "huge ".repeat(40_000),
        _ => format!("{:09}", i * 1731),
    }
}

#[test]
fn texts_without_a_dictionary_are_read_back_whatever_their_lengths() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("event_id", DataType::Utf8, false),
        Field::new("source_sequence", DataType::Utf8, true),
        Field::new("reject_id", DataType::Utf8, true),
    ]));
    let rows = |from: usize, count: usize| {
        let numbers = from..from + count;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(numbers.clone().map(text))),
            Arc::new(StringArray::from_iter_values(numbers.clone().map(text))),
            Arc::new(
                numbers.map(|i| (i > 9_000 && i % 7 > 0).then(|| text(i))).collect::<StringArray>(),
            ),
        ];
        RecordBatch::try_new(Arc::clone(&schema), columns).expect("columns of the schema")
    };
    let whole = rows(0, 40_000);
    // Parts that begin anywhere in their arrays.
    let parts = [whole.slice(0, 1), whole.slice(1, 129), whole.slice(130, 39_870)];
    let settings = WriteSettings::default();
    let mut file = FileEncoder::new(&EVENTS, Arc::clone(&schema), &settings, 100).expect("a file");
    file.encode(&parts, 2).expect("encoded");
    let file = file.finish(2).expect("finished");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.bytes).expect("a Parquet file");
    let metadata = Arc::clone(reader.metadata());
    let batches: Vec<RecordBatch> =
        reader.build().expect("a reader").map(|batch| batch.expect("rows")).collect();
    let found = concat_batches(&batches[0].schema(), &batches).expect("rows of one schema");
    assert_eq!(found.columns(), whole.columns());
    for column in metadata.row_group(0).columns() {
        assert!(
            column.encodings().all(|encoding| [Encoding::PLAIN, Encoding::RLE].contains(&encoding))
        );
    }
}
