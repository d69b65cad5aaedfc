use std::io::Write;
use std::sync::{Arc, Mutex};

use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Format, writer};

/// A place that results go to, to be looked at afterwards.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn written(format: Format, batch: &RecordBatch) -> Vec<u8> {
    let sink = Sink::default();
    let mut writer =
        writer(format, &batch.schema(), Box::new(sink.clone()), true).expect("a writer");
    writer.write(batch).expect("rows");
    writer.finish().expect("the end");
    drop(writer);
    std::mem::take(&mut *sink.0.lock().expect("one thread"))
}

fn text(format: Format, batch: &RecordBatch) -> String {
    String::from_utf8(written(format, batch)).expect("text")
}

fn batch() -> RecordBatch {
    let mut tags =
        MapBuilder::new(None, StringBuilder::new(), ListBuilder::new(StringBuilder::new()));
    tags.keys().append_value("campaign");
    tags.values().values().append_value("spring \"sale\"");
    tags.values().append(true);
    tags.append(true).expect("a map");
    tags.append(false).expect("a map");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("subject", Arc::new(StringViewArray::from(vec![Some("a,\n\u{1b}[31mb"), None]))),
        ("n", Arc::new(Int64Array::from(vec![Some(-7), None]))),
        ("share", Arc::new(Float64Array::from(vec![0.25, f64::NAN]))),
        (
            "at",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(1_763_877_108_000_001), Some(0)])
                    .with_timezone("UTC"),
            ),
        ),
        ("day", Arc::new(Date32Array::from(vec![Some(-1), Some(20_415)]))),
        ("raw", Arc::new(BinaryArray::from(vec![Some([0_u8, 255].as_slice()), None]))),
        ("tags", Arc::new(tags.finish())),
    ];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

#[test]
fn csv_leaves_null_empty_and_quotes_what_needs_it() {
    assert_eq!(
        text(Format::Csv, &batch()),
        "subject,n,share,at,day,raw,tags\n\
         \"a,\n\u{1b}[31mb\",-7,0.25,2025-11-23T05:51:48.000001Z,1969-12-31,00ff,\"{\"\"campaign\"\":[\"\"spring \\\"\"sale\\\"\"\"\"]}\"\n\
         ,,NaN,1970-01-01T00:00:00Z,2025-11-23,,\n"
    );
}

#[test]
fn json_is_one_document_with_nulls() {
    let document: serde_json::Value =
        serde_json::from_str(&text(Format::Json, &batch())).expect("JSON");
    assert_eq!(
        document,
        serde_json::json!([
            {
                "subject": "a,\n\u{1b}[31mb", "n": -7, "share": 0.25,
                "at": "2025-11-23T05:51:48.000001Z", "day": "1969-12-31", "raw": "00ff",
                "tags": {"campaign": ["spring \"sale\""]},
            },
            {
                "subject": null, "n": null, "share": null, "at": "1970-01-01T00:00:00Z",
                "day": "2025-11-23", "raw": null, "tags": null,
            },
        ])
    );
    let empty = batch().slice(0, 0);
    assert_eq!(text(Format::Json, &empty), "[]\n");
    assert_eq!(text(Format::Ndjson, &empty), "");
}

#[test]
fn each_row_is_a_line_of_ndjson() {
    let lines = text(Format::Ndjson, &batch());
    assert_eq!(lines.lines().count(), 2);
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    }
}

#[test]
fn a_table_lets_no_control_character_through() {
    let table = text(Format::Table, &batch());
    assert!(table.chars().all(|character| character == '\n' || !character.is_control()), "{table}");
    assert!(table.contains("a,\\n\\u{1b}[31mb"), "{table}");
    assert!(table.ends_with("(2 rows)\n"), "{table}");
}

#[test]
fn wide_characters_keep_columns_straight() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("件名", Arc::new(StringViewArray::from(vec!["ご注文", "order"]))),
        ("n", Arc::new(Int64Array::from(vec![1, 200]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    assert_eq!(
        text(Format::Table, &batch),
        " 件名   | n\n--------+-----\n ご注文 |   1\n order  | 200\n(2 rows)\n"
    );
}

#[test]
fn parquet_and_arrow_files_hold_plain_text() {
    let batch = batch();
    let parquet = bytes::Bytes::from(written(Format::Parquet, &batch));
    let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).expect("Parquet");
    assert_eq!(*reader.schema().field(0).data_type(), arrow_schema::DataType::Utf8);
    assert_eq!(reader.metadata().file_metadata().num_rows(), 2);

    let arrow = std::io::Cursor::new(written(Format::Arrow, &batch));
    let reader = arrow_ipc::reader::FileReader::try_new(arrow, None).expect("Arrow");
    assert_eq!(*reader.schema().field(0).data_type(), arrow_schema::DataType::Utf8);
    let rows: usize = reader.map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(rows, 2);
}

#[test]
fn two_columns_of_one_name_both_arrive() {
    let numbers = |value: i64| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let columns = [("a", 1), ("a", 2), ("a_1", 3), ("a", 4)];
    let batch = RecordBatch::try_from_iter(columns.map(|(name, value)| (name, numbers(value))))
        .expect("a batch");
    assert_eq!(text(Format::Ndjson, &batch), "{\"a\":1,\"a_2\":2,\"a_1\":3,\"a_3\":4}\n");
    assert_eq!(text(Format::Csv, &batch).lines().next(), Some("a,a,a_1,a"));
    let parquet = bytes::Bytes::from(written(Format::Parquet, &batch));
    let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).expect("a Parquet file");
    let names: Vec<&String> = reader.schema().fields().iter().map(|field| field.name()).collect();
    assert_eq!(names, ["a", "a_2", "a_1", "a_3"]);
}
