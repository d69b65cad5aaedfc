//! What can go wrong with a statement, said the way a person would: where, what, and what was
//! probably meant.

use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::error::Result as DataFusionResult;
use hearback_ingest::causes::in_one_line;

use super::synonyms;
use crate::nearest::nearest;

/// A statement that did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The text cannot be run as it stands: mend the statement.
    #[error("{message}")]
    Statement {
        /// What is wrong and where.
        message: String,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// More than one statement, or one that is not a question.
    #[error("{message}")]
    Refused {
        /// What was refused.
        message: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// There is no lake at the place named.
    #[error("there is no lake at {lake}")]
    MissingLake {
        /// The place.
        lake: String,
    },
    /// The lake could not be read.
    #[error("cannot read table {table} of the lake")]
    Lake {
        /// The table.
        table: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The statement is fine and failed while it ran.
    #[error("{message}")]
    Run {
        /// What failed.
        message: String,
        /// What may help.
        hint: Option<String>,
    },
}

impl EngineError {
    /// The error of planning a statement.
    pub(super) fn planning(error: &DataFusionError, tables: &[String]) -> Self {
        if let Some(lake) = carried(error) {
            return lake;
        }
        let root = error.find_root();
        let message = sentence(root);
        let position = error
            .diagnostic()
            .and_then(|diagnostic| diagnostic.span)
            .map(|span| format!("line {}, column {}: ", span.start.line, span.start.column))
            .filter(|position| !message.starts_with(position.as_str()))
            .unwrap_or_default();
        if let DataFusionError::SchemaError(schema, _) = root
            && let SchemaError::FieldNotFound { field, valid_fields } = schema.as_ref()
        {
            return Self::Statement {
                message: format!("{position}there is no column {}", field.quoted_flat_name()),
                hint: column_hint(field, valid_fields),
            };
        }
        if let Some((name, near)) = missing_function(&message) {
            let near = near.filter(|near| nearest(name, [*near]).is_some());
            let hint = synonyms::remedy(name).map(ToOwned::to_owned);
            return Self::Statement {
                message: format!("{position}there is no function {name}"),
                hint: hint.or_else(|| near.map(|near| format!("did you mean {near}?"))),
            };
        }
        if message.ends_with("found: :") {
            let hint = "fields of JSON are read like this: `extra->'bounce'->>'feedbackId'`";
            return Self::Statement { message, hint: Some(hint.to_owned()) };
        }
        if let Some(name) = missing_table(&message) {
            let hint = match nearest(&name, tables.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("tables and views: {}", tables.join(", ")),
            };
            return Self::Statement {
                message: format!("{position}there is no table {name}"),
                hint: Some(hint),
            };
        }
        Self::Statement { message: format!("{position}{message}"), hint: None }
    }

    /// The error of running a planned statement.
    pub(crate) fn running(error: &DataFusionError) -> Self {
        if let Some(lake) = carried(error) {
            return lake;
        }
        let root = error.find_root();
        let hint = match root {
            DataFusionError::ResourcesExhausted(_) => {
                Some("raise query.memory_limit in the configuration, or ask for less".to_owned())
            }
            _ => None,
        };
        let message = sentence(root);
        if message.contains("OuterReferenceColumn") {
            return Self::Statement {
                message: "a table made of each row of another cannot be joined here".to_owned(),
                hint: Some(
                    "unnest in the list of columns: `SELECT unnest(map_keys(tags)) AS tag FROM events`"
                        .to_owned(),
                ),
            };
        }
        if message.contains("non-UTF-8 data") {
            return Self::Run {
                message: "there are bytes among the values that are no text".to_owned(),
                hint: Some("`from_utf8(raw)` shows them as \u{fffd}".to_owned()),
            };
        }
        Self::Run { message, hint }
    }

    /// What to do about it, if there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Statement { hint, .. } | Self::Refused { hint, .. } | Self::Run { hint, .. } => {
                hint.clone()
            }
            Self::MissingLake { .. } => Some(
                "`hearback ingest SOURCE` creates it; --lake, HEARBACK_LAKE or `lake` in the configuration file name another".to_owned(),
            ),
            Self::Lake { .. } => None,
        }
    }
}

/// Takes one of our own errors out of the DataFusion error that carried it through planning.
fn carried(error: &DataFusionError) -> Option<EngineError> {
    let DataFusionError::External(inner) = error.find_root() else {
        return None;
    };
    match inner.downcast_ref::<EngineError>()? {
        EngineError::MissingLake { lake } => Some(EngineError::MissingLake { lake: lake.clone() }),
        EngineError::Lake { table, source } => Some(EngineError::Lake {
            table: table.clone(),
            source: in_one_line(source.as_ref()).into(),
        }),
        _ => None,
    }
}

/// Passes one of our errors through an interface that knows DataFusion's only.
pub(super) fn external<T>(error: EngineError) -> DataFusionResult<T> {
    Err(DataFusionError::External(Box::new(error)))
}

fn column_hint(field: &Column, valid: &[Column]) -> Option<String> {
    if valid.is_empty() {
        return None;
    }
    let names: Vec<&str> = valid.iter().map(Column::name).collect();
    match nearest(field.name(), names.iter().copied()) {
        Some(near) => Some(format!("did you mean {near}?")),
        None if names.len() <= 20 => Some(format!("columns here: {}", names.join(", "))),
        None => Some("`hearback schema` lists the columns".to_owned()),
    }
}

/// DataFusion's message without the machinery around it.
fn sentence(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    let mut rest = text.as_str();
    let prefixes = [
        "Error during planning: ",
        "SQL error: ",
        "Schema error: ",
        "Execution error: ",
        "This feature is not implemented: ",
        "Resources exhausted: ",
        "Arrow error: ",
        "Optimizer rule failed: ",
        "External error: ",
    ];
    while let Some(prefix) = prefixes.iter().find(|prefix| rest.starts_with(**prefix)) {
        rest = &rest[prefix.len()..];
    }
    // sqlparser's errors arrive in debug form: ParserError("… at Line: 1, Column: 8").
    let rest = rest
        .strip_prefix("ParserError(\"")
        .or_else(|| rest.strip_prefix("TokenizerError(\""))
        .and_then(|inner| inner.strip_suffix("\")"))
        .unwrap_or(rest);
    let (rest, position) = match rest.rsplit_once(" at Line: ") {
        Some((rest, position)) => (rest, Some(position)),
        None => (rest, None),
    };
    // What cannot be planned is shown as the planner sees it, thousands of characters of its insides.
    let rest = match rest.find("Span(").and_then(|_| rest.find(['{', '('])) {
        Some(insides) => rest[..insides].trim_end(),
        None => rest,
    };
    let mut message = rest.trim().trim_end_matches('.').replace("\\\"", "\"");
    if let Some((line, column)) = position.and_then(|position| position.split_once(", Column: ")) {
        message = format!("line {line}, column {column}: {}", lower_first(&message));
    }
    message
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// The names in "Invalid function 'NAME'.\nDid you mean 'NEAR'?".
fn missing_function(message: &str) -> Option<(&str, Option<&str>)> {
    let (name, rest) = message.strip_prefix("Invalid function '")?.split_once('\'')?;
    let near = rest.split_once("Did you mean '").and_then(|(_, near)| near.split_once('\''));
    Some((name, near.map(|(near, _)| near)))
}

/// The name in "table 'hearback.lake.NAME' not found".
fn missing_table(message: &str) -> Option<String> {
    let name = message.strip_prefix("table '")?.strip_suffix("' not found")?;
    Some(name.rsplit('.').next().unwrap_or(name).to_owned())
}
