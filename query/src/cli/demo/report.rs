//! The demo's report: what a manager would ask, in plain words, each figure with its SQL.
//!
//! Invariant: every figure is the result of a statement that is printed beside it.

use hearback_ingest::IngestReport;
use serde_json::{Value, json};

use super::scalar;
use crate::cli::CliError;
use crate::engine::Engine;
use crate::output::{Align, TextTable};
use crate::report::{self, Figure, Figures, Period};

/// A question whose answer is one number.
struct Question {
    words: &'static str,
    sql: &'static str,
}

const TOTALS: &[Question] = &[
    Question { words: "rows of feedback in the lake", sql: "SELECT count(*) FROM events" },
    Question {
        words: "messages to a recipient that were sent",
        sql: "SELECT count(*) FROM messages WHERE send_seen AND simulated IS NOT TRUE",
    },
    Question { words: "recipients", sql: "SELECT count(*) FROM recipients" },
    Question {
        words: "documents that could not be read, kept aside byte for byte",
        sql: "SELECT count(*) FROM rejects",
    },
];

/// Metrics of the report `deliverability` that the story tells, with plain words for them.
const HEADLINES: &[(&str, &str)] = &[
    ("delivery rate (attempted)", "arrived, of the mail that was tried"),
    ("hard bounce rate (SES-like)", "bounced for good (SES reviews an account at 5 %)"),
    ("complaint rate", "were reported as spam, where reports exist (SES reviews at 0.1 %)"),
    ("suppressed", "were not tried: the address is on a suppression list"),
    ("open rate (VDM)", "were opened, machines included"),
    ("human open rate", "were opened by a person, as far as can be told"),
    ("human click rate", "were clicked by a person"),
    ("no outcome yet", "have no outcome yet"),
];

/// The report for people.
pub(super) async fn text(engine: &Engine, read: &IngestReport) -> Result<String, CliError> {
    let mut text = String::new();
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    line("WHAT CAME BACK");
    line("");
    let left = Align::Left;
    let mut totals = TextTable::new(&[("figure", Align::Right), ("what", left), ("SQL", left)]);
    for question in TOTALS {
        let answer = scalar(engine, question.sql).await?;
        totals.row(vec![answer, question.words.to_owned(), question.sql.to_owned()]);
    }
    line(&totals.render());
    line(&format!(
        "This run read {} documents: {} rows were new, {} were repeats of events already there, \
         {} documents were rejected, {} carry no event.",
        read.records, read.events, read.duplicates, read.rejected, read.ignored
    ));
    line("");

    let deliverability = figures(engine, "deliverability").await?;
    line("HOW THE MAIL DID");
    line("");
    let mut headline = TextTable::new(&[
        ("figure", Align::Right),
        ("count", Align::Right),
        ("of", Align::Right),
        ("what", left),
        ("counted / of", left),
    ]);
    for (metric, words) in HEADLINES {
        if let Some(figure) = named(&deliverability, metric) {
            headline.row(vec![
                figure.value(),
                figure.numerator.map_or_else(String::new, |count| count.to_string()),
                figure.denominator.to_string(),
                (*words).to_owned(),
                format!("{} / {}", figure.numerator_is, figure.denominator_is),
            ]);
        }
    }
    line(&headline.render());
    line("Check: hearback report deliverability --sql prints the statement behind these figures.");
    line("");

    let providers = figures(engine, "providers").await?;
    let bounces = figures(engine, "bounces").await?;
    line("WHAT TO LOOK AT");
    line("");
    for remark in remarks(&deliverability, &providers, &bounces) {
        line(&format!("* {remark}"));
    }
    Ok(text)
}

