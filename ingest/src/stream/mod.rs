//! From a Kinesis stream to committed rows: responsible for reading every record of the stream once,
//! for months, whatever crashes, reshards, throttles or repeats.
//!
//! [`run_stream`] is the whole of it. It is given a [`StreamRequest`], Kinesis as a [`KinesisApi`]
//! ([`Kinesis`] is the real one), and a [`StreamObserver`] that is told what happens. It uses nothing
//! else of the world: time is tokio's (so that a test can pause it) and the request's clock, randomness
//! comes from the request's seed, the store from its lake. With [`DecodeOn::CallingTask`] it runs on a
//! runtime of one thread.
//!
//! | file | responsible for |
//! |---|---|
//! | `run` | where to begin, standing by, waiting out a lake that fails: sessions one after the other |
//! | `consume` | one session: what is read is decoded, kept safe, staged, committed with its positions |
//! | `work` | decoding and keeping safe, beside the session |
//! | `reader` | one shard: pace, backoff, iterators, subscriptions, gaps |
//! | `shard_tree` | which shards may be read: children after their parents |
//! | `start` | the positions to begin with or to go back to |
//! | `decode` | records to rows: aggregates, compression, documents |
//! | `owner` | the sign of life that lets other processes stand by |
//! | `kinesis`, `kinesis_error`, `stream_name` | the API on the AWS SDK, what its errors mean, how a stream is named |
//! | `put` | the other direction, for simulated traffic |
//!
//! Exactly once: positions are committed with the rows, in one Delta version
//! ([`lake`](crate::lake)), and a writer that finds its epoch moved is fenced: it drops what it has and
//! stands by. All state of a session is dropped with it, and read again from the committed positions;
//! there is no other way to go on after a failure.
//!
//! Memory: payloads in flight (`in_flight_bytes`, and twice that while they are decoded), and what the
//! writer stages. It does not depend on how much there is to read.

mod api;
mod consume;
mod decode;
mod kinesis;
mod kinesis_error;
mod observer;
mod owner;
mod pace;
mod put;
mod reader;
mod request;
mod run;
mod safekeeping;
mod shard_tree;
mod start;
mod stream_name;
mod work;

pub use api::{
    ApiError, ApiErrorKind, Distribution, KinesisApi, Page, Record, Shard, StreamDescription,
    Subscription,
};
pub use decode::{DecodedRecords, ShardRecords, decode_records};
pub(crate) use decode::{RecordOrigin, decode_data};
pub use kinesis::Kinesis;
pub use observer::{NoObserver, Retried, StreamEvent, StreamObserver};
pub use owner::ProcessIdentity;
pub use put::StreamWriter;
pub use request::{DecodeOn, Rewind, StartAt, StreamError, StreamRequest};
pub use run::run_stream;
pub use safekeeping::{KeepError, Safekeeping};
pub use stream_name::StreamName;

#[cfg(test)]
mod tests;
