//! The listing thread: responsible for giving the intake every object of every source, in order,
//! leaving out those that were read before, and for what is known of the total.
//!
//! Memory: [`BATCH`] objects, and what the intake holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::intake::Intake;
use crate::lake::{LakeWriter, ObjectId};
use crate::source::{Bucket, Flow, Listed, SourceObject, SourceSpec, Walk};

/// Objects compared with the positions at a time.
const BATCH: usize = 256;

/// A source that was found to be there.
pub(crate) enum Source {
    Stdin,
    Local(SourceSpec),
    Bucket { bucket: Arc<Bucket>, prefix: String },
}

/// What is known of everything there is to read.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    bytes: AtomicU64,
    objects: AtomicU64,
    already_read: AtomicU64,
    /// Some object's size shows only at its end.
    endless: AtomicBool,
    over: AtomicBool,
}

impl Totals {
    /// Bytes there are to read, once that is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let known = self.over.load(Ordering::Acquire) && !self.endless.load(Ordering::Relaxed);
        known.then(|| self.bytes.load(Ordering::Relaxed))
    }

    /// Objects there are to read, once that is known.
    pub(crate) fn objects(&self) -> Option<u64> {
        self.over.load(Ordering::Acquire).then(|| self.objects.load(Ordering::Relaxed))
    }

    /// Objects left alone because they were read before.
    pub(crate) fn already_read(&self) -> u64 {
        self.already_read.load(Ordering::Relaxed)
    }
}

/// Lists sources one after the other.
pub(crate) struct Lister {
    pub(crate) walk: Walk,
    pub(crate) runtime: Handle,
    pub(crate) intake: Arc<Intake>,
    pub(crate) writer: Arc<Mutex<LakeWriter>>,
    pub(crate) totals: Arc<Totals>,
}

impl Lister {
    /// Lists everything, or as much as is wanted. Must not be called from within the runtime.
    pub(crate) fn run(&self, sources: &[Source]) {
        let mut batch = Vec::with_capacity(BATCH);
        for source in sources {
            let mut visit = |listed| {
                batch.push(listed);
                match batch.len() < BATCH {
                    true => Flow::Continue(()),
                    false => self.pass_on(&mut batch),
                }
            };
            let flow = match source {
                Source::Stdin => visit(Listed::Object(SourceObject::stdin())),
                Source::Local(SourceSpec::Glob(pattern)) => self.walk.glob(pattern, &mut visit),
                Source::Local(SourceSpec::Path(path)) => self.walk.path(path, &mut visit),
                Source::Local(_) => Flow::Continue(()),
                Source::Bucket { bucket, prefix } => bucket.list(prefix, &self.runtime, &mut visit),
            };
            if flow.is_break() || self.pass_on(&mut batch).is_break() {
                break;
            }
        }
        self.totals.over.store(true, Ordering::Release);
        self.intake.end_listing();
    }

    fn pass_on(&self, batch: &mut Vec<Listed>) -> Flow {
        // Taken apart from handing on: that may wait for readers, who may wait for a commit.
        let unread = {
            let writer = self.writer.blocking_lock();
            let mut unread = Vec::with_capacity(batch.len());
            for listed in batch.drain(..) {
                if let Listed::Object(object) = &listed
                    && is_already_read(&writer, object)
                {
                    self.totals.already_read.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                unread.push(listed);
            }
            unread
        };
        for listed in unread {
            if let Listed::Object(object) = &listed {
                self.count(object);
            }
            self.intake.list(listed)?;
        }
        Flow::Continue(())
    }

    fn count(&self, object: &SourceObject) {
        self.totals.objects.fetch_add(1, Ordering::Relaxed);
        match object.size {
            Some(size) => self.totals.bytes.fetch_add(size, Ordering::Relaxed),
            None => u64::from(self.totals.endless.fetch_or(true, Ordering::Relaxed)),
        };
    }
}

fn is_already_read(writer: &LakeWriter, object: &SourceObject) -> bool {
    let (Some(size), Some(etag)) = (object.size, &object.etag) else { return false };
    writer.already_read(&ObjectId { name: object.name.to_string(), size, etag: Some(etag.clone()) })
}
