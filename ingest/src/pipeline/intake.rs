//! Who reads what next: responsible for handing work to the worker threads so that the object whose
//! turn it is never waits, objects behind it are read ahead only as far as memory allows, and
//! every piece of work has a place in one order.
//!
//! Invariant: whatever the number of threads, outcomes are numbered in the order of the listing.
//!
//! Memory: outcomes not yet taken in order hold at most two chunks more than there are
//! threads of the object whose turn it is, and as many of the objects behind it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::reading::{Opener, Reading, SMALL_OBJECT, Unopened, Waiting};
use crate::source::{Flow, Listed, Place, SourceObject};

/// Objects that are listed ahead; the listing waits when there are more.
const LISTED_AHEAD: usize = 32 * 1024;
/// Small objects read as one run.
const RUN_OBJECTS: usize = 1024;
/// Open objects beyond one for each thread: requests on their way while the threads are busy.
const OPENED_AHEAD: usize = 2;

/// Place of an outcome in the order of everything that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    /// Which object or run of objects, in the order of the listing.
    pub(crate) ordinal: u64,
    /// Which part of it.
    pub(crate) part: u64,
}

/// A piece of work.
pub(crate) struct Work {
    pub(crate) turn: Turn,
    pub(crate) reading: Reading,
}

/// Shared by the lister, the workers and whoever takes the outcomes.
pub(crate) struct Intake {
    state: Mutex<State>,
    changed: Condvar,
    opener: Opener,
    /// Bytes of a chunk.
    chunk: u64,
    /// Bytes read and not yet taken in order, of the object whose turn it is; as many of all others.
    window: u64,
    most_open: usize,
}

#[derive(Default)]
struct State {
    listed: VecDeque<Listed>,
    listing_over: bool,
    stopped: bool,
    slots: VecDeque<Slot>,
    next_ordinal: u64,
    /// The ordinal whose outcomes are being taken.
    taking: u64,
    /// Bytes read and not yet taken, by ordinal.
    in_flight: BTreeMap<u64, u64>,
}

struct Slot {
    ordinal: u64,
    next_part: u64,
    state: SlotState,
    /// Reading a chunk of it is short work, not worth going elsewhere for.
    quick: bool,
}

enum SlotState {
    Unopened(Box<Unopened>),
    Idle(Reading),
    Busy,
}

impl Intake {
    pub(crate) fn new(opener: Opener, threads: usize, chunk: usize) -> Self {
        Self {
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            opener,
            chunk: chunk as u64,
            window: (threads + 2) as u64 * chunk as u64,
            most_open: threads + OPENED_AHEAD,
        }
    }

    pub(crate) fn opener(&self) -> &Opener {
        &self.opener
    }

    /// Bytes of a chunk.
    pub(crate) fn chunk(&self) -> u64 {
        self.chunk
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A worker that panicked has been answered for by its own outcome; the state is plain values
        // that are consistent after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the listing; waits while enough is listed.
    pub(crate) fn list(&self, listed: Listed) -> Flow {
        let mut state = self.lock();
        while state.listed.len() >= LISTED_AHEAD && !state.stopped {
            state = self.wait(state);
        }
        if state.stopped {
            return Flow::Break(());
        }
        // Workers that sleep for want of objects sleep since the listing was empty.
        let wake = state.listed.is_empty();
        state.listed.push_back(listed);
        drop(state);
        if wake {
            self.changed.notify_all();
        }
        Flow::Continue(())
    }

    /// Says that everything is listed.
    pub(crate) fn end_listing(&self) {
        self.lock().listing_over = true;
        self.changed.notify_all();
    }

    /// Ends everybody's work after what is in hand.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// The next piece of work; waits for it. `None` if there is none left, or after a stop.
    pub(crate) fn take(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(work) = self.continue_open(&mut state) {
                return Some(work);
            }
            if self.may_open(&state) && self.open_next(&mut state) {
                // The listing may be waiting for room.
                self.changed.notify_all();
                continue;
            }
            if state.listing_over && state.listed.is_empty() && state.slots.is_empty() {
                return None;
            }
            state = self.wait(state);
        }
    }

