//! The object store as one process of a simulated world sees it: one memory for all, and between it
//! and the process everything that goes wrong with S3.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::dice::Dice;
use crate::life::{Death, Life};
use crate::time::Time;

/// How often things go wrong, in a thousand requests each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// A request fails and has no effect.
    pub(crate) refused: u64,
    /// A write takes effect and its answer is lost.
    pub(crate) answer_lost: u64,
    /// A write takes effect, its answer is lost, and the client's own retry finds the object there.
    pub(crate) retried: u64,
    /// A write fails for its sender and takes effect up to a minute later.
    pub(crate) late: u64,
    /// A request takes up to twenty seconds.
    pub(crate) slow: u64,
}

/// What all processes share: the objects, and the weather between them and the processes.
#[derive(Debug)]
pub(crate) struct Cloud {
    pub(crate) objects: Arc<InMemory>,
    pub(crate) time: Time,
    pub(crate) seed: u64,
    pub(crate) weather: Weather,
    /// Whether things go wrong at present.
    pub(crate) stormy: AtomicBool,
    /// Whether nothing can be written at present.
    pub(crate) full: AtomicBool,
    /// Everything that was asked of the world, in one number.
    pub(crate) trace: Trace,
    pub(crate) reads_along: bool,
}

/// A fingerprint of all requests of a world, in their order and with their times: equal for two runs
/// of one seed, or a failure could not be replayed.
#[derive(Debug, Default)]
pub(crate) struct Trace(AtomicU64);

impl Trace {
    /// FNV-1a.
    fn add(&self, bytes: &[u8]) {
        let mut hash = self.0.load(Ordering::SeqCst);
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.0.store(hash, Ordering::SeqCst);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The store of one process.
#[derive(Debug)]
pub(crate) struct SimStore {
    cloud: Arc<Cloud>,
    life: Life,
}

/// The luck of one request: it follows from the seed and from what is asked for, not from what else is
/// asked for at that time.
#[derive(Clone, Debug)]
pub(crate) struct Luck {
    /// Different for every request.
    pub(crate) request: u64,
    pub(crate) dice: Dice,
    is_stormy: bool,
}

impl Luck {
    /// Whether something happens that happens so often in a thousand requests.
    pub(crate) fn has(&self, chance: u64) -> bool {
        self.is_stormy && self.dice.per_mille(chance)
    }
}

impl Cloud {
    pub(crate) fn luck(&self, life: &Life, what: &str, about: &str) -> Luck {
        let request = life.request(what, about);
        let dice = Dice::new(self.seed ^ request);
        Luck { request, dice, is_stormy: self.stormy.load(Ordering::SeqCst) }
    }

    /// Notes that something was asked for. Set `HEARBACK_SIM_TRACE` to read along.
    pub(crate) fn note(&self, what: &str, about: &str) {
        if !self.time.is_world() {
            return;
        }
        let at = self.time.elapsed_ms();
        let line = format!("{at:>9} {what} {about}");
        self.trace.add(line.as_bytes());
        if self.reads_along {
            println!("{line}");
        }
    }
}

/// What becomes of a write.
enum Course {
    Normal,
    Refused,
    AnswerLost,
    Retried,
    Late,
    Died(Death),
}

impl SimStore {
    pub(crate) fn new(cloud: &Arc<Cloud>, life: &Life) -> Arc<Self> {
        Arc::new(Self { cloud: Arc::clone(cloud), life: life.clone() })
    }

    /// Waits for the request's turn. The dead wait for ever. Returns the luck of this request, and how
    /// the process dies in it, if it does.
    async fn begin(&self, what: &str, about: &str) -> Result<(Luck, Option<Death>)> {
        let luck = self.cloud.luck(&self.life, what, about);
        let delay = match luck.has(self.cloud.weather.slow) {
            true => luck.dice.among(1000..20_000),
            false => luck.dice.among(1..40),
        };
        self.cloud.time.turn(luck.request, delay).await;
        self.alive().await?;
        self.cloud.note(what, about);
        let death = self.life.step();
        Ok((luck, death))
    }

    async fn alive(&self) -> Result<()> {
        if !self.life.is_dead() {
            return Ok(());
        }
        if self.cloud.time.is_world() {
            std::future::pending::<()>().await;
        }
        // A thread that waited for ever would stop the world.
        Err(generic("the process is dead"))
    }

    async fn die(&self) -> Result<()> {
        self.life.kill();
        self.alive().await
    }

    async fn read(&self, what: &str, about: &str) -> Result<()> {
        let (luck, death) = self.begin(what, about).await?;
        if death.is_some() {
            self.die().await?;
        }
        if luck.has(self.cloud.weather.refused) {
            return Err(generic("503 Slow Down"));
        }
        Ok(())
    }

    async fn course_of_write(&self, location: &Path) -> Result<Course> {
        let (luck, death) = self.begin("put", location.as_ref()).await?;
        if let Some(death) = death {
            return Ok(Course::Died(death));
        }
        if self.cloud.full.load(Ordering::SeqCst) {
            return Ok(Course::Refused);
        }
        let weather = self.cloud.weather;
        for (chance, course) in [
            (weather.refused, Course::Refused),
            (weather.answer_lost, Course::AnswerLost),
            (weather.retried, Course::Retried),
            (weather.late, Course::Late),
        ] {
            if luck.has(chance) {
                return Ok(course);
            }
        }
        Ok(Course::Normal)
    }

    /// Lets a write take effect later, whatever becomes of its sender.
    fn put_later(&self, location: &Path, payload: PutPayload, options: PutOptions) {
        let cloud = Arc::clone(&self.cloud);
        let luck = cloud.luck(&self.life, "put late", location.as_ref());
        let location = location.clone();
        let task = async move {
            cloud.time.turn(luck.request, luck.dice.among(1..60_000)).await;
            let _ = cloud.objects.put_opts(&location, payload, options).await;
        };
        if self.cloud.time.is_world() {
            tokio::spawn(task);
        }
    }
}

fn generic(text: &str) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: text.into() }
}

