//! Bytes → envelopes → events → Arrow batches; classification of bounces and actors; addresses.
//!
//! A [`Decoder`] is given a stretch of a source that ends at a document boundary ([`framing`] finds
//! them) and gives back rows for the `events` table, one batch per `event_date`, the documents that
//! could not be understood, byte for byte, and how many documents there were of each sort.
//!
//! This crate does no I/O and reads no clock: the time of reading comes in with [`DecodeOptions`].

mod batch;
mod decode;
mod envelope;
mod event;
mod extra;
mod identity;
mod memory;
mod messaging;
mod pinpoint;
mod recipients;
mod rows;
mod ses;
mod stream;
mod tags;

pub mod actor;
pub mod address;
pub mod bounce;
pub mod dictionary;
pub mod framing;
pub mod instant;
mod json;
pub mod kpl;
pub mod link;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;
pub mod provider;
pub mod rules;

pub use batch::{decoded_schema, value_at};
pub use decode::{
    Counts, DecodeOptions, Decoded, DecodedPartition, Decoder, Origin, Place, Reject, Shape,
};
