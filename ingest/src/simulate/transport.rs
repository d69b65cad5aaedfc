//! The way from the service to us: repeats, stretches of different shapes, batches, control
//! messages, garbage.
//!
//! Owns the invariant that whatever is written up to a call of [`Transport::finish`] is a sequence
//! of complete JSON values, garbage apart, and that garbage stands on lines of its own.

use super::calendar::{Calendar, Mix};
use super::dice::{Dice, Stream};
use super::envelope::{self, Shape, Wrapper, close_batch, control, open_batch};
use super::garbage;
use super::letter::Letter;
use super::pinpoint::PinpointDialect;
use super::sender::Service;
use super::ses::SesDialect;
use super::tally::Tally;
use super::text::{DAY, HOUR};
use super::traffic::{MAX_PENDING, Traffic};
use super::{Envelope, MAX_DAYS, Scenario};

/// Events that arrive again, per million.
const REPEATS: u32 = 15_000;

/// How a stretch of documents is wrapped and strung together.
#[derive(Clone, Copy)]
struct Stretch {
    shape: Shape,
    /// A line feed after each document.
    lines: bool,
    /// Documents until the next stretch.
    left: u64,
}

/// Turns traffic into bytes.
pub(super) struct Transport {
    traffic: Traffic,
    dice: Dice,
    ses: SesDialect,
    pinpoint: PinpointDialect,
    wrapper: Wrapper,
    letter: Letter,
    body: Vec<u8>,
    tally: Tally,
    envelope: Envelope,
    duplicates: bool,
    garbage: bool,
    control: bool,
    stretch: Stretch,
    /// Shape of the batch that is open, and documents that it still takes.
    batch: Option<(Shape, u64)>,
    /// Whether the last byte written ended a line.
    fresh_line: bool,
    /// Where what the last call appended can be cut: behind each complete document or batch.
    ends: Vec<usize>,
    until_garbage: u64,
    garbage_written: u64,
    controls_written: u64,
    last_arrival: i64,
}

