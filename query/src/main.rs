//! `hearback`: hears what comes back after an email is sent.

use std::process::ExitCode;

fn main() -> ExitCode {
    hearback_query::cli::main()
}
