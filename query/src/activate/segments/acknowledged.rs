//! What a destination has acknowledged: the state that the next plan is compared with.
//!
//! Beside the tables, under `_hearback/segments/<segment>/<destination>/`, lie generations: a manifest
//! `<number>.json` and the members it speaks of, `<number>-<plan>.parquet` (member, attributes; in the
//! order of the members' bytes). The newest generation, and the changes that `segment_ledger` has with
//! its number in `state_version`, are together what the destination acknowledged: an application writes
//! the ledger as it goes and a new generation at its end, so one that was interrupted loses nothing.
//! `<number>-<plan>-declined.parquet` has the people who opted out at the destination itself.
//! The ledger stays the audit; no row of it is needed any more once a newer generation is there.
//!
//! Invariants: a manifest is created only if it is not there yet, so of two writers of one generation
//! one is told; a manifest is written after the members it speaks of.

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use futures::TryStreamExt;
use hearback_ingest::lake::Lake;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use super::change::{Action, Change, Changes, ChangesReader};
use super::definition::DestinationSpec;
use super::error::SegmentError;
use super::members::{AttributeColumn, Member};

/// Where states lie, from the root of the lake.
pub const STATES: &str = "_hearback/segments";

/// Rows of a batch that is written or read at once.
const BATCH: usize = 8192;

/// A generation of what a destination acknowledged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Number, from 1.
    pub number: u64,
    /// Name of the segment.
    pub segment: String,
    /// The destination.
    pub destination: DestinationSpec,
    /// Column that identifies a member.
    pub key: String,
    /// Columns that go along with a member.
    pub attributes: Vec<AttributeColumn>,
    /// The plan that led to it.
    pub plan_id: String,
    /// Version of `events` that the plan was made on.
    pub lake_version: Option<u64>,
    /// When it was acknowledged, RFC 3339.
    pub applied_time: String,
    /// Since when the longest acknowledged member is at the destination without being refreshed.
    pub refreshed_time: String,
    /// Members.
    pub members: u64,
    /// Members added.
    pub add: u64,
    /// Members changed.
    pub change: u64,
    /// Members removed.
    pub remove: u64,
    /// Changes that the destination refused or that were not tried: a next application has them.
    pub failed: u64,
    /// Members that were left out because they became unreachable after the plan was made.
    pub skipped: u64,
    /// People who opted out at the destination itself, now or before: they are not offered again.
    #[serde(default)]
    pub declined: u64,
    /// The file of the members, beside the manifest.
    pub file: String,
}

impl Generation {
    /// The file of those who declined, if there are any.
    fn declined_file(&self) -> Option<String> {
        let stem = self.file.strip_suffix(".parquet").unwrap_or(&self.file);
        (self.declined > 0).then(|| format!("{stem}-declined.parquet"))
    }
}

/// The states of one segment at one destination.
#[derive(Clone, Debug)]
pub struct States {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) folder: Path,
}

impl States {
    /// Those of a segment at a destination.
    #[must_use]
    pub fn of(lake: &Lake, segment: &str, destination: &DestinationSpec) -> Self {
        let mut folder = root(lake);
        folder.extend(
            [segment.to_owned(), destination.folder()].map(object_store::path::PathPart::from),
        );
        Self { store: Arc::clone(&lake.place().store), folder }
    }

    /// Every segment and destination that has a state in this lake, defined or not.
    ///
    /// # Errors
    /// If the store cannot be listed.
    pub async fn all(lake: &Lake) -> Result<Vec<Generation>, SegmentError> {
        let store = Arc::clone(&lake.place().store);
        let failed = |error: object_store::Error| SegmentError::store("list the segments", &error);
        let segments = store.list_with_delimiter(Some(&root(lake))).await.map_err(failed)?;
        let mut newest = Vec::new();
        for segment in segments.common_prefixes {
            let destinations = store.list_with_delimiter(Some(&segment)).await.map_err(failed)?;
            for folder in destinations.common_prefixes {
                let states = Self { store: Arc::clone(&store), folder };
                newest.extend(states.newest().await?);
            }
        }
        Ok(newest)
    }

