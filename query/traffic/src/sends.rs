//! To whom some messages were sent.

use arrow_array::Array;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType};

use crate::coded::{Meanings, column};
use crate::number_of;
use crate::watched::Numbers;

/// Columns of which [`Sends`] makes use.
pub const SEND_COLUMNS: [&str; 4] = ["event_type", "channel", "message_id", "recipient"];

/// Messages to look out for, by their numbers.
#[derive(Debug)]
pub struct Sends {
    wanted: Numbers,
}

impl Sends {
    /// Looks out for the messages with these numbers ([`number_of`]).
    #[must_use]
    pub fn of(messages: impl Iterator<Item = u64>) -> Self {
        Self { wanted: Numbers::new(messages.collect()) }
    }

    /// Adds the number and the recipient of each Send by email of these messages.
    ///
    /// # Errors
    /// If a column of [`SEND_COLUMNS`] is missing, or of another type.
    pub fn find(
        &self,
        batch: &RecordBatch,
        found: &mut Vec<(u64, String)>,
    ) -> Result<(), ArrowError> {
        let is_send = Meanings::of(batch, "event_type", |kind| kind == "send")?;
        let by_mail = Meanings::of(batch, "channel", |channel| channel == "email")?;
        let messages = cast(column(batch, "message_id")?, &DataType::Utf8View)?;
        let messages = messages.as_string_view();
        let recipients = cast(column(batch, "recipient")?, &DataType::Utf8View)?;
        let recipients = recipients.as_string_view();
        for row in 0..batch.num_rows() {
            if !is_send.at(row) || !by_mail.at(row) || messages.is_null(row) {
                continue;
            }
            let number = number_of(messages.value(row));
            if self.wanted.hold(number) && recipients.is_valid(row) {
                found.push((number, recipients.value(row).to_owned()));
            }
        }
        Ok(())
    }
}
