//! Sends what is left of a plan, notes what became of it, and makes the new state.
//!
//! Invariant: a change is counted as done only after the destination said so; the ledger is behind by
//! [`NOTE_EVERY`] at most, and by nothing when the state is made.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use hearback_ingest::CancelFlag;

use super::departed::Departed;
use super::{Applied, ApplyOptions, SHOWN, drift_is_refused};
use crate::activate::segments::acknowledged::{Generation, StateReader, StateWriter, States};
use crate::activate::segments::change::{Action, Change, Changes, ChangesWriter};
use crate::activate::segments::destination::{
    Delivered, Destination, DestinationError, Manner, Outcome, Publication, Run,
};
use crate::activate::segments::error::SegmentError;
use crate::activate::segments::lease::Lease;
use crate::activate::segments::plan::{Bench, Plan};
use crate::activate::segments::receipts::Receipts;

/// The ledger is written at least this often while changes come in.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// How long requests that are under way are waited for after the run was asked to stop. What they did
/// without our hearing of it is done again by the next run.
const GRACE: Duration = Duration::from_secs(5);

/// An application that is going on.
pub(super) struct Work<'a> {
    bench: &'a Bench<'a>,
    run: &'a Run,
    receipts: Receipts,
    lease: &'a Lease,
    options: &'a ApplyOptions<'a>,
    departed: Departed,
    /// What was acknowledged, in the order of the keys.
    done: ChangesWriter,
    /// Who declined at the destination, in the order of the keys.
    declined: ChangesWriter,
    items: ChangesWriter,
    noted: Instant,
    applied: Applied,
}

impl<'a> Work<'a> {
    /// Begins; `applied` is what was done before.
    pub(super) fn new(
        bench: &'a Bench<'a>,
        run: &'a Run,
        receipts: Receipts,
        lease: &'a Lease,
        options: &'a ApplyOptions<'a>,
        departed: Departed,
        applied: Applied,
    ) -> Result<Self, SegmentError> {
        Ok(Self {
            bench,
            run,
            receipts,
            lease,
            options,
            departed,
            done: ChangesWriter::new()?,
            declined: ChangesWriter::new()?,
            items: ChangesWriter::new()?,
            noted: Instant::now(),
            applied,
        })
    }

