//! End to end: the real binary, real files, independent readers and servers.

mod archive;
mod aws;
mod bad_input;
mod demo;
mod envelopes;
mod infra;
mod killed;
mod lambda;
mod other_engines;
mod other_readers;
mod refusals;
mod report;
mod s3;
mod segments;
mod stream;
mod suppression;
mod traffic;
mod watched;
