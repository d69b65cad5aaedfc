//! Files that a service fetches for an import job: laid into a bucket in the service's Region.
//!
//! Invariant: a file's name is made of the plan and of its content, so laying it twice leaves one.

use hearback_ingest::aws::{StoreLocation, explain, open_store};
use object_store::{ObjectStoreExt, PutPayload};

use super::{DestinationError, Run};
use crate::activate::segments::change::identity_of;

/// A prefix to lay files under.
#[derive(Debug)]
pub(super) struct ImportFiles {
    destination: String,
    uri: String,
    place: StoreLocation,
}

impl ImportFiles {
    pub(super) async fn open(destination: &str, uri: &str) -> Result<Self, DestinationError> {
        let place = open_store(uri).await.map_err(|error| DestinationError::Refused {
            destination: destination.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self { destination: destination.to_owned(), uri: uri.to_owned(), place })
    }

    /// Lays a file; returns its URL.
    pub(super) async fn lay(
        &self,
        run: &Run,
        extension: &str,
        content: String,
    ) -> Result<String, DestinationError> {
        let id = identity_of(&[&run.plan_id, &content]);
        let name = format!("{}-{id}.{extension}", run.segment);
        let path = self.place.prefix.clone().join(name.as_str());
        let put = self.place.store.put(&path, PutPayload::from(content.into_bytes())).await;
        put.map_err(|error| DestinationError::Refused {
            destination: self.destination.clone(),
            reason: format!("cannot write {}/{name}: {}", self.uri, explain(&error)),
        })?;
        Ok(format!("{}/{name}", self.uri))
    }
}
