//! What happens to the mail: the events of every message, in the order in which they arrive.
//!
//! Messages are planned one at a time as they are sent; what will happen to them later waits in a
//! heap. Owns the bound on memory: at most [`MAX_PENDING`] events wait (about 64 bytes each, and about
//! 80 for each message that still has some: at most 150 MB, 10 MB for a million messages over four
//! weeks). When the heap is full, the earliest event arrives before its time instead of being lost.
//! Suppressed addresses are kept in a table of fixed size, of which the oldest entries give way.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::calendar::{Calendar, Dispatch};
use super::dice::{Dice, Stream};
use super::fate::Plan;
use super::population::{Origin, Recipient, recipient_id};
use super::provider::{Market, Trouble};
use super::sender::{Flow, Service};
use super::text::{HOUR, MINUTE, SECOND};

/// Events that may wait for their time.
pub(super) const MAX_PENDING: usize = 1 << 20;
/// Destinations of one message, at most.
pub(super) const MAX_RECIPIENTS: usize = 4;
/// Addresses that the suppression list remembers, at most.
const MAX_SUPPRESSED: u64 = 1 << 20;

/// A message that was sent.
#[derive(Clone, Copy)]
pub(super) struct Message {
    pub(super) index: u64,
    pub(super) sent: i64,
    pub(super) flow: Flow,
    pub(super) market: Market,
    /// The first `count` are destinations; those after the first were put on copy.
    pub(super) recipients: [u64; MAX_RECIPIENTS],
    pub(super) count: u8,
    waiting: u32,
}

impl Message {
    pub(super) fn destinations(&self) -> &[u64] {
        &self.recipients[..usize::from(self.count)]
    }

    /// Those of the destinations whose bit is set.
    pub(super) fn chosen(&self, bits: u8) -> impl Iterator<Item = u64> + '_ {
        self.destinations()
            .iter()
            .enumerate()
            .filter(move |(place, _)| bits & (1 << place) != 0)
            .map(|(_, id)| *id)
    }

    pub(super) fn everyone(&self) -> u8 {
        (1 << self.count) - 1
    }

    pub(super) fn service(&self) -> Service {
        self.flow.service()
    }
}

/// Who opened or clicked, in truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visitor {
    Person,
    Prefetch,
    GoogleProxy,
    YahooProxy,
    Scanner,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Send,
    Delivery,
    Delay {
        expires: i64,
    },
    Bounce(Trouble),
    Complaint(&'static str),
    Reject,
    RenderingFailure,
    Open(Visitor),
    Click(Visitor, u8),
    Subscription {
        leaves: bool,
    },
    /// Pinpoint's record that a campaign or journey decided to send.
    Decision,
}

/// Something that happened to a message, on its way to us.
#[derive(Clone, Copy)]
pub(super) struct Occurrence {
    pub(super) arrival: i64,
    order: u64,
    slot: u32,
    pub(super) what: What,
    pub(super) time: i64,
    /// The destinations concerned, a bit for each.
    pub(super) who: u8,
    /// A redelivery of something that arrived before.
    pub(super) repeat: bool,
}

impl PartialEq for Occurrence {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Occurrence {}

impl PartialOrd for Occurrence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Occurrence {
    /// The heap's greatest is what arrives first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.arrival, other.order).cmp(&(self.arrival, self.order))
    }
}

/// The events of all messages, in order of arrival.
pub(super) struct Traffic {
    seed: u64,
    dice: Dice,
    calendar: Calendar,
    upcoming: Option<Dispatch>,
    customers: u64,
    disorder: bool,
    max_pending: usize,
    pending: BinaryHeap<Occurrence>,
    messages: Vec<Message>,
    free: Vec<u32>,
    order: u64,
    suppressed: SuppressionList,
    sent: u64,
    /// Room for the events of one message, reused.
    planned: Vec<(i64, What, u8)>,
}

