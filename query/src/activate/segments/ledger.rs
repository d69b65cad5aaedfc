//! Reads back from `segment_ledger` what was acknowledged but is in no generation yet.

use futures::StreamExt;

use super::acknowledged::Generation;
use super::change::{Action, Change, Changes, ChangesWriter};
use super::definition::DestinationSpec;
use super::error::SegmentError;
use crate::engine::{Engine, EngineError};
use crate::output::Cells;

/// The ledger of one segment and destination.
#[derive(Debug)]
pub struct Ledger<'a> {
    /// The lake, open for questions.
    pub engine: &'a Engine,
    /// Name of the segment.
    pub segment: &'a str,
    /// The destination.
    pub spec: &'a DestinationSpec,
}

impl Ledger<'_> {
    /// What was acknowledged since a generation, by an application that was interrupted; only under
    /// one plan, if that is asked.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub async fn acknowledged_since(
        &self,
        generation: Option<&Generation>,
        plan_id: Option<&str>,
    ) -> Result<Changes, SegmentError> {
        let question = |source| SegmentError::Question { segment: self.segment.to_owned(), source };
        let unreadable = |error: arrow_schema::ArrowError| {
            question(EngineError::Run { message: error.to_string(), hint: None })
        };
        let number = generation.map_or(0, |generation| generation.number);
        let plan = match plan_id {
            Some(plan_id) => format!("plan_id = {}", literal(plan_id)),
            None => "true".to_owned(),
        };
        let sql = format!(
            "SELECT member, action, attributes FROM segment_ledger \
             WHERE segment = {} AND destination = {} AND state_version = {number} \
             AND outcome = 'done' AND {plan} \
             ORDER BY member, changed_time",
            literal(self.segment),
            literal(&self.spec.identity()),
        );
        let statement = self.engine.plan(&sql).await.map_err(question)?;
        let mut rows = statement.stream().await.map_err(question)?;
        let mut changes = ChangesWriter::new()?;
        let mut last: Option<Change> = None;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(|error| question(EngineError::running(&error)))?;
            let cells = |column: usize| Cells::new(batch.column(column)).map_err(unreadable);
            let (members, actions, attributes) = (cells(0)?, cells(1)?, cells(2)?);
            for row in 0..batch.num_rows() {
                let action = match text(&actions, row).as_str() {
                    "remove" => Action::Remove,
                    _ => Action::Change,
                };
                let mut attributes = text(&attributes, row);
                if attributes.is_empty() {
                    attributes.push_str("{}");
                }
                let change = Change { action, member: text(&members, row), attributes };
                // Of several changes of one member the last one counts.
                if let Some(before) = last.replace(change)
                    && last.as_ref().is_some_and(|now| now.member != before.member)
                {
                    changes.push(&before)?;
                }
            }
        }
        if let Some(change) = last {
            changes.push(&change)?;
        }
        Ok(changes.finish()?)
    }
}

fn text(cells: &Cells, row: usize) -> String {
    let mut text = String::new();
    cells.text(row, &mut text);
    text
}

/// A text in SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
