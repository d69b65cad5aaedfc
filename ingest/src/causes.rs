//! Errors in words, for logs, metrics and messages.

use std::error::Error;

/// The causes that add something to what was said before them, outermost first.
#[must_use]
pub fn causes(sentence: &str, cause: Option<&dyn Error>) -> Vec<String> {
    let mut said = sentence.to_owned();
    let mut causes = Vec::new();
    let mut cause = cause;
    while let Some(current) = cause {
        let sentence = current.to_string();
        if !said.contains(&sentence) {
            said.push('\n');
            said.push_str(&sentence);
            causes.push(sentence);
        }
        cause = current.source();
    }
    causes
}

/// An error with its causes, each that adds something.
#[must_use]
pub fn in_one_line(error: &dyn Error) -> String {
    let sentence = error.to_string();
    let causes = causes(&sentence, error.source());
    [vec![sentence], causes].concat().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{sentence}")]
    struct Failure {
        sentence: &'static str,
        #[source]
        cause: Option<Box<Failure>>,
    }

    fn failure(sentences: &[&'static str]) -> Failure {
        let (sentence, rest) = sentences.split_first().expect("a sentence");
        let cause = (!rest.is_empty()).then(|| Box::new(failure(rest)));
        Failure { sentence, cause }
    }

    #[test]
    fn every_cause_that_adds_something_is_said_once() {
        let lines = [
            (&["cannot read"][..], "cannot read"),
            (
                &["cannot read", "no such file", "os error 2"],
                "cannot read: no such file: os error 2",
            ),
            // Many libraries say their cause themselves, at the end or in the middle, and again further down.
            (&["cannot read: no such file", "no such file"], "cannot read: no such file"),
            (
                &["no such file (while reading)", "no such file", "os error 2"],
                "no such file (while reading): os error 2",
            ),
            (&["cannot read", "generic", "cannot read"], "cannot read: generic"),
        ];
        for (sentences, line) in lines {
            assert_eq!(in_one_line(&failure(sentences)), line);
        }
    }
}
