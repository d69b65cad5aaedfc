//! A Python with the packages of `tests/requirements.txt`, installed once into the user's cache.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The Python interpreter to run independent readers and servers with.
///
/// The environment lies in the user's cache folder, named after the requirements it was made from,
/// so that it is made once and made anew when they change.
///
/// # Panics
/// When Python or the packages cannot be had.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("requirements.txt");
        let folder = cache().join(format!("python-{}", fingerprint(&requirements)));
        let interpreter = folder.join("bin/python");
        if folder.join("complete").exists() {
            return interpreter;
        }
        must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        must(
            Command::new(&interpreter)
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
                .arg(&requirements),
        );
        std::fs::write(folder.join("complete"), "").expect("the cache folder can be written");
        interpreter
    })
}

fn cache() -> PathBuf {
    let root = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let root = root.unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache")
    });
    root.join("hearback")
}

fn fingerprint(requirements: &Path) -> String {
    let text = std::fs::read(requirements).expect("tests/requirements.txt");
    // FNV-1a: stable between Rust versions, which the standard library's hasher is not.
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn must(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
