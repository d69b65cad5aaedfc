//! When the sender sends: the daily rhythm of people, and campaigns.
//!
//! The period is cut into slots of ten minutes. Each slot has a weight per kind of mail and market;
//! messages are dealt out to slots in proportion, so that any number of messages keeps the same
//! shape. Nothing is stored per slot: two passes over the slots, one to add up the weights, one to
//! deal out.

use super::dice::Dice;
use super::provider::Market;
use super::sender::Flow;
use super::text::{DAY, HOUR, MINUTE};

const SLOT: i64 = 10 * MINUTE;
/// Newsletters go out every seventh day, beginning with the first.
const NEWSLETTER_EVERY: i64 = 7;

/// Which of the optional kinds of mail there are.
#[derive(Clone, Copy)]
pub(super) struct Mix {
    pub(super) feedback_notifications: bool,
    pub(super) pinpoint: bool,
    /// Nothing but Pinpoint.
    pub(super) pinpoint_only: bool,
}

/// One dispatch: at `sent`, a mail of kind `flow` to somebody in `market`.
#[derive(Clone, Copy)]
pub(super) struct Dispatch {
    pub(super) index: u64,
    pub(super) sent: i64,
    pub(super) flow: Flow,
    pub(super) market: Market,
}

/// Deals out messages over the period, in the order in which they are sent.
pub(super) struct Calendar {
    start: i64,
    slots: i64,
    messages: u64,
    mix: Mix,
    total_weight: u64,
    slot: i64,
    weight_so_far: u64,
    /// Messages of the current slot: dealt, and in all.
    dealt: u64,
    of_slot: u64,
    index: u64,
    last_sent: i64,
}

/// Share of each hour of the day in what people do, in their own time.
const RHYTHM: [u32; 24] =
    [12, 6, 4, 3, 4, 8, 20, 42, 58, 62, 60, 58, 66, 60, 54, 52, 54, 58, 62, 68, 72, 66, 50, 28];

const KINDS: usize = 12;

impl Calendar {
    /// `start` in milliseconds since the epoch.
    pub(super) fn new(start: i64, days: u32, messages: u64, mix: Mix) -> Self {
        let slots = i64::from(days.max(1)) * (DAY / SLOT);
        let mut calendar = Self {
            start,
            slots,
            messages,
            mix,
            total_weight: 0,
            slot: -1,
            weight_so_far: 0,
            dealt: 0,
            of_slot: 0,
            index: 0,
            last_sent: start,
        };
        calendar.total_weight = (0..slots).map(|slot| calendar.weight(slot)).sum();
        calendar
    }

    /// The next dispatch, or `None` after the last message.
    pub(super) fn next(&mut self, dice: &mut Dice) -> Option<Dispatch> {
        while self.dealt == self.of_slot {
            self.slot += 1;
            if self.slot >= self.slots {
                return None;
            }
            let before = self.dealt_by(self.weight_so_far);
            self.weight_so_far += self.weight(self.slot);
            self.of_slot = self.dealt_by(self.weight_so_far) - before;
            self.dealt = 0;
        }
        let width = SLOT / (self.of_slot as i64).max(1);
        let offset = SLOT * self.dealt as i64 / self.of_slot as i64;
        let sent = self.start + self.slot * SLOT + offset + dice.between(0, width.max(1));
        self.last_sent = sent.max(self.last_sent);
        self.dealt += 1;
        let kinds = self.kinds(self.slot);
        let (flow, market, _) = kinds[dice.weighted(&kinds.map(|(_, _, weight)| weight))];
        let index = self.index;
        self.index += 1;
        Some(Dispatch { index, sent: self.last_sent, flow, market })
    }

    fn dealt_by(&self, weight: u64) -> u64 {
        (u128::from(self.messages) * u128::from(weight) / u128::from(self.total_weight)) as u64
    }

    fn weight(&self, slot: i64) -> u64 {
        self.kinds(slot).iter().map(|(_, _, weight)| u64::from(*weight)).sum()
    }

