//! Where what the tests need is kept between runs: the user's cache folder.
//!
//! Invariant: several test binaries may ask for the same thing at once; one makes it, the others wait.

use std::fs::File;
use std::path::{Path, PathBuf};

/// The folder of this project in the user's cache, created if need be.
pub(crate) fn folder() -> PathBuf {
    let root = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let root = root.unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache")
    });
    let folder = root.join("hearback");
    std::fs::create_dir_all(&folder).expect("the cache folder can be made");
    folder
}

/// Makes something in the cache unless it is there: `make` is called by one process at a time, and
/// only while `complete` does not exist; afterwards it does.
pub(crate) fn once(name: &str, complete: &Path, make: impl FnOnce()) {
    if complete.exists() {
        return;
    }
    let lock = File::create(folder().join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock can be waited for");
    if !complete.exists() {
        make();
    }
    assert!(complete.exists(), "{} was not made", complete.display());
}
