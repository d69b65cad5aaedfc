//! Gets the yes without which nothing outside changes: `--yes`, or an answer on the terminal.

use std::io::{BufRead, IsTerminal, Write};

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Yes,
    /// Change nothing.
    No,
    /// Nobody is there to answer: the command needs `--yes` or a plan file.
    NobodyThere,
}

/// Asks on the terminal, unless `given` says yes already. The question goes to stderr and is asked
/// again until the answer is `yes` or anything that means no; a closed input means no.
///
/// # Errors
///
/// If the terminal cannot be read or written.
pub fn ask(given: bool, question: &str) -> std::io::Result<Answer> {
    if given {
        return Ok(Answer::Yes);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(Answer::NobodyThere);
    }
    let mut input = std::io::stdin().lock();
    loop {
        eprint!("{question} Only 'yes' is taken for a yes: ");
        std::io::stderr().flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(Answer::No);
        }
        match line.trim() {
            "yes" => return Ok(Answer::Yes),
            "" => {}
            _ => return Ok(Answer::No),
        }
    }
}
