//! The name that was probably meant: nearest by edits, for hints in errors.

/// The candidate that takes the fewest edits to reach, if it is near enough to be a likely slip
/// (at most a third of its letters, and at least two edits are always allowed).
#[must_use]
pub(crate) fn nearest<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let (edits, candidate) = fewest_edits(given, candidates)?;
    let allowed = (candidate.chars().count() / 3).max(2);
    (edits <= allowed).then_some(candidate)
}

/// The candidate that takes the fewest edits to reach, however many that are.
#[must_use]
pub(crate) fn closest<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    fewest_edits(given, candidates).map(|(_, candidate)| candidate)
}

fn fewest_edits<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<(usize, &'a str)> {
    let given = given.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let lower = candidate.to_lowercase();
        // A forgotten or wrong section, or half a name, is a likelier slip than many small ones.
        let tail = lower.rsplit('.').next().unwrap_or(&lower);
        let part = given.len() >= 4 && (lower.contains(&given) || given.ends_with(tail));
        let edits = if part { 1 } else { edits_between(&given, &lower) };
        if best.is_none_or(|(fewest, _)| edits < fewest) {
            best = Some((edits, candidate));
        }
    }
    best
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one text into the other.
fn edits_between(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for row in 1..=from.len() {
        let mut current = vec![row; to.len() + 1];
        for column in 1..=to.len() {
            let same = usize::from(from[row - 1] != to[column - 1]);
            let mut edits =
                (last[column] + 1).min(current[column - 1] + 1).min(last[column - 1] + same);
            let swapped = row > 1
                && column > 1
                && from[row - 1] == to[column - 2]
                && from[row - 2] == to[column - 1];
            if swapped {
                edits = edits.min(before_last[column - 2] + 1);
            }
            current[column] = edits;
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_the_name_that_was_meant() {
        let columns = ["recipient", "recipient_domain", "event_type", "event_time"];
        assert_eq!(nearest("recipeint", columns), Some("recipient"));
        assert_eq!(nearest("event_typ", columns), Some("event_type"));
        assert_eq!(nearest("EVENT_TIME", columns), Some("event_time"));
    }

    #[test]
    fn a_name_from_elsewhere_suggests_nothing() {
        assert_eq!(nearest("zzzzzzzz", ["recipient", "subject"]), None);
    }
}
