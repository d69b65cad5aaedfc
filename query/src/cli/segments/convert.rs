//! `hearback segments convert`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Form;
use crate::activate::segments::convert::{Converted, convert};
use crate::activate::segments::definition::SEGMENTS_FOLDER;
use crate::cli::{CliError, Session, print};

/// Turn segments exported from Amazon Pinpoint into SQL
///
/// FILE is what `aws pinpoint get-segment` or `get-segments` printed; give all segments that refer to one
/// another at once. Each becomes a file in segments/ that asks the view endpoints, which `segments
/// import` fills. What cannot be carried over lets nobody in, and is told here and at the top of the file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  aws pinpoint get-segments --application-id APP_ID > segments.json
  hearback segments convert segments.json
  hearback segments convert segments.json --format json")]
pub(super) struct ConvertArgs {
    /// Exported segments, JSON
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

pub(super) fn run(session: &Session, args: &ConvertArgs) -> Result<(), CliError> {
    let mut documents = Vec::new();
    for path in &args.files {
        let text = std::fs::read_to_string(path).map_err(|error| {
            CliError::usage(format!("cannot read {}", path.display())).because(error)
        })?;
        for document in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
            let document = document.map_err(|error| {
                CliError::usage(format!("{} is no JSON", path.display())).because(error)
            })?;
            documents.push(document);
        }
    }
    let converted = convert(documents)
        .map_err(|reason| CliError::usage("these are no segments of Pinpoint").because(reason))?;
    let folder = session.config.folder().join(SEGMENTS_FOLDER);
    let path_of = |segment: &Converted| folder.join(format!("{}.sql", segment.name));
    // All or nothing, and never over a file that is there.
    for segment in &converted {
        let path = path_of(segment);
        if path.exists() {
            return Err(CliError::usage(format!("{} is there already", path.display()))
                .hint("move it away first; nothing was written"));
        }
    }
    let unwritable = |error: std::io::Error| {
        CliError::usage(format!("cannot write into {}", folder.display())).because(error)
    };
    std::fs::create_dir_all(&folder).map_err(unwritable)?;
    for segment in &converted {
        let mut file = std::fs::File::create_new(path_of(segment)).map_err(unwritable)?;
        file.write_all(segment.text.as_bytes()).map_err(unwritable)?;
    }
    match args.format {
        Form::Json => {
            let list: Vec<Value> = converted
                .iter()
                .map(|segment| in_json(segment, &path_of(segment).display().to_string()))
                .collect();
            print(&format!("{:#}\n", Value::Array(list)))
        }
        Form::Table => {
            let mut text = String::new();
            for segment in &converted {
                text.push_str(&format!("{} → {}\n", segment.original, path_of(segment).display()));
                for note in &segment.notes {
                    text.push_str(&format!("  {}: {}\n", note.kind.word(), note.text));
                }
            }
            print(&text)
        }
    }
}

fn in_json(segment: &Converted, file: &str) -> Value {
    let notes: Vec<Value> = segment
        .notes
        .iter()
        .map(|note| json!({"kind": note.kind.word(), "text": note.text}))
        .collect();
    json!({"segment": segment.name, "original": segment.original, "file": file, "notes": notes})
}
