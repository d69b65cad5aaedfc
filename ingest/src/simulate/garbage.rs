//! What ends up in a feed by accident: cut-off documents, log lines, binary, error pages, other
//! vendors' webhooks.
//!
//! Owns the invariant that a piece of garbage has no line feed in it and begins neither a JSON
//! document that later lines could complete nor anything that is an event: a reader that finds its
//! way back at the next line loses nothing and rejects exactly one document.

use super::dice::Dice;
use super::text::{Pen, put_hex};

/// Kinds of garbage.
pub(super) const KINDS: u64 = 6;

/// Writes the `which`-th kind of garbage without a line end; `body` is some event that can be cut off.
pub(super) fn write(out: &mut Vec<u8>, which: u64, body: &[u8], dice: &mut Dice) {
    match which {
        0 => cut_off(out, body, dice),
        1 => {
            out.extend_from_slice(b"START RequestId: ");
            let (high, low) = (dice.below(u64::MAX), dice.below(u64::MAX));
            Pen::new(out, true).uuid(high, low);
            out.extend_from_slice(b" Version: $LATEST");
        }
        2 => {
            // No byte that could begin a JSON document or end the line.
            for _ in 0..64 + dice.below(400) {
                let byte = dice.below(256) as u8;
                out.push(if byte.is_ascii() { 0x80 | byte } else { byte });
            }
            out.extend_from_slice(&[0, 0, 0xFF]);
        }
        3 => out.extend_from_slice(b"<html><head><title>503 Service Temporarily Unavailable</title></head><body><center><h1>503 Service Temporarily Unavailable</h1></center></body></html>"),
        4 => {
            out.extend_from_slice(b"{\"kind\":\"mail.dispatched\",\"vendor\":\"postrider\",\"ref\":\"");
            put_hex(out, dice.below(u64::MAX), 16);
            out.extend_from_slice(b"\",\"to\":\"someone@example.net\",\"ok\":true}");
        }
        _ => {
            out.extend_from_slice(b"Task timed out after 3.");
            put_hex(out, dice.below(100), 2);
            out.extend_from_slice(b" seconds");
        }
    }
}

/// The beginning of a document, cut inside a string: no later line can complete it.
fn cut_off(out: &mut Vec<u8>, body: &[u8], dice: &mut Dice) {
    let wanted = body.len() / 8 + dice.below(body.len() as u64 / 2) as usize;
    let mut inside = false;
    let mut escaped = false;
    for (at, byte) in body.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => inside = !inside,
            _ => {}
        }
        // Between two bytes of one character would be fine too, but then it is not UTF-8 either.
        if at >= wanted && inside && !escaped && byte.is_ascii_alphanumeric() {
            out.extend_from_slice(&body[..=at]);
            return;
        }
    }
    out.extend_from_slice(&body[..body.len().saturating_sub(2)]);
}