    /// The newest generation.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn newest(&self) -> Result<Option<Generation>, SegmentError> {
        match self.numbers().await?.last() {
            Some(number) => self.generation(*number).await.map(Some),
            None => Ok(None),
        }
    }

    /// The newest generations, the newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn history(&self, most: usize) -> Result<Vec<Generation>, SegmentError> {
        let mut history = Vec::new();
        for number in self.numbers().await?.iter().rev().take(most) {
            history.push(self.generation(*number).await?);
        }
        Ok(history)
    }

    /// The members of a generation, with what was acknowledged since laid over them.
    ///
    /// # Errors
    /// If the members cannot be read.
    pub async fn members(
        &self,
        generation: Option<&Generation>,
        since: Option<&mut Changes>,
    ) -> Result<StateReader, SegmentError> {
        let base = match generation {
            None => None,
            Some(generation) => Some(self.file(&generation.file).await?),
        };
        let over = since.map(Changes::read).transpose()?;
        StateReader::new(base, over)
    }

    /// Those who opted out at the destination itself.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn declined(
        &self,
        generation: Option<&Generation>,
    ) -> Result<StateReader, SegmentError> {
        let base = match generation.and_then(Generation::declined_file) {
            None => None,
            Some(file) => Some(self.file(&file).await?),
        };
        StateReader::new(base, None)
    }

    async fn file(&self, name: &str) -> Result<BaseReader, SegmentError> {
        let path = self.folder.clone().join(name);
        let action = || format!("read {path}");
        let found = self.store.get(&path).await;
        let found = found.map_err(|error| SegmentError::store(action(), &error))?;
        let bytes = found.bytes().await;
        let bytes = bytes.map_err(|error| SegmentError::store(action(), &error))?;
        BaseReader::of(bytes, path)
    }

    /// Makes the next generation visible: its members and who declined first, then its manifest. False
    /// if somebody else made it.
    ///
    /// # Errors
    /// If the store does not take them.
    pub async fn publish(
        &self,
        generation: &Generation,
        members: &mut File,
        declined: Option<&mut File>,
    ) -> Result<bool, SegmentError> {
        self.put_file(&generation.file, members).await?;
        if let (Some(name), Some(declined)) = (generation.declined_file(), declined) {
            self.put_file(&name, declined).await?;
        }
        let text = serde_json::to_vec_pretty(generation)
            .map_err(|error| SegmentError::damaged("write the state", error))?;
        let created = self.create(&self.manifest_path(generation.number), text.clone()).await?;
        if !created {
            // The answer to our own first try may have been lost.
            let there = self.generation(generation.number).await?;
            return Ok(there == *generation);
        }
        self.forget_members_before(generation.number).await;
        Ok(true)
    }

    async fn put_file(&self, name: &str, file: &mut File) -> Result<(), SegmentError> {
        let path = self.folder.clone().join(name);
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        let put = self.store.put(&path, PutPayload::from(bytes)).await;
        put.map(|_| ()).map_err(|error| SegmentError::store(format!("write {path}"), &error))
    }

    /// Creates an object if it is not there yet; false if it is.
    pub(super) async fn create(&self, path: &Path, bytes: Vec<u8>) -> Result<bool, SegmentError> {
        let options = PutOptions { mode: PutMode::Create, ..Default::default() };
        match self.store.put_opts(path, bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(SegmentError::store(format!("write {path}"), &error)),
        }
    }

    /// The members of the generation before the last are kept, for whoever is reading them.
    async fn forget_members_before(&self, number: u64) {
        let mut found = self.store.list(Some(&self.folder));
        while let Ok(Some(object)) = found.try_next().await {
            let name = object.location.filename().unwrap_or_default();
            let Some((digits, _)) = name.split_once('-') else { continue };
            let Ok(of) = digits.parse::<u64>() else { continue };
            if of + 1 < number && name.ends_with(".parquet") {
                // What stays behind is in nobody's way.
                let _ = self.store.delete(&object.location).await;
            }
        }
    }

    /// The numbers of the generations, in their order.
    async fn numbers(&self) -> Result<Vec<u64>, SegmentError> {
        let action = || format!("list {}", self.folder);
        let found = self.store.list_with_delimiter(Some(&self.folder)).await;
        let found = found.map_err(|error| SegmentError::store(action(), &error))?;
        let mut numbers: Vec<u64> = Vec::new();
        for object in found.objects {
            let name = object.location.filename().unwrap_or_default();
            if let Some(digits) = name.strip_suffix(".json")
                && digits.len() == 20
                && let Ok(number) = digits.parse()
            {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    async fn generation(&self, number: u64) -> Result<Generation, SegmentError> {
        let path = self.manifest_path(number);
        let action = || format!("read {path}");
        let found = self.store.get(&path).await;
        let found = found.map_err(|error| SegmentError::store(action(), &error))?;
        let bytes = found.bytes().await;
        let bytes = bytes.map_err(|error| SegmentError::store(action(), &error))?;
        serde_json::from_slice(&bytes).map_err(|error| SegmentError::damaged(action(), error))
    }

    fn manifest_path(&self, number: u64) -> Path {
        self.folder.clone().join(format!("{number:020}.json"))
    }
}

fn root(lake: &Lake) -> Path {
    let mut root = lake.place().prefix.clone();
    root.extend(STATES.split('/').map(object_store::path::PathPart::from));
    root
}

/// Reads the members that a [`StateWriter`] wrote.
///
/// # Errors
/// If the file cannot be read.
pub fn read_members(file: &mut File) -> Result<StateReader, SegmentError> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    let base = BaseReader::of(Bytes::from(bytes), Path::from("members"))?;
    StateReader::new(Some(base), None)
}

/// Members of a state in the order of their keys.
#[derive(Debug)]
pub struct StateReader {
    base: Option<BaseReader>,
    over: Option<ChangesReader>,
    next_base: Option<Member>,
    next_over: Option<Change>,
}

impl StateReader {
    fn new(base: Option<BaseReader>, over: Option<ChangesReader>) -> Result<Self, SegmentError> {
        let mut reader = Self { base, over, next_base: None, next_over: None };
        reader.next_base = reader.read_base()?;
        reader.next_over = reader.read_over()?;
        Ok(reader)
    }

    /// The next member; None after the last.
    ///
    /// # Errors
    /// If the state is damaged.
    pub fn read(&mut self) -> Result<Option<Member>, SegmentError> {
        loop {
            let before = match (&self.next_base, &self.next_over) {
                (None, None) => return Ok(None),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(base), Some(over)) => base.key.as_bytes().cmp(over.member.as_bytes()),
            };
            if before == std::cmp::Ordering::Less {
                let next = self.read_base()?;
                return Ok(std::mem::replace(&mut self.next_base, next));
            }
            if before == std::cmp::Ordering::Equal {
                self.next_base = self.read_base()?;
            }
            let next = self.read_over()?;
            let Some(change) = std::mem::replace(&mut self.next_over, next) else { continue };
            if change.action != Action::Remove {
                return Ok(Some(Member { key: change.member, attributes: change.attributes }));
            }
        }
    }

    fn read_base(&mut self) -> Result<Option<Member>, SegmentError> {
        match &mut self.base {
            Some(base) => base.next(),
            None => Ok(None),
        }
    }

    fn read_over(&mut self) -> Result<Option<Change>, SegmentError> {
        let next = self.over.as_mut().and_then(Iterator::next);
        Ok(next.transpose()?)
    }
}

