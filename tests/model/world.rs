//! What a run consists of: a store that stays, engines that come and go, and what the model knows of them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use longshore::clock::{Clock as _, ManualClock};
use longshore::config::UploadsConfig;
use longshore::content::{Content, ContentOptions};
use longshore::hashing::HashPool;
use longshore::oci::{Digest, RepositoryName};
use longshore::storage::adapters::{Fault, Faulty, Operation};
use longshore::storage::memory::{Memory, MemoryOptions};
use longshore::storage::{Durability, SharedDriver, StorageErrorKind, keys};
use longshore::telemetry::Metrics;
use longshore::upload::{Engine, EngineOptions, UploadError, UploadHandle, Writer};

use crate::policies;
use crate::process::Process;
use crate::random::Random;
use crate::upload::{Fate, Upload, millis};

pub const REPOSITORIES: [&str; 2] = ["library/app", "team/tools/image"];

/// What takes longer than this of real time hangs, or never comes. A machine that is busy with other things may hold
/// everything up for half a minute; what hangs does so for ever.
pub const HANGS_AFTER: Duration = Duration::from_secs(180);

/// How many of the last steps are told when something does not hold.
const TOLD_STEPS: usize = 300;

/// A body that is being written, as the client has it.
pub struct Body {
    pub upload: usize,
    pub lease: u64,
    /// `None` once it has ended.
    pub writer: Option<Writer>,
    /// Where it began, and how many bytes were sent of it.
    pub start: u64,
    pub sent: u64,
    pub length: Option<u64>,
    /// Where the upload stood when it was granted.
    pub base: u64,
    /// It differs from what is kept, where both overlap.
    pub differs: bool,
}

#[derive(Default)]
pub struct Tally {
    pub steps: u64,
    pub faults: u64,
    pub kills: u64,
    pub drains: u64,
    pub begun: u64,
    pub commits: u64,
    pub expiries: u64,
    pub takeovers: u64,
    pub resumed_bytes: u64,
}

