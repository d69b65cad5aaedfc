//! What the end-to-end tests drive the real binary with: the binary itself, independent Python
//! readers of the lake, an independent S3, an AWS of one's own, and a stand-in for the Lambda service.
//!
//! Nothing here links against the crates under test; they are seen as a user sees them.

mod binary;
mod cache;
mod fakecloud;
mod kinesis;
mod kpl;
mod lambda;
mod loopback;
mod python;
mod running;
mod s3;
pub mod ses_list;
mod stand_in;
mod stream;
mod two_regions;

pub use binary::{Hearback, Outcome};
pub use fakecloud::FakeCloud;
pub use kinesis::KinesisStandIn;
pub use kpl::{aggregate, hash_key};
pub use lambda::{Invoked, LambdaFunction};
pub use python::python;
pub use running::Running;
pub use s3::S3Server;
pub use stand_in::StandIn;
pub use stream::{DataStream, Record};
pub use two_regions::TwoRegions;
