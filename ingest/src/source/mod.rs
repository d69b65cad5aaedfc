//! Where feedback comes from: responsible for turning what the user names (a file, a folder, a
//! glob, standard input, an S3 prefix) into an ordered stream of objects, and an object into its
//! decompressed bytes.
//!
//! Invariant: the order of objects depends on their names alone, never on timing, so the same
//! sources give the same result on any machine with any number of threads.

mod bucket;
mod content;
mod object;
mod pages;
mod pipe;
mod spec;
mod walk;

pub use object::ObjectFailure;
pub use spec::{SourceError, SourceSpec};

pub(crate) use bucket::Bucket;
pub(crate) use content::{Content, Damage, Filled, Format, Raw};
pub(crate) use object::{Listed, ObjectName, Place, SourceObject, file_etag};
pub(crate) use pages::Pages;
pub(crate) use pipe::Pipe;
pub(crate) use walk::{Flow, Walk};
