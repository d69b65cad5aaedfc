//! What every log rests on: the store creates an object only if none is there.
//!
//! S3 promises it (`If-None-Match: *` of PutObject, "Conditional writes" in its user guide). Not every store that
//! speaks S3's protocol does: those that ignore the header put the new object in the place of the old one, and
//! two writers undo each other's commits without noticing.

use std::sync::atomic::{AtomicBool, Ordering};

use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutOptions, PutPayload};
use url::Url;

/// Whether this process has tried it: once is enough, as a process writes to one store.
static TRIED: AtomicBool = AtomicBool::new(false);

/// After the first object that was created in a bucket: creates it once more, with the same bytes, and warns if
/// the store lets it.
pub(super) async fn try_once(
    store: &dyn ObjectStore,
    place: &Url,
    created: &Path,
    bytes: PutPayload,
) {
    if place.scheme() != "s3" || TRIED.swap(true, Ordering::Relaxed) {
        return;
    }
    if !keeps_what_is_there(store, created, bytes).await {
        tracing::warn!(
            "this store puts new objects in the place of those that are there, although it is asked not to (If-None-Match): two writers would undo each other's commits, so let only one process write to this lake at a time"
        );
    }
}

/// Whether the store refuses to create an object that is there. A request that fails for another reason tells
/// nothing, and is taken for a refusal.
async fn keeps_what_is_there(store: &dyn ObjectStore, path: &Path, bytes: PutPayload) -> bool {
    let options = PutOptions { mode: PutMode::Create, ..Default::default() };
    store.put_opts(path, bytes, options).await.is_err()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn a_store_that_keeps_what_is_there_is_told_from_one_that_does_not() {
        let path = Path::from("lake/events/_delta_log/00000000000000000000.json");
        let bytes = PutPayload::from_static(b"{}\n");
        let honest = Arc::new(InMemory::new());
        // Nothing is there: creating it is no fault, and shows what it looks like where conditions are ignored.
        assert!(!keeps_what_is_there(&honest, &path, bytes.clone()).await);
        assert!(keeps_what_is_there(&honest, &path, bytes.clone()).await);
        let there = honest.get(&path).await.expect("it is there").bytes().await.expect("bytes");
        assert_eq!(there.as_ref(), b"{}\n");
    }
}
