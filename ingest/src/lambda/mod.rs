//! What the Lambda function `hearback-lambda` does with what AWS hands it: responsible for telling the
//! two kinds of events apart and for answering each in its documented shape.
//!
//! - [`StreamFunction`] commits batches of a Kinesis event source mapping to the lake and answers with
//!   the partial batch response of AWS's "Configuring partial batch response with Kinesis Data Streams
//!   and Lambda".
//! - [`TransformFunction`] turns the records of a Firehose into normalised rows and answers as AWS's
//!   "Transform source data in Amazon Data Firehose" prescribes.
//!
//! Invariants: a batch is answered as done only after the commit that has its rows; a record that
//! cannot be understood never fails a batch; no position of a stream is committed, because the event
//! source mapping keeps its own.
//!
//! Nothing here knows the Lambda Runtime API: that is the binary's, `bin/hearback-lambda.rs`.

mod event;
mod ndjson;
mod settings;
mod stream;
mod transform;

pub use event::{Answer, Event, Function, Invocation, InvocationFailure};
pub use settings::{LambdaSettings, SettingsError};
pub use stream::{StreamFunction, StreamFunctionError};
pub use transform::{TransformAnswer, TransformFunction, Transformed};
