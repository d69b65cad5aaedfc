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

/// FNV-1a over all of it.
pub(crate) fn hash(words: &[&str], numbers: &[u64]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for word in words {
        word.bytes().for_each(&mut add);
        add(0xff);
    }
    for number in numbers {
        number.to_le_bytes().into_iter().for_each(&mut add);
    }
    hash
}
