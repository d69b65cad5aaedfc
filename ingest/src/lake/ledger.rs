//! The ledgers: what was changed outside, row by row, appended and never altered.
//!
//! Invariants: rows appended together become visible together or not at all; under a fence, they do so
//! only while nobody else has moved it.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, RecordBatch};
use hearback_schemas::{Frequency, Table};
use uuid::Uuid;

use super::Lake;
use super::commit::{Advance, Fence};
use super::error::LakeError;
use super::settings::WriteSettings;
use super::slices::Slice;
use super::staging::{Rows, Staging};

/// Appends rows to one ledger.
///
/// A ledger's first column is `change_id`, the 32 hex digits of the row's identity, and it has a column
/// `changed_time`. A row whose identity is there already, with a time less than an hour away, is left
/// out: so a batch that was appended, but whose success was not heard of, can be appended again.
///
/// With a fence, of two writers that hold the same one only the later begun goes on: the other's next
/// append fails with [`LakeError::Fenced`] and leaves nothing.
pub struct LedgerWriter {
    staging: Staging,
    fence: Option<Fence>,
    failed: bool,
}

impl LedgerWriter {
    /// Begins at the ledger's newest version. `fence` names what only one writer may do at a time, such
    /// as `segments/engaged-30d`; `run` is a new random identity every time, from which the names of
    /// files are made. Nothing is written before the first [`append`](Self::append) or
    /// [`claim`](Self::claim).
    ///
    /// # Errors
    ///
    /// As [`Lake::snapshot`].
    pub async fn begin(
        lake: &Lake,
        table: &'static Table,
        settings: WriteSettings,
        fence: Option<&str>,
        run: Uuid,
    ) -> Result<Self, LakeError> {
        let log = lake.log(table)?;
        let applications: Vec<&str> = fence.into_iter().collect();
        let snapshot = log.load(&applications).await?;
        snapshot.check_writable()?;
        let fence =
            fence.map(|name| Fence { name: name.to_owned(), held: snapshot.transaction(name) });
        let memory = settings.dedupe_memory;
        let staging = Staging::new(log, snapshot, settings, memory, run);
        Ok(Self { staging, fence, failed: false })
    }

    /// Moves the fence, so that whoever held it before is shut out from now on. Without a fence there
    /// is nothing to do.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub async fn claim(&mut self, now_us: i64) -> Result<(), LakeError> {
        if self.fence.is_none() {
            return Ok(());
        }
        self.commit(now_us).await.map(|_| ())
    }

    /// Appends rows in one version; `now_us` is the time of the commit, in microseconds since
    /// 1970-01-01T00:00:00Z. Returns how many rows were added; the others were there already.
    ///
    /// # Errors
    ///
    /// [`LakeError::Fenced`] if another writer moved the fence, [`LakeError::Invalid`] if the batch does
    /// not have the table's schema or an identity is none; else as the store fails. After an error the
    /// writer takes no more.
    pub async fn append(&mut self, batch: RecordBatch, now_us: i64) -> Result<u64, LakeError> {
        if batch.num_rows() == 0 {
            return Ok(0);
        }
        if self.failed {
            return Err(LakeError::invalid("the writer has failed before and takes no more"));
        }
        let table = self.staging.log.table;
        if batch.schema() != table.file_schema() {
            return Err(LakeError::invalid(format!("the rows are not rows of {}", table.name)));
        }
        let ids = identities(&batch)?;
        let times = times(&batch);
        self.failed = true;
        let slice = Slice::whole(batch);
        self.staging
            .stage(Rows { partition: None, frequency: Frequency::Common, ids: &ids, times, slice })
            .await?;
        self.failed = false;
        self.commit(now_us).await
    }

    async fn commit(&mut self, now_us: i64) -> Result<u64, LakeError> {
        if self.failed {
            return Err(LakeError::invalid("the writer has failed before and takes no more"));
        }
        self.failed = true;
        let committed =
            self.staging.commit(now_us, self.fence.as_mut().map(Advance::Fence)).await?;
        self.failed = false;
        Ok(committed.rows)
    }

    /// Version of the ledger as of the last commit of this writer, or as it began; None if the ledger
    /// does not exist yet.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.staging.snapshot.version
    }
}

fn identities(batch: &RecordBatch) -> Result<Vec<u128>, LakeError> {
    let column = batch.column(0);
    let column = column
        .as_string_opt::<i32>()
        .ok_or_else(|| LakeError::invalid("the first column is no text"))?;
    column
        .iter()
        .map(|id| {
            id.filter(|id| id.len() == 32)
                .and_then(|id| u128::from_str_radix(id, 16).ok())
                .ok_or_else(|| LakeError::invalid("a change_id is not 32 hex digits"))
        })
        .collect()
}

/// Earliest and latest `changed_time` of the rows.
fn times(batch: &RecordBatch) -> (i64, i64) {
    let everything = (i64::MIN, i64::MAX);
    let Some(column) = batch.column_by_name("changed_time") else { return everything };
    let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() else {
        return everything;
    };
    if times.null_count() > 0 {
        return everything;
    }
    let least = times.values().iter().min();
    let most = times.values().iter().max();
    least.zip(most).map_or(everything, |(least, most)| (*least, *most))
}

impl std::fmt::Debug for LedgerWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerWriter")
            .field("ledger", &self.staging.log.table.name)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}