/// The members of a generation's file.
struct BaseReader {
    batches: ParquetRecordBatchReader,
    keys: StringArray,
    attributes: StringArray,
    row: usize,
    path: Path,
}

impl std::fmt::Debug for BaseReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BaseReader").field("path", &self.path).finish_non_exhaustive()
    }
}

impl BaseReader {
    fn of(bytes: Bytes, path: Path) -> Result<Self, SegmentError> {
        let damaged = |error| SegmentError::damaged(format!("read {path}"), error);
        let batches = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .and_then(|builder| builder.with_batch_size(BATCH).build())
            .map_err(damaged)?;
        let none = StringArray::from(Vec::<&str>::new());
        Ok(Self { batches, keys: none.clone(), attributes: none, row: 0, path })
    }

    fn next(&mut self) -> Result<Option<Member>, SegmentError> {
        while self.row >= self.keys.len() {
            let Some(batch) = self.batches.next() else { return Ok(None) };
            let damaged =
                |reason: String| SegmentError::damaged(format!("read {}", self.path), reason);
            let batch = batch.map_err(|error| damaged(error.to_string()))?;
            let text =
                |column: usize| batch.columns().get(column).and_then(|c| c.as_string_opt::<i32>());
            let (Some(keys), Some(attributes)) = (text(0), text(1)) else {
                return Err(damaged("it is no list of members".to_owned()));
            };
            (self.keys, self.attributes, self.row) = (keys.clone(), attributes.clone(), 0);
        }
        let row = self.row;
        self.row += 1;
        Ok(Some(Member {
            key: self.keys.value(row).to_owned(),
            attributes: self.attributes.value(row).to_owned(),
        }))
    }
}

/// Writes the members of a generation into a temporary file.
pub struct StateWriter {
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    keys: StringBuilder,
    attributes: StringBuilder,
    waiting: usize,
    members: u64,
}

impl std::fmt::Debug for StateWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateWriter").field("members", &self.members).finish_non_exhaustive()
    }
}

impl StateWriter {
    /// Begins.
    ///
    /// # Errors
    /// If no temporary file can be made.
    pub fn new() -> Result<Self, SegmentError> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("member", DataType::Utf8, false),
            Field::new("attributes", DataType::Utf8, false),
        ]));
        let level = ZstdLevel::try_new(1).map_err(std::io::Error::other)?;
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let file = tempfile::tempfile()?;
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .map_err(std::io::Error::other)?;
        Ok(Self {
            writer,
            schema,
            keys: StringBuilder::new(),
            attributes: StringBuilder::new(),
            waiting: 0,
            members: 0,
        })
    }

    /// Adds a member, in the order of the keys.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn push(&mut self, key: &str, attributes: &str) -> Result<(), SegmentError> {
        self.keys.append_value(key);
        self.attributes.append_value(attributes);
        self.waiting += 1;
        self.members += 1;
        if self.waiting == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SegmentError> {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(self.keys.finish()), Arc::new(self.attributes.finish())];
        self.waiting = 0;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(std::io::Error::other)?;
        Ok(self.writer.write(&batch).map_err(std::io::Error::other)?)
    }

    /// Ends the file; returns it with the number of its members.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(mut self) -> Result<(File, u64), SegmentError> {
        self.flush()?;
        let file = self.writer.into_inner().map_err(std::io::Error::other)?;
        Ok((file, self.members))
    }
}
