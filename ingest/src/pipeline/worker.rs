//! What each worker thread does: responsible for reading a piece of work, decoding it and handing
//! on what came of it, whatever the bytes are.
//!
//! Invariant: every piece of work that was taken has its outcome, even if decoding it fails in a way
//! nobody foresaw: then its object is named as failed and is not marked as read.
//!
//! Memory: one chunk's bytes for each thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hearback_transform::{Counts, DecodeOptions, Decoded, Decoder, Origin, Place, Reject};
use tokio::sync::mpsc::UnboundedSender;

use super::buffer::Buffer;
use super::chunk::{Chunk, End, Kind};
use super::intake::{Intake, Turn, Work};
use super::reading::{OpenObject, Reading, Waiting};
use crate::lake::ObjectId;
use crate::source::{ObjectFailure, ObjectName};

/// What came of a piece of work, to be taken in the order of its turn.
pub(crate) struct Outcome {
    pub(crate) turn: Turn,
    /// Whether the next turn is that of the next ordinal.
    pub(crate) ends_ordinal: bool,
    /// Bytes that were set aside for it.
    pub(crate) bytes: u64,
    pub(crate) pieces: Vec<Piece>,
}

/// What came of a stretch of one object.
#[derive(Default)]
pub(crate) struct Piece {
    pub(crate) source_name: Option<ObjectName>,
    pub(crate) decoded: Option<Decoded>,
    /// Bytes taken from the source, as stored.
    pub(crate) stored: u64,
    /// The object is read to its end; `Some(None)` if it can be read only once.
    pub(crate) finished: Option<Option<ObjectId>>,
    pub(crate) failure: Option<ObjectFailure>,
}

/// One worker thread.
pub(crate) struct Worker {
    intake: Arc<Intake>,
    options: DecodeOptions,
    decoder: Decoder,
    buffer: Buffer,
    outcomes: UnboundedSender<Outcome>,
}

impl Worker {
    pub(crate) fn new(
        intake: Arc<Intake>,
        options: DecodeOptions,
        outcomes: UnboundedSender<Outcome>,
    ) -> Self {
        let decoder = Decoder::new(options.clone());
        Self { intake, options, decoder, buffer: Buffer::default(), outcomes }
    }

    /// Works until there is nothing left to read.
    pub(crate) fn run(mut self) {
        while let Some(Work { turn, reading }) = self.intake.take() {
            match reading {
                Reading::Unopened(unopened) => match self.intake.opener().open(*unopened) {
                    Ok(object) => self.read_object(turn, Box::new(object)),
                    Err(failure) => {
                        let piece = Piece { failure: Some(failure), ..Piece::default() };
                        self.finish(turn, 0, vec![piece]);
                    }
                },
                Reading::Object(object) => self.read_object(turn, object),
                Reading::Run { open, waiting } => self.read_run(turn, open, waiting),
            }
        }
    }

    /// Reads one chunk of a large object, lets others read on, and then decodes it.
    fn read_object(&mut self, turn: Turn, mut object: Box<OpenObject>) {
        let Some(chunk) = object.stream.next(&mut self.buffer) else {
            self.intake.give_back(turn, 0, 0, Reading::Object(object));
            return;
        };
        let bytes = self.buffer.len() as u64;
        let mut piece = Piece { stored: object.stored_since(), ..Piece::default() };
        let name = Arc::clone(&object.name);
        let ends_ordinal = chunk.end.is_some();
        if ends_ordinal {
            conclude(&mut piece, &object, chunk.end.as_ref());
            self.intake.finish(turn, bytes);
        } else {
            self.intake.give_back(turn, 1, bytes, Reading::Object(object));
        }
        self.decode(&mut piece, &name, &chunk);
        self.send(Outcome { turn, ends_ordinal, bytes, pieces: vec![piece] });
    }

