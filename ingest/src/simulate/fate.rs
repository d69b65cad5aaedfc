//! What becomes of a message: accepted, deferred, refused, bounced later, complained about.
//!
//! Owns the invariant that every destination gets exactly one outcome of its transaction, and that
//! destinations at one domain share a transaction.

use std::ops::Range;

use super::dice::Dice;
use super::engagement;
use super::population::Recipient;
use super::provider::{Provider, Trouble};
use super::sender::Service;
use super::text::{DAY, HOUR, MINUTE, SECOND};
use super::traffic::{MAX_RECIPIENTS, Message, SuppressionList, What};

/// The fate of one message while it is being decided.
pub(super) struct Plan<'a> {
    pub(super) message: &'a Message,
    pub(super) dice: &'a mut Dice,
    pub(super) suppressed: &'a mut SuppressionList,
    pub(super) seed: u64,
    /// When the block list is on.
    pub(super) incident: Range<i64>,
    /// Time, event, and the destinations concerned.
    pub(super) events: Vec<(i64, What, u8)>,
}

/// What becomes of one recipient's copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delivered,
    Failed(Trouble),
}

impl Plan<'_> {
    /// Decides everything that will ever happen to the message.
    pub(super) fn decide(&mut self) {
        let message = self.message;
        let everyone = message.everyone();
        let feedback_only = message.service() == Service::SesFeedback;
        let templated = !message.flow.profile().template.is_empty();
        if templated && self.dice.chance(250) {
            self.events.push((message.sent, What::RenderingFailure, everyone));
            return;
        }
        if message.service() == Service::Pinpoint {
            self.events.push((message.sent, What::Decision, everyone));
        }
        if !feedback_only {
            self.events.push((message.sent, What::Send, everyone));
        }
        if self.dice.chance(90) {
            if !feedback_only {
                self.events.push((message.sent, What::Reject, everyone));
            }
            return;
        }
        let mut done = 0_u8;
        for place in 0..message.count {
            if done & (1 << place) != 0 {
                continue;
            }
            // Recipients at one domain share a connection, and so a transaction.
            let recipient = Recipient::of(self.seed, message.recipients[usize::from(place)]);
            let domain = recipient.domain();
            let mut together = 1 << place;
            for other in place + 1..message.count {
                let id = message.recipients[usize::from(other)];
                if Recipient::of(self.seed, id).domain() == domain {
                    together |= 1 << other;
                }
            }
            done |= together;
            self.transaction(&recipient, together);
        }
    }

    /// One connection to one provider, for the destinations in `together`.
    fn transaction(&mut self, host: &Recipient, together: u8) {
        let message = self.message;
        let profile = host.provider.profile();
        let mut accepted = 0_u8;
        let mut trouble_of_all = None;
        let mut failures: [(u8, Option<Trouble>); MAX_RECIPIENTS] = [(0, None); MAX_RECIPIENTS];
        for (place, failure) in failures.iter_mut().enumerate().take(usize::from(message.count)) {
            let bit = 1 << place;
            if together & bit == 0 {
                continue;
            }
            let recipient = Recipient::of(self.seed, message.recipients[place]);
            match self.fate(&recipient, &mut trouble_of_all) {
                Fate::Delivered => accepted |= bit,
                Fate::Failed(trouble) => *failure = (bit, Some(trouble)),
            }
        }
        let latency = self.dice.skewed(profile.latency.0, profile.latency.1);
        for (bit, trouble) in merge_alike(failures) {
            self.fail(trouble, bit, latency);
        }
        if accepted == 0 {
            return;
        }
        let delivered = self.deliver(profile.deferral, accepted, latency);
        for place in 0..usize::from(message.count) {
            if accepted & (1 << place) != 0 {
                let recipient = Recipient::of(self.seed, message.recipients[place]);
                self.after_delivery(&recipient, 1 << place, delivered);
            }
        }
        if message.service() != Service::SesFeedback {
            engagement::plan(message, host, accepted, delivered, self.dice, &mut self.events);
        }
        self.complain(host, accepted, delivered);
    }

    fn fate(&mut self, recipient: &Recipient, of_all: &mut Option<Fate>) -> Fate {
        let sent = self.message.sent;
        if self.suppressed.holds(recipient.id, sent) {
            return Fate::Failed(Trouble::SuppressedByAccount);
        }
        if let Some(ailment) = recipient.ailment {
            // SES keeps a list of its own of addresses that bounced for others.
            if ailment == Trouble::UnknownUser && self.dice.chance(60_000) {
                return Fate::Failed(Trouble::SuppressedGlobally);
            }
            return Fate::Failed(ailment);
        }
        // What is refused for the sender's sake is refused for everybody in the transaction.
        if let Some(fate) = *of_all {
            return fate;
        }
        let fate = self.fate_of_sender(recipient.provider);
        *of_all = Some(fate);
        fate
    }

    fn fate_of_sender(&mut self, provider: Provider) -> Fate {
        if provider == Provider::Outlook
            && self.incident.contains(&self.message.sent)
            && self.dice.chance(400_000)
        {
            return Fate::Failed(Trouble::BlockList);
        }
        let marketing = self.message.flow.profile().marketing;
        let rates = [
            (Trouble::SpamBlock, if marketing { 3_200 } else { 500 }),
            (Trouble::Policy, 500),
            (Trouble::RateLimited, if marketing { 900 } else { 100 }),
            (Trouble::TooLarge, 150),
            (Trouble::Content, 200),
            (Trouble::Expired, 700),
            (Trouble::Undetermined, 250),
        ];
        let mut point = self.dice.below(1_000_000);
        for (trouble, rate) in rates {
            if point < rate {
                return Fate::Failed(trouble);
            }
            point -= rate;
        }
        Fate::Delivered
    }

    fn fail(&mut self, trouble: Trouble, who: u8, latency: i64) {
        let sent = self.message.sent;
        let bounced = match trouble {
            Trouble::Expired => {
                self.delays(who, 14 * HOUR, 3);
                sent + 14 * HOUR + latency
            }
            Trouble::RateLimited => {
                self.delays(who, 14 * HOUR, 2);
                sent + 14 * HOUR + latency
            }
            // SES turns these away itself, at once.
            Trouble::SuppressedByAccount | Trouble::SuppressedGlobally => sent + 80 + latency / 50,
            _ => sent + latency,
        };
        self.events.push((bounced, What::Bounce(trouble), who));
        if matches!(trouble, Trouble::UnknownUser | Trouble::BadDomain | Trouble::Disabled) {
            for id in self.message.chosen(who) {
                self.suppressed.add(id, bounced);
            }
        }
    }

    /// `count` delays, the last before `within`.
    fn delays(&mut self, who: u8, within: i64, count: i64) {
        if self.message.service() != Service::SesEvents {
            return;
        }
        let sent = self.message.sent;
        for number in 0..count {
            let step = within / count;
            let at = sent + step * number + self.dice.between(SECOND, step);
            self.events.push((at, What::Delay { expires: sent + 14 * HOUR }, who));
        }
    }

    fn deliver(&mut self, deferral: u32, who: u8, latency: i64) -> i64 {
        let mut took = latency;
        if self.dice.chance(deferral) {
            let wait = self.dice.skewed(4 * MINUTE, 5 * HOUR);
            let times = 1 + i64::from(wait > 40 * MINUTE) + i64::from(wait > 2 * HOUR);
            self.delays(who, wait, times);
            took += wait;
        }
        let delivered = self.message.sent + took;
        self.events.push((delivered, What::Delivery, who));
        delivered
    }

    /// What may come back from a mailbox that took the message.
    fn after_delivery(&mut self, recipient: &Recipient, bit: u8, delivered: i64) {
        if recipient.away && self.dice.chance(800_000) {
            let at = delivered + self.dice.skewed(SECOND, 20 * MINUTE);
            self.events.push((at, What::Bounce(Trouble::AutoReply), bit));
            return;
        }
        // Servers that take everything first and find out later that there is no such mailbox.
        if self.dice.chance(350) {
            let at = delivered + self.dice.skewed(2 * SECOND, 2 * DAY);
            self.events.push((at, What::Bounce(Trouble::UnknownUser), bit));
            self.suppressed.add(recipient.id, at);
        }
    }

    fn complain(&mut self, host: &Recipient, who: u8, delivered: i64) {
        if !host.provider.profile().feedback_loop {
            return;
        }
        let rate = self.message.flow.profile().complaints;
        if self.dice.chance(rate) {
            let at = delivered + self.dice.skewed(10 * MINUTE, 21 * DAY);
            let kind = self.dice.pick(&[
                "abuse",
                "abuse",
                "abuse",
                "abuse",
                "abuse",
                "abuse",
                "",
                "",
                "other",
                "fraud",
                "auth-failure",
            ]);
            self.events.push((at, What::Complaint(kind), who));
            if kind != "auth-failure" {
                for id in self.message.chosen(who) {
                    self.suppressed.add(id, at);
                }
            }
        } else if self.dice.chance(rate / 12) {
            let at = delivered + self.dice.skewed(MINUTE, 5 * DAY);
            self.events.push((at, What::Complaint("not-spam"), who));
        }
    }
}

/// Failures with the same cause are reported together.
fn merge_alike(
    failures: [(u8, Option<Trouble>); MAX_RECIPIENTS],
) -> impl Iterator<Item = (u8, Trouble)> {
    let mut merged: [(u8, Option<Trouble>); MAX_RECIPIENTS] = [(0, None); MAX_RECIPIENTS];
    for (bit, trouble) in failures {
        if trouble.is_none() {
            continue;
        }
        for place in &mut merged {
            if place.1.is_none() || place.1 == trouble {
                *place = (place.0 | bit, trouble);
                break;
            }
        }
    }
    merged.into_iter().filter_map(|(bits, trouble)| trouble.map(|trouble| (bits, trouble)))
}
