//! How the lake is asked: statements, what goes into them, and their rows as they come.

use arrow_array::RecordBatch;
use futures::StreamExt;
use jiff::Timestamp;

use super::settings::Settings;
use crate::engine::{Engine, EngineError, Statement};

/// Microseconds of a day.
pub(super) const DAY_US: i64 = 86_400_000_000;
/// Values in one list of a statement.
pub(super) const LIST_LENGTH: usize = 500;

/// Runs a statement and hands on its batches as they come.
pub(crate) async fn for_each(
    engine: &Engine,
    sql: &str,
    take: impl FnMut(&RecordBatch) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    hand_on(&engine.plan(sql).await?, take).await
}

/// As [`for_each`], for a statement that keeps few of the rows it looks at.
pub(super) async fn for_few(
    engine: &Engine,
    sql: &str,
    take: impl FnMut(&RecordBatch) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    hand_on(&engine.plan_selective(sql).await?, take).await
}

async fn hand_on(
    statement: &Statement,
    mut take: impl FnMut(&RecordBatch) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let mut stream = statement.stream().await?;
    while let Some(batch) = stream.next().await {
        take(&batch.map_err(|error| EngineError::running(&error))?)?;
    }
    Ok(())
}

/// The day of an instant in microseconds since 1970, as SQL writes it.
pub(super) fn date(us: i64) -> String {
    let instant = Timestamp::from_microsecond(us).unwrap_or(Timestamp::UNIX_EPOCH);
    instant.strftime("%Y-%m-%d").to_string()
}

/// A text as SQL writes it.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Texts as SQL writes a list of them, without the parentheses.
pub(super) fn quoted_list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.into_iter().map(quoted).collect();
    texts.join(", ")
}

/// The identity of an event as a number; 0 for what is none.
pub(super) fn event_number(id: Option<&str>) -> u128 {
    id.and_then(|id| u128::from_str_radix(id, 16).ok()).unwrap_or(0)
}

/// What the statements about evidence have in common: the lake, the rules, and how far back they read.
pub(super) struct Inquiry<'a> {
    pub(super) engine: &'a Engine,
    pub(super) settings: &'a Settings,
    since: String,
}

impl<'a> Inquiry<'a> {
    pub(super) fn new(engine: &'a Engine, settings: &'a Settings, since_us: i64) -> Self {
        Self { engine, settings, since: date(since_us) }
    }

    /// Fills in a statement that keeps few of the rows it looks at, runs it, and hands on its batches as
    /// they come. `only` is a condition that limits it further, or nothing.
    pub(super) async fn for_each(
        &self,
        template: &str,
        only: &str,
        take: impl FnMut(&RecordBatch) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let tags = self.settings.test_tags.iter();
        let tagged: Vec<String> =
            tags.map(|tag| format!("tags[{}] IS NOT NULL", quoted(tag))).collect();
        let test = if tagged.is_empty() { "FALSE".to_owned() } else { tagged.join(" OR ") };
        let sql = template
            .replace("{since}", &self.since)
            .replace("{recipients}", &self.settings.freeze.recipients.to_string())
            .replace("{test}", &test)
            .replace("{only}", only);
        for_few(self.engine, &sql, take).await
    }
}
