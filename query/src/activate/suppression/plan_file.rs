//! Plans in files: written whole, read back only as they were written.
//!
//! Invariant: a file whose plan was edited, or cut, is refused; what is applied is what was reviewed.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::list::hex;
use super::plan::Plan;

const FORMAT: &str = "hearback suppression plan 1";

#[derive(Serialize, Deserialize)]
struct PlanFile {
    format: String,
    /// SHA-256 of the plan as compact JSON.
    sha256: String,
    plan: Plan,
}

/// What is wrong with a plan file.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// It cannot be read or written.
    #[error("cannot access the plan file {path}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no plan file.
    #[error("{path} is no suppression plan: {why}")]
    Format {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// It is not as it was written.
    #[error("the plan in {path} was changed after it was written")]
    Changed {
        /// The file.
        path: String,
    },
}

fn digest(plan: &Plan) -> Result<String, serde_json::Error> {
    Ok(hex(&Sha256::digest(serde_json::to_vec(plan)?)))
}

/// Writes a plan, replacing the file at once.
///
/// # Errors
/// [`PlanFileError::Io`].
pub fn write(path: &Path, plan: &Plan) -> Result<(), PlanFileError> {
    let io = |source| PlanFileError::Io { path: path.display().to_string(), source };
    let file = PlanFile {
        format: FORMAT.to_owned(),
        sha256: digest(plan).map_err(|error| io(error.into()))?,
        plan: plan.clone(),
    };
    let text = serde_json::to_vec_pretty(&file).map_err(|error| io(error.into()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut beside =
        tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(io)?;
    std::io::Write::write_all(&mut beside, &text).map_err(io)?;
    beside.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

/// Reads a plan back.
///
/// # Errors
/// [`PlanFileError`] if it is not exactly what was written.
pub fn read(path: &Path) -> Result<Plan, PlanFileError> {
    let name = path.display().to_string();
    let bytes =
        std::fs::read(path).map_err(|source| PlanFileError::Io { path: name.clone(), source })?;
    let file: PlanFile = serde_json::from_slice(&bytes)
        .map_err(|error| PlanFileError::Format { path: name.clone(), why: error.to_string() })?;
    if file.format != FORMAT {
        return Err(PlanFileError::Format {
            path: name,
            why: format!("its format is {:?}", file.format),
        });
    }
    let digest = digest(&file.plan)
        .map_err(|error| PlanFileError::Format { path: name.clone(), why: error.to_string() })?;
    if digest != file.sha256 {
        return Err(PlanFileError::Changed { path: name });
    }
    Ok(file.plan)
}
