//! Who opens and clicks, and when: people by their clock, prefetching mail programs, image proxies,
//! security scanners.
//!
//! Owns the invariant that no two opens or clicks of a message happen in the same millisecond, so
//! that every one of them is an event of its own.

use super::calendar::local_hour;
use super::dice::Dice;
use super::population::{Reader, Recipient};
use super::provider::Market;
use super::sender::Service;
use super::text::{DAY, HOUR, MINUTE, SECOND};
use super::traffic::{Message, Visitor, What};

/// Adds the opens, clicks and subscription changes that follow a delivery.
pub(super) fn plan(
    message: &Message,
    recipient: &Recipient,
    who: u8,
    delivered: i64,
    dice: &mut Dice,
    events: &mut Vec<(i64, What, u8)>,
) {
    let mut course = Course { message, who, dice, events };
    if recipient.scanned {
        course.scan(delivered);
    }
    if recipient.reader == Reader::AppleMail && course.dice.chance(900_000) {
        let at = delivered + course.dice.skewed(4 * SECOND, 10 * HOUR);
        course.open(at, Visitor::Prefetch);
    }
    course.person(recipient, delivered);
}

struct Course<'a> {
    message: &'a Message,
    who: u8,
    dice: &'a mut Dice,
    events: &'a mut Vec<(i64, What, u8)>,
}

impl Course<'_> {
    /// Every link within seconds of the delivery, some scanners fetch the pixel too.
    fn scan(&mut self, delivered: i64) {
        let mut at = delivered + self.dice.between(300, 4 * SECOND);
        if self.dice.chance(400_000) {
            self.open(at, Visitor::Scanner);
        }
        for link in 0..self.message.flow.profile().links.len() as u8 {
            at += self.dice.between(40, 700);
            self.click(at, Visitor::Scanner, link);
        }
    }

    fn person(&mut self, recipient: &Recipient, delivered: i64) {
        let profile = self.message.flow.profile();
        // Those who put off a newsletter forget it; those who wait for a link do not.
        let longest = if profile.marketing { 4 * DAY } else { 9 * HOUR };
        if !self.dice.chance(profile.opens) {
            return;
        }
        let wanted = delivered + self.dice.skewed(9 * SECOND, longest);
        let opened = self.awake(wanted, recipient.market, profile.marketing);
        let visitor = match recipient.reader {
            Reader::GoogleProxy => Some(Visitor::GoogleProxy),
            Reader::YahooProxy => Some(Visitor::YahooProxy),
            Reader::Direct => Some(Visitor::Person),
            // The pixel was fetched when the message came in; reading it is not seen.
            Reader::AppleMail => None,
        };
        if let Some(visitor) = visitor {
            self.open(opened, visitor);
            if self.dice.chance(180_000) {
                let again = opened + self.dice.skewed(MINUTE, 6 * DAY);
                let again = self.awake_at(again, recipient.market);
                self.open(again, visitor);
            }
        }
        if !self.dice.chance(profile.clicks) {
            self.leave(opened);
            return;
        }
        let links = profile.links.len() as u64;
        let clicked = opened + self.dice.skewed(2 * SECOND, 4 * MINUTE);
        let first = if self.dice.chance(800_000) { 0 } else { self.dice.below(links) };
        self.click(clicked, Visitor::Person, first as u8);
        if self.dice.chance(140_000) {
            let again = clicked + self.dice.skewed(3 * SECOND, 10 * MINUTE);
            let link = self.dice.below(links);
            self.click(again, Visitor::Person, link as u8);
        }
    }

    /// Some readers of marketing mail have enough of it, and a few of them come back.
    fn leave(&mut self, opened: i64) {
        if !self.message.flow.profile().marketing || !self.dice.chance(30_000) {
            return;
        }
        let at = opened + self.dice.skewed(3 * SECOND, HOUR);
        self.events.push((at, What::Subscription { leaves: true }, self.who));
        if self.message.service() == Service::SesEvents && self.dice.chance(100_000) {
            let back = at + self.dice.skewed(MINUTE, 6 * DAY);
            self.events.push((back, What::Subscription { leaves: false }, self.who));
        }
    }

    /// Marketing mail that would be read in the small hours is read at breakfast.
    fn awake(&mut self, at: i64, market: Market, marketing: bool) -> i64 {
        if marketing { self.awake_at(at, market) } else { at }
    }

    fn awake_at(&mut self, at: i64, market: Market) -> i64 {
        let hour = local_hour(at, market) as i64;
        if hour >= 6 || self.dice.chance(100_000) {
            return at;
        }
        at + (6 - hour) * HOUR + self.dice.between(0, 2 * HOUR)
    }

    fn open(&mut self, at: i64, visitor: Visitor) {
        let at = self.moment(at);
        self.events.push((at, What::Open(visitor), self.who));
    }

    fn click(&mut self, at: i64, visitor: Visitor, link: u8) {
        let at = self.moment(at);
        self.events.push((at, What::Click(visitor, link), self.who));
    }

    /// The first millisecond from `at` on in which nobody has opened or clicked this message.
    fn moment(&self, mut at: i64) -> i64 {
        while self
            .events
            .iter()
            .any(|(time, what, _)| *time == at && matches!(what, What::Open(_) | What::Click(..)))
        {
            at += 1;
        }
        at
    }
}
