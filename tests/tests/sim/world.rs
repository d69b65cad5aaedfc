//! A world: its clock, its weather, and slots in which processes run one after the other, each until
//! it ends or is killed.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use url::Url;

use hearback_ingest::aws::StoreLocation;

use crate::dice::Dice;
use crate::life::{Death, Life};
use crate::store::{Cloud, Trace, Weather};
use crate::time::Time;

/// How bad the weather may be: from none to more than any real day brings.
const WEATHERS: [Weather; 4] = [
    Weather { refused: 0, answer_lost: 0, retried: 0, late: 0, slow: 0 },
    Weather { refused: 15, answer_lost: 10, retried: 10, late: 5, slow: 10 },
    Weather { refused: 60, answer_lost: 40, retried: 40, late: 30, slow: 40 },
    Weather { refused: 0, answer_lost: 100, retried: 100, late: 100, slow: 0 },
];

/// How a process ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It was done.
    Done,
    /// It said why it could not go on.
    Failed(String),
    Killed,
}

/// The cloud of a world with a seed.
pub(crate) fn cloud(dice: &Dice) -> Arc<Cloud> {
    Arc::new(Cloud {
        objects: Arc::new(InMemory::new()),
        time: Time::begin(),
        weather: dice.one_of(&WEATHERS),
        seed: dice.number(),
        stormy: AtomicBool::new(true),
        full: AtomicBool::new(false),
        trace: Trace::default(),
        reads_along: std::env::var_os("HEARBACK_SIM_TRACE").is_some(),
    })
}

/// Where the lake lies in a store.
pub(crate) fn place(store: Arc<dyn ObjectStore>) -> StoreLocation {
    let url = Url::parse("memory:///lake/").expect("a URL");
    StoreLocation { store, prefix: Path::from("lake"), url }
}

/// Runs one process until it ends or dies.
pub(crate) async fn run<F>(life: &Life, longest: Option<Duration>, process: F) -> End
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let mut task = tokio::spawn(process);
    let too_long = async {
        match longest {
            Some(longest) => tokio::time::sleep(longest).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        biased;
        () = life.died() => None,
        () = too_long => None,
        ended = &mut task => Some(ended),
    };
    let Some(ended) = ended else {
        life.kill();
        task.abort();
        let _ = task.await;
        return End::Killed;
    };
    match ended {
        Ok(Ok(())) => End::Done,
        Ok(Err(reason)) => End::Failed(reason),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => End::Killed,
    }
}

/// How the next process will die, if it does: most die early, where there is most to go wrong.
pub(crate) fn fate(dice: &Dice) -> Option<(u64, Death)> {
    if dice.per_mille(250) {
        return None;
    }
    let within = dice.one_of(&[20, 60, 60, 200]);
    let death = dice.one_of(&[Death::Before, Death::After, Death::Late]);
    Some((dice.among(1..within), death))
}

/// Ends all that goes wrong, and waits until what was under way has arrived.
pub(crate) async fn calm_down(cloud: &Cloud) {
    cloud.stormy.store(false, Ordering::SeqCst);
    cloud.full.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(120)).await;
}
