//! The one way in which rows enter the lake.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{Schema, SchemaRef};
use hearback_schemas::{EVENTS, Frequency, REJECTS};
use hearback_transform::{Decoded, decoded_schema};
use tracing::Instrument;
use uuid::Uuid;

use super::commit::Advance;
use super::error::LakeError;
use super::log::TableLog;
use super::positions::{
    ObjectId, ObjectPositions, PositionDelta, Positions, ShardPositions, StreamState,
};
use super::rejects::{Occurrences, reject_rows};
use super::settings::WriteSettings;
use super::slices::Slice;
use super::staging::{Rows, Staging};
use super::{Lake, TableSnapshot};

/// Share of the memory for identities that `rejects` gets, as one part in so many.
const REJECTS_SHARE: usize = 8;

/// Where staged rows were read, and when.
#[derive(Clone, Copy, Debug)]
pub struct Provenance<'a> {
    /// As in the column `source_name`, and as in [`ObjectId::name`].
    pub source_name: &'a str,
    /// As in the column `source_shard`. Rejects of a shard are told apart by their place in it, those
    /// of an object by their bytes and how often these have come.
    pub source_shard: Option<&'a str>,
    /// Time for the column `ingest_time`, in microseconds since 1970-01-01T00:00:00Z.
    pub now_us: i64,
}

/// How much is staged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    /// Rows, of all tables.
    pub rows: u64,
    /// Their size in memory and in files uploaded ahead, in bytes.
    pub bytes: u64,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Rows added to `events`.
    pub events: u64,
    /// Rows left out since the last commit, because the same event is in `events` or came twice.
    pub duplicates: u64,
    /// Rows added to `rejects`. Garbage that was kept before is not among them.
    pub rejected: u64,
    /// Version of `events`; None if nothing had to be committed to it.
    pub version: Option<u64>,
}

/// Adds rows to a lake: stage, stage, commit; then again. Any number of writers, in any number of
/// processes, may be at work on one lake.
///
/// Dropping a writer drops what it staged. After an error, or when a call was abandoned before it was
/// done, it takes no more: what it staged may be half uploaded, so it is dropped, and a new one begins
/// where the last commit ended.
pub struct LakeWriter {
    events: Staging,
    rejects: Staging,
    positions: Positions,
    stream: String,
    occurrences: Occurrences,
    columns: ColumnOrder,
    failed: bool,
}

impl LakeWriter {
    /// Begins at the last commit, to read objects.
    ///
    /// `stream` names the positions that this writer continues: a name that stays the same from run to
    /// run. `run` is the identity of this writer, from which the names of its files are made: a new
    /// random one every time.
    ///
    /// # Errors
    ///
    /// As [`Lake::snapshot`]; [`LakeError::Damaged`] if the log points at positions that are missing.
    pub async fn begin(
        lake: &Lake,
        settings: WriteSettings,
        stream: &str,
        run: Uuid,
    ) -> Result<Self, LakeError> {
        let tables = Tables::load(lake, stream).await?;
        let positions = ObjectPositions::load(lake.place(), stream, tables.epoch).await?;
        Ok(Self::over(tables, Positions::Objects(positions), settings, stream, run))
    }

