//! Compares the members that a segment has with those that a destination acknowledged.
//!
//! Both come in the order of their keys, so one pass finds every change, whatever their number, and
//! what did not change costs nothing. One pass of the members serves several destinations.

use serde::{Deserialize, Serialize};

use super::acknowledged::StateReader;
use super::change::{Action, Change, Changes, ChangesWriter};
use super::error::SegmentError;
use super::members::Member;

/// How many members fare how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Not acknowledged yet.
    pub add: u64,
    /// Acknowledged with other attributes.
    pub change: u64,
    /// Acknowledged and no longer members.
    pub remove: u64,
    /// Acknowledged as they are, but to be sent again before they expire.
    pub refresh: u64,
    /// Acknowledged as they are.
    pub keep: u64,
    /// Members who opted out at the destination itself before, and are not offered again.
    #[serde(default)]
    pub declined: u64,
}

impl Counts {
    /// Members that the destination has acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.change + self.remove + self.refresh + self.keep
    }

    /// Members that it will have.
    #[must_use]
    pub fn members(&self) -> u64 {
        self.add + self.change + self.refresh + self.keep
    }

    /// Changes that are to be made.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.add + self.change + self.remove + self.refresh
    }

    /// Counts one more of an action.
    pub fn count(&mut self, action: Action) {
        match action {
            Action::Add => self.add += 1,
            Action::Change => self.change += 1,
            Action::Remove => self.remove += 1,
            Action::Refresh => self.refresh += 1,
        }
    }
}

/// The comparison with one destination.
#[derive(Debug)]
pub struct Comparison {
    acknowledged: StateReader,
    /// The acknowledged member that has not been met yet.
    old: Option<Member>,
    /// Who opted out at the destination itself, in the order of the keys, and the next of them.
    declined: StateReader,
    next_declined: Option<Member>,
    /// Whether members that stay as they are are to be sent again.
    refresh: bool,
    counts: Counts,
    changes: ChangesWriter,
}

impl Comparison {
    /// Begins.
    ///
    /// # Errors
    /// If the state cannot be read, or no temporary file made.
    pub fn new(
        mut acknowledged: StateReader,
        mut declined: StateReader,
        refresh: bool,
    ) -> Result<Self, SegmentError> {
        Ok(Self {
            old: acknowledged.read()?,
            acknowledged,
            next_declined: declined.read()?,
            declined,
            refresh,
            counts: Counts::default(),
            changes: ChangesWriter::new()?,
        })
    }

    /// Takes the segment's next member, in the order of the keys.
    ///
    /// # Errors
    /// If the state cannot be read, or the temporary file written.
    pub fn meet(&mut self, new: &Member) -> Result<(), SegmentError> {
        // Acknowledged members that lie before it are members no longer.
        while let Some(gone) = self.old.take_if(|old| old.key.as_bytes() < new.key.as_bytes()) {
            self.note(Action::Remove, gone)?;
            self.old = self.acknowledged.read()?;
        }
        let Some(known) = self.old.take_if(|old| old.key == new.key) else {
            if self.has_declined(new)? {
                self.counts.declined += 1;
                return Ok(());
            }
            return self.note(Action::Add, new.clone());
        };
        self.old = self.acknowledged.read()?;
        if known.attributes != new.attributes {
            return self.note(Action::Change, new.clone());
        }
        if self.refresh {
            return self.note(Action::Refresh, known);
        }
        self.counts.keep += 1;
        Ok(())
    }

    /// Whether a member opted out at the destination itself.
    fn has_declined(&mut self, new: &Member) -> Result<bool, SegmentError> {
        let key = new.key.as_bytes();
        while self.next_declined.as_ref().is_some_and(|member| member.key.as_bytes() < key) {
            self.next_declined = self.declined.read()?;
        }
        Ok(self.next_declined.as_ref().is_some_and(|member| member.key == new.key))
    }

    /// Ends: acknowledged members that were not met are members no longer.
    ///
    /// # Errors
    /// If the state cannot be read, or the temporary file written.
    pub fn end(mut self) -> Result<(Counts, Changes), SegmentError> {
        while let Some(gone) = self.old.take() {
            self.note(Action::Remove, gone)?;
            self.old = self.acknowledged.read()?;
        }
        Ok((self.counts, self.changes.finish()?))
    }

    fn note(&mut self, action: Action, member: Member) -> Result<(), SegmentError> {
        self.counts.count(action);
        let Member { key, attributes } = member;
        Ok(self.changes.push(&Change { action, member: key, attributes })?)
    }
}
