//! Local files, folders and globs as objects: responsible for visiting every regular file once in
//! the order of names, through symbolic links, without ever going round in a circle.
//!
//! Memory: the names of the folders on the way down, one folder's entries at a time.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::object::{Listed, ObjectFailure, SourceObject};
use super::spec::{SourceError, SourceSpec};

/// Visits what local sources name.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The lake's own folder: a source folder may contain it (`hearback ingest .`), and its
    /// Parquet files are no feedback.
    lake: Option<PathBuf>,
}

/// Whether the listing goes on. Anything else than `Continue` ends it.
pub(crate) type Flow = std::ops::ControlFlow<()>;

impl Walk {
    /// `lake` is the folder of a local lake, existing or not.
    pub(crate) fn around(lake: Option<&Path>) -> Self {
        Self { lake: lake.and_then(|folder| folder.canonicalize().ok()) }
    }

    /// Refuses a source under whose name nothing is found, before anything is read.
    pub(crate) fn check(source: &SourceSpec) -> Result<(), SourceError> {
        match source {
            SourceSpec::Path(path) if !super::spec::exists(path) => {
                Err(SourceError::Missing { given: path.display().to_string() })
            }
            SourceSpec::Glob(pattern) => {
                let mut matches = matches_of(pattern)?;
                if matches.next().is_some() {
                    return Ok(());
                }
                Err(SourceError::NothingThere {
                    given: pattern.clone(),
                    problem: "no file or folder matches the pattern".to_owned(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Gives every file of a folder, or the one file, in the order of names.
    pub(crate) fn path(&self, path: &Path, visit: &mut dyn FnMut(Listed) -> Flow) -> Flow {
        let metadata = match path.metadata() {
            Ok(metadata) => metadata,
            Err(error) => return visit(Listed::Failed(failure(path, &error.to_string()))),
        };
        if metadata.is_file() {
            return visit(Listed::Object(SourceObject::file(path, &metadata)));
        }
        if !metadata.is_dir() {
            return visit(Listed::Object(SourceObject::stream(path)));
        }
        self.folder(path, visit)
    }

    /// Gives every file a pattern matches, and every file of the folders it matches.
    pub(crate) fn glob(&self, pattern: &str, visit: &mut dyn FnMut(Listed) -> Flow) -> Flow {
        let matches = match matches_of(pattern) {
            Ok(matches) => matches,
            Err(error) => {
                return visit(Listed::Failed(ObjectFailure {
                    object: pattern.to_owned(),
                    problem: error.to_string(),
                }));
            }
        };
        for found in matches {
            let path = match found {
                Ok(path) => path,
                Err(error) => {
                    let problem = error.error().to_string();
                    visit(Listed::Failed(failure(error.path(), &problem)))?;
                    continue;
                }
            };
            if !self.is_lake(&path) {
                self.path(&path, visit)?;
            }
        }
        Flow::Continue(())
    }

    fn folder(&self, folder: &Path, visit: &mut dyn FnMut(Listed) -> Flow) -> Flow {
        let mut entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                // A link back to a folder we are in: everything behind it is visited already.
                Err(error) if error.loop_ancestor().is_some() => continue,
                Err(error) => {
                    let path = error.path().unwrap_or(folder);
                    let problem =
                        error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                    visit(Listed::Failed(failure(path, &problem)))?;
                    continue;
                }
            };
            let hidden = entry.depth() > 0 && is_hidden(entry.file_name());
            if entry.file_type().is_dir() {
                if hidden || self.is_lake(entry.path()) {
                    entries.skip_current_dir();
                }
                continue;
            }
            if hidden || !entry.file_type().is_file() {
                continue;
            }
            match entry.metadata() {
                Ok(metadata) => visit(Listed::Object(SourceObject::file(entry.path(), &metadata)))?,
                Err(error) => visit(Listed::Failed(failure(entry.path(), &error.to_string())))?,
            }
        }
        Flow::Continue(())
    }

    fn is_lake(&self, folder: &Path) -> bool {
        let Some(lake) = &self.lake else { return false };
        // The last names agree almost never; only then is the path resolved.
        folder.file_name() == lake.file_name()
            && folder.canonicalize().is_ok_and(|folder| folder == *lake)
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().first() == Some(&b'.')
}

fn matches_of(pattern: &str) -> Result<glob::Paths, SourceError> {
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    glob::glob_with(pattern, options).map_err(|error| SourceError::Malformed {
        given: pattern.to_owned(),
        problem: format!("the pattern is wrong at character {}: {}", error.pos + 1, error.msg),
    })
}

fn failure(path: &Path, problem: &str) -> ObjectFailure {
    ObjectFailure {
        object: path.display().to_string(),
        problem: format!("cannot be read: {problem}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(walk: &Walk, source: &Path) -> Vec<String> {
        let mut names = Vec::new();
        let flow = walk.path(source, &mut |listed| {
            match listed {
                Listed::Object(object) => {
                    let path = Path::new(&*object.name)
                        .strip_prefix(source)
                        .expect("below the source")
                        .to_owned();
                    names.push(path.display().to_string());
                }
                Listed::Failed(failure) => names.push(format!("! {}", failure.problem)),
            }
            Flow::Continue(())
        });
        assert!(flow.is_continue());
        names
    }

    fn write(folder: &Path, name: &str) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, "{}").expect("a file");
    }

    #[test]
    fn a_folder_is_read_recursively_in_the_order_of_names_without_hidden_files() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in
            ["b/2.json", "b/1.json", "a.json", "_c.json", ".hidden", ".git/config", "b/.partial"]
        {
            write(folder.path(), name);
        }
        assert_eq!(
            names(&Walk::around(None), folder.path()),
            ["_c.json", "a.json", "b/1.json", "b/2.json"]
        );
    }

    #[test]
    fn a_circle_of_links_is_walked_once_and_a_dangling_link_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write(folder.path(), "in/x.json");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("in/loop")).expect("a link");
        std::os::unix::fs::symlink("nowhere", folder.path().join("in/dangling")).expect("a link");
        let names = names(&Walk::around(None), folder.path());
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names[0].starts_with("! cannot be read: No such file"), "{names:?}");
        assert_eq!(names[1], "in/x.json");
    }

    #[test]
    fn the_lake_inside_the_source_folder_is_no_source() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write(folder.path(), "hearback-lake/events/part.parquet");
        write(folder.path(), "x.json");
        let walk = Walk::around(Some(&folder.path().join("hearback-lake")));
        assert_eq!(names(&walk, folder.path()), ["x.json"]);
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_refused_before_reading() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pattern = format!("{}/*.json", folder.path().display());
        let source = SourceSpec::Glob(pattern.clone());
        assert!(matches!(Walk::check(&source), Err(SourceError::NothingThere { .. })));
        write(folder.path(), "x.json");
        write(folder.path(), ".y.json");
        assert!(Walk::check(&source).is_ok());
        let mut count = 0;
        let flow = Walk::around(None).glob(&pattern, &mut |_| {
            count += 1;
            Flow::Continue(())
        });
        assert!(flow.is_continue());
        assert_eq!(count, 1);
    }
}
