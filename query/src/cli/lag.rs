//! `hearback report lag`: how far behind the streams' readers are. Unlike the other reports it is not
//! about mail, has no dimension, and works on positions alone.

use serde_json::{Value, json};

use super::{CliError, Session, print};
use crate::output::{Align, Format, TextTable, writer};
use crate::report::{Period, duration};

/// Its name on the command line.
pub(super) const NAME: &str = "lag";
/// What it answers.
pub(super) const QUESTION: &str = "How far behind is reading?";
/// What it counts.
const DEFINITION: &str = "Unit: one shard of a stream, as of its last commit. behind is what Kinesis said then (0 at the tip); unread is the time since everything that had arrived was read, and grows when nothing is read any more (an idle stream is committed every five minutes); records behind is estimated from the rate between the last two commits. Streams that are read by Lambda are not here: their event source mapping has their lag (IteratorAge).";
/// The statement behind it, for the streams whose last commit lies in a period.
pub(super) fn sql(period: &Period) -> String {
    let condition = period.condition("last_commit_time");
    format!("SELECT * FROM lag WHERE {condition} ORDER BY stream, state = 'ended', shard\n")
}

/// Its entry in the list of reports.
pub(super) fn listed() -> Value {
    json!({"name": NAME, "question": QUESTION, "definition": DEFINITION, "dimensions": []})
}

/// Answers it as JSON.
pub(super) async fn json(session: &Session, period: &Period) -> Result<(), CliError> {
    let document = json!({
        "report": NAME,
        "question": QUESTION,
        "definition": DEFINITION,
        "period": period.words(),
        "figures": rows(session, period).await?,
    });
    print(&format!("{document:#}\n"))
}

/// Answers it as comma-separated values.
pub(super) async fn csv(session: &Session, period: &Period) -> Result<(), CliError> {
    print(&written(session, period, Format::Csv).await?)
}

/// Answers it for people.
pub(super) async fn table(session: &Session, period: &Period) -> Result<(), CliError> {
    let rows = rows(session, period).await?;
    let mut text = format!("{QUESTION} ({})\n\n", period.words());
    if rows.is_empty() {
        text.push_str("No stream was read into this lake in this period.\n");
        return print(&text);
    }
    let mut table = TextTable::new(&[
        ("stream", Align::Left),
        ("shard", Align::Left),
        ("state", Align::Left),
        ("behind", Align::Right),
        ("records behind", Align::Right),
        ("unread", Align::Right),
        ("last arrival", Align::Left),
        ("last commit", Align::Right),
        ("gaps", Align::Right),
        ("position", Align::Left),
    ]);
    for row in &rows {
        let word = |name: &str| match &row[name] {
            Value::Null => "n/a".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let time = |name: &str| row[name].as_i64().map_or_else(|| "n/a".to_owned(), duration);
        table.row(vec![
            word("stream"),
            word("shard"),
            word("state"),
            time("behind_ms"),
            word("records_behind"),
            time("unread_ms"),
            word("last_arrival_time"),
            format!("{} ago", time("last_commit_age_ms")),
            word("gaps"),
            word("position"),
        ]);
    }
    text.push_str(&table.render());
    print(&format!("{text}\n{DEFINITION}\n"))
}

async fn rows(session: &Session, period: &Period) -> Result<Vec<Value>, CliError> {
    let text = written(session, period, Format::Json).await?;
    serde_json::from_str(&text)
        .map_err(|error| CliError::failed("cannot read the report's result").because(error))
}

async fn written(session: &Session, period: &Period, format: Format) -> Result<String, CliError> {
    let engine = session.engine().await?;
    let statement = engine.plan(&sql(period)).await?;
    let batches = statement.collect().await?;
    let mut bytes = Vec::new();
    {
        let mut out = writer(format, &statement.schema(), Box::new(&mut bytes), false)?;
        for batch in &batches {
            out.write(batch)?;
        }
        out.finish()?;
    }
    String::from_utf8(bytes)
        .map_err(|error| CliError::failed("cannot read the report's result").because(error))
}