    /// Sends the changes in full batches, several at once, and notes them in their order.
    pub(super) async fn deliver(
        &mut self,
        destination: &dyn Destination,
        changes: &mut Changes,
        size: usize,
        at_once: usize,
    ) -> Result<(), SegmentError> {
        let total = changes.len();
        let departed = std::mem::take(&mut self.departed);
        let run = self.run;
        let (lease, cancel) = (self.lease, self.options.cancel);
        let mut reader = changes.read()?;
        let mut seen = 0_u64;
        let mut read_error = None;
        let mut first_error = None;
        let stop = AtomicBool::new(false);
        // Batches are cut as they are needed: those under way are all that is in memory.
        let batches = std::iter::from_fn(|| {
            let stopped = stop.load(Ordering::Relaxed) || cancel.is_cancelled();
            if stopped || lease.check().is_err() || read_error.is_some() {
                return None;
            }
            match cut(&mut reader, size, &departed) {
                Ok(batch) => batch,
                Err(error) => {
                    read_error = Some(error);
                    None
                }
            }
        });
        let mut sent = stream::iter(batches)
            .map(move |batch| async move {
                if batch.wanted.is_empty() {
                    return (batch, Ok(Vec::new()));
                }
                let delivered = destination.deliver(run, &batch.wanted).await;
                (batch, delivered)
            })
            .buffered(at_once.max(1));
        loop {
            let next = tokio::select! {
                biased;
                next = sent.next() => next,
                () = out_of_grace(cancel) => None,
            };
            let Some((batch, delivered)) = next else { break };
            seen += batch.len() as u64;
            match delivered {
                Ok(delivered) => self.note_batch(batch, delivered).await?,
                // No more batches; what is under way is waited for and noted.
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    first_error.get_or_insert(error);
                }
            }
            (self.options.progress)(seen, total);
        }
        drop(sent);
        self.receipts.flush().await?;
        if let Some(error) = read_error {
            return Err(error.into());
        }
        self.lease.check()?;
        if let Some(error) = first_error {
            let nothing = self.applied.counts.changes() + self.applied.failed == 0;
            if nothing {
                return Err(drift_is_refused(error));
            }
            self.applied.stopped = Some(error.to_string());
        }
        let tried = self.applied.failed + self.applied.skipped + self.applied.counts.changes();
        let planned = total + self.applied.before;
        self.applied.untried = planned.saturating_sub(tried);
        if self.applied.untried > 0 && self.applied.stopped.is_none() {
            self.applied.stopped = Some("it was asked to stop".to_owned());
        }
        Ok(())
    }

    /// Notes what became of a batch.
    async fn note_batch(
        &mut self,
        batch: Batch,
        delivered: Vec<Delivered>,
    ) -> Result<(), SegmentError> {
        let mut delivered = delivered.into_iter();
        let skipped = batch.skipped.into_iter().map(|(change, reason)| {
            let outcome = Outcome::Skipped(reason);
            (change, Delivered { outcome, request_id: None })
        });
        let mut outcomes: Vec<(Change, Delivered)> = skipped.collect();
        for change in batch.wanted {
            let missing =
                || Delivered::failed("the destination did not say what became of it", None);
            outcomes.push((change, delivered.next().unwrap_or_else(missing)));
        }
        outcomes.sort_by(|a, b| a.0.member.cmp(&b.0.member));
        for (change, delivered) in outcomes {
            self.receipts.note(&change, &delivered).await?;
            self.count(change, delivered)?;
        }
        if self.noted.elapsed() >= NOTE_EVERY {
            self.receipts.flush().await?;
            self.noted = Instant::now();
        }
        Ok(())
    }

    fn count(&mut self, change: Change, delivered: Delivered) -> Result<(), SegmentError> {
        self.items.push_line(item(&change, &delivered))?;
        if let Some(id) = delivered.request_id
            && self.applied.receipts.len() < SHOWN
            && self.applied.receipts.last() != Some(&id)
        {
            self.applied.receipts.push(id);
        }
        match delivered.outcome {
            Outcome::Done => {
                self.applied.counts.count(change.action);
                self.done.push(&change)?;
                return Ok(());
            }
            Outcome::Failed(_) => self.applied.failed += 1,
            Outcome::Skipped(_) => self.applied.skipped += 1,
            Outcome::Declined(_) => {
                self.applied.skipped += 1;
                self.applied.declined += 1;
                self.declined.push(&change)?;
            }
        }
        if self.applied.problems.len() < SHOWN {
            self.applied.problems.push((change, delivered.outcome));
        }
        Ok(())
    }

    /// For destinations that take the whole set: everything counts as done but who is left out.
    pub(super) fn leave_out(&mut self, changes: &mut Changes) -> Result<(), SegmentError> {
        let departed = std::mem::take(&mut self.departed);
        for change in changes.read()? {
            let change = change?;
            let delivered = match departed.reason_against(&change) {
                Some(reason) => Delivered { outcome: Outcome::Skipped(reason), request_id: None },
                None => Delivered::done(None),
            };
            self.count(change, delivered)?;
        }
        Ok(())
    }

    /// Makes the new state: what was acknowledged before, with what was acknowledged now.
    pub(super) async fn finish(
        mut self,
        destination: &mut dyn Destination,
        states: &States,
        base: Option<&Generation>,
        since: &mut Changes,
        manner: Manner,
        plan: &Plan,
    ) -> Result<Applied, SegmentError> {
        let mut done = std::mem::replace(&mut self.done, ChangesWriter::new()?).finish()?;
        let mut declined = std::mem::replace(&mut self.declined, ChangesWriter::new()?).finish()?;
        let items = std::mem::replace(&mut self.items, ChangesWriter::new()?);
        self.applied.items = Some(items.finish()?);
        let nothing_new = done.is_empty() && declined.is_empty() && self.applied.before == 0;
        if nothing_new && !plan.header.publishes_empty {
            self.receipts.flush().await?;
            self.applied.members = base.map_or(0, |generation| generation.members);
            return Ok(self.applied);
        }
        let acknowledged = states.members(base, Some(since)).await?;
        let (mut file, members) = laid_over(acknowledged, &mut done)?;
        self.applied.members = members;
        let declined = laid_over(states.declined(base).await?, &mut declined)?;
        let publication = Publication { members: &mut file, count: members, changes: &mut done };
        let publish = destination.publish(self.run, publication);
        let receipt = unless_stopped(self.options.cancel, publish, plan).await?;
        if manner == Manner::Whole {
            for change in done.read()? {
                self.receipts.note(&change?, &Delivered::done(receipt.clone())).await?;
            }
            let skipped = std::mem::take(&mut self.applied.problems);
            for (change, outcome) in skipped {
                let delivered = Delivered { outcome, request_id: None };
                self.receipts.note(&change, &delivered).await?;
                self.applied.problems.push((change, delivered.outcome));
            }
        }
        self.applied.receipts.extend(receipt);
        self.receipts.flush().await?;
        self.lease.check()?;
        let mut generation = self.generation(base, plan);
        generation.declined = declined.1;
        let mut declined = Some(declined.0).filter(|_| generation.declined > 0);
        if !states.publish(&generation, &mut file, declined.as_mut()).await? {
            return Err(SegmentError::Busy(
                "another run made the next state of this segment and destination".to_owned(),
            ));
        }
        Ok(self.applied)
    }

    fn generation(&self, base: Option<&Generation>, plan: &Plan) -> Generation {
        let now = (self.bench.clock)().to_string();
        let counts = self.applied.counts;
        // Everybody was sent now: at the first time, and when everybody was refreshed.
        let all_sent = counts.keep == 0 || counts.refresh > 0;
        let refreshed_time = match base {
            Some(base) if !all_sent => base.refreshed_time.clone(),
            _ => now.clone(),
        };
        let number = self.run.number;
        Generation {
            number,
            segment: self.run.segment.clone(),
            destination: plan.spec.clone(),
            key: self.run.key.clone(),
            attributes: self.run.attributes.clone(),
            plan_id: self.run.plan_id.clone(),
            lake_version: self.run.lake_version,
            applied_time: now,
            refreshed_time,
            members: self.applied.members,
            add: counts.add,
            change: counts.change,
            remove: counts.remove,
            failed: self.applied.failed + self.applied.untried,
            skipped: self.applied.skipped,
            declined: 0,
            file: format!("{number:020}-{}.parquet", self.options.run),
        }
    }
}

