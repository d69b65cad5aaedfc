//! `hearback trace`.

use std::io::BufWriter;

use clap::{Args, ValueEnum};

use super::{CliError, Session, query};
use crate::output::Format;

const TRACE: &str = include_str!("../../sql/trace.sql");

/// Show the timeline of one recipient or one message
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback trace someone@example.com
  hearback trace 0100017f5acb66f1-e509f90c-0000-4000-8000-000000000000-000000 --format json")]
pub(super) struct TraceArgs {
    /// An email address, or the sender service's message id
    #[arg(value_name = "ADDRESS|MESSAGE_ID")]
    what: String,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = TraceFormat::Table)]
    format: TraceFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TraceFormat {
    /// Columns for people
    Table,
    /// One JSON document
    Json,
    /// Comma-separated values with a header
    Csv,
}

pub(super) async fn run(session: &Session, args: &TraceArgs) -> Result<(), CliError> {
    let engine = session.engine().await?;
    let format = match args.format {
        TraceFormat::Table => Format::Table,
        TraceFormat::Json => Format::Json,
        TraceFormat::Csv => Format::Csv,
    };
    let out = Box::new(BufWriter::new(std::io::stdout()));
    query::write_result(&engine, &statement(&args.what), format, out, false).await
}

/// The timeline of an address as the recipient column spells it, or of a message id.
fn statement(what: &str) -> String {
    let what = what.trim();
    // With an @ it is an address and nothing else: message ids hold none.
    let condition = match hearback_transform::address::parse_mailbox(what) {
        Some(mailbox) if what.contains('@') => format!("recipient = {}", literal(&mailbox.address)),
        _ => format!("message_id = {}", literal(what)),
    };
    TRACE.replace("$condition", &condition)
}

/// A text as a literal of SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::statement;

    #[test]
    fn an_address_is_looked_up_as_the_lake_spells_it() {
        assert!(
            statement("Someone <Some.One+tag@EXAMPLE.com>")
                .contains("WHERE recipient = 'some.one+tag@example.com'")
        );
        assert!(statement("o'brien@example.com").contains("recipient = 'o''brien@example.com'"));
    }

    #[test]
    fn anything_else_is_a_message_id() {
        assert!(statement("0100-abc-000000").contains("WHERE message_id = '0100-abc-000000'"));
        assert!(statement("x' OR 1=1 --").contains("message_id = 'x'' OR 1=1 --'"));
    }
}
