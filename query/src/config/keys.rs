//! Every key that a configuration file may hold, each defined once: name, shape, default, meaning.
//!
//! Invariant: `hearback config show`, the reading of the file and the suggestions in errors all
//! rest on this list, so none of them can know a key that the others don't.

use super::value::Setting;

/// The shape of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number from `least` to `most`.
    Count {
        /// Smallest that makes sense.
        least: u64,
        /// Largest that makes sense.
        most: u64,
    },
    /// A size such as `"64 MiB"`, or a number of bytes; at least `least` bytes.
    Bytes {
        /// Smallest that makes sense, in bytes.
        least: u64,
    },
    /// A length of time such as `"60s"` or `"3 days"`; at least `least` milliseconds.
    Duration {
        /// Shortest that makes sense, in milliseconds.
        least: u64,
    },
    /// A list of texts.
    List,
}

/// A key of the configuration file.
#[derive(Debug)]
pub struct Key {
    /// Section, empty for the top of the file.
    pub section: &'static str,
    /// Name within the section.
    pub name: &'static str,
    /// Shape of the value.
    pub kind: Kind,
    /// Value when nobody says otherwise.
    pub default: fn() -> Setting,
    /// What it does, in a few words.
    pub meaning: &'static str,
}

impl Key {
    /// The key with its section in front, as errors and `config show` spell it.
    #[must_use]
    pub fn path(&self) -> String {
        if self.section.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}.{}", self.section, self.name)
        }
    }
}

const MIB: u64 = 1 << 20;

/// The index of `lake` in [`KEYS`].
pub(super) const LAKE: usize = 0;

/// Every key, in the order of `config show`.
pub const KEYS: &[Key] = &[
    Key {
        section: "",
        name: "lake",
        kind: Kind::Text,
        default: || Setting::Text("./hearback-lake".to_owned()),
        meaning: "path, file:// or s3:// URI of the lake",
    },
    Key {
        section: "ingest",
        name: "flush_rows",
        kind: Kind::Count { least: 1, most: 1 << 32 },
        default: || Setting::Count(1_000_000),
        meaning: "rows in hand that make a commit",
    },
    Key {
        section: "ingest",
        name: "flush_bytes",
        kind: Kind::Bytes { least: MIB },
        default: || Setting::Bytes(256 * MIB),
        meaning: "bytes in hand that make a commit",
    },
    Key {
        section: "ingest",
        name: "flush_interval",
        kind: Kind::Duration { least: 100 },
        default: || Setting::Milliseconds(60_000),
        meaning: "longest time between two commits while there are rows in hand",
    },
    Key {
        section: "ingest",
        name: "threads",
        kind: Kind::Count { least: 1, most: 1024 },
        default: || Setting::Count(cores()),
        meaning: "threads that decode",
    },
    Key {
        section: "ingest",
        name: "dedupe_window",
        kind: Kind::Duration { least: 0 },
        default: || Setting::Milliseconds(3 * 86_400_000),
        meaning: "how far back repeats have to be recognised; they are at any distance",
    },
    Key {
        section: "ingest",
        name: "dedupe_memory",
        kind: Kind::Bytes { least: MIB },
        default: || Setting::Bytes(256 * MIB),
        meaning: "memory for the event ids that keep duplicates out",
    },
    Key {
        section: "ingest",
        name: "compression_level",
        kind: Kind::Count { least: 1, most: 22 },
        default: || Setting::Count(1),
        meaning: "zstd level of the data files",
    },
    Key {
        section: "tags",
        name: "campaign",
        kind: Kind::List,
        default: || Setting::List(vec!["campaign".to_owned()]),
        meaning: "message tags that name the campaign, first one present wins",
    },
    Key {
        section: "tags",
        name: "template",
        kind: Kind::List,
        default: || Setting::List(vec!["template".to_owned()]),
        meaning: "message tags that name the template",
    },
    Key {
        section: "tags",
        name: "tenant",
        kind: Kind::List,
        default: || Setting::List(vec!["ses:tenant-name".to_owned()]),
        meaning: "message tags that name the tenant",
    },
    Key {
        section: "links",
        name: "allowed_parameters",
        kind: Kind::List,
        default: || {
            let names = ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"];
            Setting::List(names.map(str::to_owned).to_vec())
        },
        meaning: "query parameters of clicked links that are kept",
    },
    Key {
        section: "archive",
        name: "firehose",
        kind: Kind::Text,
        default: || Setting::Text(String::new()),
        meaning: "Firehose that gets every record read from a stream; none if empty",
    },
    Key {
        section: "archive",
        name: "s3",
        kind: Kind::Text,
        default: || Setting::Text(String::new()),
        meaning: "place for records too large for Firehose; in the lake if empty",
    },
    Key {
        section: "rejects",
        name: "firehose",
        kind: Kind::Text,
        default: || Setting::Text(String::new()),
        meaning: "Firehose that gets what could not be understood of a stream; none if empty",
    },
    Key {
        section: "query",
        name: "threads",
        kind: Kind::Count { least: 1, most: 1024 },
        default: || Setting::Count(cores()),
        meaning: "threads that run one statement",
    },
    Key {
        section: "query",
        name: "memory_limit",
        kind: Kind::Bytes { least: 16 * MIB },
        default: || Setting::Bytes(2048 * MIB),
        meaning: "memory of one statement before it spills to disk",
    },
];

/// The index of a key given with its section.
pub(super) fn position(path: &str) -> Option<usize> {
    KEYS.iter().position(|key| match path.split_once('.') {
        Some((section, name)) => key.section == section && key.name == name,
        None => key.section.is_empty() && key.name == path,
    })
}

fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}