impl Traffic {
    pub(super) fn new(
        seed: u64,
        calendar: Calendar,
        messages: u64,
        disorder: bool,
        max_pending: usize,
    ) -> Self {
        let mut traffic = Self {
            seed,
            dice: Dice::new(seed, Stream::Traffic),
            calendar,
            upcoming: None,
            customers: (messages / 3).max(50),
            disorder,
            max_pending,
            pending: BinaryHeap::new(),
            messages: Vec::new(),
            free: Vec::new(),
            order: 0,
            suppressed: SuppressionList::for_messages(messages),
            sent: 0,
            planned: Vec::new(),
        };
        traffic.upcoming = traffic.calendar.next(&mut traffic.dice);
        traffic
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Messages sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// The next to arrive, and the message it is about; `None` when everything has arrived.
    pub(super) fn next(&mut self) -> Option<(Occurrence, Message)> {
        while let Some(dispatch) = self.upcoming {
            let due = match self.pending.peek() {
                Some(first) => {
                    first.arrival <= dispatch.sent || self.pending.len() >= self.max_pending
                }
                None => false,
            };
            if due {
                break;
            }
            self.plan(dispatch);
            self.upcoming = self.calendar.next(&mut self.dice);
        }
        let occurrence = self.pending.pop()?;
        let message = &mut self.messages[occurrence.slot as usize];
        message.waiting -= 1;
        let copy = *message;
        if copy.waiting == 0 {
            self.free.push(occurrence.slot);
        }
        Some((occurrence, copy))
    }

    /// Lets `occurrence`, which has just arrived, arrive once more after `delay` milliseconds.
    pub(super) fn repeat(&mut self, occurrence: &Occurrence, message: &Message, delay: i64) {
        if self.pending.len() >= self.max_pending {
            return;
        }
        let slot = self.store(*message);
        self.order += 1;
        let arrival = occurrence.arrival + delay;
        let again = Occurrence { arrival, order: self.order, slot, repeat: true, ..*occurrence };
        self.messages[slot as usize].waiting = 1;
        self.pending.push(again);
    }

    fn store(&mut self, message: Message) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.messages[slot as usize] = message;
            return slot;
        }
        self.messages.push(message);
        // No more messages wait than events do, and those are fewer than 2^21.
        (self.messages.len() - 1) as u32
    }

    fn plan(&mut self, dispatch: Dispatch) {
        self.sent += 1;
        let message = self.address(dispatch);
        let slot = self.store(message);
        let mut plan = Plan {
            message: &message,
            dice: &mut self.dice,
            suppressed: &mut self.suppressed,
            seed: self.seed,
            incident: self.calendar.incident(),
            events: std::mem::take(&mut self.planned),
        };
        plan.decide();
        let mut events = plan.events;
        // Identities with feedback notifications publish nothing for some fates; then the slot is free.
        if events.is_empty() {
            self.free.push(slot);
        }
        self.messages[slot as usize].waiting = events.len() as u32;
        for (time, what, who) in events.drain(..) {
            self.order += 1;
            let arrival = time + self.transit();
            let occurrence =
                Occurrence { arrival, order: self.order, slot, what, time, who, repeat: false };
            self.pending.push(occurrence);
        }
        self.planned = events;
    }

    /// Time from an event to its arrival here.
    fn transit(&mut self) -> i64 {
        if !self.disorder {
            return 0;
        }
        if self.dice.chance(2_000) {
            return self.dice.skewed(MINUTE, 9 * HOUR);
        }
        self.dice.skewed(150, 6 * SECOND)
    }

    fn address(&mut self, dispatch: Dispatch) -> Message {
        let profile = dispatch.flow.profile();
        let mut message = Message {
            index: dispatch.index,
            sent: dispatch.sent,
            flow: dispatch.flow,
            market: dispatch.market,
            recipients: [0; MAX_RECIPIENTS],
            count: 1,
            waiting: 0,
        };
        message.recipients[0] = self.recipient(profile.origin, &dispatch);
        if dispatch.flow == Flow::Receipt && self.dice.chance(110_000) {
            let companions = 1 + self.dice.below(MAX_RECIPIENTS as u64 - 1);
            for _ in 0..companions {
                let id = self.recipient(Origin::Customer, &dispatch);
                if !message.destinations().contains(&id) {
                    message.recipients[usize::from(message.count)] = id;
                    message.count += 1;
                }
            }
        }
        message
    }

    /// Somebody who lives in the right part of the world, preferably not on the suppression list:
    /// the sender keeps its own list, though not perfectly.
    fn recipient(&mut self, origin: Origin, dispatch: &Dispatch) -> u64 {
        let mut candidate = 0;
        for attempt in 0..12_u64 {
            candidate = match origin {
                // Everybody signs up once.
                Origin::SignUp => recipient_id(origin, dispatch.index * 12 + attempt),
                Origin::OldList => recipient_id(origin, self.dice.below(self.customers * 4)),
                // The square of a uniform draw: few customers get much of the mail, most get little.
                Origin::Customer => {
                    let first = self.dice.below(1 << 32);
                    let second = self.dice.below(1 << 32);
                    let fraction = u128::from(first.min(second)) * u128::from(first.max(second));
                    recipient_id(origin, ((fraction * u128::from(self.customers)) >> 64) as u64)
                }
            };
            if Recipient::of(self.seed, candidate).market != dispatch.market {
                continue;
            }
            let suppressed = self.suppressed.holds(candidate, dispatch.sent);
            if !suppressed || self.dice.chance(40_000) {
                break;
            }
        }
        candidate
    }
}

/// The account's suppression list: address numbers and when they were put on it, in a table in
/// which a later address may take the place of an earlier one.
pub(super) struct SuppressionList {
    /// Number plus one (0 is an empty place), and milliseconds since the epoch.
    places: Vec<(u64, i64)>,
}

impl SuppressionList {
    fn for_messages(messages: u64) -> Self {
        let size = (messages / 4).next_power_of_two().clamp(1 << 10, MAX_SUPPRESSED);
        Self { places: vec![(0, 0); size as usize] }
    }

    fn place(&self, id: u64) -> usize {
        (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & (self.places.len() - 1)
    }

    pub(super) fn holds(&self, id: u64, at: i64) -> bool {
        let (stored, since) = self.places[self.place(id)];
        stored == id + 1 && since <= at
    }

    /// SES puts an address on the list a little after the event that condemns it.
    pub(super) fn add(&mut self, id: u64, at: i64) {
        let place = self.place(id);
        self.places[place] = (id + 1, at + 2 * SECOND);
    }
}