/// The report's figures for programs: each with the statement that gives its value.
pub(super) async fn figures_in_json(engine: &Engine) -> Result<Vec<Value>, CliError> {
    let mut entries = Vec::new();
    for question in TOTALS {
        let value: Value = serde_json::from_str(&scalar(engine, question.sql).await?)
            .map_err(|error| CliError::failed("a count is not a number").because(error))?;
        entries.push(json!({"what": question.words, "value": value, "sql": question.sql}));
    }
    let statement = statement("deliverability")?;
    let deliverability = figures(engine, "deliverability").await?;
    for (metric, words) in HEADLINES {
        let Some(figure) = named(&deliverability, metric) else { continue };
        let counts = [
            ("numerator", &figure.numerator_is, figure.numerator),
            ("denominator", &figure.denominator_is, Some(figure.denominator)),
        ];
        for (column, counted, value) in counts {
            entries.push(json!({
                "what": counted,
                "metric": metric,
                "meaning": words,
                "part": column,
                "value": value,
                "sql": format!("SELECT {column} FROM (\n{statement}\n) AS report WHERE metric = '{metric}'"),
            }));
        }
    }
    Ok(entries)
}

/// A few sentences on what stands out, each with its figures and where they come from.
fn remarks(deliverability: &Figures, providers: &Figures, bounces: &Figures) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(worst) = largest(providers, "bounce rate") {
        remarks.push(format!(
            "Mail to {} bounces most: {} {}. [report providers]",
            group(worst),
            worst.value(),
            worst.basis()
        ));
    }
    let causes = bounces.figures.iter();
    let causes =
        causes.filter(|cause| cause.metric != "suppression_echo" && cause.metric != "auto_reply");
    if let Some(cause) = causes.max_by_key(|cause| cause.numerator) {
        remarks.push(format!(
            "The commonest cause of a bounce is {}: {} {}. [report bounces]",
            cause.metric,
            cause.value(),
            cause.basis()
        ));
    }
    let policy = bounces.figures.iter().filter(|cause| {
        matches!(cause.metric.as_str(), "policy" | "spam_block" | "content" | "rate_limited")
    });
    let blocked: i64 = policy.filter_map(|cause| cause.numerator).sum();
    if blocked > 0 {
        remarks.push(format!(
            "{blocked} bounces were the sender's fault or reputation (policy, spam_block, content, rate_limited), \
             not the address's: removing those addresses would be wrong. [report bounces]"
        ));
    }
    if let Some(rate) = named(deliverability, "complaint rate")
        && rate.rate().is_some_and(|rate| rate >= 0.001)
    {
        remarks.push(format!(
            "Complaints are at {} {}, above the 0.1 % at which SES reviews an account. [report complaints]",
            rate.value(),
            rate.basis()
        ));
    }
    if let (Some(all), Some(human)) =
        (named(deliverability, "open rate (VDM)"), named(deliverability, "human open rate"))
        && let (Some(opened), Some(by_people)) = (all.numerator, human.numerator)
    {
        remarks.push(format!(
            "Of {opened} opened messages, {by_people} were opened by a person; the rest only by machines \
             (Apple Mail's prefetch, scanners) or by someone who cannot be told apart. [report engagement]"
        ));
    }
    let unheard: Vec<&str> = providers
        .figures
        .iter()
        .filter(|figure| figure.metric == "complaint rate" && figure.denominator == 0)
        .filter_map(|figure| figure.group.as_deref())
        .collect();
    if !unheard.is_empty() {
        remarks.push(format!(
            "No complaint can be heard of from {}: they report none to SES, so their rate is n/a, not zero. [report complaints]",
            unheard.join(", ")
        ));
    }
    remarks
}

fn group(figure: &Figure) -> &str {
    figure.group.as_deref().unwrap_or("unknown providers")
}

fn named<'a>(figures: &'a Figures, metric: &str) -> Option<&'a Figure> {
    figures.figures.iter().find(|figure| figure.metric == metric)
}

/// The group with the highest rate, among those with enough mail to tell (100 messages).
fn largest<'a>(figures: &'a Figures, metric: &str) -> Option<&'a Figure> {
    let candidates = figures
        .figures
        .iter()
        .filter(|figure| figure.metric == metric && figure.denominator >= 100);
    candidates.max_by(|a, b| a.rate().partial_cmp(&b.rate()).unwrap_or(std::cmp::Ordering::Equal))
}

async fn figures(engine: &Engine, name: &str) -> Result<Figures, CliError> {
    crate::cli::report::figures(engine, &statement(name)?).await
}

fn statement(name: &str) -> Result<String, CliError> {
    report::report(name)
        .and_then(|report| report.statement(None, &Period::default()))
        .ok_or_else(|| CliError::failed(format!("there is no report {name}")))
}