    /// Reads small objects until there are rows for about one chunk. Their rows come out together.
    fn read_run(
        &mut self,
        turn: Turn,
        mut open: Option<Box<OpenObject>>,
        mut waiting: VecDeque<Waiting>,
    ) {
        let mut pieces = Vec::new();
        let mut bytes = 0;
        while bytes < self.intake.chunk() {
            let mut object = match open.take() {
                Some(object) => object,
                None => match waiting.pop_front().map(|next| self.open(next)) {
                    Some(Ok(object)) => object,
                    Some(Err(failure)) => {
                        pieces.push(Piece { failure: Some(failure), ..Piece::default() });
                        continue;
                    }
                    None => {
                        let pieces = self.with_rows(pieces);
                        self.finish(turn, bytes, pieces);
                        return;
                    }
                },
            };
            let Some(chunk) = object.stream.next(&mut self.buffer) else {
                open = Some(object);
                continue;
            };
            bytes += self.buffer.len() as u64;
            let mut piece = Piece { stored: object.stored_since(), ..Piece::default() };
            let name = Arc::clone(&object.name);
            if chunk.end.is_some() {
                conclude(&mut piece, &object, chunk.end.as_ref());
            } else {
                open = Some(object);
            }
            if self.add(&mut piece, &name, &chunk).is_err() {
                // The rows of the objects before it went down with the decoder's buffers.
                for piece in &mut pieces {
                    *piece = Piece { failure: piece.failure.take(), ..Piece::default() };
                }
            }
            pieces.push(piece);
        }
        let pieces = self.with_rows(pieces);
        self.intake.give_back(turn, 1, bytes, Reading::Run { open, waiting });
        self.send(Outcome { turn, ends_ordinal: false, bytes, pieces });
    }

    fn open(&self, waiting: Waiting) -> Result<Box<OpenObject>, ObjectFailure> {
        match waiting {
            Waiting::Unopened(unopened) => self.intake.opener().open(unopened).map(Box::new),
            Waiting::Failed(failure) => Err(failure),
        }
    }

    /// Puts the rows of all pieces before them: no object ends before its rows.
    fn with_rows(&mut self, mut pieces: Vec<Piece>) -> Vec<Piece> {
        let partitions = self.decoder.take();
        let name = pieces.iter().find_map(|piece| piece.source_name.clone());
        if let Some(name) = name
            && !partitions.is_empty()
        {
            let decoded = Decoded { partitions, ..Decoded::default() };
            let rows =
                Piece { source_name: Some(name), decoded: Some(decoded), ..Piece::default() };
            pieces.insert(0, rows);
        }
        pieces
    }

    fn decode(&mut self, piece: &mut Piece, name: &ObjectName, chunk: &Chunk) {
        if self.add(piece, name, chunk).is_ok()
            && let Some(decoded) = &mut piece.decoded
        {
            decoded.partitions = self.decoder.take();
        }
    }

    /// Decodes a chunk; its rows stay with the decoder.
    fn add(&mut self, piece: &mut Piece, name: &ObjectName, chunk: &Chunk) -> Result<(), Panicked> {
        piece.source_name = Some(Arc::clone(name));
        let bytes = self.buffer.filled();
        if bytes.is_empty() {
            return Ok(());
        }
        let shape = match chunk.kind {
            Kind::Documents(shape) => shape,
            Kind::Overlong { part } => {
                piece.decoded = Some(overlong(bytes, chunk.offset, part));
                return Ok(());
            }
        };
        let origin = Origin { source_name: name, shard: None, place: Place::Offset(chunk.offset) };
        let decoder = &mut self.decoder;
        let added = catch_unwind(AssertUnwindSafe(|| decoder.add(bytes, &origin, shape)));
        if let Ok((rejects, counts)) = added {
            piece.decoded = Some(Decoded { partitions: Vec::new(), rejects, counts });
            return Ok(());
        }
        // The decoder's buffers are in an unknown state.
        self.decoder = Decoder::new(self.options.clone());
        piece.finished = None;
        piece.failure = Some(ObjectFailure {
            object: name.to_string(),
            problem: format!(
                "a defect of hearback: decoding panicked at or after byte {}; {} bytes from there were left out, please report it",
                chunk.offset,
                bytes.len()
            ),
        });
        Err(Panicked)
    }

    fn finish(&self, turn: Turn, bytes: u64, pieces: Vec<Piece>) {
        self.intake.finish(turn, bytes);
        self.send(Outcome { turn, ends_ordinal: true, bytes, pieces });
    }

    fn send(&self, outcome: Outcome) {
        // Nobody takes outcomes any more after a stop; what they hold is read again by the next run.
        let _ = self.outcomes.send(outcome);
    }
}

fn conclude(piece: &mut Piece, object: &OpenObject, end: Option<&End>) {
    match end {
        Some(End::Whole) => piece.finished = Some(object.identity.clone()),
        Some(End::Damaged(damage)) => piece.failure = Some(object.failure(damage.0.clone())),
        None => {}
    }
}

/// Decoding panicked; the piece says so.
struct Panicked;

/// A part of a record that nobody could hold, kept as it is.
fn overlong(bytes: &[u8], offset: u64, part: u32) -> Decoded {
    let reject = Reject {
        place: offset.to_string(),
        reason: format!("record longer than 64 MiB, part {part}"),
        raw: bytes.to_vec(),
    };
    let counts = Counts { records: 1, rejected: 1, ..Counts::default() };
    Decoded { partitions: Vec::new(), rejects: vec![reject], counts }
}
