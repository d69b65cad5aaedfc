//! Worlds in which everything goes wrong that can, thousands of them, each made from a number.
//!
//! A world is one thread with a virtual clock: an object store between which and every process there
//! is weather (errors before and after a write took effect, writes that arrive late, answers that are
//! lost, one's own write found to be there already), processes that are killed at any of their
//! requests, and several of them at the same work. At the end the weather is calm, the work is
//! finished, and the lake must hold what was written: nothing lost, nothing twice.
//!
//! Without anything set, a number of worlds that takes well under a minute is run. `HEARBACK_SIM_SEEDS`
//! says how many, `HEARBACK_SIM_SEED` runs one alone (a failing one names the command), and
//! `HEARBACK_SIM_TRACE` prints every request in it.

mod dice;
mod documents;
mod kinesis;
mod lake_rows;
mod life;
mod objects;
mod producer;
mod store;
mod stream;
mod streams;
mod time;
mod truth;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn objects_read_by_several_processes_that_die_are_in_the_lake_once() {
    for_every_seed(
        "objects_read_by_several_processes_that_die_are_in_the_lake_once",
        300,
        |seed| {
            run(objects::world(seed));
        },
    );
}

#[test]
fn a_stream_read_by_processes_that_die_is_in_the_lake_once() {
    for_every_seed("a_stream_read_by_processes_that_die_is_in_the_lake_once", 150, |seed| {
        run(streams::world(seed));
    });
}

#[test]
fn of_two_processes_one_stands_by_and_takes_over_within_thirty_seconds() {
    for_every_seed(
        "of_two_processes_one_stands_by_and_takes_over_within_thirty_seconds",
        20,
        |seed| run(streams::takeover(seed)),
    );
}

#[test]
fn a_world_is_the_same_whenever_it_is_made() {
    for seed in 0..10 {
        let (first, second) = (run(objects::world(seed)), run(objects::world(seed)));
        assert_eq!(first, second, "seed {seed} cannot be replayed");
        let (first, second) = (run(streams::world(seed)), run(streams::world(seed)));
        assert_eq!(first, second, "seed {seed} of a stream cannot be replayed");
    }
}

/// Runs a world on a clock of its own. Of the threads that libraries hand work to there is one, so that
/// it is done in the order in which it was handed over.
fn run<T>(world: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_time()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .expect("a runtime");
    runtime.block_on(world)
}

/// Runs worlds on all cores, and says how to see a failing one again.
fn for_every_seed(test: &str, usual: u64, world: impl Fn(u64) + Sync) {
    if let Some(seed) = number("HEARBACK_SIM_SEED") {
        world(seed);
        return;
    }
    let seeds = number("HEARBACK_SIM_SEEDS").unwrap_or(usual);
    let next = AtomicU64::new(number("HEARBACK_SIM_FROM").unwrap_or(0));
    let end = next.load(Ordering::SeqCst) + seeds;
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= end || failed.lock().expect("the list").len() >= 5 {
                        return;
                    }
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world(seed))) {
                        failed.lock().expect("the list").push((seed, said(&*panic)));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("the list");
    for (seed, reason) in &failed {
        println!(
            "seed {seed}: {reason}\n  replay it alone: HEARBACK_SIM_SEED={seed} cargo test --release --locked --workspace --test sim -- {test}"
        );
    }
    assert!(failed.is_empty(), "{} of {seeds} worlds went wrong", failed.len());
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} has to be a number, not {text:?}")))
}

fn said(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (_, Some(text)) => (*text).to_owned(),
        _ => "it panicked".to_owned(),
    }
}
