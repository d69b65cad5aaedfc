//! A Kinesis stream that is read into the lake by one or two processes at once, in bad weather, with
//! kills, while its shards are split and merged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearback_ingest::lake::{Lake, StreamIdentity, WriteSettings};
use hearback_ingest::stream::{
    DecodeOn, Distribution, NoObserver, StreamEvent, StreamObserver, StreamRequest, run_stream,
};
use hearback_ingest::{CancelFlag, IngestSettings};
use uuid::Uuid;

use crate::dice::Dice;
use crate::kinesis::{Shared, SimKinesis, Trouble};
use crate::life::Life;
use crate::producer::Producer;
use crate::store::{Cloud, SimStore};
use crate::stream::Stream;
use crate::time::BEGINNING_MS;
use crate::truth;
use crate::world::{self, End};

const RETENTION_MS: u64 = 24 * 3600 * 1000;
/// Longer than any run to the tip may take in calm weather.
const LONGEST_CATCHING_UP: Duration = Duration::from_secs(2 * 3600);

const TROUBLES: [Trouble; 4] = [
    Trouble { throttled: 0, failing: 0, expired: 0, short: 0, stale_listing: 0 },
    Trouble { throttled: 30, failing: 10, expired: 10, short: 100, stale_listing: 100 },
    Trouble { throttled: 300, failing: 0, expired: 50, short: 300, stale_listing: 500 },
    Trouble { throttled: 50, failing: 150, expired: 100, short: 500, stale_listing: 200 },
];

/// Sees whether a process has begun to read, or has said that it stands by.
#[derive(Debug, Default)]
struct Watch {
    has_begun: AtomicBool,
    stands_by: AtomicBool,
}

impl StreamObserver for Watch {
    fn observe(&self, event: &StreamEvent<'_>) {
        match event {
            StreamEvent::Reading { .. } => self.has_begun.store(true, Ordering::SeqCst),
            StreamEvent::StandingBy { .. } => self.stands_by.store(true, Ordering::SeqCst),
            _ => {}
        }
    }
}

/// A world with a stream.
#[derive(Clone)]
pub(crate) struct StreamWorld {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) producer: Arc<Mutex<Producer>>,
    pub(crate) dice: Dice,
    /// How processes of this world commit.
    settings: IngestSettings,
    in_flight_bytes: u64,
    fan_out: bool,
}

impl StreamWorld {
    pub(crate) fn new(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let cloud = world::cloud(&dice);
        let shards = dice.among(1..5) as u32;
        let distribution = match dice.per_mille(100) {
            true => Distribution::Automatic,
            false => Distribution::ByKey,
        };
        let shared = Arc::new(Shared {
            stream: Mutex::new(Stream::new(shards, RETENTION_MS)),
            trouble: dice.one_of(&TROUBLES),
            identity: StreamIdentity {
                arn: "arn:aws:kinesis:eu-west-1:123456789012:stream/feedback".to_owned(),
                name: "feedback".to_owned(),
                created_s: BEGINNING_MS / 1000,
            },
            distribution,
        });
        let producer = Arc::new(Mutex::new(Producer::new(&dice)));
        let settings = IngestSettings {
            flush_rows: dice.one_of(&[3, 30, 1_000_000]),
            flush_interval: Duration::from_secs(dice.one_of(&[1, 5, 20, 60])),
            ..IngestSettings::default()
        };
        let in_flight_bytes = dice.one_of(&[1, 4096, 64 << 20]);
        let fan_out = dice.per_mille(200);
        Self { cloud, shared, producer, dice, settings, in_flight_bytes, fan_out }
    }