impl fmt::Display for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated store")
    }
}

#[async_trait]
impl ObjectStore for SimStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let course = self.course_of_write(location).await?;
        let create = options.mode == PutMode::Create;
        let objects = &self.cloud.objects;
        match course {
            Course::Normal => objects.put_opts(location, payload, options).await,
            Course::Refused => Err(generic("500 Internal Error")),
            Course::AnswerLost => {
                objects.put_opts(location, payload, options).await?;
                Err(generic("connection reset"))
            }
            Course::Retried => {
                let first = objects.put_opts(location, payload.clone(), options.clone()).await;
                match create {
                    true => objects.put_opts(location, payload, options).await,
                    false => first,
                }
            }
            Course::Late => {
                self.put_later(location, payload, options);
                Err(generic("timed out"))
            }
            Course::Died(death) => {
                match death {
                    Death::Before => {}
                    Death::After => drop(objects.put_opts(location, payload, options).await),
                    Death::Late => self.put_later(location, payload, options),
                }
                self.die().await?;
                Err(generic("the process is dead"))
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.read("put in parts", location.as_ref()).await?;
        self.cloud.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.read("get", location.as_ref()).await?;
        self.cloud.objects.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = Self { cloud: Arc::clone(&self.cloud), life: self.life.clone() };
        let inner = Arc::clone(&self.cloud.objects);
        locations
            .then(move |location| {
                let this = Self { cloud: Arc::clone(&this.cloud), life: this.life.clone() };
                let inner = Arc::clone(&inner);
                async move {
                    this.read("delete", "").await?;
                    let one = futures::stream::once(async { location }).boxed();
                    inner.delete_stream(one).next().await.unwrap_or_else(|| Err(generic("gone")))
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = Self { cloud: Arc::clone(&self.cloud), life: self.life.clone() };
        let inner = Arc::clone(&self.cloud.objects);
        let prefix = prefix.cloned();
        // The listing is made when its turn has come, not when it was asked for.
        futures::stream::once(async move {
            let folder = prefix.as_ref().map(Path::to_string).unwrap_or_default();
            match this.read("list", &folder).await {
                Ok(()) => inner.list(prefix.as_ref()),
                Err(error) => futures::stream::once(async { Err(error) }).boxed(),
            }
        })
        .flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read("list folders", "").await?;
        self.cloud.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.read("copy", from.as_ref()).await?;
        self.cloud.objects.copy_opts(from, to, options).await
    }
}
