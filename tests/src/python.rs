//! A Python with the packages of `tests/requirements.txt`, installed once into the user's cache.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::cache;

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
        let name = format!("python-{}", fingerprint(&requirements));
        let folder = cache::folder().join(&name);
        let interpreter = folder.join("bin/python");
        let complete = folder.join("complete");
        cache::once(&name, &complete, || {
            must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
            must(
                Command::new(&interpreter)
                    .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
                    .arg(&requirements),
            );
            std::fs::write(&complete, "").expect("the cache folder can be written");
        });
        interpreter
    })
}

/// Runs a program and returns what it printed.
///
/// # Panics
/// When it fails.
pub(crate) fn run(program: &str, environment: &[(String, String)]) -> String {
    let output = Command::new(python())
        .args(["-c", program])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("python starts");
    assert!(output.status.success(), "{program}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
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
