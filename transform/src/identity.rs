//! `event_id`: what makes two documents tell of the same event.
//!
//! Owns the invariant that one event has one identity by every route, in both dialects, and however
//! it was serialised: the identity is made of the event's own facts, never of an envelope, of tags
//! or headers (which differ between events of one message), or of the order of keys.
//!
//! The facts are written one after the other, each behind its length, so that no two lists of facts
//! give the same bytes, and hashed with XXH3 (128 bits). The layout has a version: it is part of
//! every lake, and a change means that events arriving again are no longer known.

use hearback_schemas::EventType;
use xxhash_rust::xxh3::xxh3_128;

use crate::event::{Col, Event};

const VERSION: u8 = 1;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// Hashes the facts of events; holds a buffer that is used again.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    facts: Vec<u8>,
    of_event: usize,
}

impl Identity {
    /// Takes the facts that all recipients of an event share. `time` is the event's; `document` is
    /// asked for the document in canonical form where the event has no name of its own.
    pub(crate) fn begin(
        &mut self,
        event: &Event<'_>,
        time: i64,
        document: impl FnOnce() -> String,
    ) {
        self.facts.clear();
        self.facts.push(VERSION);
        let message_id = event.texts.get(Col::MessageId).filter(|id| !id.is_empty());
        self.text(message_id);
        match (event.kind, &event.type_name) {
            (EventType::Unknown, Some(name)) => self.text(Some(name)),
            (kind, _) => self.text(Some(kind.as_str())),
        }
        match event.kind {
            EventType::Send | EventType::Reject | EventType::RenderingFailure => {}
            // Feedback notifications and event publishing agree to the second only.
            EventType::Bounce | EventType::Complaint => match event.feedback_id.as_deref() {
                Some(id) if !id.is_empty() => self.text(Some(id)),
                _ => self.time(time.div_euclid(MICROS_PER_SECOND)),
            },
            EventType::Delivery => self.time(time.div_euclid(MICROS_PER_SECOND)),
            EventType::DeliveryDelay | EventType::Unknown => self.time(time),
            EventType::Open | EventType::Click => {
                self.time(time);
                self.text(event.texts.get(Col::IpAddress));
                self.text(event.texts.get(Col::UserAgent));
                self.text(event.full_link.as_deref());
            }
            EventType::Subscription => {
                self.time(time);
                self.text(event.contact_list.as_deref());
            }
        }
        if message_id.is_none() {
            self.text(Some(&document()));
        }
        self.of_event = self.facts.len();
    }

    /// The identity of the event for one recipient.
    pub(crate) fn of(&mut self, recipient: Option<&str>) -> u128 {
        self.facts.truncate(self.of_event);
        self.text(recipient);
        xxh3_128(&self.facts)
    }

    fn text(&mut self, text: Option<&str>) {
        let Some(text) = text else {
            self.facts.push(0);
            return;
        };
        self.facts.push(1);
        self.facts.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.facts.extend_from_slice(text.as_bytes());
    }

    fn time(&mut self, time: i64) {
        self.facts.push(2);
        self.facts.extend_from_slice(&time.to_le_bytes());
    }
}
