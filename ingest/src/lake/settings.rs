//! How a writer stages and encodes rows. The defaults are right for two cores and a gigabyte of memory.

/// Bounds and choices of a [`LakeWriter`](super::LakeWriter).
///
/// The memory of a writer is at most the sum of `staged_bytes`, `open_bytes`, `dedupe_memory`, one
/// batch, and 40 bytes for each row staged since the last commit (its identity).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteSettings {
    /// Memory for identities of committed rows, in bytes. A day whose identities do not fit is
    /// compared with its files at every commit instead: as exact, but slower.
    pub dedupe_memory: usize,
    /// Rows that are not encoded yet, in bytes of Arrow memory. When half of it waits, the rows of large
    /// partitions are encoded, and the other half is for those that come meanwhile.
    /// Rows of rare types wait until their file ends, as long as they are no more than an eighth of it.
    pub staged_bytes: usize,
    /// Files being encoded, in bytes; beyond it the largest are closed and uploaded early. What they leave
    /// is for rows of small partitions that wait on.
    pub open_bytes: usize,
    /// Rows in a row group of a data file.
    pub row_group_rows: usize,
    /// Zstandard level of the data files, 1 to 22.
    pub compression_level: i32,
    /// Threads that encode columns.
    pub encode_threads: usize,
    /// A checkpoint of the table's log is written every so many versions.
    pub checkpoint_every: u64,
}

impl Default for WriteSettings {
    fn default() -> Self {
        Self {
            dedupe_memory: 256 << 20,
            staged_bytes: 48 << 20,
            open_bytes: 192 << 20,
            row_group_rows: 1 << 18,
            compression_level: 1,
            encode_threads: std::thread::available_parallelism().map_or(2, usize::from),
            checkpoint_every: 100,
        }
    }
}
