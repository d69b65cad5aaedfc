//! Producers of a simulated stream, and the truth about what they put on it.

use bytes::Bytes;
use hearback_tests::{aggregate, hash_key};

use crate::dice::Dice;
use crate::documents::Document;
use crate::stream::Stream;

/// A record that was put.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) shard: String,
    pub(crate) sequence: String,
    pub(crate) arrived_ms: u64,
    pub(crate) documents: Vec<Document>,
    /// An aggregate on a shard that does not own all its keys: consumers drop it, its producer puts
    /// its records again (Kinesis Client Library, `AggregatorUtil`).
    pub(crate) is_astray: bool,
}

/// Puts records on a stream, and remembers them.
#[derive(Debug)]
pub(crate) struct Producer {
    dice: Dice,
    events: u64,
    garbage: u64,
    /// Whether producers of this world aggregate.
    aggregates: bool,
    pub(crate) written: Vec<Written>,
}

impl Producer {
    pub(crate) fn new(dice: &Dice) -> Self {
        let aggregates = dice.per_mille(600);
        Self { dice: dice.split(), events: 0, garbage: 0, aggregates, written: Vec::new() }
    }

    /// Puts some records.
    pub(crate) fn put(&mut self, stream: &mut Stream, records: u64, now_ms: u64) {
        for _ in 0..records {
            let key = format!("key-{}", self.dice.among(0..1000));
            let shard = stream.shard_of(hash_key(&key));
            match self.dice.among(0..1000) {
                0..600 => {
                    let document = self.event();
                    self.write(stream, shard, &key, vec![document], now_ms);
                }
                600..640 => {
                    self.garbage += 1;
                    // Now and then the very same bytes again.
                    let number = self.garbage / 2;
                    self.write(stream, shard, &key, vec![Document::Garbage(number)], now_ms);
                }
                640..700 => self.again(stream, shard, &key, now_ms),
                700..850 => {
                    let documents = (0..self.dice.among(2..6)).map(|_| self.event()).collect();
                    self.write(stream, shard, &key, documents, now_ms);
                }
                _ if self.aggregates => self.aggregate(stream, shard, now_ms),
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Document {
        self.events += 1;
        Document::Event(self.events)
    }

    /// One record with documents one a line; sometimes compressed.
    fn write(
        &mut self,
        stream: &mut Stream,
        shard: usize,
        key: &str,
        documents: Vec<Document>,
        now_ms: u64,
    ) {
        let texts: Vec<String> = documents.iter().map(|document| document.text()).collect();
        let data = Bytes::from(texts.join("\n"));
        self.remember(stream, shard, key, data, documents, now_ms, false);
    }

    /// A producer that did not hear the answer puts the same once more.
    fn again(&mut self, stream: &mut Stream, shard: usize, key: &str, now_ms: u64) {
        if self.events == 0 {
            return;
        }
        let document = Document::Event(self.dice.among(1..self.events + 1));
        self.write(stream, shard, key, vec![document], now_ms);
    }

    /// An aggregate of records whose keys belong to the shard; now and then one of a producer that has
    /// not heard of a split, which is put again rightly.
    fn aggregate(&mut self, stream: &mut Stream, shard: usize, now_ms: u64) {
        let documents: Vec<Document> = (0..self.dice.among(1..8)).map(|_| self.event()).collect();
        let is_own = |key: &String| stream.shard_of(hash_key(key)) == shard;
        let own: Vec<String> =
            (0..1000).map(|number| format!("key-{number}")).filter(is_own).collect();
        let stray = (0..1000).map(|number| format!("key-{number}")).find(|key| !is_own(key));
        let mut records = Vec::new();
        for document in &documents {
            let key = own[self.dice.among(0..own.len() as u64) as usize].clone();
            records.push((key, document.text().into_bytes()));
        }
        if let Some(stray) = stray.filter(|_| self.dice.per_mille(200)) {
            let mut astray = records.clone();
            let last = astray.len() - 1;
            astray[last].0 = stray;
            let data = Bytes::from(aggregate(&astray));
            self.remember(stream, shard, "a", data, documents.clone(), now_ms, true);
        }
        let data = Bytes::from(aggregate(&records));
        self.remember(stream, shard, "a", data, documents, now_ms, false);
    }

    #[expect(clippy::too_many_arguments, reason = "all that is to be known of a record")]
    fn remember(
        &mut self,
        stream: &mut Stream,
        shard: usize,
        key: &str,
        data: Bytes,
        documents: Vec<Document>,
        now_ms: u64,
        is_astray: bool,
    ) {
        let sequence = stream.put(shard, key, data, now_ms);
        let shard = stream.shards[shard].id.clone();
        let arrived_ms = now_ms;
        self.written.push(Written { shard, sequence, arrived_ms, documents, is_astray });
    }
}
