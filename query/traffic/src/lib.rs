//! One look at each event of the traffic, by several readers at once: which of some recipients were mailed
//! and when their mailboxes last worked, what some providers took in some hours, and how many recipients
//! were active.
//!
//! A crate of its own because it touches every row and is compiled for speed, as the program around it is
//! not (docs/decisions/0002-build-profiles.md).

mod coded;
mod distinct;
mod sends;
mod survey;
#[cfg(test)]
mod tests;
mod watched;

use xxhash_rust::xxh3::xxh3_64;

pub use sends::{SEND_COLUMNS, Sends};
pub use survey::{Delivered, Found, Reader, Seen, Survey};

/// A number that stands for a message or a recipient. Of a million, two have the same with a chance of 3 in
/// a hundred million.
#[must_use]
pub fn number_of(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// Columns that a batch of events must have; others are passed over. Texts may be coded by a dictionary,
/// which is quicker.
pub const COLUMNS: [&str; 8] = [
    "event_date",
    "event_time",
    "event_type",
    "channel",
    "actor",
    "recipient",
    "mailbox_provider",
    "recipient_domain",
];
