//! `hearback segments new`.

use std::io::Write;

use clap::Args;

use crate::activate::segments::definition::SEGMENTS_FOLDER;
use crate::activate::segments::library::{LIBRARY, Ready, ready};
use crate::cli::{CliError, Session, print};
use crate::nearest::nearest;
use crate::output::{Align, TextTable};

/// Copy a ready segment into segments/, to be changed; without a name, list them
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Name of a ready segment
    name: Option<String>,
    /// Name of the new file and segment [default: the same]
    #[arg(long = "as", value_name = "NAME")]
    new_name: Option<String>,
}

pub(super) fn run(session: &Session, args: &NewArgs) -> Result<(), CliError> {
    let Some(name) = &args.name else {
        let mut table = TextTable::new(&[("segment", Align::Left), ("who is in it", Align::Left)]);
        for ready in LIBRARY {
            table.row(vec![ready.name.to_owned(), ready.description().to_owned()]);
        }
        return print(&table.render());
    };
    let ready = find(name)?;
    let new_name = args.new_name.as_deref().unwrap_or(ready.name);
    if !crate::activate::segments::definition::is_name(new_name) {
        return Err(CliError::usage(format!("{new_name} is no name for a segment"))
            .hint("1 to 64 lower-case letters, digits, - and _, the first a letter or digit"));
    }
    let folder = session.config.folder().join(SEGMENTS_FOLDER);
    let path = folder.join(format!("{new_name}.sql"));
    let unwritable = |error: std::io::Error| {
        CliError::usage(format!("cannot write {}", path.display())).because(error)
    };
    std::fs::create_dir_all(&folder).map_err(unwritable)?;
    // Never over a file that is there.
    let mut file = std::fs::File::create_new(&path).map_err(unwritable)?;
    file.write_all(ready.text.as_bytes()).map_err(unwritable)?;
    print(&format!("{}\n", path.display()))?;
    if !session.quiet {
        eprintln!("look at it with `hearback segments show {new_name}`, and give it destinations");
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Ready, CliError> {
    ready(name).ok_or_else(|| {
        let names: Vec<&str> = LIBRARY.iter().map(|ready| ready.name).collect();
        let error = CliError::usage(format!("there is no ready segment {name}"));
        match nearest(name, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint(format!("ready segments: {}", names.join(", "))),
        }
    })
}