pub struct World {
    pub seed: u64,
    pub random: Random,
    pub clock: Arc<ManualClock>,
    /// Milliseconds since the run began, by that clock.
    pub now: u64,
    pub store: SharedDriver,
    pub faulty: Faulty,
    pub is_faulty: bool,
    /// There was not enough room at some time since the last other policies.
    pub is_space_low: bool,
    pub config: UploadsConfig,
    pub policies_since: u64,
    pub engine: Engine,
    pub metrics: Metrics,
    process: Process,
    hashes: HashPool,
    pub uploads: Vec<Upload>,
    /// Those that may be there.
    pub active: Vec<usize>,
    pub bodies: Vec<Body>,
    /// Connections that hang: nobody sends anything on them any more.
    pub hanging: Vec<Writer>,
    pub last_lease: u64,
    /// What was committed, by digest, and where it is linked.
    pub contents: BTreeMap<String, (Digest, Vec<u8>)>,
    pub links: Vec<(usize, Digest)>,
    pub tally: Tally,
    told: VecDeque<String>,
    /// Engines of processes that were killed: their threads are let go.
    leaving: Vec<tokio::task::JoinHandle<()>>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let store: SharedDriver = Arc::new(Memory::new(MemoryOptions { max_bytes: 1 << 30 }));
        let faulty = Faulty::new(store.clone());
        // The store writes down times by the machine's clock: they are all long ago by this one.
        let clock = Arc::new(ManualClock::starting_at(SystemTime::now() + Duration::from_secs(24 * 3600)));
        let hashes = HashPool::start(1).unwrap();
        let config = policies::random(&mut random);
        let (process, metrics) = (Process::default(), Metrics::unregistered());
        let options =
            options(&mut random, process.driver(Arc::new(faulty.clone())), &clock, &hashes, &metrics, &config);
        World {
            seed,
            random,
            clock,
            now: 0,
            store,
            faulty,
            is_faulty: false,
            is_space_low: false,
            config,
            policies_since: 0,
            engine: Engine::start(options),
            metrics,
            process,
            hashes,
            uploads: Vec::new(),
            active: Vec::new(),
            bodies: Vec::new(),
            hanging: Vec::new(),
            last_lease: 0,
            contents: BTreeMap::new(),
            links: Vec::new(),
            tally: Tally::default(),
            told: VecDeque::new(),
            leaving: Vec::new(),
        }
    }

    /// Notes what is done, to be told when something does not hold.
    pub fn tell(&mut self, what: impl Display) {
        if self.told.len() == TOLD_STEPS {
            self.told.pop_front();
        }
        self.told.push_back(format!("step {:>6} at {:>9} ms: {what}", self.tally.steps, self.now));
    }

    /// Something does not hold.
    pub fn violated(&self, what: impl Display) -> ! {
        let told: Vec<&str> = self.told.iter().map(String::as_str).collect();
        let told = told.join("\n");
        panic!("{told}\nseed {}, step {}: {what}\npolicies: {:?}", self.seed, self.tally.steps, self.config);
    }

    pub fn expect<T>(&self, what: Result<T, String>, doing: impl Display) -> T {
        what.unwrap_or_else(|cause| self.violated(format!("{doing}: {cause}")))
    }

    /// Waits for something that nothing stands in the way of.
    pub async fn within<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        match tokio::time::timeout(HANGS_AFTER, work).await {
            Ok(done) => done,
            Err(_) => self.violated(format!("{what} hangs")),
        }
    }

    /// Waits for something that may wait for time to pass, and lets it pass; tells whether it did.
    pub async fn patiently<T>(&mut self, what: &str, work: impl Future<Output = T>) -> (T, bool) {
        let mut work = std::pin::pin!(work);
        let began = std::time::Instant::now();
        let mut has_passed = false;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return (done, has_passed),
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
            if began.elapsed() > HANGS_AFTER {
                self.violated(format!("{what} hangs"));
            }
            has_passed = true;
            self.pass(1);
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, millis: u64) {
        self.note();
        for index in &self.active {
            self.uploads[*index].wait(millis);
        }
        self.clock.advance(Duration::from_millis(millis));
        self.now += millis;
        self.note();
    }

    /// Notes what may have struck up to now.
    pub fn note(&mut self) {
        for index in &self.active {
            self.uploads[*index].note_strikes(&self.config, self.now);
        }
    }

    pub fn repository(&self, upload: usize) -> RepositoryName {
        REPOSITORIES[self.uploads[upload].repository].parse().unwrap()
    }

    pub fn handle(&self, upload: usize) -> UploadHandle {
        self.engine.upload(&self.repository(upload), self.uploads[upload].id)
    }

    pub fn client(&mut self) -> Option<IpAddr> {
        let number = self.random.below(4) as u8;
        (number > 0).then(|| IpAddr::from([192, 0, 2, number]))
    }

    /// One that may be there.
    pub fn any_upload(&mut self) -> Option<usize> {
        if self.active.is_empty() {
            return None;
        }
        Some(self.active[self.random.below(self.active.len() as u64) as usize])
    }

    /// One body of those that are being written, or were.
    pub fn take_body(&mut self) -> Option<Body> {
        if self.bodies.is_empty() {
            return None;
        }
        let index = self.random.below(self.bodies.len() as u64) as usize;
        Some(self.bodies.swap_remove(index))
    }

    pub fn holds(&self, body: &Body) -> bool {
        self.uploads[body.upload].holder == Some(body.lease)
    }

    /// Plans a fault at one of the next storage calls.
    pub fn plan_fault(&mut self) {
        let kinds = [StorageErrorKind::Fault, StorageErrorKind::Full, StorageErrorKind::TimedOut];
        let kind = self.random.pick(&kinds);
        let mut fault =
            Fault::fail(kind).nth(1 + self.random.below(6)).times(self.random.pick(&[1, 1, 2, 5, 1_000_000]));
        if self.random.chance(50) {
            fault = fault.at(self.random.pick(&Operation::ALL));
        }
        let is_after = self.random.chance(40);
        if is_after {
            fault = fault.after_effect();
        }
        self.tell(format!("plans {fault:?}"));
        self.faulty.inject(fault);
        self.is_faulty = true;
        for index in &self.active {
            self.uploads[*index].is_tainted = true;
        }
    }

    pub fn clear_faults(&mut self) {
        if self.is_faulty {
            self.tally.faults += self.faulty.struck();
            self.tell(format!("clears faults, of which {} struck", self.faulty.struck()));
            self.faulty.clear();
            self.is_faulty = false;
        }
    }

    pub fn set_policies(&mut self, config: UploadsConfig) {
        self.note();
        self.config = config.clone();
        self.policies_since = self.now;
        for index in &self.active {
            let upload = &mut self.uploads[*index];
            upload.note_keep(&config);
            upload.note_size(&config, self.now);
        }
        self.note();
        self.engine.set_policies(config);
    }

    /// Ends the engine, in an orderly way or not, and starts another one on what is stored.
    pub async fn restart(&mut self, is_killed: bool) {
        self.tell(if is_killed { "kill" } else { "drain" });
        self.note();
        let old = self.engine.clone();
        if !is_killed {
            self.within("drain", old.drain()).await;
            self.tally.drains += 1;
        }
        self.process.kill();
        self.bodies.clear();
        self.hanging.clear();
        self.tally.resumed_bytes += self.metrics.upload_resumed_bytes.get();
        self.tally.takeovers += self.metrics.upload_takeovers.get();
        if is_killed {
            self.tally.kills += 1;
            self.leaving.push(tokio::task::spawn_local(async move { old.drain().await }));
        }
        if self.random.chance(50) {
            self.config = policies::random(&mut self.random);
            self.policies_since = self.now;
        }
        for index in &self.active {
            let upload = &mut self.uploads[*index];
            upload.note_keep(&self.config);
            upload.process_ended();
        }
        self.note();
        (self.process, self.metrics) = (Process::default(), Metrics::unregistered());
        let driver = self.process.driver(Arc::new(self.faulty.clone()));
        let options = options(&mut self.random, driver, &self.clock, &self.hashes, &self.metrics, &self.config);
        self.engine = Engine::start(options);
    }

    /// Waits until the threads of killed engines are gone.
    pub async fn last_engine_leaves(&mut self) {
        self.within("last drain", self.engine.drain()).await;
        for engine in std::mem::take(&mut self.leaving) {
            self.within("drain of a killed engine", engine).await.unwrap();
        }
    }

    /// What a request was told that could not be done, as far as it can happen to any request.
    pub async fn refused(&mut self, index: usize, error: &UploadError, doing: &str) {
        self.tell(format!("{doing} upload {index}: told {error:?}"));
        let upload = &mut self.uploads[index];
        match error {
            // Where each byte that is told has to be synced first, that is too late for one that expires just now.
            UploadError::Busy { .. } if upload.may_have_expired() => {}
            UploadError::Storage(_) if self.is_faulty || upload.is_tainted => {
                upload.is_tainted = true;
            }
            UploadError::Struck { policy } if upload.may_have_struck(*policy) => {}
            UploadError::Expired { policy, at } => {
                if upload.fate != Fate::Live && upload.fate != Fate::Expired
                    || !upload.may_have_struck(*policy)
                    || !upload.may_be_kept()
                    || *at > self.clock.now_utc()
                {
                    self.violated(format!("{doing} upload {index}: told that it expired by {policy}"));
                }
                self.expired(index).await;
            }
            UploadError::Unknown => self.unknown(index, doing).await,
            _ => {
                let what = format!("{doing} upload {index} ({:?}): told {error:?}", upload.fate);
                self.violated(what);
            }
        }
    }

    /// It has expired, and is kept for a look.
    async fn expired(&mut self, index: usize) {
        let repository = self.repository(index);
        let upload = &mut self.uploads[index];
        if upload.fate != Fate::Expired {
            self.tally.expiries += 1;
        }
        upload.fate = Fate::Expired;
        upload.holder = None;
        upload.writers.clear();
        let is_whole = upload.must_be_kept(self.now)
            && self.config.keep_failed_max_size == 0
            && upload.may_have_been_struck_after(self.policies_since)
            && !upload.is_tainted
            && !self.is_space_low;
        if is_whole && !upload.kept.is_empty() {
            let stat = self.store.stat(&keys::upload_data(&repository, upload.id)).await;
            let len = upload.kept.len() as u64;
            if !stat.as_ref().is_ok_and(|stat| stat.size_bytes >= len) {
                self.violated(format!("upload {index} expired and is kept, but of {len} bytes there are {stat:?}"));
            }
        }
    }

    /// It is not there: was there something that may have ended it?
    async fn unknown(&mut self, index: usize, doing: &str) {
        let upload = &self.uploads[index];
        match &upload.fate {
            Fate::Gone | Fate::Committed { .. } => return,
            Fate::Live | Fate::Expired => {}
        }
        for digest in upload.commits.clone().into_iter().rev() {
            if self.is_published(index, &digest).await {
                let content = self.store.get(&keys::blob_data(&digest), u64::MAX).await.unwrap().data.to_vec();
                return self.committed(index, &digest, content).await;
            }
        }
        let upload = &self.uploads[index];
        let is_kept = upload.must_be_kept(self.now)
            && !self.is_space_low
            && !self.is_faulty
            && !upload.is_tainted
            && !upload.is_discarded
            && upload.commits.is_empty();
        let may_have_expired = upload.may_have_expired() && !is_kept;
        if !upload.may_be_gone && !may_have_expired {
            self.violated(format!("{doing} upload {index}: told that it is unknown, with {} bytes", upload.kept.len()));
        }
        self.tally.expiries += u64::from(upload.fate == Fate::Live && may_have_expired);
        if self.is_faulty {
            // A part of it may be there still.
            self.uploads[index].may_be_gone = true;
        } else {
            self.gone(index);
        }
    }

    async fn is_published(&self, index: usize, digest: &Digest) -> bool {
        let link = self.store.stat(&keys::layer_link(&self.repository(index), digest)).await;
        link.is_ok() && self.is_published_as(digest).await
    }

    pub async fn is_published_as(&self, digest: &Digest) -> bool {
        self.store.stat(&keys::blob_data(digest)).await.is_ok()
    }

    pub fn gone(&mut self, index: usize) {
        self.uploads[index].fate = Fate::Gone;
        self.uploads[index].holder = None;
        self.uploads[index].writers.clear();
        self.active.retain(|active| *active != index);
    }

    /// It was told to be committed: then it is, whole and right.
    pub async fn committed(&mut self, index: usize, digest: &Digest, content: Vec<u8>) {
        let stored = self.store.get(&keys::blob_data(digest), u64::MAX).await;
        if !stored.as_ref().is_ok_and(|object| object.data == content) {
            let len = stored.map(|object| object.data.len());
            self.violated(format!("upload {index}: {digest} holds not the {} bytes, but {len:?}", content.len()));
        }
        if !self.is_published(index, digest).await {
            self.violated(format!("upload {index}: {digest} is not linked"));
        }
        self.tally.commits += 1;
        self.gone(index);
        let size = content.len() as u64;
        self.uploads[index].fate = Fate::Committed { digest: digest.clone(), size, may_be_left: self.is_faulty };
        self.links.push((self.uploads[index].repository, digest.clone()));
        self.contents.insert(digest.to_string(), (digest.clone(), content));
        self.nothing_is_left(index).await;
    }

    /// Whoever is told that an upload has ended finds nothing of it.
    pub async fn nothing_is_left(&self, index: usize) {
        if self.is_faulty {
            return;
        }
        let (repository, id) = (self.repository(index), self.uploads[index].id);
        if let Ok(page) = self.store.list(&keys::upload(&repository, id), None, 10).await {
            self.violated(format!("upload {index} has ended and left {:?}", page.entries));
        }
        if let Ok(stat) = self.store.stat(&keys::upload_data(&repository, id)).await {
            self.violated(format!("upload {index} has ended and left {} bytes", stat.size_bytes));
        }
    }

    /// A limit may be told to be reached only when it may be.
    pub fn over_limit(&self, limit: &str, value: u64, counted: impl Fn(&Upload) -> bool, expected: u64) {
        let count = self.uploads.iter().filter(|upload| counted(upload)).count() as u64;
        if value != expected || count < value {
            let (open, writing) = (self.metrics.uploads_open.get(), self.metrics.uploads_writing.get());
            self.violated(format!(
                "told that uploads.{limit} ({value}, {expected} is set) is reached with {count}; {open} are counted as \
                 open, {writing} as written to"
            ));
        }
    }
}

fn options(
    random: &mut Random,
    driver: SharedDriver,
    clock: &Arc<ManualClock>,
    hashes: &HashPool,
    metrics: &Metrics,
    config: &UploadsConfig,
) -> EngineOptions {
    let content = Content::new(driver.clone(), ContentOptions::default(), Metrics::unregistered());
    EngineOptions {
        driver,
        blobs: content.blobs().clone(),
        hashes: hashes.clone(),
        metrics: metrics.clone(),
        clock: clock.clone(),
        uploads: config.clone(),
        checkpoint_durability: random.pick(&[Durability::Process, Durability::Power]),
        max_open_files: random.pick(&[2, 100]),
        batch_bytes: random.pick(&[300, 4_000, EngineOptions::BATCH_BYTES]),
        threads: 1,
        boot: None,
        syncs: true,
        scans: false,
    }
}

/// The longest time that a policy speaks of, for clocks to be turned by.
pub fn a_policys_time(config: &UploadsConfig, random: &mut Random) -> u64 {
    let times = [
        config.idle_timeout,
        config.max_age,
        config.min_rate_window,
        config.passivate_after,
        config.keep_failed_for,
        Duration::from_secs(60),
    ];
    millis(random.pick(&times))
}
