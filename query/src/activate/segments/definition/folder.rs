//! Segments that are files: every `*.sql` of the folder `segments` beside the configuration.

use std::path::Path;

use super::read::segment_in_sql;
use super::{Place, Segment};
use crate::config::ConfigError;

/// The folder, beside the configuration file or in the working directory.
pub const SEGMENTS_FOLDER: &str = "segments";

/// The segments of a folder, by name; none if it is not there. `base` is what paths in their headers
/// are relative to. Files that `defined` (the configuration) names already are left out.
///
/// # Errors
/// A file that cannot be read, or whose header is wrong; two files of one name.
pub fn segments_in_folder(
    folder: &Path,
    base: &Path,
    defined: &[Segment],
) -> Result<Vec<Segment>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut found: Vec<Segment> = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
        let segment = segment_in_sql(&path, &text, base)?;
        // The configuration defines it, from this very file or instead of it.
        if defined.iter().any(|other| other.name == segment.name || other.sql == text) {
            continue;
        }
        if let Some(other) = found.iter().find(|other| other.name == segment.name) {
            let Place { path, line } = segment.origin;
            let expected = format!("another name: {} has this one", other.origin);
            return Err(ConfigError::BadValue { path, line, key: "name".to_owned(), expected });
        }
        found.push(segment);
    }
    Ok(found)
}
