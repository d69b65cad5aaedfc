//! Outcomes back in order: responsible for giving each outcome in its turn, whichever thread was
//! faster. Memory: bounded by the [intake](super::intake), which reads ahead only so far.

use std::collections::BTreeMap;

use super::intake::Turn;
use super::worker::Outcome;

/// Outcomes that came before their turn.
pub(crate) struct InOrder {
    next: Turn,
    early: BTreeMap<Turn, Outcome>,
}

impl InOrder {
    pub(crate) fn new() -> Self {
        Self { next: Turn { ordinal: 0, part: 0 }, early: BTreeMap::new() }
    }

    pub(crate) fn put(&mut self, outcome: Outcome) {
        self.early.insert(outcome.turn, outcome);
    }

    /// The outcome whose turn it is, if it is there.
    pub(crate) fn take(&mut self) -> Option<Outcome> {
        let outcome = self.early.remove(&self.next)?;
        self.next = match outcome.ends_ordinal {
            true => Turn { ordinal: self.next.ordinal + 1, part: 0 },
            false => Turn { ordinal: self.next.ordinal, part: self.next.part + 1 },
        };
        Some(outcome)
    }

    /// The ordinal whose outcomes are taken now.
    pub(crate) fn ordinal(&self) -> u64 {
        self.next.ordinal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_in_the_order_of_their_turns() {
        let outcome = |ordinal, part, ends_ordinal| Outcome {
            turn: Turn { ordinal, part },
            ends_ordinal,
            bytes: 0,
            pieces: Vec::new(),
        };
        let mut order = InOrder::new();
        order.put(outcome(1, 0, true));
        order.put(outcome(0, 1, true));
        assert!(order.take().is_none());
        order.put(outcome(0, 0, false));
        let turns: Vec<_> = std::iter::from_fn(|| order.take())
            .map(|outcome| (outcome.turn.ordinal, outcome.turn.part))
            .collect();
        assert_eq!(turns, [(0, 0), (0, 1), (1, 0)]);
        assert_eq!(order.ordinal(), 2);
    }
}
