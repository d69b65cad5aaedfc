//! Randomness of one simulated world: everything follows from its seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::sync::{Arc, Mutex};

/// Dice that everybody in a world shares. Clones are the same dice.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Arc<Mutex<ChaCha8Rng>>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(seed))))
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.lock().expect("nobody panics while rolling").next_u64()
    }

    /// A number from `range`.
    pub(crate) fn among(&self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.number() % (range.end - range.start)
    }

    /// True in so many of a thousand cases.
    pub(crate) fn per_mille(&self, chance: u64) -> bool {
        self.number() % 1000 < chance
    }

    pub(crate) fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.among(0..choices.len() as u64) as usize]
    }

    /// Dice of their own, so that what one part rolls does not change another's luck.
    pub(crate) fn split(&self) -> Self {
        Self::new(self.number())
    }
}