impl Transport {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let start = scenario.start.div_euclid(1_000);
        let pinpoint_only = scenario.envelope == Envelope::Pinpoint;
        let mix = Mix {
            feedback_notifications: scenario.feedback_notifications,
            pinpoint: scenario.pinpoint || pinpoint_only,
            pinpoint_only,
        };
        let days = scenario.days.clamp(1, MAX_DAYS);
        let calendar = Calendar::new(start, days, scenario.messages, mix);
        let labelled_from = start + i64::from(days) * DAY / 2;
        let traffic = Traffic::new(
            scenario.seed,
            calendar,
            scenario.messages,
            scenario.disorder,
            MAX_PENDING,
        );
        Self {
            traffic,
            dice: Dice::new(scenario.seed, Stream::Transport),
            ses: SesDialect::new(scenario.seed, labelled_from),
            pinpoint: PinpointDialect::new(scenario.seed),
            wrapper: Wrapper::default(),
            letter: Letter::default(),
            body: Vec::with_capacity(8 << 10),
            tally: Tally::default(),
            envelope: scenario.envelope,
            duplicates: scenario.duplicates,
            garbage: scenario.garbage,
            control: scenario.control,
            stretch: Stretch { shape: Shape::Bare, lines: true, left: 0 },
            batch: None,
            fresh_line: true,
            ends: Vec::new(),
            until_garbage: 40,
            garbage_written: 0,
            controls_written: 0,
            last_arrival: start,
        }
    }

    /// Messages sent so far.
    pub(super) fn messages(&self) -> u64 {
        self.traffic.sent()
    }

    /// Documents written so far.
    pub(super) fn documents(&self) -> u64 {
        self.tally.documents
    }

    /// When what was written last arrived, in milliseconds since the epoch.
    pub(super) fn last_arrival(&self) -> i64 {
        self.last_arrival
    }

    /// The truth about what was written, `bytes` of it.
    pub(super) fn into_tally(mut self, bytes: u64) -> Tally {
        self.tally.bytes = bytes;
        self.tally.messages = self.traffic.sent();
        self.tally
    }

    /// Where the bytes that the last call of [`Transport::document`] or [`Transport::finish`] appended
    /// can be cut: behind each document, or batch of documents, that became complete in it.
    pub(super) fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// Appends the next event, and what comes along with it; false when everything has arrived.
    pub(super) fn document(&mut self, out: &mut Vec<u8>) -> bool {
        self.ends.clear();
        let Some((occurrence, message)) = self.traffic.next() else { return false };
        self.last_arrival = occurrence.arrival;
        if self.stretch.left == 0 {
            self.next_stretch(out);
        }
        self.stretch.left -= 1;
        self.letter.write(self.traffic.seed(), &message);
        self.body.clear();
        match message.service() {
            Service::Pinpoint => {
                self.pinpoint.write(&mut self.body, &self.letter, &message, &occurrence);
            }
            _ => self.ses.write(&mut self.body, &self.letter, &message, &occurrence),
        }
        let shape = self.stretch.shape.for_service(message.service());
        self.make_room(out, shape);
        let body = std::mem::take(&mut self.body);
        self.wrapper.wrap(out, shape, &body, &message, &occurrence, &mut self.dice);
        self.end_document(out, shape);
        self.tally.add(&occurrence, &message);
        if self.duplicates && self.dice.chance(REPEATS) {
            let delay = self.dice.skewed(40, 26 * HOUR);
            self.traffic.repeat(&occurrence, &message, delay);
        }
        self.accidents(out, &body);
        self.body = body;
        true
    }

    /// Ends the batch and the line that are open: what was written so far can stand by itself.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.ends.clear();
        self.close(out);
        if self.stretch.lines && !self.fresh_line {
            out.push(b'\n');
            self.fresh_line = true;
        }
    }

    /// Begins an object of its own: a new shape, nothing left over from the one before.
    pub(super) fn begin_object(&mut self, documents: u64) {
        self.stretch = self.choose(documents);
        self.fresh_line = true;
    }

    fn next_stretch(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        let left = 20 + self.dice.below(380);
        self.stretch = self.choose(left);
        if self.control && (self.controls_written < envelope::CONTROLS || self.dice.chance(20_000))
        {
            self.line_feed(out);
            let which = self.controls_written % envelope::CONTROLS;
            control(out, which, self.last_arrival, &mut self.dice);
            out.push(b'\n');
            self.ends.push(out.len());
            self.controls_written += 1;
            self.tally.ignored += 1;
            self.tally.documents += 1;
        }
    }

    fn choose(&mut self, left: u64) -> Stretch {
        let (shape, lines) = match self.envelope {
            Envelope::Mixed => self.mixed(),
            Envelope::Ses | Envelope::SnsRaw | Envelope::Pinpoint => (Shape::Bare, true),
            Envelope::FirehoseConcatenated => (Shape::Bare, false),
            Envelope::EventBridge => (Shape::EventBridge, true),
            Envelope::EventBridgeConcatenated => (Shape::EventBridge, false),
            Envelope::Sns => (Shape::SnsLine, true),
            Envelope::SnsHttp => (Shape::SnsPost, true),
            Envelope::SnsLambda => (Shape::SnsLambda, true),
            Envelope::SqsSns => (Shape::SqsLambda, true),
            Envelope::SqsMessages => (Shape::SqsMessages, true),
            Envelope::KinesisLambda => (Shape::KinesisLambda, true),
            Envelope::FirehoseTransform => (Shape::FirehoseTransform, true),
            Envelope::FirehoseHttp => (Shape::FirehoseHttp, true),
            Envelope::JsonArray => (Shape::Array, true),
        };
        Stretch { shape, lines, left }
    }

    fn mixed(&mut self) -> (Shape, bool) {
        const SHAPES: [(Shape, bool, u32); 14] = [
            (Shape::Bare, true, 26),
            (Shape::Bare, false, 10),
            (Shape::EventBridge, true, 12),
            (Shape::EventBridge, false, 12),
            (Shape::SnsLine, true, 10),
            (Shape::SnsPost, true, 6),
            (Shape::SnsPost, false, 2),
            (Shape::SnsLambda, true, 3),
            (Shape::SqsLambda, true, 7),
            (Shape::SqsMessages, true, 2),
            (Shape::KinesisLambda, true, 5),
            (Shape::FirehoseTransform, true, 3),
            (Shape::FirehoseHttp, true, 2),
            (Shape::Array, true, 4),
        ];
        let (shape, lines, _) = SHAPES[self.dice.weighted(&SHAPES.map(|(_, _, weight)| weight))];
        (shape, lines)
    }

    /// Opens, continues or closes a batch so that a document of `shape` can follow.
    fn make_room(&mut self, out: &mut Vec<u8>, shape: Shape) {
        if let Some((open, room)) = self.batch
            && open == shape
            && room > 0
        {
            out.push(b',');
            self.batch = Some((open, room - 1));
            return;
        }
        self.close(out);
        if shape.is_batch() {
            open_batch(out, shape, self.last_arrival, &mut self.dice);
            let room = 1 + self.dice.below(shape.batch_limit());
            self.batch = Some((shape, room - 1));
        }
        self.fresh_line = false;
    }

    fn end_document(&mut self, out: &mut Vec<u8>, shape: Shape) {
        if shape.is_batch() {
            return;
        }
        if self.stretch.lines {
            out.push(b'\n');
        }
        self.fresh_line = self.stretch.lines;
        self.ends.push(out.len());
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some((shape, _)) = self.batch.take() else { return };
        close_batch(out, shape);
        if self.stretch.lines {
            out.push(b'\n');
        }
        self.fresh_line = self.stretch.lines;
        self.ends.push(out.len());
    }

    fn line_feed(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        if !self.fresh_line {
            out.push(b'\n');
        }
        self.fresh_line = true;
    }

    /// Garbage on a line of its own, every now and then; every kind of it in turn.
    fn accidents(&mut self, out: &mut Vec<u8>, body: &[u8]) {
        if !self.garbage {
            return;
        }
        if self.until_garbage > 0 {
            self.until_garbage -= 1;
            return;
        }
        self.until_garbage = 200 + self.dice.below(2_600);
        self.line_feed(out);
        garbage::write(out, self.garbage_written % garbage::KINDS, body, &mut self.dice);
        out.push(b'\n');
        self.ends.push(out.len());
        self.garbage_written += 1;
        self.tally.garbage += 1;
        self.tally.documents += 1;
    }
}
