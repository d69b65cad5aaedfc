//! Files in a bucket or folder: the whole set and what changed, as CSV and Parquet, for anybody to
//! fetch.
//!
//! Under `<uri>/<segment>/` each application makes a folder `<number>-<plan>` with `members`, `added`,
//! `changed` and `removed` (each `.csv` and `.parquet`) and `manifest.json` (rows, bytes and SHA-256 of
//! each file, version of the lake, the folder before). `current.json` names the newest; it is written
//! last, so whoever follows it never sees half a set. Rows are in the order of their keys.
//!
//! Nothing is ever deleted: how long old sets are kept is a lifecycle rule's concern.

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use hearback_ingest::aws::{StoreLocation, explain, open_store};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::{Delivered, Destination, DestinationError, Manner, Publication, Run};
use crate::activate::segments::acknowledged::read_members;
use crate::activate::segments::change::{Action, Change, hex};
use crate::activate::segments::error::SegmentError;
use crate::activate::segments::members::AttributeKind;

/// Rows of a batch that is encoded at once.
const BATCH: usize = 8192;
/// Bytes read at once when a file is sent.
const PIECE: usize = 1 << 20;
/// Version of the manifest's form.
const SCHEMA_VERSION: u32 = 1;

/// A bucket or folder.
#[derive(Debug)]
pub(super) struct Folder {
    uri: String,
    place: StoreLocation,
}

/// The sets of an application, each a file of its own.
const SETS: [(&str, Option<Action>); 4] = [
    ("members", None),
    ("added", Some(Action::Add)),
    ("changed", Some(Action::Change)),
    ("removed", Some(Action::Remove)),
];

impl Folder {
    pub(super) async fn open(uri: &str) -> Result<Self, DestinationError> {
        let place = open_store(uri).await.map_err(|error| DestinationError::Refused {
            destination: format!("s3:{uri}"),
            reason: error.to_string(),
        })?;
        Ok(Self { uri: uri.to_owned(), place })
    }

    fn folder(&self, run: &Run) -> Path {
        self.place.prefix.clone().join(run.segment.as_str())
    }

    fn destination(&self) -> String {
        format!("s3:{}", self.uri.trim_end_matches('/'))
    }

    fn failed(&self, action: &str, error: &object_store::Error) -> DestinationError {
        let reason = format!("cannot {action}: {}", explain(error));
        let destination = self.destination();
        match error {
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. }
            | object_store::Error::NotFound { .. } => {
                DestinationError::Refused { destination, reason }
            }
            _ => DestinationError::Unavailable { destination, reason },
        }
    }

    fn broken(&self, reason: impl std::fmt::Display) -> DestinationError {
        DestinationError::Refused { destination: self.destination(), reason: reason.to_string() }
    }

    async fn current(&self, run: &Run) -> Result<Option<Value>, DestinationError> {
        let path = self.folder(run).join("current.json");
        let found = match self.place.store.get(&path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("read current.json", &error)),
        };
        let bytes = found.bytes().await;
        let bytes = bytes.map_err(|error| self.failed("read current.json", &error))?;
        Ok(Some(serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    /// Sends a file; what the manifest says of it.
    async fn send(
        &self,
        path: &Path,
        file: &mut File,
        name: &str,
        rows: u64,
    ) -> Result<Value, DestinationError> {
        file.rewind().map_err(|error| self.broken(error))?;
        let mut out = BufWriter::new(Arc::clone(&self.place.store), path.clone());
        let mut digest = Sha256::new();
        let mut bytes = 0_u64;
        let mut piece = vec![0; PIECE];
        loop {
            let count = file.read(&mut piece).map_err(|error| self.broken(error))?;
            if count == 0 {
                break;
            }
            digest.update(&piece[..count]);
            bytes += count as u64;
            out.write_all(&piece[..count]).await.map_err(|error| self.unwritten(path, &error))?;
        }
        out.shutdown().await.map_err(|error| self.unwritten(path, &error))?;
        Ok(json!({
            "name": name,
            "rows": rows,
            "bytes": bytes,
            "sha256": hex(&digest.finalize()),
        }))
    }

    fn unwritten(&self, path: &Path, error: &std::io::Error) -> DestinationError {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<object_store::Error>());
        match inner {
            Some(inner) => self.failed(&format!("write {path}"), inner),
            None => DestinationError::Unavailable {
                destination: self.destination(),
                reason: format!("cannot write {path}: {error}"),
            },
        }
    }
}