    /// Work on an object that is open, the earliest first.
    fn continue_open(&self, state: &mut State) -> Option<Work> {
        for i in 0..state.slots.len() {
            let slot = &state.slots[i];
            if matches!(slot.state, SlotState::Busy) {
                if slot.quick && slot.ordinal == state.taking {
                    return None;
                }
                continue;
            }
            if !self.has_room(state, slot.ordinal) {
                continue;
            }
            let slot = &mut state.slots[i];
            let ordinal = slot.ordinal;
            let turn = Turn { ordinal, part: slot.next_part };
            let reading = match std::mem::replace(&mut slot.state, SlotState::Busy) {
                SlotState::Unopened(unopened) => Reading::Unopened(unopened),
                SlotState::Idle(reading) => reading,
                SlotState::Busy => continue,
            };
            *state.in_flight.entry(ordinal).or_default() += self.chunk;
            return Some(Work { turn, reading });
        }
        None
    }

    fn has_room(&self, state: &State, ordinal: u64) -> bool {
        let first = state.in_flight.get(&state.taking).copied().unwrap_or(0);
        if ordinal == state.taking {
            return first < self.window;
        }
        let all: u64 = state.in_flight.values().sum();
        all - first < self.window
    }

    fn may_open(&self, state: &State) -> bool {
        state.slots.len() < self.most_open && self.has_room(state, state.next_ordinal)
    }

    /// Makes a slot of the next objects of the listing; `false` if none is listed.
    fn open_next(&self, state: &mut State) -> bool {
        let (slot_state, quick) = match state.listed.pop_front() {
            None => return false,
            Some(Listed::Object(object)) if !is_small(&object) => {
                let quick = matches!(object.place, Place::File(_));
                (SlotState::Unopened(Box::new(self.opener.start(object, false))), quick)
            }
            Some(first) => {
                let waiting = self.run_from(first, &mut state.listed);
                (SlotState::Idle(Reading::Run { open: None, waiting }), false)
            }
        };
        let ordinal = state.next_ordinal;
        state.next_ordinal += 1;
        state.slots.push_back(Slot { ordinal, next_part: 0, state: slot_state, quick });
        true
    }

    fn run_from(&self, first: Listed, listed: &mut VecDeque<Listed>) -> VecDeque<Waiting> {
        let mut bytes = size_of(&first);
        let mut waiting = VecDeque::from([self.opener.wait_for(first)]);
        while waiting.len() < RUN_OBJECTS {
            let Some(next) = listed.front() else { break };
            bytes += size_of(next);
            if bytes > self.chunk || matches!(next, Listed::Object(object) if !is_small(object)) {
                break;
            }
            let Some(next) = listed.pop_front() else { break };
            waiting.push_back(self.opener.wait_for(next));
        }
        waiting
    }

    /// Gives back what is not read to its end. `parts` outcomes came of this piece of work, with
    /// `bytes` bytes in them.
    pub(crate) fn give_back(&self, turn: Turn, parts: u64, bytes: u64, reading: Reading) {
        let mut state = self.lock();
        self.settle(&mut state, turn, bytes);
        if let Some(slot) = state.slots.iter_mut().find(|slot| slot.ordinal == turn.ordinal) {
            slot.next_part += parts;
            slot.quick = slot.quick && reading.is_quick();
            slot.state = SlotState::Idle(reading);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Says that an object or run is read to its end, `bytes` bytes of it with the last outcome.
    pub(crate) fn finish(&self, turn: Turn, bytes: u64) {
        let mut state = self.lock();
        self.settle(&mut state, turn, bytes);
        state.slots.retain(|slot| slot.ordinal != turn.ordinal);
        drop(state);
        self.changed.notify_all();
    }

    /// Replaces what was set aside for a piece of work by what came of it.
    fn settle(&self, state: &mut State, turn: Turn, bytes: u64) {
        let in_flight = state.in_flight.entry(turn.ordinal).or_default();
        *in_flight = *in_flight + bytes - self.chunk;
        if *in_flight == 0 {
            state.in_flight.remove(&turn.ordinal);
        }
    }

    /// Says that an outcome with so many bytes was taken, and whose turn it is now.
    pub(crate) fn taken(&self, ordinal: u64, bytes: u64, taking: u64) {
        let mut state = self.lock();
        if let Some(in_flight) = state.in_flight.get_mut(&ordinal) {
            *in_flight -= bytes;
            if *in_flight == 0 {
                state.in_flight.remove(&ordinal);
            }
        }
        state.taking = taking;
        drop(state);
        self.changed.notify_all();
    }
}

fn is_small(object: &SourceObject) -> bool {
    object.etag.is_some() && object.size.is_some_and(|size| size <= SMALL_OBJECT)
}

fn size_of(listed: &Listed) -> u64 {
    match listed {
        Listed::Object(object) => object.size.unwrap_or(0),
        Listed::Failed(_) => 0,
    }
}
