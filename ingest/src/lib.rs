//! From sources to the lake: what is read, how far it was read, and how it is committed.
//!
//! - [`archive`] keeps what was read from a stream in a second place.
//! - [`aws`] opens the stores that locations name.
//! - [`causes`] puts errors in words.
//! - [`lambda`] is what the Lambda function does.
//! - [`lake`] owns the Delta tables: commit protocol, dedupe, snapshots.
//! - [`pipeline`] reads what the user names, decodes it on all cores and commits it: [`run`].
//! - [`stream`] does the same for a Kinesis stream, for as long as it runs: [`run_stream`](stream::run_stream).
//! - [`simulate`] writes traffic that looks like a real sender's.

pub mod archive;
pub mod aws;
pub mod causes;
pub mod lake;
pub mod lambda;
pub mod pipeline;
pub mod simulate;
pub mod stream;

mod cancel;
mod durable;
mod source;

pub use cancel::CancelFlag;
pub use pipeline::{
    Clock, IngestError, IngestReport, IngestRequest, IngestSettings, IngestSummary, NoProgress,
    Progress, SoFar, run,
};
pub use source::{ObjectFailure, SourceError, SourceSpec};
