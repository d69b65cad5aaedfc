//! `hearback segments import`.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use futures::{StreamExt, TryStreamExt};
use hearback_ingest::aws::{explain, open_store};
use hearback_ingest::lake::Lake;
use object_store::ObjectStoreExt;
use serde_json::json;

use super::Form;
use crate::activate::segments::SegmentError;
use crate::activate::segments::endpoints::{Imported, Importer};
use crate::cli::{CliError, Session, now, print};

/// Import endpoints exported from Amazon Pinpoint
///
/// SOURCE is a file, a folder (with everything below it) or s3://bucket/prefix with NDJSON or CSV as
/// Pinpoint's export jobs wrote them, gzip or not, or what `aws pinpoint get-endpoint` printed. The view
/// endpoints has each endpoint as it was last; who is opted out of everything there is left out of
/// segments. Importing a file again adds nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearback segments import s3://acme-mail/pinpoint-export/
  hearback segments import --name 6c4e… imported-list.csv
  hearback query \"SELECT attributes['plan'], count(*) FROM endpoints GROUP BY 1\"")]
pub(super) struct ImportArgs {
    /// Exported endpoints
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// Name to keep with them: the id of an imported segment, whose members they are
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) async fn run(session: &Session, args: &ImportArgs) -> Result<(), CliError> {
    let lake = Lake::open_or_create(session.config.lake()).await.map_err(SegmentError::from)?;
    let run = uuid::Uuid::new_v4();
    let mut importer = Importer::begin(&lake, args.name.clone(), now, run).await?;
    for source in &args.sources {
        if source.starts_with("s3://") {
            from_bucket(&mut importer, source).await?;
            continue;
        }
        for path in files(Path::new(source))? {
            let file = File::open(&path).map_err(|error| unreadable(&path, error))?;
            importer.file(&path.display().to_string(), file).await?;
        }
    }
    let imported = importer.finish().await?;
    if !session.quiet {
        for reason in &imported.reasons {
            eprintln!("{reason}");
        }
    }
    report(&imported, args.format)?;
    if imported.endpoints == 0 && imported.rejected > 0 {
        return Err(CliError::failed("none of the records is an endpoint of Pinpoint")
            .hint("events of Pinpoint's event stream are read by `hearback ingest`"));
    }
    Ok(())
}

/// A file, or all files of a folder, by name.
fn files(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    let kind = std::fs::metadata(path).map_err(|error| unreadable(path, error))?;
    if !kind.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(path, error))?;
        found.extend(files(&entry.path())?);
    }
    found.sort();
    Ok(found)
}

fn unreadable(path: &Path, error: std::io::Error) -> CliError {
    CliError::usage(format!("cannot read {}", path.display())).because(error)
}

/// Every object below a prefix, one after the other, each by way of a temporary file.
async fn from_bucket(importer: &mut Importer, uri: &str) -> Result<(), CliError> {
    let place = open_store(uri)
        .await
        .map_err(|error| CliError::usage(format!("cannot read {uri}")).because(error))?;
    let failed = |error: object_store::Error| {
        CliError::usage(format!("cannot read {uri}")).because(explain(&error))
    };
    // A prefix that is an object by itself is one file.
    let mut paths = match place.store.head(&place.prefix).await {
        Ok(object) => vec![object.location],
        Err(_) => {
            let listed = place.store.list(Some(&place.prefix));
            listed.map_ok(|object| object.location).try_collect().await.map_err(failed)?
        }
    };
    if paths.is_empty() {
        return Err(CliError::usage(format!("there is nothing at {uri}")));
    }
    paths.sort();
    for path in paths {
        let mut file = tempfile::tempfile()?;
        let mut pieces = place.store.get(&path).await.map_err(failed)?.into_stream();
        while let Some(piece) = pieces.next().await {
            file.write_all(&piece.map_err(failed)?)?;
        }
        file.rewind()?;
        importer.file(path.as_ref(), file).await?;
    }
    Ok(())
}

fn report(imported: &Imported, format: Form) -> Result<(), CliError> {
    let Imported { endpoints, added, rejected, reasons: _ } = imported;
    let known = endpoints.saturating_sub(*added);
    match format {
        Form::Json => {
            let document = json!({"endpoints": endpoints, "added": added, "known": known, "rejected": rejected});
            print(&format!("{document}\n"))
        }
        Form::Table => print(&format!(
            "{endpoints} endpoints read, {added} added, {known} known already, {rejected} records are no endpoints\n"
        )),
    }
}
