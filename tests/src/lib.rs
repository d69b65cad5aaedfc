//! What the end-to-end tests drive the real binary with: the binary itself, independent Python
//! readers of the lake, and an independent S3.
//!
//! Nothing here links against the crates under test; they are seen as a user sees them.

mod binary;
mod python;
mod s3;

pub use binary::{Hearback, Outcome};
pub use python::python;
pub use s3::S3Server;
