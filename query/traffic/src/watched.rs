//! Recipients and messages to look out for, few among the many that pass.

use hashbrown::{HashSet, HashTable};

use crate::number_of;

/// Bits of a filter for each hash: of those that are not looked for, one in so many is looked up.
const FILTER_BITS: usize = 32;

/// Tells most hashes that are not looked for, at the price of one bit that is at hand.
#[derive(Debug)]
struct Filter {
    words: Vec<u64>,
}

#[derive(Debug)]
pub(crate) struct Watched {
    names: Vec<Box<str>>,
    /// Places in `names`, found by the number of the name.
    places: HashTable<u32>,
    filter: Filter,
}

/// Numbers to look out for.
#[derive(Debug)]
pub(crate) struct Numbers {
    numbers: HashSet<u64>,
    filter: Filter,
}

impl Filter {
    fn with_room_for(hashes: usize) -> Self {
        let bits = (hashes * FILTER_BITS).next_power_of_two().max(64);
        Self { words: vec![0; bits / 64] }
    }

    fn add(&mut self, hash: u64) {
        let (word, bit) = self.place(hash);
        self.words[word] |= bit;
    }

    #[inline]
    fn may_hold(&self, hash: u64) -> bool {
        let (word, bit) = self.place(hash);
        self.words[word] & bit != 0
    }

    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        // As many words as a power of two.
        ((hash >> 24) as usize & (self.words.len() - 1), 1 << (hash >> 16 & 63))
    }
}

impl Watched {
    pub(crate) fn new(names: Vec<Box<str>>) -> Self {
        let mut filter = Filter::with_room_for(names.len());
        let mut places = HashTable::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            let number = number_of(name);
            filter.add(number);
            // Each name takes up far more than a byte of memory.
            let place = u32::try_from(place).expect("fewer than 2^32 names");
            places.insert_unique(number, place, |place| number_of(&names[*place as usize]));
        }
        Self { names, places, filter }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    #[inline]
    pub(crate) fn find(&self, number: u64, name: &str) -> Option<usize> {
        if !self.filter.may_hold(number) {
            return None;
        }
        let is = |place: &u32| *self.names[*place as usize] == *name;
        self.places.find(number, is).map(|place| *place as usize)
    }
}

impl Numbers {
    pub(crate) fn new(numbers: HashSet<u64>) -> Self {
        let mut filter = Filter::with_room_for(numbers.len());
        numbers.iter().for_each(|number| filter.add(*number));
        Self { numbers, filter }
    }

    #[inline]
    pub(crate) fn hold(&self, number: u64) -> bool {
        self.filter.may_hold(number) && self.numbers.contains(&number)
    }
}
