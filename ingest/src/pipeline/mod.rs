//! From sources to committed rows: responsible for reading everything the user named, decoding it
//! on all cores, and committing rows together with the objects they came from.
//!
//! One thread lists, worker threads read, decompress and decode chunks, and the task that called
//! [`run()`] takes what they decoded in the order of the listing and stages it in the lake's writer.
//!
//! Invariants:
//! - The result is the same with any number of threads.
//! - Bytes that cannot be understood are handed to `rejects` exactly once for each reading.
//! - An object is marked as read in the commit that has its last rows, or never.
//!
//! Memory does not depend on the size of the input. With `t` threads and chunks of `c` bytes, at most
//! `t` chunks are being decoded and the rows of `2 (t + 2)` wait for their turn; the rest is what the
//! writer stages (`flush_bytes`). A record longer than a chunk may take 64 MiB in each of these.

mod buffer;
mod chunk;
mod error;
mod intake;
mod lister;
mod order;
mod progress;
mod reading;
mod report;
mod run;
mod settings;
mod worker;

pub use error::IngestError;
pub use progress::{NoProgress, Progress, SoFar};
pub use report::{IngestReport, IngestSummary};
pub use run::{Clock, IngestRequest, run};
pub use settings::IngestSettings;

pub(crate) use report::Uncommitted;

#[cfg(test)]
mod tests;
