//! `hearback`: hears what comes back after an email is sent.

use std::process::ExitCode;

// Many small allocations from several threads at once (decoding, hash tables): the system's
// allocator costs about a fifth of the time there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hearback_query::cli::main()
}
