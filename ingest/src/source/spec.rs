//! What a user may name as a source: responsible for reading the command line's spelling into one
//! of the kinds there are, and for refusing early what cannot be one.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::stream::StreamName;

/// What the message of an unknown scheme offers instead.
const ACCEPTED: &str = "a file, a folder, a glob such as 'logs/*.gz', - for standard input, s3://bucket/prefix, or kinesis:STREAM";

/// One source as named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// `-`: standard input, read once, never skipped as "already read".
    Stdin,
    /// A file, or a folder read recursively in the order of names.
    Path(PathBuf),
    /// A pattern with `*`, `?`, `[…]` or `**`; matched folders are read recursively.
    Glob(String),
    /// `s3://bucket/prefix`: every object whose key starts with the prefix, in key order.
    S3 {
        /// Name of the bucket.
        bucket: String,
        /// The key prefix as given, without a leading slash; empty for the whole bucket.
        prefix: String,
    },
    /// `kinesis:NAME` or `kinesis:ARN`: a Kinesis stream, which is read by
    /// [`run_stream`](crate::stream::run_stream).
    Kinesis(StreamName),
}

/// A source named on the command line that cannot be read at all. Nothing was read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The name has a scheme nobody reads.
    #[error(
        "cannot read '{given}': '{scheme}' is not a source this version reads; name {ACCEPTED}"
    )]
    UnknownScheme {
        /// As typed.
        given: String,
        /// The part before the colon.
        scheme: String,
    },
    /// An `s3://`, `file://` or `kinesis:` address that is not one.
    #[error("cannot read '{given}': {problem}")]
    Malformed {
        /// As typed.
        given: String,
        /// What is wrong with it and what it should look like.
        problem: String,
    },
    /// Nothing is there under this name.
    #[error("cannot read '{given}': no such file or folder")]
    Missing {
        /// As typed.
        given: String,
    },
    /// A pattern or prefix under which nothing lies.
    #[error("cannot read '{given}': {problem}")]
    NothingThere {
        /// As typed.
        given: String,
        /// Which kind of nothing, and what to check.
        problem: String,
    },
    /// The store behind an `s3://` source refused or did not answer.
    #[error("cannot read '{given}': {problem}")]
    Store {
        /// As typed.
        given: String,
        /// What the store said; credentials are never part of it.
        problem: String,
    },
}

impl SourceSpec {
    /// Reads one SOURCE argument. A name that exists as a file wins over its reading as a pattern,
    /// so a file called `a[1].json` needs no escaping.
    ///
    /// # Errors
    /// [`SourceError::UnknownScheme`], [`SourceError::Malformed`] or [`SourceError::Missing`].
    pub fn parse(given: &str) -> Result<Self, SourceError> {
        if given == "-" {
            return Ok(Self::Stdin);
        }
        if given.is_empty() {
            return Err(SourceError::Malformed {
                given: String::new(),
                problem: format!("the name is empty; name {ACCEPTED}"),
            });
        }
        if let Some(rest) = given.strip_prefix("s3://") {
            return parse_s3(given, rest);
        }
        if let Some(stream) = given.strip_prefix("kinesis:") {
            let malformed = |problem| SourceError::Malformed { given: given.to_owned(), problem };
            return StreamName::parse(stream).map(Self::Kinesis).map_err(malformed);
        }
        if given.starts_with("file://") {
            return parse_file_url(given);
        }
        if exists(Path::new(given)) {
            return Ok(Self::Path(PathBuf::from(given)));
        }
        if let Some(scheme) = scheme_of(given) {
            return Err(SourceError::UnknownScheme {
                given: given.to_owned(),
                scheme: scheme.to_owned(),
            });
        }
        if !given.contains(['*', '?', '[']) {
            return Err(SourceError::Missing { given: given.to_owned() });
        }
        match glob::Pattern::new(given) {
            Ok(_) => Ok(Self::Glob(given.to_owned())),
            Err(error) => Err(SourceError::Malformed {
                given: given.to_owned(),
                problem: format!(
                    "the pattern is wrong at character {}: {}",
                    error.pos + 1,
                    error.msg
                ),
            }),
        }
    }
}

impl std::fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdin => f.write_str("-"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Glob(pattern) => f.write_str(pattern),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Kinesis(stream) => write!(f, "kinesis:{stream}"),
        }
    }
}

