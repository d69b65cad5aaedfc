//! Numbers and times: what is read back, and what is noted of it.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use arrow_select::concat::concat_batches;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Encoding;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use crate::lake::encode::FileEncoder;
use crate::lake::settings::WriteSettings;
use hearback_schemas::EVENTS;

fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Schema::new(vec![
        Field::new("ingest_time", time.clone(), false),
        Field::new("event_time", time.clone(), false),
        Field::new("sent_time", time, true),
        Field::new("processing_ms", DataType::Int64, true),
        Field::new("recipient_count", DataType::Int32, true),
    ]);
    let count = usize::try_from(rows.end - rows.start).expect("rows");
    // NULL alone at first, and here and there further on.
    let sent = rows.clone().map(|i| (i >= 9000 && i % 3 != 0).then_some(i / 100 * 1000));
    // More of them than a dictionary takes, some below zero.
    let processing = rows.clone().map(|i| (i % 2 == 0).then_some(1_000_000 - i * 17));
    let recipients = rows.clone().map(|i| (i % 5000 != 0).then_some(if i < 4000 { 1 } else { -7 }));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from_value(1_700, count).with_timezone("UTC")),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(rows.map(|i| i * 3)).with_timezone("UTC"),
        ),
        Arc::new(TimestampMicrosecondArray::from_iter(sent).with_timezone("UTC")),
        Arc::new(Int64Array::from_iter(processing)),
        Arc::new(Int32Array::from_iter(recipients)),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).expect("columns of the schema")
}

#[test]
fn numbers_are_read_back_with_their_bounds_whether_coded_or_not() {
    let parts = [batch(0..1), batch(1..30_000), batch(30_000..300_000)];
    let schema = parts[0].schema();
    let expected = concat_batches(&schema, &parts).expect("rows of one schema");
    let settings = WriteSettings { row_group_rows: 1 << 20, ..WriteSettings::default() };
    let mut file = FileEncoder::new(&EVENTS, Arc::clone(&schema), &settings, 100).expect("a file");
    file.encode(&parts, 2).expect("encoded");
    let file = file.finish(2).expect("finished");

    let options = ArrowReaderOptions::new()
        .with_schema(Arc::clone(&schema))
        .with_page_index_policy(PageIndexPolicy::Required);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file.bytes, options);
    let reader = reader.expect("a Parquet file");
    let metadata = Arc::clone(reader.metadata());
    let batches: Vec<RecordBatch> =
        reader.build().expect("a reader").map(|batch| batch.expect("rows")).collect();
    assert_eq!(concat_batches(&schema, &batches).expect("rows"), expected);

    let columns = metadata.row_group(0).columns();
    let bounds = |column: usize| match columns[column].statistics().expect("statistics") {
        Statistics::Int64(known) => (*known.min_opt().unwrap(), *known.max_opt().unwrap()),
        Statistics::Int32(known) => {
            (i64::from(*known.min_opt().unwrap()), i64::from(*known.max_opt().unwrap()))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(bounds(0), (1_700, 1_700));
    assert_eq!(bounds(1), (0, 299_999 * 3));
    assert_eq!(bounds(2), (90_000, 2_999_000));
    assert_eq!(bounds(3), (1_000_000 - 299_998 * 17, 1_000_000));
    assert_eq!(bounds(4), (-7, 1));
    for (at, column) in columns.iter().enumerate() {
        let nulls = column.statistics().and_then(Statistics::null_count_opt);
        assert_eq!(nulls, Some(expected.column(at).null_count() as u64), "column {at}");
    }
    let encodings: Vec<Encoding> = columns[3].encodings().collect();
    assert!(encodings.contains(&Encoding::RLE_DICTIONARY) && encodings.contains(&Encoding::PLAIN));
    assert!(columns[1].dictionary_page_offset().is_none());
    assert!(columns[0].compressed_size() < 1000, "{} bytes", columns[0].compressed_size());

    let index = &metadata.column_index().expect("an index of pages")[0];
    let ColumnIndexMetaData::INT64(times) = &index[1] else { panic!("{:?}", index[1]) };
    let ColumnIndexMetaData::INT64(sent) = &index[2] else { panic!("{:?}", index[2]) };
    assert_eq!((times.min_value(0), times.max_value(0)), (Some(&0), Some(&(8191 * 3))));
    assert_eq!((times.min_value(1), times.max_value(1)), (Some(&(8192 * 3)), Some(&(16383 * 3))));
    assert!(sent.is_null_page(0) && !sent.is_null_page(1));
    assert_eq!((sent.min_value(1), sent.max_value(1)), (Some(&90_000), Some(&163_000)));
    assert_eq!(sent.null_count(0), Some(8192));
    assert!(matches!(index[0], ColumnIndexMetaData::NONE));
}

#[test]
fn what_is_no_number_is_refused_by_a_column_of_numbers() {
    let good = batch(0..3);
    let settings = WriteSettings::default();
    let mut file = FileEncoder::new(&EVENTS, good.schema(), &settings, 100).expect("a file");
    let mut columns = good.columns().to_vec();
    columns.swap(0, 4);
    let mut fields: Vec<_> = good.schema().fields().iter().cloned().collect();
    fields.swap(0, 4);
    columns[3] = Arc::new(arrow_array::StringArray::from(vec!["1", "2", "3"]));
    fields[3] = Arc::new(Field::new("processing_ms", DataType::Utf8, true));
    let bad = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch");
    assert!(file.encode(&[bad], 1).is_err());
}
