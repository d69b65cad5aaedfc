//! The interactive shell of `hearback query`: history, completion, several lines to a statement.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use hearback_schemas::{EVENTS, REJECTS, Table};
use rustyline::completion::{Completer, Pair};
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Context, Editor, Helper, Highlighter, Hinter};

use super::{CliError, Session, query};
use crate::engine::{Engine, VIEWS, sql_name};
use crate::output::{Align, Format, TextTable};

/// Statements remembered between sessions.
const HISTORY: usize = 1_000;

const HELP: &str = "\
A statement ends with a semicolon and may take several lines.
  \\d          tables and views
  \\d NAME     columns of a table or view
  \\timing     show how long statements take (again: stop)
  \\?          this help
  \\q          leave (or Ctrl-D)
";

const KEYWORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "COUNT(*)",
    "DISTINCT",
    "AND",
    "OR",
    "NOT",
    "NULL",
    "IS",
    "IN",
    "LIKE",
    "BETWEEN",
    "INTERVAL",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "WITH",
    "AS",
    "HAVING",
    "DESC",
    "FILTER",
    "EXPLAIN",
    "UNION ALL",
    "OVER",
    "PARTITION BY",
    "DATE",
    "TIMESTAMP",
];

pub(super) async fn run(session: &Session, format: Format) -> Result<(), CliError> {
    let engine = session.engine().await?;
    let mut editor: Editor<Words, DefaultHistory> =
        Editor::new().map_err(|error| CliError::failed("cannot start the shell").because(error))?;
    editor.set_completion_type(CompletionType::List);
    editor.set_helper(Some(Words { words: words() }));
    // History is a convenience: a home that cannot be read or written is no reason to fail.
    let _ = editor.set_max_history_size(HISTORY);
    let history = history_file();
    if let Some(path) = &history {
        let _ = editor.load_history(path);
    }
    println!("{} · \\? for help, \\q to leave", session.config.lake());
    let mut timing = false;
    loop {
        let line = match editor.readline("hearback> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(CliError::failed("cannot read the line").because(error)),
        };
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let _ = editor.add_history_entry(line);
        match line.strip_prefix('\\') {
            Some(command) => match command.trim().trim_end_matches(';') {
                "q" => break,
                "?" => print!("{HELP}"),
                "timing" => {
                    timing = !timing;
                    println!("timing is {}", if timing { "on" } else { "off" });
                }
                command => describe(&engine, command).await,
            },
            None => answer(&engine, line, format, timing).await,
        }
    }
    if let Some(path) = &history {
        let _ = editor.save_history(path);
    }
    Ok(())
}

async fn answer(engine: &Engine, sql: &str, format: Format, timing: bool) {
    // Bytes are not for a terminal.
    let format = if format.is_binary() { Format::Table } else { format };
    let start = Instant::now();
    let run = query::write_result(engine, sql, format, Box::new(std::io::stdout()), false);
    tokio::select! {
        result = run => if let Err(error) = result {
            eprint!("{}", error.text());
        },
        _ = tokio::signal::ctrl_c() => eprintln!("stopped"),
    }
    if timing {
        println!("{:.1} ms", start.elapsed().as_secs_f64() * 1_000.0);
    }
    let _ = std::io::stdout().flush();
}

async fn describe(engine: &Engine, command: &str) {
    match command.split_once(char::is_whitespace) {
        None if command == "d" => print!("{}", listing()),
        Some(("d", name)) => {
            let name = name.trim();
            if let Some(table) = tables().into_iter().find(|table| table.name == name) {
                print!("{}", columns(table));
                return;
            }
            let quoted = name.replace('"', "\"\"");
            let sql = format!("SELECT * FROM \"{quoted}\" LIMIT 0");
            match engine.plan(&sql).await {
                Ok(statement) => {
                    let mut table =
                        TextTable::new(&[("column", Align::Left), ("type", Align::Left)]);
                    for field in statement.schema().fields() {
                        table.row(vec![field.name().clone(), sql_name(field.data_type())]);
                    }
                    print!("{}", table.render());
                }
                Err(error) => eprint!("{}", CliError::from(error).text()),
            }
        }
        _ => eprintln!("error: there is no command \\{command}\nhint: \\? lists the commands"),
    }
}

fn tables() -> [&'static Table; 2] {
    [&EVENTS, &REJECTS]
}

fn listing() -> String {
    let left = Align::Left;
    let mut table = TextTable::new(&[("name", left), ("kind", left), ("meaning", left)]);
    for base in tables() {
        table.row(vec![base.name.to_owned(), "table".to_owned(), base.meaning.to_owned()]);
    }
    for view in VIEWS {
        table.row(vec![view.name.to_owned(), "view".to_owned(), view.meaning().to_owned()]);
    }
    table.render()
}

fn columns(table: &Table) -> String {
    let left = Align::Left;
    let mut text = TextTable::new(&[("column", left), ("type", left), ("meaning", left)]);
    for column in table.columns {
        text.row(vec![
            column.name.to_owned(),
            column.kind.sql().to_owned(),
            column.meaning.to_owned(),
        ]);
    }
    text.render()
}

fn words() -> Vec<String> {
    let mut words: Vec<String> = KEYWORDS.iter().map(|word| (*word).to_owned()).collect();
    for table in tables() {
        words.push(table.name.to_owned());
        words.extend(table.columns.iter().map(|column| column.name.to_owned()));
    }
    words.extend(VIEWS.iter().map(|view| view.name.to_owned()));
    words.extend(["\\d", "\\timing", "\\q"].map(str::to_owned));
    words.sort();
    words.dedup();
    words
}

fn history_file() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(|| {
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"))
    })?;
    let folder = folder.join("hearback");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

/// Completion of names and keywords, and the rule of when a statement is complete.
#[derive(Helper, Hinter, Highlighter)]
struct Words {
    words: Vec<String>,
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..position];
        let start = before
            .rfind(|character: char| {
                !(character.is_alphanumeric() || character == '_' || character == '\\')
            })
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let typed = before[start..].to_lowercase();
        if typed.is_empty() {
            return Ok((start, Vec::new()));
        }
        let matching = self.words.iter().filter(|word| word.to_lowercase().starts_with(&typed));
        let pairs = matching.map(|word| Pair { display: word.clone(), replacement: word.clone() });
        Ok((start, pairs.collect()))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let complete = text.is_empty() || text.starts_with('\\') || text.ends_with(';');
        Ok(if complete { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}