#[async_trait]
impl Destination for Folder {
    fn manner(&self, _changes: u64) -> Manner {
        Manner::Whole
    }

    async fn prepare(&mut self, run: &Run) -> Result<(), DestinationError> {
        let Some(acknowledged) = &run.acknowledged else { return Ok(()) };
        let drifted = |reason: String| {
            Err(DestinationError::Drifted { destination: self.destination(), reason })
        };
        let Some(current) = self.current(run).await? else {
            return drifted(format!("{}/current.json is gone", run.segment));
        };
        // An application that was interrupted may have come one further than it noted.
        let version = current["version"].as_u64().unwrap_or(0);
        if version == acknowledged.number || version == run.number {
            return Ok(());
        }
        drifted(format!(
            "{}/current.json is of version {version}, not {}",
            run.segment, acknowledged.number
        ))
    }

    async fn deliver(&self, _: &Run, batch: &[Change]) -> Result<Vec<Delivered>, DestinationError> {
        // The whole set is taken at once, by `publish`.
        Ok(vec![Delivered::done(None); batch.len()])
    }

    async fn publish(
        &mut self,
        run: &Run,
        set: Publication<'_>,
    ) -> Result<Option<String>, DestinationError> {
        let previous = self.current(run).await?;
        let name = format!("{:08}-{}", run.number, &run.plan_id[..8.min(run.plan_id.len())]);
        let folder = self.folder(run).join(name.as_str());
        let mut files = Vec::new();
        for (set_name, action) in SETS {
            let mut table = TableFiles::new(run).map_err(|error| self.broken(error))?;
            match action {
                None => {
                    let mut members = read_members(set.members).map_err(|e| self.broken(e))?;
                    while let Some(member) = members.read().map_err(|e| self.broken(e))? {
                        table.push(&member.key, &member.attributes).map_err(|e| self.broken(e))?;
                    }
                }
                Some(action) => {
                    for change in set.changes.read().map_err(|e| self.broken(e))? {
                        let change = change.map_err(|e| self.broken(e))?;
                        if change.action == action {
                            table
                                .push(&change.member, &change.attributes)
                                .map_err(|e| self.broken(e))?;
                        }
                    }
                }
            }
            let rows = table.rows;
            let (mut csv, mut parquet) = table.finish().map_err(|error| self.broken(error))?;
            for (extension, file) in [("csv", &mut csv), ("parquet", &mut parquet)] {
                let file_name = format!("{set_name}.{extension}");
                let path = folder.clone().join(file_name.as_str());
                let mut entry = self.send(&path, file, &file_name, rows).await?;
                entry["set"] = json!(set_name);
                entry["format"] = json!(extension);
                files.push(entry);
            }
        }
        // Of an interrupted try of the same number, what was before that stays what was before.
        let before = match &previous {
            Some(current) if current["version"] == json!(run.number) => current["previous"].clone(),
            Some(current) => current["folder"].clone(),
            None => Value::Null,
        };
        let manifest = json!({
            "schema_version": SCHEMA_VERSION,
            "segment": run.segment,
            "description": run.description,
            "version": run.number,
            "previous": before,
            "plan_id": run.plan_id,
            "lake_version": run.lake_version,
            "as_of": (run.clock)().to_string(),
            "key": run.key,
            "columns": columns_json(run),
            "rows": set.count,
            "files": files,
        });
        let path = folder.join("manifest.json");
        self.put(&path, &manifest).await?;
        let current = json!({
            "schema_version": SCHEMA_VERSION,
            "segment": run.segment,
            "version": run.number,
            "folder": name,
            "previous": before,
            "manifest": format!("{name}/manifest.json"),
            "plan_id": run.plan_id,
            "rows": set.count,
        });
        self.put(&self.folder(run).join("current.json"), &current).await?;
        Ok(Some(format!("{}/{name}", run.segment)))
    }
}

