//! What a segment is: a named question, the key of its members, where they go, and what is refused.
//!
//! Invariant: a [`Segment`] was checked when it was read; its name is fit for every destination
//! (`[a-z0-9][a-z0-9_-]*`, at most 64 characters) and its SQL is not empty.

mod folder;
mod read;
mod schedule;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use folder::{SEGMENTS_FOLDER, segments_in_folder};
pub(crate) use read::{is_name, segment_in_sql, segments_in_config};
pub use schedule::Schedule;

/// A segment as its owner wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Name, and identity: under another name it is another segment.
    pub name: String,
    /// What it is for, in the owner's words.
    pub description: Option<String>,
    /// The question. One row a member.
    pub sql: String,
    /// Column of the result that identifies a member.
    pub key: String,
    /// Columns that go along with a member; None for all but the key.
    pub attributes: Option<Vec<String>>,
    /// Where the members go.
    pub destinations: Vec<DestinationSpec>,
    /// When `segments run` brings the destinations up to date; None for `--every` only.
    pub schedule: Option<Schedule>,
    /// What is refused.
    pub guards: GuardSettings,
    /// Whether people who must not be written to are left out.
    pub suppressed: Suppressed,
    /// Topics of the SES contact list that this segment is about: who opted out of one of them is left
    /// out. Empty: who opted out of everything is.
    pub topics: Vec<String>,
    /// Where it is defined.
    pub origin: Place,
}

/// Where in a file something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// What becomes of people who complained, left, do not exist or are on a suppression list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Suppressed {
    /// They are never members.
    #[default]
    Excluded,
    /// They are members like everybody else: for segments that are about them.
    Included,
}

/// What a plan may do without being told so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuardSettings {
    /// Largest share of the acknowledged members that may be removed.
    pub max_shrink: f64,
    /// Largest share of the acknowledged members that may be added, beyond the first
    /// [`GROWTH_FLOOR`](super::guards::GROWTH_FLOOR).
    pub max_growth: f64,
    /// Most members that may be added, whatever the size; None for no cap.
    pub max_adds: Option<u64>,
    /// Oldest that the lake's newest row may be.
    pub max_lake_age: Duration,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self {
            max_shrink: 0.3,
            max_growth: 1.0,
            max_adds: None,
            max_lake_age: Duration::from_secs(2 * 86_400),
        }
    }
}

/// A place that members go to, as configured. Holds no secret: it is kept with the acknowledged state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum DestinationSpec {
    /// Files in a bucket or folder.
    S3 {
        /// `s3://bucket/prefix`, `file://…` or a path.
        uri: String,
    },
    /// Amazon Connect Customer Profiles.
    CustomerProfiles(CustomerProfilesSpec),
    /// Amazon Pinpoint, or what still speaks its API.
    Pinpoint(PinpointSpec),
    /// A topic of an SES contact list.
    SesContactList(ContactListSpec),
    /// Signed JSON batches.
    Webhook {
        /// Where they are posted.
        url: String,
        /// What they are signed with.
        secret: Secret,
    },
}

/// A Customer Profiles domain and the one object that each member's profile has in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerProfilesSpec {
    /// Domain of Customer Profiles.
    pub domain: String,
    /// Type of the object that carries the membership.
    pub object_type: String,
    /// AWS account and Region.
    #[serde(flatten)]
    pub aws: AwsSpec,
    /// Days after which Customer Profiles may delete what is not refreshed: 1 to 1098.
    pub expiry_days: u32,
    /// Above so many changes an upload job is made instead of single batches.
    pub upload_above: u64,
}

/// A Pinpoint application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinpointSpec {
    /// Application (project) id.
    pub application: String,
    /// AWS account and Region.
    #[serde(flatten)]
    pub aws: AwsSpec,
    /// Where import files are laid, and the role with which Pinpoint reads them; None to update
    /// endpoints in batches whatever their number.
    pub import: Option<ImportSpec>,
    /// Above so many changes an import job is made instead of batches.
    pub import_above: u64,
}

/// A topic of a contact list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactListSpec {
    /// Name of the contact list.
    pub list: String,
    /// Topic whose opted-in contacts are the members.
    pub topic: String,
    /// AWS account and Region.
    #[serde(flatten)]
    pub aws: AwsSpec,
    /// Where import files are laid; None to update contacts one by one whatever their number.
    pub import: Option<ImportSpec>,
    /// Above so many changes an import job is made instead of single requests.
    pub import_above: u64,
    /// Milliseconds between two requests: as many as SES allows the account.
    pub request_interval_ms: u64,
}

