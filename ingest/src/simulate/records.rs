//! The same traffic as records of a stream: each document, or batch of them, is a record of its own.

use std::collections::VecDeque;

use super::dice::Derived;
use super::text::put_hex;
use super::transport::Transport;
use super::{Scenario, Tally};

/// One record, before it has a shard and a sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedRecord {
    /// What spreads records over the shards: 32 hexadecimal digits, another for every record, as
    /// EventBridge uses the identity of its event.
    pub partition_key: String,
    /// The document, without a line feed at its end.
    pub data: Vec<u8>,
}

/// The records of a scenario, in order of arrival. Together they are the bytes of [`super::write()`]
/// cut where a document or a batch of documents ends, without the line feeds between them. Memory is that
/// of [`super::write()`], and one batch.
pub struct Records {
    transport: Transport,
    seed: u64,
    number: u64,
    /// What the transport wrote: handed on up to `from`, to be cut at `ends`.
    bytes: Vec<u8>,
    from: usize,
    ends: VecDeque<usize>,
    /// Bytes of all records so far.
    total: u64,
    is_over: bool,
}

impl Records {
    /// The records of a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            transport: Transport::new(scenario),
            seed: scenario.seed,
            number: 0,
            bytes: Vec::new(),
            from: 0,
            ends: VecDeque::new(),
            total: 0,
            is_over: false,
        }
    }

    /// The truth about the records that were handed on.
    #[must_use]
    pub fn into_tally(self) -> Tally {
        self.transport.into_tally(self.total)
    }
}

impl Iterator for Records {
    type Item = SimulatedRecord;

    fn next(&mut self) -> Option<SimulatedRecord> {
        loop {
            if let Some(end) = self.ends.pop_front() {
                let data = self.bytes[self.from..end].trim_ascii().to_vec();
                self.from = end;
                self.total += data.len() as u64;
                return Some(SimulatedRecord { partition_key: self.key(), data });
            }
            if self.is_over {
                return None;
            }
            self.bytes.drain(..self.from);
            self.from = 0;
            if !self.transport.document(&mut self.bytes) {
                self.transport.finish(&mut self.bytes);
                self.is_over = true;
            }
            self.ends.extend(self.transport.ends());
        }
    }
}

impl Records {
    fn key(&mut self) -> String {
        let mut traits = Derived::new(self.seed, self.number, 8);
        self.number += 1;
        let mut key = Vec::with_capacity(32);
        put_hex(&mut key, traits.next(), 16);
        put_hex(&mut key, traits.next(), 16);
        String::from_utf8_lossy(&key).into_owned()
    }
}
