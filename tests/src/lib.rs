//! What the end-to-end tests drive the real binary with: the binary itself, independent Python
//! readers of the lake, an independent S3, and an AWS of one's own.
//!
//! Nothing here links against the crates under test; they are seen as a user sees them.

mod binary;
mod cache;
mod fakecloud;
mod kpl;
mod loopback;
mod python;
mod s3;
mod stream;

pub use binary::{Hearback, Outcome};
pub use fakecloud::FakeCloud;
pub use kpl::{aggregate, hash_key};
pub use python::python;
pub use s3::S3Server;
pub use stream::{DataStream, Record};
