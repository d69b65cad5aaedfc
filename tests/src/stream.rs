//! A Kinesis data stream of [`FakeCloud`], used as its producers and operators use it, through AWS's
//! own client for Rust.

use aws_config::{BehaviorVersion, Region};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Credentials;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard};
use tokio::runtime::Runtime;

use crate::FakeCloud;
use crate::fakecloud::{ACCOUNT, REGION};

/// Limits of one PutRecords call (Kinesis API reference, "PutRecords").
const RECORDS_PER_PUT: usize = 500;
const BYTES_PER_PUT: usize = 5 << 20;

/// One data stream.
pub struct DataStream {
    name: String,
    client: Client,
    runtime: Runtime,
}

/// A record to put: the key that chooses its shard, and its bytes.
pub type Record = (String, Vec<u8>);

impl FakeCloud {
    /// Creates a provisioned stream that takes records of up to 10 MiB.
    ///
    /// # Panics
    /// When it cannot be created.
    #[must_use]
    pub fn create_stream(&self, name: &str, shards: i32) -> DataStream {
        let stream = self.stream(name);
        let create = stream.client.create_stream().stream_name(name).shard_count(shards);
        stream.runtime.block_on(create.max_record_size_in_kib(10240).send()).expect("a stream");
        stream
    }

    /// A stream that was created otherwise.
    ///
    /// # Panics
    /// When no runtime can be made.
    #[must_use]
    pub fn stream(&self, name: &str) -> DataStream {
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(self.endpoint())
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .build();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        DataStream { name: name.to_owned(), client: Client::from_conf(config), runtime }
    }
}

impl DataStream {
    /// As the program is told of it: `kinesis:NAME`.
    #[must_use]
    pub fn source(&self) -> String {
        format!("kinesis:{}", self.name)
    }

    /// Its Amazon Resource Name.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{}", self.name)
    }

    /// Puts records, in as few calls as the limits allow.
    ///
    /// # Panics
    /// When any of them is refused.
    pub fn put(&self, records: impl IntoIterator<Item = Record>) {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for (key, data) in records {
            let size = key.len() + data.len();
            let is_full = entries.len() == RECORDS_PER_PUT || bytes + size > BYTES_PER_PUT;
            // A record may be larger than what is put at once otherwise; it goes alone.
            if is_full && !entries.is_empty() {
                self.put_entries(std::mem::take(&mut entries));
                bytes = 0;
            }
            bytes += size;
            let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data));
            entries.push(entry.build().expect("key and data are given"));
        }
        if !entries.is_empty() {
            self.put_entries(entries);
        }
    }

    /// Puts texts, spread over the shards.
    ///
    /// # Panics
    /// When any of them is refused.
    pub fn put_texts<'a>(&self, texts: impl IntoIterator<Item = &'a String>) {
        let spread = texts.into_iter().enumerate();
        self.put(spread.map(|(number, text)| (number.to_string(), text.clone().into_bytes())));
    }

    fn put_entries(&self, entries: Vec<PutRecordsRequestEntry>) {
        let put = self.client.put_records().stream_name(&self.name).set_records(Some(entries));
        let output = self.runtime.block_on(put.send()).expect("records are put");
        assert_eq!(output.failed_record_count(), Some(0), "{output:?}");
    }

    /// The open shards, by their place in the range of hash keys.
    ///
    /// # Panics
    /// When they cannot be listed.
    #[must_use]
    pub fn open_shards(&self) -> Vec<String> {
        self.list_open().iter().map(|shard| shard.shard_id().to_owned()).collect()
    }

    fn list_open(&self) -> Vec<Shard> {
        let list = self.client.list_shards().stream_name(&self.name);
        let output = self.runtime.block_on(list.send()).expect("shards");
        let is_open = |shard: &&Shard| {
            shard.sequence_number_range().is_some_and(|r| r.ending_sequence_number().is_none())
        };
        let mut open: Vec<Shard> = output.shards().iter().filter(is_open).cloned().collect();
        open.sort_by_key(hash_keys);
        open
    }

    /// The ranges of hash keys of the open shards, both ends included.
    ///
    /// # Panics
    /// When they cannot be listed.
    #[must_use]
    pub fn hash_ranges(&self) -> Vec<(u128, u128)> {
        self.list_open().iter().map(hash_keys).collect()
    }

    /// Splits a shard in the middle.
    ///
    /// # Panics
    /// When it cannot be split.
    pub fn split(&self, shard_id: &str) {
        let list = self.client.list_shards().stream_name(&self.name);
        let output = self.runtime.block_on(list.send()).expect("shards");
        let shard = output.shards().iter().find(|shard| shard.shard_id() == shard_id);
        let (first, last) = hash_keys(shard.expect("the shard is there"));
        let middle = first + (last - first) / 2 + 1;
        let split = self.client.split_shard().stream_name(&self.name).shard_to_split(shard_id);
        let split = split.new_starting_hash_key(middle.to_string());
        self.runtime.block_on(split.send()).expect("the shard is split");
    }

    /// Merges two neighbouring shards.
    ///
    /// # Panics
    /// When they cannot be merged.
    pub fn merge(&self, shard: &str, neighbour: &str) {
        let merge = self.client.merge_shards().stream_name(&self.name).shard_to_merge(shard);
        let merge = merge.adjacent_shard_to_merge(neighbour);
        self.runtime.block_on(merge.send()).expect("the shards are merged");
    }

    /// Deletes the stream.
    ///
    /// # Panics
    /// When it cannot be deleted.
    pub fn delete(&self) {
        let delete = self.client.delete_stream().stream_name(&self.name);
        self.runtime.block_on(delete.send()).expect("the stream is deleted");
    }
}

fn hash_keys(shard: &Shard) -> (u128, u128) {
    let range = shard.hash_key_range().expect("every shard has a range");
    let number = |text: &str| text.parse().expect("hash keys are numbers");
    (number(range.starting_hash_key()), number(range.ending_hash_key()))
}
