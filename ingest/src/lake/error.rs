//! What can go wrong with a lake, named by what the caller should do about it.

use crate::aws::{LocationError, explain, is_storage_full};

/// Why an operation on a lake failed. A failed operation has left nothing half-applied: none of its
/// rows can be seen. The one exception is a store that takes the commit and then cannot be asked about
/// it any more: all of its rows may be there then. Doing the same again is right in either case.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// There is no lake: create one by ingesting, or name another place.
    #[error("there is no lake at {location}")]
    Missing {
        /// The lake's location.
        location: String,
    },
    /// The location is wrong or not configured: correct it.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// The store did not do what it was asked: try again when the cause is gone.
    #[error("{action}: {reason}")]
    Unavailable {
        /// What was being done, such as `write events/…`.
        action: String,
        /// The cause in one sentence.
        reason: String,
        /// The store's own error.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The disk or quota is full: make room and run the same command again.
    #[error("{action}: there is no space left")]
    Full {
        /// What was being done.
        action: String,
    },
    /// Another writer holds the stream or ledger: stop, or start again from where it is.
    #[error("another writer took over {stream} (epoch {by})")]
    Fenced {
        /// Name of the stream, or of what the fence of a ledger guards.
        stream: String,
        /// Epoch of the other writer.
        by: i64,
    },
    /// Other writers were faster every time: try again later.
    #[error("{table}: other writers committed first {attempts} times in a row")]
    Contended {
        /// Name of the table.
        table: &'static str,
        /// How often the commit was tried.
        attempts: u32,
    },
    /// The table is not one that this version can use: use a matching version.
    #[error("{table}: {reason}")]
    Unsupported {
        /// Name of the table.
        table: &'static str,
        /// What it asks for.
        reason: String,
    },
    /// The lake holds something it must not hold, or lacks something it must hold.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// Path within the lake.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Rows could not be encoded: they do not have the table's schema.
    #[error("rows could not be encoded: {reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
}

impl LakeError {
    /// An error of the store while doing `action`.
    pub(crate) fn store(action: impl Into<String>, error: object_store::Error) -> Self {
        if is_storage_full(&error) {
            return Self::Full { action: action.into() };
        }
        let reason = explain(&error);
        Self::Unavailable { action: action.into(), reason, source: Some(Box::new(error)) }
    }

    /// An error of the Delta library while doing `action`.
    pub(crate) fn delta(action: impl Into<String>, error: deltalake_core::DeltaTableError) -> Self {
        match error {
            deltalake_core::DeltaTableError::ObjectStore { source } => Self::store(action, source),
            other => Self::Unavailable {
                action: action.into(),
                reason: other.to_string(),
                source: Some(Box::new(other)),
            },
        }
    }

    /// Something under the lake that cannot be right.
    #[expect(clippy::needless_pass_by_value, reason = "given to map_err, which passes by value")]
    pub(crate) fn damaged(path: impl ToString, reason: impl ToString) -> Self {
        Self::Damaged { path: path.to_string(), reason: reason.to_string() }
    }

    /// Rows or settings that cannot be encoded.
    #[expect(clippy::needless_pass_by_value, reason = "given to map_err, which passes by value")]
    pub(crate) fn invalid(reason: impl ToString) -> Self {
        Self::Invalid { reason: reason.to_string() }
    }
}
