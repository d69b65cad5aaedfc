//! What goes in, whatever its shape, is what the Parquet library's reader finds.

mod numbers;
mod texts;

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, Int32Array, RecordBatch, StringArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take;
use hearback_schemas::{ColumnKind, EVENTS};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::statistics::Statistics;

use super::{EncodedFile, FileEncoder};
use crate::lake::settings::WriteSettings;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("event_id", DataType::Utf8, false),
        Field::new("recipient", DataType::Utf8, true),
        Field::new("subject", DataType::Utf8, true),
        Field::new("tags", ColumnKind::StringListMap.arrow(), true),
        Field::new("processing_ms", DataType::Int64, true),
    ]))
}

/// Rows from `from` on: unique ids, NULLs here and there, tags of every shape.
fn rows(from: usize, count: usize, recipients: usize) -> RecordBatch {
    let numbers = from..from + count;
    let ids = StringArray::from_iter_values(numbers.clone().map(|i| format!("{i:032x}")));
    let recipients: StringArray = numbers
        .clone()
        .map(|i| (i % 7 != 3).then(|| format!("someone{}@example.com", i % recipients)))
        .collect();
    let subject: StringArray = numbers.clone().map(|_| None::<&str>).collect();
    let names =
        MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let element = Field::new("element", DataType::Utf8, true);
    let lists = ListBuilder::new(StringBuilder::new()).with_field(element);
    let mut tags = MapBuilder::new(Some(names), StringBuilder::new(), lists);
    for i in numbers.clone() {
        let shape = i % 6;
        for tag in 0..[0, 0, 1, 3, 3, 8][shape] {
            tags.keys().append_value(format!("name{tag}"));
            let list = tags.values();
            match (shape, tag) {
                (3, 0) => list.append(false),
                (3, 1) => list.append(true),
                (3, _) => {
                    list.values().append_null();
                    list.values().append_value(format!("second of {i}"));
                    list.append(true);
                }
                _ => {
                    list.values().append_value(format!("value {}", i % 5));
                    list.append(true);
                }
            }
        }
        tags.append(shape != 0).expect("as many names as lists");
    }
    let times =
        arrow_array::Int64Array::from_iter(numbers.map(|i| (i % 2 == 0).then_some(i as i64)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids),
        Arc::new(recipients),
        Arc::new(subject),
        Arc::new(tags.finish()),
        Arc::new(times),
    ];
    RecordBatch::try_new(schema(), columns).expect("columns of the schema")
}

/// The same rows with every text and map coded by a dictionary, not all of which is used.
fn coded(batch: &RecordBatch) -> RecordBatch {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if !matches!(field.data_type(), DataType::Utf8 | DataType::Map(..)) {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
            continue;
        }
        let rows = i32::try_from(batch.num_rows()).expect("few rows");
        // Backwards, so that codes and rows differ.
        let backwards = Int32Array::from_iter_values((0..rows).rev());
        let values = take(column, &backwards, None).expect("rows of the column");
        let keys: Int32Array =
            (0..rows).map(|row| column.is_valid(row as usize).then_some(rows - 1 - row)).collect();
        let array = DictionaryArray::<Int32Type>::new(keys, values);
        fields.push(Arc::new(field.as_ref().clone().with_data_type(array.data_type().clone())));
        columns.push(Arc::new(array));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of the schema")
}

fn file_of(batches: &[RecordBatch], settings: &WriteSettings) -> EncodedFile {
    let mut encoder = FileEncoder::new(&EVENTS, schema(), settings, 100).expect("a file");
    for batch in batches {
        encoder.encode(std::slice::from_ref(batch), 2).expect("encoded");
    }
    encoder.finish(2).expect("finished")
}

fn read(file: &EncodedFile) -> (RecordBatch, Arc<ParquetMetaData>) {
    let options = ArrowReaderOptions::new()
        .with_schema(schema())
        .with_page_index_policy(PageIndexPolicy::Optional);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file.bytes.clone(), options)
            .expect("a Parquet file");
    let metadata = Arc::clone(builder.metadata());
    let batches: Vec<RecordBatch> =
        builder.build().expect("a reader").map(|batch| batch.expect("rows")).collect();
    (concat_batches(&schema(), &batches).expect("rows of one schema"), metadata)
}

