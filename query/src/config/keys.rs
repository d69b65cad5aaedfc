//! Every key that a configuration file may hold, each defined once: name, shape, default, meaning.
//!
//! Invariant: `hearback config show`, the reading of the file and the suggestions in errors all
//! rest on this list, so none of them can know a key that the others don't.

use super::machine::{cores, statement_memory};
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
    /// A length of time as in `Duration`, or `"never"` for one without an end.
    Lifetime,
    /// A share such as `"2%"` or `0.02`, from 0 to 1.
    Share,
    /// A list of texts.
    List,
    /// `true` or `false`.
    Flag,
    /// A list of tables, `[{ … }, { … }]` or `[[section.name]]`, with these fields.
    Records(&'static [Field]),
}

/// A field of the tables in a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Name.
    pub name: &'static str,
    /// Shape of the value; no list of tables again.
    pub kind: Kind,
    /// Whether every table needs it.
    pub required: bool,
}

const fn text_field(name: &'static str, required: bool) -> Field {
    Field { name, kind: Kind::Text, required }
}

const TARGET_FIELDS: &[Field] = &[
    text_field("region", false),
    text_field("account", false),
    text_field("role_arn", false),
    text_field("tenant", false),
    text_field("import_prefix", false),
];

const RULE_FIELDS: &[Field] = &[
    text_field("name", true),
    text_field("sql", false),
    text_field("file", false),
    text_field("scope", false),
    Field { name: "expiry", kind: Kind::Lifetime, required: false },
];

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
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

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
        default: || Setting::Bytes(statement_memory()),
        meaning: "memory of one statement before it spills to disk; by default half of the machine's",
    },
    Key {
        section: "suppression",
        name: "targets",
        kind: Kind::Records(TARGET_FIELDS),
        default: || Setting::Records(Vec::new()),
        meaning: "lists to keep: region, account, role_arn, tenant, import_prefix of each; none is the current account and Region",
    },
    Key {
        section: "suppression",
        name: "every",
        kind: Kind::Lifetime,
        default: || Setting::Never,
        meaning: "time from one round of `serve` to the next, at least 1s; never: it leaves the lists alone",
    },
    Key {
        section: "suppression",
        name: "fast_lane",
        kind: Kind::Flag,
        default: || Setting::Flag(false),
        meaning: "whether runs act on complaints and invalid recipients between rounds",
    },
    Key {
        section: "suppression",
        name: "max_adds",
        kind: Kind::Count { least: 0, most: 1000000000 },
        default: || Setting::Count(10_000),
        meaning: "additions of one run to one list that need no further consent",
    },
    Key {
        section: "suppression",
        name: "max_add_share",
        kind: Kind::Share,
        default: || Setting::Share(20_000),
        meaning: "the same as a share of active recipients; the smaller of the two counts, but never below 10",
    },
    Key {
        section: "suppression",
        name: "max_removals",
        kind: Kind::Count { least: 0, most: 1000000000 },
        default: || Setting::Count(1_000),
        meaning: "removals of one run from one list that need no further consent",
    },
    Key {
        section: "suppression",
        name: "max_removal_share",
        kind: Kind::Share,
        default: || Setting::Share(10_000),
        meaning: "the same as a share of active recipients; the smaller of the two counts, but never below 10",
    },
    Key {
        section: "suppression",
        name: "active_window",
        kind: Kind::Duration { least: DAY },
        default: || Setting::Milliseconds(30 * DAY),
        meaning: "who was sent something within this time is an active recipient",
    },
    Key {
        section: "suppression",
        name: "look_back",
        kind: Kind::Duration { least: DAY },
        default: || Setting::Milliseconds(400 * DAY),
        meaning: "how far back events are evidence; what the ledger holds stands however old it is",
    },
    Key {
        section: "suppression",
        name: "soft_failures",
        kind: Kind::Count { least: 2, most: 100 },
        default: || Setting::Count(3),
        meaning: "distinct messages that fail for lasting reasons on the way before an address is suppressed",
    },
    Key {
        section: "suppression",
        name: "soft_window",
        kind: Kind::Duration { least: HOUR },
        default: || Setting::Milliseconds(14 * DAY),
        meaning: "time that these failures must span",
    },
    Key {
        section: "suppression",
        name: "full_failures",
        kind: Kind::Count { least: 2, most: 100 },
        default: || Setting::Count(5),
        meaning: "distinct messages refused by a full mailbox before the address is paused",
    },
    Key {
        section: "suppression",
        name: "full_window",
        kind: Kind::Duration { least: HOUR },
        default: || Setting::Milliseconds(30 * DAY),
        meaning: "time that these refusals must span",
    },
    Key {
        section: "suppression",
        name: "freeze_share",
        kind: Kind::Share,
        default: || Setting::Share(300_000),
        meaning: "share of failing recipients of one provider within an hour above which nothing there is evidence",
    },
    Key {
        section: "suppression",
        name: "freeze_recipients",
        kind: Kind::Count { least: 2, most: 1000000000 },
        default: || Setting::Count(20),
        meaning: "failing recipients that an hour needs before it can be frozen",
    },
    Key {
        section: "suppression",
        name: "invalid_recipient_expiry",
        kind: Kind::Lifetime,
        default: || Setting::Never,
        meaning: "when the suppression of an address that does not exist ends",
    },
    Key {
        section: "suppression",
        name: "bad_domain_expiry",
        kind: Kind::Lifetime,
        default: || Setting::Milliseconds(365 * DAY),
        meaning: "when the suppression of an address at a domain without mail ends",
    },
    Key {
        section: "suppression",
        name: "inactive_mailbox_expiry",
        kind: Kind::Lifetime,
        default: || Setting::Milliseconds(180 * DAY),
        meaning: "when the suppression of a disabled mailbox ends",
    },
    Key {
        section: "suppression",
        name: "unclassified_expiry",
        kind: Kind::Lifetime,
        default: || Setting::Milliseconds(365 * DAY),
        meaning: "when the suppression after an unexplained permanent bounce ends",
    },
    Key {
        section: "suppression",
        name: "soft_expiry",
        kind: Kind::Lifetime,
        default: || Setting::Milliseconds(90 * DAY),
        meaning: "when the suppression after repeated soft bounces ends",
    },
    Key {
        section: "suppression",
        name: "full_expiry",
        kind: Kind::Lifetime,
        default: || Setting::Milliseconds(30 * DAY),
        meaning: "when the pause of a full mailbox ends",
    },
    Key {
        section: "suppression",
        name: "complaint_expiry",
        kind: Kind::Lifetime,
        default: || Setting::Never,
        meaning: "when the suppression after a complaint ends",
    },
    Key {
        section: "suppression",
        name: "allow",
        kind: Kind::List,
        default: || Setting::List(Vec::new()),
        meaning: "addresses and @domains that are never added",
    },
    Key {
        section: "suppression",
        name: "test_tags",
        kind: Kind::List,
        default: || Setting::List(vec!["test".to_owned()]),
        meaning: "message tags that mark test mail, which is no evidence",
    },
    Key {
        section: "suppression",
        name: "transactional",
        kind: Kind::List,
        default: || Setting::List(Vec::new()),
        meaning: "configuration sets of mail that people wait for: plans tell whether the list stops it",
    },
    Key {
        section: "suppression",
        name: "rules",
        kind: Kind::Records(RULE_FIELDS),
        default: || Setting::Records(Vec::new()),
        meaning: "rules of your own: name, sql or file, scope, expiry of each",
    },
    Key {
        section: "suppression",
        name: "disabled_rules",
        kind: Kind::List,
        default: || Setting::List(Vec::new()),
        meaning: "built-in rules that are switched off",
    },
    Key {
        section: "suppression",
        name: "single_requests",
        kind: Kind::Count { least: 1, most: 100000 },
        default: || Setting::Count(60),
        meaning: "changes of one list up to which each is a request of its own; above, one import job",
    },
    Key {
        section: "suppression",
        name: "request_interval",
        kind: Kind::Duration { least: 1 },
        default: || Setting::Milliseconds(1_000),
        meaning: "time between two requests to one account and Region; SES allows one a second",
    },
    Key {
        section: "suppression",
        name: "give_up",
        kind: Kind::Duration { least: 1 },
        default: || Setting::Milliseconds(15 * 60_000),
        meaning: "how long requests to a list may go on failing before the rest is left for the next run",
    },
    Key {
        section: "suppression",
        name: "import_prefix",
        kind: Kind::Text,
        default: || Setting::Text(String::new()),
        meaning: "where import files go, s3://bucket/prefix in the Region of the list; a target can have its own",
    },
    Key {
        section: "suppression",
        name: "import_wait",
        kind: Kind::Duration { least: 1 },
        default: || Setting::Milliseconds(30 * 60_000),
        meaning: "how long to wait for an import job before the rest is left for the next run",
    },
    Key {
        section: "suppression",
        name: "full_listing",
        kind: Kind::Duration { least: 1 },
        default: || Setting::Milliseconds(DAY),
        meaning: "time after which a list is read in full again; in between only what changed",
    },
    Key {
        section: "suppression",
        name: "webhook",
        kind: Kind::Text,
        default: || Setting::Text(String::new()),
        meaning: "URL that a stopped run is reported to as JSON",
    },
    Key {
        section: "suppression",
        name: "command",
        kind: Kind::List,
        default: || Setting::List(Vec::new()),
        meaning: "program and arguments that a stopped run is reported to, JSON on standard input",
    },
    Key {
        section: "serve",
        name: "http",
        kind: Kind::Text,
        default: || Setting::Text("127.0.0.1:8400".to_owned()),
        meaning: "address on this machine at which `serve` answers over HTTP",
    },
];

/// The index of a key given with its section.
pub(super) fn position(path: &str) -> Option<usize> {
    KEYS.iter().position(|key| match path.split_once('.') {
        Some((section, name)) => key.section == section && key.name == name,
        None => key.section.is_empty() && key.name == path,
    })
}