/// Waits for a destination, but not for long once the run was asked to stop.
pub(super) async fn unless_stopped<T>(
    cancel: &CancelFlag,
    request: impl Future<Output = Result<T, DestinationError>>,
    plan: &Plan,
) -> Result<T, SegmentError> {
    tokio::select! {
        biased;
        answer = request => answer.map_err(drift_is_refused),
        () = out_of_grace(cancel) => Err(DestinationError::Unavailable {
            destination: plan.header.destination.clone(),
            reason: "the run was asked to stop".to_owned(),
        }.into()),
    }
}

/// Ends a while after the run was asked to stop.
async fn out_of_grace(cancel: &CancelFlag) {
    cancel.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

/// What became of a change, for programs.
fn item(change: &Change, delivered: &Delivered) -> String {
    let (outcome, reason) = match &delivered.outcome {
        Outcome::Done => ("done", None),
        Outcome::Failed(reason) => ("failed", Some(reason)),
        Outcome::Skipped(reason) | Outcome::Declined(reason) => ("skipped", Some(reason)),
    };
    let item = serde_json::json!({
        "action": change.action,
        "member": change.member,
        "attributes": change.values(),
        "outcome": outcome,
        "reason": reason,
    });
    item.to_string()
}

/// A batch before it is sent.
struct Batch {
    wanted: Vec<Change>,
    skipped: Vec<(Change, String)>,
}

impl Batch {
    fn len(&self) -> usize {
        self.wanted.len() + self.skipped.len()
    }
}

/// The next batch of full size; None after the last.
fn cut(
    changes: &mut impl Iterator<Item = std::io::Result<Change>>,
    size: usize,
    departed: &Departed,
) -> std::io::Result<Option<Batch>> {
    let mut batch = Batch { wanted: Vec::new(), skipped: Vec::new() };
    while batch.wanted.len() < size.max(1) {
        let Some(change) = changes.next() else { break };
        let change = change?;
        match departed.reason_against(&change) {
            Some(reason) => batch.skipped.push((change, reason)),
            None => batch.wanted.push(change),
        }
    }
    Ok((batch.len() > 0).then_some(batch))
}

/// Writes members with changes laid over them into a temporary file; returns how many there are.
fn laid_over(
    mut members: StateReader,
    changes: &mut Changes,
) -> Result<(std::fs::File, u64), SegmentError> {
    let mut writer = StateWriter::new()?;
    let mut old = members.read()?;
    for change in changes.read()? {
        let change = change?;
        while let Some(kept) = old.take_if(|it| it.key.as_bytes() < change.member.as_bytes()) {
            writer.push(&kept.key, &kept.attributes)?;
            old = members.read()?;
        }
        if old.as_ref().is_some_and(|it| it.key == change.member) {
            old = members.read()?;
        }
        if change.action != Action::Remove {
            writer.push(&change.member, &change.attributes)?;
        }
    }
    while let Some(kept) = old {
        writer.push(&kept.key, &kept.attributes)?;
        old = members.read()?;
    }
    writer.finish()
}