#[test]
fn every_shape_of_row_is_read_back_whether_it_came_coded_or_not() {
    let settings = WriteSettings { row_group_rows: 30_000, ..WriteSettings::default() };
    let parts =
        [rows(0, 10, 3), rows(10, 25_000, 900), rows(25_010, 1, 1), rows(25_011, 20_000, 9)];
    let expected = concat_batches(&schema(), &parts).expect("rows of one schema");
    let coded: Vec<RecordBatch> = parts.iter().map(coded).collect();
    for batches in [parts.to_vec(), coded] {
        let file = file_of(&batches, &settings);
        assert_eq!(file.rows, 45_011);
        let (found, metadata) = read(&file);
        assert_eq!(metadata.num_row_groups(), 2);
        assert_eq!(found, expected);
    }
}

#[test]
fn a_column_of_too_many_values_goes_on_without_its_dictionary() {
    let parts: Vec<RecordBatch> =
        (0..5).map(|part| rows(part * 30_000, 30_000, 1_000_000)).collect();
    let expected = concat_batches(&schema(), &parts).expect("rows of one schema");
    for batches in [parts.clone(), parts.iter().map(coded).collect()] {
        let file = file_of(&batches, &WriteSettings::default());
        let (found, metadata) = read(&file);
        assert_eq!(found, expected);
        let recipient = metadata.row_group(0).column(1);
        let encodings: Vec<Encoding> = recipient.encodings().collect();
        assert!(
            encodings.contains(&Encoding::RLE_DICTIONARY) && encodings.contains(&Encoding::PLAIN)
        );
        let statistics = recipient.statistics().expect("statistics");
        let recipients = expected.column(1).as_string::<i32>();
        let (min, max) = (recipients.iter().flatten().min(), recipients.iter().flatten().max());
        assert_eq!(statistics.min_bytes_opt(), min.map(str::as_bytes));
        assert_eq!(statistics.max_bytes_opt(), max.map(str::as_bytes));
        assert_eq!(statistics.null_count_opt(), Some(recipients.null_count() as u64));
    }
}

#[test]
fn values_that_never_repeat_are_written_without_a_dictionary_from_the_start() {
    let parts: Vec<RecordBatch> = (0..10).map(|part| rows(part * 3000, 3000, 10_000_000)).collect();
    let expected = concat_batches(&schema(), &parts).expect("rows of one schema");
    let file = file_of(&parts, &WriteSettings::default());
    let (found, metadata) = read(&file);
    assert_eq!(found, expected);
    let recipient = metadata.row_group(0).column(1);
    assert!(recipient.dictionary_page_offset().is_none());
    let statistics = recipient.statistics().expect("statistics");
    let recipients = expected.column(1).as_string::<i32>();
    assert_eq!(statistics.min_bytes_opt(), recipients.iter().flatten().min().map(str::as_bytes));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.bytes.clone()).expect("a file");
    let bloom = builder.get_row_group_column_bloom_filter(0, 1).expect("read").expect("a filter");
    assert!(recipients.iter().flatten().all(|recipient| bloom.check(recipient)));
}

#[test]
fn a_filter_knows_every_value_before_and_after_the_dictionary_is_given_up() {
    for recipients in [50, 1_000_000] {
        let batch = rows(0, 60_000, recipients);
        let file = file_of(&[coded(&batch)], &WriteSettings::default());
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.bytes.clone()).expect("a file");
        let bloom =
            builder.get_row_group_column_bloom_filter(0, 1).expect("read").expect("a filter");
        for recipient in batch.column(1).as_string::<i32>().iter().flatten() {
            assert!(bloom.check(recipient), "{recipient}");
        }
        let strangers = (0..1000).filter(|i| bloom.check(format!("stranger{i}").as_str())).count();
        assert!(strangers < 50, "{strangers} of 1000 strangers pass");
    }
}

#[test]
fn columns_without_a_single_value_are_read_as_null() {
    let file = file_of(&[rows(0, 50_000, 10)], &WriteSettings::default());
    let (found, metadata) = read(&file);
    let subject = metadata.row_group(0).column(2);
    assert_eq!(found.column(2).null_count(), 50_000);
    assert!(subject.dictionary_page_offset().is_none());
    assert!(subject.compressed_size() < 200, "{} bytes of nothing", subject.compressed_size());
}

