//! What a user may set about ingesting: responsible for the defaults and what they mean. Values are
//! parsed and checked by whoever reads the configuration; here they are right.

use std::num::NonZeroUsize;
use std::time::Duration;

use hearback_transform::DecodeOptions;

/// Settings of one ingest run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestSettings {
    /// Threads that read, decompress and decode. `None`: one for each core the process may use.
    /// The result is the same with any number.
    pub threads: Option<NonZeroUsize>,
    /// Rows that are committed together at most, give or take one chunk. Default: 1,000,000.
    pub flush_rows: u64,
    /// Bytes of rows in memory that are committed together at most, give or take one chunk.
    /// Default: 256 MiB.
    pub flush_bytes: u64,
    /// The longest a row waits for its commit. Default: 60 s.
    pub flush_interval: Duration,
    /// Bytes that are decoded at a time. Default: 8 MiB. Memory grows with it: see
    /// [the pipeline](crate::pipeline).
    pub chunk_bytes: usize,
    /// Message tags that fill the column `campaign`; the first that a message has wins.
    /// Default: `campaign`.
    pub campaign_tags: Vec<String>,
    /// Message tags that fill the column `template`. Default: `template`.
    pub template_tags: Vec<String>,
    /// Message tags that fill the column `tenant`. Default: `ses:tenant-name`.
    pub tenant_tags: Vec<String>,
    /// Query parameters that the column `link` keeps; all others may hold an address or a secret.
    /// Default: the five `utm_…` of campaign tracking.
    pub link_parameters: Vec<String>,
}

impl Default for IngestSettings {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            threads: None,
            flush_rows: 1_000_000,
            flush_bytes: 256 << 20,
            flush_interval: Duration::from_secs(60),
            chunk_bytes: 8 << 20,
            campaign_tags: words(&["campaign"]),
            template_tags: words(&["template"]),
            tenant_tags: words(&["ses:tenant-name"]),
            link_parameters: words(&[
                "utm_source",
                "utm_medium",
                "utm_campaign",
                "utm_term",
                "utm_content",
            ]),
        }
    }
}

impl IngestSettings {
    /// Threads to start.
    pub(crate) fn thread_count(&self) -> usize {
        let available = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.map_or_else(available, NonZeroUsize::get)
    }

    /// What the decoder has to know, for bytes that are read at this time.
    pub(crate) fn decode_options(&self, read_time_us: i64) -> DecodeOptions {
        DecodeOptions {
            campaign_tags: self.campaign_tags.clone(),
            template_tags: self.template_tags.clone(),
            tenant_tags: self.tenant_tags.clone(),
            link_parameters: self.link_parameters.clone(),
            read_time_us,
        }
    }
}
