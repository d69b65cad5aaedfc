//! Finds the rows of the text tables that match a line.
//!
//! There are hundreds of patterns, and one automaton for all of them is slow to build and to warm up.
//! But each pattern needs some words to be there, and a line has few of them: one pass over the line
//! finds those, and only the patterns they belong to are tried. Owns the invariant that the answer is
//! that of trying all patterns in order.

use std::sync::{LazyLock, OnceLock};

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use super::rules::{TEXT_TABLES, TextRule};

/// Patterns of all rows.
pub(super) struct Matcher {
    /// In the order of the tables.
    patterns: Vec<Pattern>,
    /// Words that patterns need, any of which makes a pattern worth trying …
    words: AhoCorasick,
    /// … and which pattern each word belongs to.
    pattern_of_word: Vec<usize>,
    /// Patterns that need no word.
    wordless: Vec<usize>,
}

struct Pattern {
    text: &'static str,
    rule: &'static TextRule,
    /// Compiled when it is first worth trying.
    regex: OnceLock<Regex>,
}

pub(super) static MATCHER: LazyLock<Matcher> = LazyLock::new(Matcher::new);

/// All rows, in their order.
pub(super) fn text_rules() -> impl Iterator<Item = &'static TextRule> {
    TEXT_TABLES.into_iter().flatten()
}

impl Matcher {
    fn new() -> Self {
        let mut patterns = Vec::new();
        let mut words = Vec::new();
        let mut pattern_of_word = Vec::new();
        let mut wordless = Vec::new();
        for rule in text_rules() {
            for text in rule.patterns {
                match words_of(text) {
                    Some(needed) => {
                        pattern_of_word.resize(words.len() + needed.len(), patterns.len());
                        words.extend(needed);
                    }
                    None => wordless.push(patterns.len()),
                }
                patterns.push(Pattern { text, rule, regex: OnceLock::new() });
            }
        }
        let words =
            AhoCorasick::new(words).expect("the words are constants, and a test looks for them");
        Self { patterns, words, pattern_of_word, wordless }
    }

    /// The first row that matches the line and that `fits`.
    pub(super) fn first(
        &self,
        line: &str,
        fits: impl Fn(&TextRule) -> bool,
    ) -> Option<&'static TextRule> {
        let mut worth_trying = vec![false; self.patterns.len()];
        for place in &self.wordless {
            worth_trying[*place] = true;
        }
        for found in self.words.find_overlapping_iter(line) {
            worth_trying[self.pattern_of_word[found.pattern().as_usize()]] = true;
        }
        for (pattern, worth_trying) in self.patterns.iter().zip(worth_trying) {
            if worth_trying && fits(pattern.rule) && pattern.is_match(line) {
                return Some(pattern.rule);
            }
        }
        None
    }
}

impl Pattern {
    fn is_match(&self, line: &str) -> bool {
        let regex = self.regex.get_or_init(|| {
            let mut builder = RegexBuilder::new(self.text);
            builder.unicode(false);
            builder.build().expect("the patterns are constants, and a test compiles them")
        });
        regex.is_match(line.as_bytes())
    }
}

/// Words of which at least one stands in everything that a pattern matches; `None` if there are none.
fn words_of(pattern: &str) -> Option<Vec<Vec<u8>>> {
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
    needed_by(&parsed.expect("the patterns are constants, and a test compiles them"))
}

fn needed_by(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![literal.0.to_vec()]),
        HirKind::Capture(capture) => needed_by(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => needed_by(&repetition.sub),
        // The part with the longest words tells most.
        HirKind::Concat(parts) => {
            parts.iter().filter_map(needed_by).max_by_key(|words| shortest(words))
        }
        HirKind::Alternation(parts) => {
            let each: Option<Vec<Vec<Vec<u8>>>> = parts.iter().map(needed_by).collect();
            Some(each?.concat())
        }
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

fn shortest(words: &[Vec<u8>]) -> usize {
    words.iter().map(Vec::len).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use proptest::sample::{Index, select};

    use super::*;

    /// Every pattern in its turn, which is what the matcher saves.
    fn first_of_all(line: &str) -> Option<&'static TextRule> {
        let matches = |rule: &&TextRule| {
            let joined = rule.patterns.join("|");
            let regex = RegexBuilder::new(&joined).unicode(false).build();
            regex.expect("patterns compile").is_match(line.as_bytes())
        };
        text_rules().find(matches)
    }

    fn why(rule: Option<&TextRule>) -> Option<(&'static str, &'static [&'static str])> {
        rule.map(|rule| (rule.why, rule.patterns))
    }

    #[test]
    fn most_patterns_need_a_word_that_is_not_short() {
        let short = MATCHER
            .patterns
            .iter()
            .filter(|pattern| words_of(pattern.text).is_none_or(|words| shortest(&words) < 3));
        let short: Vec<&str> = short.map(|pattern| pattern.text).collect();
        assert!(short.len() * 20 < MATCHER.patterns.len(), "{short:?}");
    }

    #[test]
    fn words_are_those_that_every_match_has() {
        let words = |pattern: &str| {
            words_of(pattern).map(|words| {
                words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect()
            })
        };
        let some = |list: &[&str]| -> Option<Vec<String>> {
            Some(list.iter().map(ToString::to_string).collect())
        };
        assert_eq!(words(r"fail(s|ed)? .*authenticat"), some(&["authenticat"]));
        assert_eq!(words(r"(over|beyond) quota"), some(&[" quota"]));
        assert_eq!(words(r"\b(full|quota)+\b"), some(&["full", "quota"]));
        assert_eq!(words(r"(full)*[0-9]+"), None);
        assert_eq!(words(r"full|[0-9]"), None);
    }

    proptest! {
        #[test]
        fn the_answer_is_that_of_trying_every_pattern(
            picks in proptest::collection::vec((any::<Index>(), any::<Index>()), 0..4),
            between in select(vec![" ", "", "-", "550 5.7.1 ", ". "]),
        ) {
            // Lines made of what patterns are made of, so that some of them match.
            let mut line = String::from("550 ");
            for (pattern, word) in picks {
                let pattern = MATCHER.patterns[pattern.index(MATCHER.patterns.len())].text;
                let words = words_of(pattern).unwrap_or_default();
                if let Some(word) = words.get(word.index(words.len().max(1))) {
                    line.push_str(&String::from_utf8_lossy(word));
                }
                line.push_str(between);
                line.push_str(&pattern.replace(['\\', '(', ')', '?', '+', '*', '[', ']', '^', '$'], ""));
                line.push_str(between);
            }
            prop_assert_eq!(why(MATCHER.first(&line, |_| true)), why(first_of_all(&line)), "{}", line);
        }
    }
}