/// Whether something is there under this name, readable or not. A folder that may not be entered
/// exists for whoever may not look into its parent, too: only "not found" means missing.
pub(crate) fn exists(path: &Path) -> bool {
    match path.symlink_metadata() {
        Ok(_) => true,
        Err(error) => {
            !matches!(
                error.kind(),
                std::io::ErrorKind::NotFound
                    | std::io::ErrorKind::NotADirectory
                    | std::io::ErrorKind::InvalidInput
            ) && !matches!(error.kind(), std::io::ErrorKind::InvalidFilename)
        }
    }
}

fn parse_s3(given: &str, rest: &str) -> Result<SourceSpec, SourceError> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(SourceError::Malformed {
            given: given.to_owned(),
            problem: "the bucket is missing; it looks like s3://bucket/prefix".to_owned(),
        });
    }
    Ok(SourceSpec::S3 {
        bucket: bucket.to_owned(),
        prefix: prefix.trim_start_matches('/').to_owned(),
    })
}

fn parse_file_url(given: &str) -> Result<SourceSpec, SourceError> {
    let path = url::Url::parse(given).ok().and_then(|url| url.to_file_path().ok());
    let Some(path) = path else {
        return Err(SourceError::Malformed {
            given: given.to_owned(),
            problem: "a file address looks like file:///folder/file".to_owned(),
        });
    };
    if !exists(&path) {
        return Err(SourceError::Missing { given: given.to_owned() });
    }
    Ok(SourceSpec::Path(path))
}

/// The scheme of an address (RFC 3986 section 3.1), if the text has one.
fn scheme_of(given: &str) -> Option<&str> {
    let (scheme, _) = given.split_once(':')?;
    let mut letters = scheme.bytes();
    if !letters.next()?.is_ascii_alphabetic() {
        return None;
    }
    let rest_fits = letters
        .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'+' | b'-' | b'.'));
    rest_fits.then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_source_is_told_apart() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let literal = folder.path().join("a[1].json");
        std::fs::write(&literal, "").expect("a file");
        let literal = literal.to_str().expect("UTF-8").to_owned();

        assert_eq!(SourceSpec::parse("-").expect("stdin"), SourceSpec::Stdin);
        assert_eq!(
            SourceSpec::parse(&literal).expect("a file with brackets"),
            SourceSpec::Path(literal.clone().into())
        );
        assert_eq!(
            SourceSpec::parse(&format!("file://{}", folder.path().display()))
                .expect("a file address"),
            SourceSpec::Path(folder.path().into())
        );
        assert_eq!(
            SourceSpec::parse("logs/*.gz").expect("a glob"),
            SourceSpec::Glob("logs/*.gz".into())
        );
        let s3 = SourceSpec::parse("s3://acme-mail/events/2026/").expect("a prefix");
        assert_eq!(
            s3,
            SourceSpec::S3 { bucket: "acme-mail".into(), prefix: "events/2026/".into() }
        );
        assert_eq!(s3.to_string(), "s3://acme-mail/events/2026/");
        let stream = SourceSpec::parse("kinesis:feedback").expect("a stream");
        assert_eq!(stream, SourceSpec::Kinesis(StreamName::Name("feedback".into())));
        assert_eq!(stream.to_string(), "kinesis:feedback");
    }

    #[test]
    fn a_scheme_nobody_reads_is_refused_with_what_is_accepted() {
        let error = SourceSpec::parse("kafka:feedback").expect_err("refused").to_string();
        assert!(error.contains("'kafka' is not a source"), "{error}");
        assert!(error.contains("s3://bucket/prefix"), "{error}");
        assert!(matches!(
            SourceSpec::parse("gs://bucket/x*"),
            Err(SourceError::UnknownScheme { .. })
        ));
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        let error = SourceSpec::parse("/no/such/folder").expect_err("refused").to_string();
        assert_eq!(error, "cannot read '/no/such/folder': no such file or folder");
        assert!(matches!(SourceSpec::parse("s3:///prefix"), Err(SourceError::Malformed { .. })));
        assert!(matches!(SourceSpec::parse("kinesis:a/b"), Err(SourceError::Malformed { .. })));
        assert!(matches!(SourceSpec::parse("logs/[a"), Err(SourceError::Malformed { .. })));
        assert!(matches!(SourceSpec::parse(""), Err(SourceError::Malformed { .. })));
    }
}