    /// Everything that may be sent in a slot, with its weight. Over four weeks the weights come to
    /// about half transactional mail, two fifths newsletters, the rest campaigns.
    fn kinds(&self, slot: i64) -> [(Flow, Market, u32); KINDS] {
        let at = self.start + slot * SLOT;
        let day = slot * SLOT / DAY;
        let hour_of_day = at.rem_euclid(DAY) / HOUR;
        let japan = RHYTHM[local_hour(at, Market::Japan)];
        let west = RHYTHM[local_hour(at, Market::West)];
        let newsletter_day = day % NEWSLETTER_EVERY == 0;
        let last_day = self.slots * SLOT / DAY - 1;
        let mut kinds = [
            (Flow::SignUp, Market::Japan, japan * 27),
            (Flow::SignUp, Market::West, west * 25),
            (Flow::PasswordReset, Market::Japan, japan * 9),
            (Flow::PasswordReset, Market::West, west * 9),
            (Flow::Receipt, Market::Japan, japan * 37),
            (Flow::Receipt, Market::West, west * 34),
            (
                Flow::Newsletter,
                Market::Japan,
                if newsletter_day && (1..3).contains(&hour_of_day) { 200_000 } else { 0 },
            ),
            (
                Flow::Newsletter,
                Market::West,
                if newsletter_day && (7..9).contains(&hour_of_day) { 180_000 } else { 0 },
            ),
            (
                Flow::Reengagement,
                Market::West,
                if day == last_day.min(16) && (13..16).contains(&hour_of_day) {
                    130_000
                } else {
                    0
                },
            ),
            (Flow::FareAlert, Market::West, west * 7),
            (
                Flow::SeatSale,
                Market::Japan,
                if day % 14 == 3.min(last_day) && (3..5).contains(&hour_of_day) {
                    30_000
                } else {
                    0
                },
            ),
            (Flow::Onboarding, Market::West, west * 3),
        ];
        for (flow, _, weight) in &mut kinds {
            let wanted = match flow {
                Flow::FareAlert => self.mix.feedback_notifications && !self.mix.pinpoint_only,
                Flow::SeatSale | Flow::Onboarding => self.mix.pinpoint,
                _ => !self.mix.pinpoint_only,
            };
            if !wanted {
                *weight = 0;
            }
        }
        kinds
    }

    /// The two hours in which a block list turns one provider's doors: during the western newsletter
    /// of the second week, or of the first day when the period is shorter.
    pub(super) fn incident(&self) -> std::ops::Range<i64> {
        let day = if self.slots * SLOT / DAY > NEWSLETTER_EVERY { NEWSLETTER_EVERY } else { 0 };
        // Hours are those of the clock, days those since the start.
        let midnight = self.start.div_euclid(DAY) * DAY + day * DAY;
        midnight + 7 * HOUR..midnight + 9 * HOUR
    }
}

/// Hour of the day where people live: Japan (UTC+9) or central Europe in summer (UTC+2).
pub(super) fn local_hour(at: i64, market: Market) -> usize {
    let offset = if market == Market::Japan { 9 } else { 2 };
    ((at + offset * HOUR).rem_euclid(DAY) / HOUR) as usize
}

#[cfg(test)]
mod tests {
    use super::super::dice::Stream;
    use super::*;

    const START: i64 = 1_788_220_800_000;

    fn dispatches(messages: u64, days: u32) -> Vec<Dispatch> {
        let mix = Mix { feedback_notifications: true, pinpoint: true, pinpoint_only: false };
        let mut dice = Dice::new(1, Stream::Traffic);
        let mut calendar = Calendar::new(START, days, messages, mix);
        std::iter::from_fn(|| calendar.next(&mut dice)).collect()
    }

    #[test]
    fn every_message_is_dealt_out_in_order() {
        for (messages, days) in [(0, 3), (1, 28), (999, 1), (20_000, 28)] {
            let all = dispatches(messages, days);
            assert_eq!(all.len() as u64, messages);
            assert!(all.windows(2).all(|pair| pair[0].sent <= pair[1].sent));
            let end = START + i64::from(days) * DAY;
            assert!(all.iter().all(|dispatch| (START..end).contains(&dispatch.sent)));
        }
    }

    #[test]
    fn transactional_mail_and_newsletters_share_the_period() {
        let all = dispatches(20_000, 28);
        let count = |flow| all.iter().filter(|dispatch| dispatch.flow == flow).count();
        assert!((7_000..11_000).contains(&count(Flow::Newsletter)), "{}", count(Flow::Newsletter));
        assert!((2_500..5_500).contains(&count(Flow::SignUp)), "{}", count(Flow::SignUp));
        for flow in [
            Flow::PasswordReset,
            Flow::Receipt,
            Flow::Reengagement,
            Flow::FareAlert,
            Flow::SeatSale,
            Flow::Onboarding,
        ] {
            assert!(count(flow) > 100, "{flow:?}: {}", count(flow));
        }
    }
}