#[test]
fn a_column_that_is_small_is_stored_as_it_is_and_a_large_one_is_compressed() {
    let expected = rows(0, 1000, 5);
    for batch in [expected.clone(), coded(&expected)] {
        let file = file_of(&[batch], &WriteSettings::default());
        let (found, metadata) = read(&file);
        assert_eq!(found, expected);
        let [ids, recipient, subject] = [0, 1, 2].map(|at| metadata.row_group(0).column(at));
        assert!(matches!(ids.compression(), Compression::ZSTD(_)));
        for small in [recipient, subject] {
            assert_eq!(small.compression(), Compression::UNCOMPRESSED);
            assert_eq!(small.compressed_size(), small.uncompressed_size());
        }
        assert!(recipient.dictionary_page_offset().is_some());
    }
}

#[test]
fn a_column_whose_first_pages_are_all_null_is_read_back_whatever_comes_behind() {
    let nothing = 45_000;
    let count = 60_000;
    for different in [4, 1_000_000] {
        let texts: StringArray =
            (0..count).map(|i| (i >= nothing).then(|| format!("text {}", i % different))).collect();
        let mut columns = rows(0, count, 10).columns().to_vec();
        columns[1] = Arc::new(texts.clone());
        columns[2] = Arc::new(texts);
        let expected = RecordBatch::try_new(schema(), columns).expect("columns of the schema");
        let parts: Vec<RecordBatch> =
            (0..count / 7500).map(|part| expected.slice(part * 7500, 7500)).collect();
        for batches in [parts.clone(), parts.iter().map(coded).collect()] {
            let file = file_of(&batches, &WriteSettings::default());
            let (found, metadata) = read(&file);
            assert_eq!(found, expected);
            for column in [1, 2] {
                let statistics = metadata.row_group(0).column(column).statistics();
                let nulls = statistics.and_then(Statistics::null_count_opt);
                assert_eq!(nulls, (column == 1).then_some(nothing as u64));
            }
        }
    }
}

#[test]
fn what_is_no_text_is_refused_by_a_column_of_texts() {
    let mut encoder =
        FileEncoder::new(&EVENTS, schema(), &WriteSettings::default(), 100).expect("a file");
    let good = rows(0, 3, 3);
    let mut columns = good.columns().to_vec();
    columns[1] = Arc::new(BinaryArray::from_iter_values([b"a", b"b", b"c"]));
    let mut fields: Vec<Field> =
        schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    fields[1] = Field::new("recipient", DataType::Binary, true);
    let bad = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch");
    assert!(encoder.encode(&[bad], 1).is_err());
}

#[test]
fn rows_that_are_apart_have_pages_of_their_own() {
    let settings = WriteSettings { row_group_rows: 10_000, ..WriteSettings::default() };
    let mut encoder = FileEncoder::new(&EVENTS, schema(), &settings, 100).expect("a file");
    let parts = [rows(0, 7_000, 50), rows(7_000, 6_000, 50), rows(13_000, 2_500, 50)];
    encoder.encode(&[coded(&parts[0])], 2).expect("encoded");
    encoder.encode_apart(&parts[1..2], 2).expect("encoded");
    encoder.encode(&parts[2..], 2).expect("encoded");
    // Too few for a page.
    encoder.encode_apart(&[rows(15_500, 10, 50)], 2).expect("encoded");
    encoder.encode(&[rows(15_510, 10, 50)], 2).expect("encoded");
    let file = encoder.finish(2).expect("finished");
    let (found, metadata) = read(&file);
    assert_eq!(found, rows(0, 15_520, 50));
    let offsets = metadata.offset_index().expect("offsets of pages");
    let starts = |group: usize, leaf: usize| -> Vec<i64> {
        offsets[group][leaf].page_locations().iter().map(|page| page.first_row_index).collect()
    };
    for leaf in 0..6 {
        let of_tags = [3, 4].contains(&leaf);
        let begins: &[i64] = if of_tags { &[0, 4_096, 7_000] } else { &[0, 7_000] };
        assert_eq!(starts(0, leaf), begins, "leaf {leaf}");
        assert_eq!(starts(1, leaf), [0, 3_000, 5_500], "leaf {leaf}");
    }
}