    /// Begins at the last commit, to read the Kinesis stream whose positions have this name
    /// ([`StreamIdentity::positions_name`](super::StreamIdentity::positions_name)).
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin).
    pub async fn begin_stream(
        lake: &Lake,
        settings: WriteSettings,
        stream: &str,
        run: Uuid,
    ) -> Result<Self, LakeError> {
        let tables = Tables::load(lake, stream).await?;
        let positions = ShardPositions::load(lake.place(), stream, tables.epoch).await?;
        Ok(Self::over(tables, Positions::Shards(Box::new(positions)), settings, stream, run))
    }

    fn over(
        tables: Tables,
        positions: Positions,
        settings: WriteSettings,
        stream: &str,
        run: Uuid,
    ) -> Self {
        let Tables { events_log, events, rejects_log, rejects, .. } = tables;
        let for_rejects = settings.dedupe_memory / REJECTS_SHARE;
        let for_events = settings.dedupe_memory - for_rejects;
        Self {
            events: Staging::new(events_log, events, settings.clone(), for_events, run),
            rejects: Staging::new(rejects_log, rejects, settings, for_rejects, run),
            positions,
            stream: stream.to_owned(),
            occurrences: Occurrences::default(),
            columns: ColumnOrder::new(),
            failed: false,
        }
    }

    /// Whether an object was read to its end by an earlier commit of this stream.
    #[must_use]
    pub fn already_read(&self, object: &ObjectId) -> bool {
        match &self.positions {
            Positions::Objects(objects) => objects.contains(object),
            Positions::Shards(_) => false,
        }
    }

    /// The committed epoch and positions of the Kinesis stream that this writer continues; None if
    /// nothing was committed yet, or if it reads objects.
    #[must_use]
    pub fn stream_state(&self) -> Option<(i64, &StreamState)> {
        match &self.positions {
            Positions::Objects(_) => None,
            Positions::Shards(shards) => shards.epoch().map(|epoch| (epoch, shards.state())),
        }
    }

    /// Stages what was decoded. Rows whose event is known already are counted and left out.
    ///
    /// # Errors
    ///
    /// [`LakeError::Unavailable`] or [`LakeError::Full`] if the store fails.
    pub async fn stage(
        &mut self,
        decoded: Decoded,
        origin: Provenance<'_>,
    ) -> Result<(), LakeError> {
        self.begin_change()?;
        self.try_stage(decoded, origin).await?;
        self.failed = false;
        Ok(())
    }

    async fn try_stage(
        &mut self,
        decoded: Decoded,
        origin: Provenance<'_>,
    ) -> Result<(), LakeError> {
        let mut common = Vec::new();
        let mut rare = Vec::new();
        let mut places = Vec::with_capacity(decoded.partitions.len());
        let mut last: Option<&Arc<RecordBatch>> = None;
        for partition in &decoded.partitions {
            if !last.is_some_and(|last| Arc::ptr_eq(last, &partition.batch)) {
                let batch = self.columns.with_ingest_time(&partition.batch, origin.now_us)?;
                match partition.frequency {
                    Frequency::Common => common.push(batch),
                    Frequency::Rare => rare.push(Slice::alone(&batch)?),
                }
                last = Some(&partition.batch);
            }
            places.push(match partition.frequency {
                Frequency::Common => common.len() - 1,
                Frequency::Rare => rare.len() - 1,
            });
        }
        let common = Slice::all(common)?;
        for (partition, place) in decoded.partitions.iter().zip(places) {
            let slice = match partition.frequency {
                Frequency::Common => &common[place],
                Frequency::Rare => &rare[place],
            };
            let slice = slice.part(partition.first_row, partition.event_ids.len());
            let slice = slice.ok_or_else(|| {
                LakeError::invalid("decoded rows and their identities differ in number")
            })?;
            let rows = Rows {
                partition: Some(partition.event_date),
                frequency: partition.frequency,
                ids: &partition.event_ids,
                times: partition.event_times,
                slice,
            };
            self.events.stage(rows).await?;
        }
        if decoded.rejects.is_empty() {
            return Ok(());
        }
        let rows = reject_rows(
            &decoded.rejects,
            origin.source_name,
            origin.source_shard,
            origin.now_us,
            &mut self.occurrences,
        )?;
        for rows in rows {
            let rows = Rows {
                partition: None,
                frequency: Frequency::Common,
                ids: &rows.ids,
                times: (i64::MIN, i64::MAX),
                slice: Slice::whole(rows.batch),
            };
            self.rejects.stage(rows).await?;
        }
        Ok(())
    }

    /// How much is staged since the last commit.
    #[must_use]
    pub fn staged(&self) -> Staged {
        Staged {
            rows: self.events.rows() + self.rejects.rows(),
            bytes: self.events.bytes() + self.rejects.bytes(),
        }
    }

    /// Commits what is staged, and with it the positions: rejects first, then events and positions in
    /// one version. Killed in between, the rejects are there and the next run recognises them.
    ///
    /// # Errors
    ///
    /// [`LakeError::Unavailable`] or [`LakeError::Full`] if the store fails, [`LakeError::Contended`]
    /// if other writers are faster all the time, [`LakeError::Fenced`] if another writer moved a
    /// Kinesis stream on. Then nothing of the events is visible.
    pub async fn commit(
        &mut self,
        delta: PositionDelta,
        now_us: i64,
    ) -> Result<Committed, LakeError> {
        self.begin_change()?;
        let Staged { rows, bytes } = self.staged();
        let span = tracing::info_span!("commit", stream = %self.stream, rows, bytes);
        let committed = self.try_commit(&delta, now_us).instrument(span).await?;
        self.failed = false;
        Ok(committed)
    }

    async fn try_commit(
        &mut self,
        delta: &PositionDelta,
        now_us: i64,
    ) -> Result<Committed, LakeError> {
        let rejects = self.rejects.commit(now_us, None).await?;
        let advance = (!delta.is_empty()).then_some(Advance::Stream {
            stream: &self.stream,
            positions: &mut self.positions,
            delta,
        });
        let events = self.events.commit(now_us, advance).await?;
        if let PositionDelta::Objects(objects) = delta {
            for object in objects {
                self.occurrences.source_ended(&object.name);
            }
        }
        Ok(Committed {
            events: events.rows,
            duplicates: events.duplicates,
            rejected: rejects.rows,
            version: events.version,
        })
    }

    /// `events` as of the last commit of this writer, or what it saw since.
    #[must_use]
    pub fn events(&self) -> &TableSnapshot {
        &self.events.snapshot
    }

    /// Counts as failed until the change is complete, so that a change that is abandoned half-way (its
    /// future dropped) does as well.
    fn begin_change(&mut self) -> Result<(), LakeError> {
        if self.failed {
            return Err(LakeError::invalid("the writer has failed before and takes no more"));
        }
        self.failed = true;
        Ok(())
    }
}