    /// A process that reads the stream.
    pub(crate) fn process(
        &self,
        life: &Life,
        cancel: &CancelFlag,
        until_caught_up: bool,
        dice: &Dice,
        observer: Arc<dyn StreamObserver>,
    ) -> impl Future<Output = Result<(), String>> + Send + 'static + use<> {
        let lake = Lake::in_store(world::place(SimStore::new(&self.cloud, life)));
        let time = self.cloud.time.clone();
        let clock = Arc::new(move || time.now_ms() * 1000);
        let run = Uuid::from_u64_pair(dice.number(), dice.number());
        let request = StreamRequest {
            settings: self.settings.clone(),
            write: WriteSettings {
                encode_threads: 1,
                checkpoint_every: dice.one_of(&[0, 3, 100]),
                dedupe_memory: dice.one_of(&[0, 2000, 1 << 20]),
                ..WriteSettings::default()
            },
            until_caught_up,
            fan_out: self.fan_out.then(|| "hearback".to_owned()),
            decode_on: DecodeOn::CallingTask,
            in_flight_bytes: self.in_flight_bytes,
            cancel: cancel.clone(),
            ..StreamRequest::new(lake, clock, run)
        };
        let kinesis = SimKinesis::new(&self.cloud, &self.shared, life);
        async move {
            let done = run_stream(request, kinesis, observer).await;
            done.map(|_| ()).map_err(|error| error.to_string())
        }
    }

    /// Puts some records now.
    pub(crate) fn put(&self, records: u64) {
        let now_ms = self.cloud.time.elapsed_ms();
        let mut producer = self.producer.lock().expect("the producer");
        producer.put(&mut self.shared.lock(), records, now_ms);
    }

    /// Splits or merges some shard.
    fn reshard(&self, dice: &Dice) {
        let now_ms = self.cloud.time.elapsed_ms();
        let mut stream = self.shared.lock();
        let open = stream.open_shards();
        let shard = dice.one_of(&open);
        match open.len() < 2 || (open.len() < 8 && dice.per_mille(500)) {
            true => stream.split(shard, now_ms),
            false => stream.merge(shard, now_ms),
        }
    }

    async fn produce(self, dice: Dice, until_ms: u64) {
        let most = dice.one_of(&[3, 10, 40]);
        while self.cloud.time.elapsed_ms() < until_ms {
            self.cloud.time.turn(dice.number(), dice.one_of(&[200, 2000, 10_000])).await;
            self.put(dice.among(0..most));
            if dice.per_mille(120) {
                self.reshard(&dice);
            }
            if dice.per_mille(15) {
                self.cloud.full.store(true, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(dice.among(5..120))).await;
                self.cloud.full.store(false, Ordering::SeqCst);
            }
        }
    }

    /// Runs processes one after the other.
    async fn slot(self, dice: Dice, until_ms: u64) {
        tokio::time::sleep(Duration::from_millis(dice.among(0..3000))).await;
        while self.cloud.time.elapsed_ms() < until_ms {
            let life = Life::new(dice.number(), world::fate(&dice));
            let longest = Duration::from_millis(dice.among(1000..90_000));
            let cancel = CancelFlag::new();
            if dice.per_mille(300) {
                let (cancel, after) = (cancel.clone(), longest / 2);
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    cancel.cancel();
                });
            }
            let until_caught_up = dice.per_mille(200);
            let watch = Arc::new(Watch::default());
            let process =
                self.process(&life, &cancel, until_caught_up, &dice, Arc::clone(&watch) as _);
            let end = world::run(&life, Some(longest), process).await;
            // One that cannot even begin says so; one that reads for ever waits for better times.
            if let End::Failed(reason) = end {
                let may_fail = until_caught_up || !watch.has_begun.load(Ordering::SeqCst);
                assert!(may_fail, "a process gave up: {reason}");
            }
            tokio::time::sleep(Duration::from_millis(dice.among(0..10_000))).await;
        }
    }

    /// Reads to the tip; everything has to go well.
    pub(crate) async fn catch_up(&self) {
        let dice = &self.dice;
        let life = Life::new(dice.number(), None);
        let process = self.process(&life, &CancelFlag::new(), true, dice, Arc::new(NoObserver));
        let end = world::run(&life, Some(LONGEST_CATCHING_UP), process).await;
        assert!(matches!(end, End::Done), "in calm weather: {end:?}");
    }
}

/// One world in calm weather with two processes: one reads, one stands by, and takes over within thirty
/// seconds of the other's death.
pub(crate) async fn takeover(seed: u64) {
    let mut world = StreamWorld::new(seed);
    world.settings.flush_interval = Duration::from_secs(5);
    world.cloud.stormy.store(false, Ordering::SeqCst);
    let dice = world.dice.split();
    let start = |life: &Life| {
        let watch = Arc::new(Watch::default());
        let cancel = CancelFlag::new();
        let process = world.process(life, &cancel, false, &dice, Arc::clone(&watch) as _);
        (tokio::spawn(process), watch)
    };
    let lives = [Life::new(1, None), Life::new(2, None)];
    let (first, first_watch) = start(&lives[0]);
    tokio::time::sleep(Duration::from_secs(dice.among(1..60))).await;
    let (_second, second_watch) = start(&lives[1]);
    world.put(20);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(first_watch.has_begun.load(Ordering::SeqCst), "the first one reads");
    assert!(second_watch.stands_by.load(Ordering::SeqCst), "the second one says that it stands by");
    assert!(!second_watch.has_begun.load(Ordering::SeqCst), "and does");
    truth::check(&world, false).await;

    lives[0].kill();
    first.abort();
    world.put(20);
    // 30 s for taking over, 5 s for the flush, 1 s for the page.
    tokio::time::sleep(Duration::from_secs(36)).await;
    truth::check(&world, false).await;
}

/// One world. Panics if it does not end as it must. Returns its trace.
pub(crate) async fn world(seed: u64) -> u64 {
    let world = StreamWorld::new(seed);
    let dice = world.dice.split();
    let until_ms = dice.among(30..300) * 1000;
    let mut tasks = vec![tokio::spawn(world.clone().produce(dice.split(), until_ms))];
    for _ in 0..dice.among(1..3) {
        tasks.push(tokio::spawn(world.clone().slot(dice.split(), until_ms)));
    }
    for task in tasks {
        task.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    }
    let mut was_never_read = false;
    if dice.per_mille(50) {
        // Nobody reads for longer than records are kept.
        was_never_read = truth::is_never_read(&world).await;
        tokio::time::sleep(Duration::from_millis(RETENTION_MS + 3600 * 1000)).await;
        world.put(20);
    }
    world::calm_down(&world.cloud).await;
    for _ in 0..2 {
        world.catch_up().await;
        truth::check(&world, was_never_read).await;
    }
    world.cloud.trace.value()
}
