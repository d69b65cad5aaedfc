//! Randomness that is the same on every machine.
//!
//! Owns the invariant that a seed decides every byte: integers only (no floats whose rounding could
//! differ), no hash-map order, no clock. [`Dice`] is a stream of decisions taken in order; [`Derived`]
//! gives an entity (a recipient, a message) the same traits every time it is asked, so that nothing
//! about it has to be remembered.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Parts of the simulation that draw from streams of their own, so that a change of transport leaves
/// the traffic as it is.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    /// What happens: who is mailed, what bounces, who opens.
    Traffic = 1,
    /// How it arrives: repeats, batches, shapes, garbage.
    Transport = 2,
}

/// Decisions drawn one after another.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64, stream: Stream) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream as u64);
        Self(rng)
    }

    /// A number in `0..bound` (0 when `bound` is 0).
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        scale(self.0.next_u64(), bound)
    }

    /// A number in `low..high`, or `low` when the range is empty.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(span(low, high)) as i64
    }

    /// A number in `low..high` that is mostly near `low`: the product of three uniform draws, mean an
    /// eighth of the way up. Stands for latencies and reaction times.
    pub(super) fn skewed(&mut self, low: i64, high: i64) -> i64 {
        let first = u128::from(self.0.next_u32());
        let second = u128::from(self.0.next_u32());
        let third = u128::from(self.0.next_u32());
        low + ((first * second * third * u128::from(span(low, high))) >> 96) as i64
    }

    /// True `per_million` times in a million.
    pub(super) fn chance(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(per_million)
    }

    /// One of `choices`, which must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// An index into `weights`, in proportion to them.
    pub(super) fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        index_at(weights, self.below(total))
    }
}

/// Traits of an entity: the same sequence whenever it is asked for (`SplitMix64`).
#[derive(Clone)]
pub(super) struct Derived(u64);

impl Derived {
    /// Traits of the entity `key`; `topic` keeps unrelated traits of one entity apart.
    pub(super) fn new(seed: u64, key: u64, topic: u64) -> Self {
        Self(finalise(finalise(seed ^ topic.wrapping_mul(0xD6E8_FEB8_6659_FD93)) ^ key))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        finalise(self.0)
    }

    /// A number in `0..bound` (0 when `bound` is 0).
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        scale(self.next(), bound)
    }

    /// True `per_million` times in a million.
    pub(super) fn chance(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(per_million)
    }

    /// One of `choices`, which must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// An index into `weights`, in proportion to them.
    pub(super) fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        index_at(weights, self.below(total))
    }
}

fn finalise(value: u64) -> u64 {
    let mut mixed = value;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn scale(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

fn span(low: i64, high: i64) -> u64 {
    u64::try_from(high - low).unwrap_or(0)
}

fn index_at(weights: &[u32], mut point: u64) -> usize {
    for (index, weight) in weights.iter().enumerate() {
        let weight = u64::from(*weight);
        if point < weight {
            return index;
        }
        point -= weight;
    }
    weights.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_draws_and_streams_differ() {
        let draws = |seed, stream| {
            let mut dice = Dice::new(seed, stream);
            (0..8).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draws(7, Stream::Traffic), draws(7, Stream::Traffic));
        assert_ne!(draws(7, Stream::Traffic), draws(8, Stream::Traffic));
        assert_ne!(draws(7, Stream::Traffic), draws(7, Stream::Transport));
    }

    #[test]
    fn draws_stay_in_their_range() {
        let mut dice = Dice::new(1, Stream::Traffic);
        for _ in 0..10_000 {
            assert!((5..9).contains(&dice.between(5, 9)));
            assert!((-3..1_000_000).contains(&dice.skewed(-3, 1_000_000)));
            assert!(dice.weighted(&[0, 3, 1]) > 0);
        }
        assert_eq!(dice.between(4, 4), 4);
    }
}
