//! `hearback query`.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use futures::StreamExt;

use super::{CliError, Session, shell};
use crate::engine::{Engine, EngineError};
use crate::output::{self, Format};

/// Ask the lake in SQL
///
/// Runs one statement that reads. Without one, on a terminal, starts an interactive shell; without
/// one and with something on standard input, reads the statement from there.
///
/// Tables: events, rejects. Views: messages, recipients, and the fifteen views of the Digital User
/// Engagement Events Database. `hearback schema` explains the columns.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback query \"SELECT event_type, count(*) FROM events GROUP BY 1 ORDER BY 2 DESC\"
  hearback query -f monthly.sql --format parquet -o monthly.parquet
  hearback query \"SELECT tags['campaign'][1], extra->'bounce'->>'feedbackId' FROM events WHERE event_type = 'bounce'\"")]
pub(super) struct QueryArgs {
    /// The statement
    #[arg(conflicts_with = "file")]
    sql: Option<String>,
    /// Read the statement from a file, `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write the result to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(session: &Session, args: QueryArgs) -> Result<(), CliError> {
    let sql = match (args.sql, &args.file) {
        (Some(sql), _) => sql,
        (None, Some(path)) if path.as_os_str() == "-" => read_standard_input()?,
        (None, Some(path)) => read_file(path)?,
        (None, None) if std::io::stdin().is_terminal() => {
            return shell::run(session, args.format).await;
        }
        (None, None) => read_standard_input()?,
    };
    let to_terminal = args.output.is_none() && std::io::stdout().is_terminal();
    if args.format.is_binary() && to_terminal {
        return Err(CliError::usage("this format is bytes that a terminal cannot show")
            .hint("-o FILE writes it to a file"));
    }
    let engine = session.engine().await?;
    match &args.output {
        None => {
            let out = BufWriter::new(std::io::stdout());
            write_result(&engine, &sql, args.format, Box::new(out), false).await
        }
        Some(path) => to_file(&engine, &sql, args.format, path).await,
    }
}

/// Plans, runs and writes a statement; rows leave as they are found.
pub(super) async fn write_result(
    engine: &Engine,
    sql: &str,
    format: Format,
    out: Box<dyn Write + Send + '_>,
    file: bool,
) -> Result<(), CliError> {
    let statement = engine.plan(sql).await?;
    let mut rows = statement.stream().await?;
    let mut writer = output::writer(format, &statement.schema(), out, file)?;
    while let Some(batch) = rows.next().await {
        writer.write(&batch.map_err(|error| EngineError::running(&error))?)?;
    }
    Ok(writer.finish()?)
}

/// Writes beside the file and moves it into place, so that a failed statement leaves the file that
/// was there.
async fn to_file(engine: &Engine, sql: &str, format: Format, path: &Path) -> Result<(), CliError> {
    let unwritable = |error: std::io::Error| {
        CliError::usage(format!("cannot write {}", path.display())).because(error)
    };
    // A device or a pipe is written to as it is.
    let special = std::fs::metadata(path).is_ok_and(|found| !found.is_file());
    if special {
        let out = File::create(path).map_err(unwritable)?;
        return write_result(engine, sql, format, Box::new(BufWriter::new(out)), true).await;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let part = tempfile::Builder::new()
        .prefix(".hearback-")
        .suffix(".part")
        .tempfile_in(folder)
        .map_err(unwritable)?;
    let out = part.reopen().map_err(unwritable)?;
    write_result(engine, sql, format, Box::new(BufWriter::new(out)), true).await?;
    readable(part.as_file()).map_err(unwritable)?;
    part.persist(path).map_err(|error| unwritable(error.error))?;
    Ok(())
}

/// Temporary files are for their owner's eyes only; a result has the permissions of any new file.
#[cfg(unix)]
fn readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &File) -> std::io::Result<()> {
    Ok(())
}

fn read_file(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path)
        .map_err(|error| CliError::usage(format!("cannot read {}", path.display())).because(error))
}

fn read_standard_input() -> Result<String, CliError> {
    let mut sql = String::new();
    std::io::stdin()
        .read_to_string(&mut sql)
        .map_err(|error| CliError::usage("cannot read standard input").because(error))?;
    Ok(sql)
}
