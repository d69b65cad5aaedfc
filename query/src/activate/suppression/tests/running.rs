//! The runner, as far as it goes without lists.

use std::sync::Mutex;
use std::time::Duration;

use hearback_ingest::CancelFlag;

use super::super::runner::{RoundError, Runner, Told};
use super::super::settings::Between;
use super::*;
use crate::engine::{EngineError, EngineSettings};
use crate::ops::metrics::SUPPRESSION_ROUNDS;
use crate::ops::{Health, Vitals};

fn can_move_between_threads<T: Send>(task: T) -> T {
    task
}

#[tokio::test(start_paused = true)]
async fn rounds_that_fail_are_told_each_and_alerted_once_until_it_is_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("no-lake").display().to_string();
    let (settings, cancel, vitals) = (settings(""), CancelFlag::new(), Vitals::new());
    let said = Mutex::new(Vec::new());
    let told = |told: Told<'_>| {
        let mut said = said.lock().expect("a lock");
        said.push(match told {
            Told::Round(document) => document["outcome"].to_string(),
            Told::Failed(_) => "error".to_owned(),
            Told::Alert(_) => "alert".to_owned(),
        });
        if said.iter().filter(|what| *what == "error").count() == 2 {
            cancel.cancel();
        }
    };
    let runner = Runner {
        lake: &lake,
        engine: EngineSettings { threads: 1, memory_limit: 64 << 20 },
        settings: &settings,
        clock: || NOW,
        actor: "test",
        cancel: &cancel,
        vitals: &vitals,
        told: &told,
    };
    let task = can_move_between_threads(runner.run(Duration::from_secs(60), Between::Wait));
    let ended = task.await;
    assert!(matches!(ended, Ok(None)), "it is stopped between rounds: {ended:?}");
    let said = said.lock().expect("a lock").clone();
    assert_eq!(said, ["\"failed\"", "alert", "error", "\"failed\"", "error"]);
    assert_eq!(vitals.series(&SUPPRESSION_ROUNDS)[0].value, 2.0);
    assert!(matches!(vitals.health(), Health::Bad(_)));

    let once = runner.once().await;
    assert!(matches!(once, Err(RoundError::Engine(EngineError::MissingLake { .. }))), "{once:?}");
}