impl Folder {
    async fn put(&self, path: &Path, value: &Value) -> Result<(), DestinationError> {
        let bytes = format!("{value:#}\n").into_bytes();
        let put = self.place.store.put(path, PutPayload::from(bytes)).await;
        put.map(|_| ()).map_err(|error| self.failed(&format!("write {path}"), &error))
    }
}

fn columns_json(run: &Run) -> Value {
    let mut columns = vec![json!({"name": run.key, "type": "text"})];
    columns.extend(run.attributes.iter().map(|column| json!(column)));
    Value::Array(columns)
}

/// One set, as CSV and as Parquet, in temporary files.
struct TableFiles {
    csv: csv::Writer<File>,
    parquet: ArrowWriter<File>,
    schema: SchemaRef,
    names: Vec<String>,
    /// Values as text, a column each; cast to their types when they are written.
    columns: Vec<StringBuilder>,
    waiting: usize,
    rows: u64,
}

impl TableFiles {
    fn new(run: &Run) -> Result<Self, SegmentError> {
        let mut fields = vec![Field::new(&run.key, DataType::Utf8, false)];
        let mut names = Vec::new();
        for column in &run.attributes {
            fields.push(Field::new(&column.name, arrow_type(column.kind), true));
            names.push(column.name.clone());
        }
        let schema = Arc::new(Schema::new(fields));
        let level = ZstdLevel::try_new(1).map_err(std::io::Error::other)?;
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let file = tempfile::tempfile()?;
        let parquet = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .map_err(std::io::Error::other)?;
        let mut csv = csv::Writer::from_writer(tempfile::tempfile()?);
        csv.write_record(schema.fields().iter().map(|field| field.name()))
            .map_err(std::io::Error::other)?;
        let columns = schema.fields().iter().map(|_| StringBuilder::new()).collect();
        Ok(Self { csv, parquet, schema, names, columns, waiting: 0, rows: 0 })
    }

    fn push(&mut self, key: &str, attributes: &str) -> Result<(), SegmentError> {
        let values: Map<String, Value> =
            serde_json::from_str(attributes).map_err(std::io::Error::other)?;
        let mut record = vec![key.to_owned()];
        self.columns[0].append_value(key);
        for (name, column) in self.names.iter().zip(&mut self.columns[1..]) {
            let text = match values.get(name) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
            };
            column.append_option(text.as_deref());
            record.push(text.unwrap_or_default());
        }
        self.csv.write_record(&record).map_err(std::io::Error::other)?;
        self.waiting += 1;
        self.rows += 1;
        if self.waiting == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SegmentError> {
        self.waiting = 0;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (builder, field) in self.columns.iter_mut().zip(self.schema.fields()) {
            let text: ArrayRef = Arc::new(builder.finish());
            let options = CastOptions { safe: false, ..CastOptions::default() };
            let typed = cast_with_options(&text, field.data_type(), &options);
            columns.push(typed.map_err(std::io::Error::other)?);
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(std::io::Error::other)?;
        Ok(self.parquet.write(&batch).map_err(std::io::Error::other)?)
    }

    fn finish(mut self) -> Result<(File, File), SegmentError> {
        self.flush()?;
        let csv =
            self.csv.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?;
        let parquet = self.parquet.into_inner().map_err(std::io::Error::other)?;
        Ok((csv, parquet))
    }
}

fn arrow_type(kind: AttributeKind) -> DataType {
    match kind {
        AttributeKind::Text => DataType::Utf8,
        AttributeKind::Boolean => DataType::Boolean,
        AttributeKind::Integer => DataType::Int64,
        AttributeKind::Number => DataType::Float64,
        AttributeKind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        AttributeKind::Date => DataType::Date32,
    }
}
