//! The life of a simulated process: it takes steps (requests to the store and to Kinesis), and at one
//! of them, or at some moment, it is killed. Then nothing that it does has an effect any more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::dice::hash;

/// Where in a step a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The request is never sent.
    Before,
    /// The request is sent and takes effect; nobody hears of it.
    After,
    /// The request is under way and takes effect some time later.
    Late,
}

/// One process. Clones are the same process.
#[derive(Clone, Debug)]
pub(crate) struct Life(Arc<State>);

#[derive(Debug)]
struct State {
    /// Tells it apart from the other processes of its world.
    id: u64,
    /// How often it has asked for each thing.
    asked: Mutex<HashMap<u64, u64>>,
    steps: AtomicU64,
    /// The step at which it dies, and how.
    fate: Option<(u64, Death)>,
    dead: AtomicBool,
    died: Notify,
}

impl Life {
    /// A process that dies at a step (the first is 1), or lives on.
    pub(crate) fn new(id: u64, fate: Option<(u64, Death)>) -> Self {
        Self(Arc::new(State {
            id,
            asked: Mutex::default(),
            steps: AtomicU64::new(0),
            fate,
            dead: AtomicBool::new(false),
            died: Notify::new(),
        }))
    }

    /// A number for one request of this process, by what it asks for and how often it has before.
    pub(crate) fn request(&self, what: &str, about: &str) -> u64 {
        let request = hash(&[what, about], &[self.0.id]);
        let mut asked = self.0.asked.lock().expect("nobody panics in here");
        let times = asked.entry(request).or_default();
        *times += 1;
        hash(&[], &[request, *times])
    }

    /// Takes a step; says how the process dies in it, if it does. The dead take no steps.
    pub(crate) fn step(&self) -> Option<Death> {
        let step = self.0.steps.fetch_add(1, Ordering::SeqCst) + 1;
        match self.0.fate {
            Some((at, death)) if at == step => Some(death),
            _ => None,
        }
    }

    pub(crate) fn kill(&self) {
        self.0.dead.store(true, Ordering::SeqCst);
        self.0.died.notify_one();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.0.dead.load(Ordering::SeqCst)
    }

    /// Returns when the process dies.
    pub(crate) async fn died(&self) {
        while !self.is_dead() {
            self.0.died.notified().await;
        }
    }
}