/// The tables that a writer adds to, and the epoch of its stream.
struct Tables {
    events_log: TableLog,
    events: TableSnapshot,
    rejects_log: TableLog,
    rejects: TableSnapshot,
    epoch: Option<i64>,
}

impl Tables {
    async fn load(lake: &Lake, stream: &str) -> Result<Self, LakeError> {
        let events_log = lake.log(&EVENTS)?;
        let rejects_log = lake.log(&REJECTS)?;
        let events = events_log.load(&[stream]).await?;
        let rejects = rejects_log.load(&[]).await?;
        events.check_writable()?;
        rejects.check_writable()?;
        let epoch = events.transaction(stream);
        Ok(Self { events_log, events, rejects_log, rejects, epoch })
    }
}

impl std::fmt::Debug for LakeWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LakeWriter")
            .field("stream", &self.stream)
            .field("staged", &self.staged())
            .finish_non_exhaustive()
    }
}

/// Puts the columns of decoded rows, and `ingest_time`, into the order of the data files.
struct ColumnOrder {
    schema: SchemaRef,
    /// Index among the decoded columns; None for `ingest_time`.
    decoded: Vec<Option<usize>>,
    decoded_schema: SchemaRef,
}

impl ColumnOrder {
    fn new() -> Self {
        let decoded_schema = decoded_schema();
        let names: HashMap<&str, usize> = decoded_schema
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| (field.name().as_str(), index))
            .collect();
        let mut decoded = Vec::new();
        let mut fields = Vec::new();
        for field in EVENTS.file_schema().fields() {
            let index = names.get(field.name().as_str()).copied();
            decoded.push(index);
            fields.push(match index {
                Some(index) => Arc::clone(&decoded_schema.fields()[index]),
                None => Arc::clone(field),
            });
        }
        Self { decoded, schema: Arc::new(Schema::new(fields)), decoded_schema }
    }

    fn with_ingest_time(&self, batch: &RecordBatch, now_us: i64) -> Result<RecordBatch, LakeError> {
        if batch.schema_ref() != &self.decoded_schema {
            return Err(LakeError::invalid("decoded rows do not have the decoded schema"));
        }
        let ingest_time: ArrayRef = Arc::new(
            TimestampMicrosecondArray::from_value(now_us, batch.num_rows()).with_timezone("UTC"),
        );
        let columns = self
            .decoded
            .iter()
            .map(|index| match index {
                Some(index) => Arc::clone(batch.column(*index)),
                None => Arc::clone(&ingest_time),
            })
            .collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(LakeError::invalid)
    }
}
