//! How each column is written: which have dictionaries, statistics, filters; and why.

use std::sync::Arc;

use hearback_schemas::Table;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::lake::error::LakeError;
use crate::lake::settings::WriteSettings;

/// Columns that are looked up by value: one recipient, one message.
const BLOOM_COLUMNS: &[&str] = &["recipient", "message_id"];
/// Share of false positives of those look-ups.
pub(super) const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// Columns whose values never repeat: a dictionary would be built in vain.
const UNIQUE_COLUMNS: &[&str] = &["event_id", "reject_id", "source_sequence", "event_time", "raw"];
/// Columns that are searched by range: their statistics are kept for each page.
const PAGE_STATISTICS: &[&str] = &["event_time", "sent_time"];
/// Long free texts: nobody compares them, so minimum and maximum are not worth computing.
const NO_STATISTICS: &[&str] = &[
    "event_id",
    "reject_id",
    "subject",
    "tags",
    "smtp_response",
    "diagnostic",
    "user_agent",
    "link",
    "extra",
    "raw",
    "source_sequence",
    "actor_reason",
    "reason",
];
/// Minima and maxima of texts are cut to so many bytes in the file.
pub(super) const STATISTICS_BYTES: usize = 64;

/// Whether data files have filters to look values of this column up in.
#[must_use]
pub fn has_bloom_filter(column: &str) -> bool {
    BLOOM_COLUMNS.contains(&column)
}

/// How a column of texts is written.
#[derive(Clone, Debug)]
pub(super) struct TextProperties {
    /// Whether values are expected to repeat.
    pub(super) dictionary: bool,
    /// Whether smallest and largest value are noted.
    pub(super) statistics: bool,
    /// Whether there is a filter to look values up in.
    pub(super) bloom: bool,
    /// Different values that are expected at most.
    pub(super) distinct: usize,
}

impl TextProperties {
    pub(super) fn of(column: &str, distinct: usize) -> Self {
        Self {
            dictionary: !UNIQUE_COLUMNS.contains(&column),
            statistics: !NO_STATISTICS.contains(&column),
            bloom: has_bloom_filter(column),
            distinct,
        }
    }
}

/// How a column of numbers is written. Smallest and largest are always noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberProperties {
    /// Whether numbers are expected to repeat.
    pub(super) dictionary: bool,
    /// Whether smallest and largest of each page are noted.
    pub(super) page_statistics: bool,
}

impl NumberProperties {
    pub(super) fn of(column: &str) -> Self {
        Self {
            dictionary: !UNIQUE_COLUMNS.contains(&column),
            page_statistics: PAGE_STATISTICS.contains(&column),
        }
    }
}

pub(super) fn level(settings: &WriteSettings) -> Result<ZstdLevel, LakeError> {
    ZstdLevel::try_new(settings.compression_level).map_err(LakeError::invalid)
}

/// The same for the columns that the Parquet library writes, and for the file.
pub(super) fn writer_properties(
    table: &Table,
    settings: &WriteSettings,
) -> Result<Arc<WriterProperties>, LakeError> {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("hearback ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level(settings)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES))
        .set_write_batch_size(8192)
        .set_max_row_group_row_count(None);
    for column in table.columns {
        let path = ColumnPath::from(column.name);
        if UNIQUE_COLUMNS.contains(&column.name) {
            builder = builder.set_column_dictionary_enabled(path.clone(), false);
        }
        if NO_STATISTICS.contains(&column.name) {
            builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    Ok(Arc::new(builder.build()))
}
