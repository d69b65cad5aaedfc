//! Who left or became unreachable after a plan was made: nobody of them is added.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::StreamExt;
use serde_json::Value;

use crate::activate::segments::change::{Action, Change};
use crate::activate::segments::definition::{Segment, Suppressed};
use crate::activate::segments::error::SegmentError;
use crate::activate::segments::members::{ADDRESS, unreachable};
use crate::activate::segments::plan::Bench;
use crate::engine::EngineError;
use crate::output::Cells;

/// People who must not be written to now, with the reason, by a hash of the address: a million of them
/// take some 50 MB.
#[derive(Debug, Default)]
pub(super) struct Departed {
    reasons: HashMap<u64, String>,
    key_is_address: bool,
}

impl Departed {
    /// Nobody: for segments that are about such people, and where nobody is added.
    pub(super) fn nobody() -> Self {
        Self::default()
    }

    /// As the newest version of the lake has it.
    ///
    /// # Errors
    /// [`SegmentError::Question`] if the lake cannot be asked.
    pub(super) async fn now(bench: &Bench<'_>, segment: &Segment) -> Result<Self, SegmentError> {
        if segment.suppressed == Suppressed::Included {
            return Ok(Self::nobody());
        }
        let question = |source| SegmentError::Question { segment: segment.name.clone(), source };
        let statement = bench.engine.plan(&unreachable(&segment.topics)).await.map_err(question)?;
        let mut rows = statement.stream().await.map_err(question)?;
        let mut reasons = HashMap::new();
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(|error| question(EngineError::running(&error)))?;
            let cells = |column: usize| {
                Cells::new(batch.column(column)).map_err(|error| {
                    question(EngineError::Run { message: error.to_string(), hint: None })
                })
            };
            let (addresses, words) = (cells(0)?, cells(1)?);
            for row in 0..batch.num_rows() {
                let (mut address, mut reason) = (String::new(), String::new());
                addresses.text(row, &mut address);
                words.text(row, &mut reason);
                reasons.insert(hash_of(&address), reason);
            }
        }
        Ok(Self { reasons, key_is_address: segment.key == ADDRESS })
    }

    /// Why a change must not be made any more. Removing somebody is always right.
    pub(super) fn reason_against(&self, change: &Change) -> Option<String> {
        if self.reasons.is_empty() || change.action == Action::Remove {
            return None;
        }
        let reason = if self.key_is_address {
            self.reasons.get(&hash_of(&change.member))
        } else {
            match change.values().get(ADDRESS) {
                Some(Value::String(address)) => self.reasons.get(&hash_of(address)),
                _ => None,
            }
        };
        reason.map(|reason| format!("{reason} since the plan was made"))
    }
}

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
