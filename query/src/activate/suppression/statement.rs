//! How the lake is asked: statements, what goes into them, and their rows as they come.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use futures::StreamExt;
use jiff::Timestamp;
use tokio::task::JoinSet;

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

/// Runs a statement on all threads. Each hands its batches to a reader of its own, with columns of texts
/// that repeat as codes of dictionaries. Returns the readers.
pub(super) async fn read_at_once<R: Send + 'static>(
    engine: &Engine,
    sql: &str,
    reader: impl Fn() -> R,
    take: fn(&mut R, &RecordBatch) -> Result<(), ArrowError>,
) -> Result<Vec<R>, EngineError> {
    let mut reading = JoinSet::new();
    for mut stream in engine.plan_coded(sql).await?.streams().await? {
        let mut reader = reader();
        reading.spawn(async move {
            while let Some(batch) = stream.next().await {
                let batch = batch.map_err(|error| EngineError::running(&error))?;
                take(&mut reader, &batch).map_err(|error| unfit(&error))?;
            }
            Ok(reader)
        });
    }
    let mut readers = Vec::new();
    while let Some(ended) = reading.join_next().await {
        readers.push(ended.map_err(|error| unfit(&error))??);
    }
    Ok(readers)
}

fn unfit(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Run { message: format!("cannot read what was found: {error}"), hint: None }
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
        for_few(self.engine, &self.filled(template, only), take).await
    }

    /// A statement with what all have in common filled in, and `only`.
    pub(super) fn filled(&self, template: &str, only: &str) -> String {
        let tags = self.settings.test_tags.iter();
        let tagged: Vec<String> =
            tags.map(|tag| format!("tags[{}] IS NOT NULL", quoted(tag))).collect();
        let test = if tagged.is_empty() { "FALSE".to_owned() } else { tagged.join(" OR ") };
        template
            .replace("{since}", &self.since)
            .replace("{recipients}", &self.settings.freeze.recipients.to_string())
            .replace("{test}", &test)
            .replace("{only}", only)
    }
}