/// Where files for an import job are laid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSpec {
    /// `s3://bucket/prefix`, in the Region of the service.
    pub uri: String,
    /// Role with which the service reads the files, where it takes one.
    pub role_arn: Option<String>,
}

/// Region and role, where they are not those of the surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsSpec {
    /// AWS Region.
    pub region: Option<String>,
    /// Role to assume.
    pub role_arn: Option<String>,
}

/// A secret that does not stand in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Secret {
    /// The value of an environment variable.
    Env(String),
    /// The content of a file, without white space at its end.
    File(PathBuf),
}

impl Secret {
    /// The secret itself.
    ///
    /// # Errors
    /// A sentence that names the variable or file, never its content.
    pub fn value(&self) -> Result<String, String> {
        let value = match self {
            Self::Env(name) => std::env::var(name)
                .map_err(|_| format!("the environment variable {name} is not set"))?,
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        };
        let value = value.trim_end().to_owned();
        if value.is_empty() {
            return Err(match self {
                Self::Env(name) => format!("the environment variable {name} is empty"),
                Self::File(path) => format!("{} is empty", path.display()),
            });
        }
        Ok(value)
    }
}

impl DestinationSpec {
    /// Files at a URI, or in a folder, whose path is made absolute: it is part of the identity.
    #[must_use]
    pub fn folder_or_bucket(uri: &str) -> Self {
        if uri.contains("://") {
            return Self::S3 { uri: uri.to_owned() };
        }
        let path = std::path::absolute(uri).unwrap_or_else(|_| PathBuf::from(uri));
        Self::S3 { uri: path.display().to_string() }
    }

    /// The kind as the configuration spells it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::S3 { .. } => "s3",
            Self::CustomerProfiles(_) => "customer-profiles",
            Self::Pinpoint(_) => "pinpoint",
            Self::SesContactList(_) => "ses-contact-list",
            Self::Webhook { .. } => "webhook",
        }
    }

    /// Whether it takes the whole set at once, also an empty one, rather than changes.
    #[must_use]
    pub fn takes_whole_sets(&self) -> bool {
        matches!(self, Self::S3 { .. })
    }

    /// Kind and place: the identity of a destination, also in the ledger. A webhook's query string is
    /// left out, because people put tokens there.
    #[must_use]
    pub fn identity(&self) -> String {
        let place = match self {
            Self::S3 { uri } => uri.trim_end_matches('/').to_owned(),
            Self::CustomerProfiles(spec) => {
                format!("{}{}/{}", spec.aws.prefix(), spec.domain, spec.object_type)
            }
            Self::Pinpoint(spec) => format!("{}{}", spec.aws.prefix(), spec.application),
            Self::SesContactList(spec) => {
                format!("{}{}/{}", spec.aws.prefix(), spec.list, spec.topic)
            }
            Self::Webhook { url, .. } => without_secrets(url),
        };
        format!("{}:{place}", self.kind())
    }

    /// The identity as part of a path: the kind, and 16 hex digits of a hash.
    #[must_use]
    pub fn folder(&self) -> String {
        let hash = short_hash(&self.identity());
        format!("{}-{hash:016x}", self.kind())
    }
}

impl AwsSpec {
    /// What tells one account and Region from another in an identity.
    fn prefix(&self) -> String {
        let mut prefix = String::new();
        if let Some(region) = &self.region {
            prefix.push_str(region);
            prefix.push('/');
        }
        if let Some(role) = &self.role_arn {
            // arn:aws:iam::123456789012:role/name
            prefix.push_str(role.split(':').nth(4).unwrap_or(role));
            prefix.push('/');
        }
        prefix
    }
}

/// A URL without user, password, query and fragment.
fn without_secrets(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else {
        return url.split(['?', '#']).next().unwrap_or_default().to_owned();
    };
    parsed.set_query(None);
    parsed.set_fragment(None);
    // Neither can fail for URLs with a host, and others have no user to take away.
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    parsed.to_string()
}

/// The first eight bytes of the SHA-256, as a number: stable between versions and machines.
fn short_hash(text: &str) -> u64 {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
