//! An engine over a store that fails, its time, and the engine after it when it dies.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use longshore::clock::ManualClock;
use longshore::config::UploadsConfig;
use longshore::content::{Content, ContentOptions};
use longshore::hashing::HashPool;
use longshore::oci::UploadId;
use longshore::storage::adapters::{Faulty, PowerCut};
use longshore::storage::memory::MemoryOptions;
use longshore::storage::{Durability, Key, SharedDriver, keys};
use longshore::telemetry::Metrics;
use longshore::upload::{Engine, EngineOptions, ListUploads, ScanReport, SortUploads, UploadError, UploadHandle};
use tokio::time::Instant;

use crate::blow::Blow;
use crate::harness::PATIENCE;

static HASHES: LazyLock<HashPool> = LazyLock::new(|| HashPool::start(2).expect("threads"));

/// A batch, so that a body of a few hundred kilobytes has many.
pub const BATCH_BYTES: usize = 20_000;

/// What the engine is like.
#[derive(Clone)]
pub struct Setup {
    pub uploads: UploadsConfig,
    pub durability: Durability,
}

pub struct Machine {
    store: PowerCut,
    setup: Setup,
    blow: Blow,
    faulty: Faulty,
    pub clock: Arc<ManualClock>,
    engine: RefCell<Engine>,
    /// The store and the engine after the death.
    next: RefCell<Option<(PowerCut, Engine)>>,
    has_struck: Cell<bool>,
}

impl Machine {
    pub fn start(setup: Setup, blow: Blow) -> Machine {
        let store = PowerCut::new(MemoryOptions { max_bytes: 1 << 26 });
        let faulty = Faulty::new(Arc::new(store.clone()));
        // As the times of stored objects do, it stands at now.
        let clock = Arc::new(ManualClock::starting_at(SystemTime::now()));
        let engine = RefCell::new(start(Arc::new(faulty.clone()), &setup, &clock, "first"));
        let (next, has_struck) = (RefCell::default(), Cell::new(false));
        Machine { store, setup, blow, faulty, clock, engine, next, has_struck }
    }

    /// Another process than the one that will be struck takes its place: it knows of nothing yet.
    pub async fn restart(&self) {
        let engine = start(Arc::new(self.faulty.clone()), &self.setup, &self.clock, "first");
        let before = self.engine.replace(engine);
        before.drain().await;
    }

    pub fn plan(&self, nth: u64) {
        self.blow.plan(&self.faulty, nth);
    }

    /// Nothing more goes wrong; whether anything did.
    pub async fn clear(&self) -> bool {
        self.engine().await;
        self.has_struck.set(self.faulty.struck() > 0);
        if !self.blow.is_death() || !self.has_struck.get() {
            self.faulty.clear();
        }
        self.has_struck.get()
    }

    pub fn blow(&self) -> Blow {
        self.blow
    }

    pub fn has_struck(&self) -> bool {
        self.has_struck.get() || self.faulty.struck() > 0
    }

    fn is_dead(&self) -> bool {
        self.blow.is_death() && self.faulty.struck() > 0 && self.next.borrow().is_none()
    }

    /// The store without faults.
    pub fn raw(&self) -> SharedDriver {
        match &*self.next.borrow() {
            Some((store, _)) => Arc::new(store.clone()),
            None => Arc::new(self.store.clone()),
        }
    }

    /// The engine that lives. After a death that is another one, which has looked through the storage.
    pub async fn engine(&self) -> Engine {
        if self.is_dead() {
            let dead = self.engine.borrow().clone();
            dead.drain().await;
            // Where offsets are to survive the loss of power, power is lost.
            let (store, boot) = match self.setup.durability {
                Durability::Power => (self.store.cut(self.faulty.struck()), "second"),
                Durability::Process => (self.store.clone(), "first"),
            };
            let engine = start(Arc::new(store.clone()), &self.setup, &self.clock, boot);
            engine.start_scan_without_rests(false);
            engine.scan_ended().await;
            self.next.replace(Some((store, engine)));
        }
        match &*self.next.borrow() {
            Some((_, engine)) => engine.clone(),
            None => self.engine.borrow().clone(),
        }
    }

    /// Asks until there is an answer that is not for now only, and that does not come from a process which died meanwhile.
    pub async fn ask<T>(
        &self,
        mut question: impl AsyncFnMut(Engine) -> Result<T, UploadError>,
    ) -> Result<T, UploadError> {
        let ends_at = Instant::now() + PATIENCE;
        loop {
            let answer = question(self.engine().await).await;
            let is_for_now = match &answer {
                Ok(_) => false,
                Err(
                    UploadError::Unknown
                    | UploadError::Expired { .. }
                    | UploadError::Struck { .. }
                    | UploadError::RangeMismatch { .. }
                    | UploadError::DigestMismatch { .. }
                    | UploadError::RecordTooNew,
                ) => false,
                Err(_) => true,
            };
            if !is_for_now && !self.is_dead() {
                return answer;
            }
            if let Err(error) = answer {
                assert!(Instant::now() < ends_at, "it never ends: {error}");
            }
        }
    }

    /// Lets time go by, this much at each look, until something holds.
    pub async fn until(&self, step: Duration, what: &str, mut holds: impl AsyncFnMut(Engine) -> bool) {
        let ends_at = Instant::now() + PATIENCE;
        while !holds(self.engine().await).await {
            assert!(Instant::now() < ends_at, "{what} did not come about");
            self.clock.advance(step);
            self.engine().await.look_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub async fn scan(&self) -> ScanReport {
        let engine = self.engine().await;
        assert!(engine.start_scan_without_rests(false));
        engine.scan_ended().await;
        engine.scan_report()
    }

    pub async fn handle(&self, id: UploadId) -> UploadHandle {
        self.engine().await.upload(&repository(), id)
    }

    /// The folders of uploads in the store.
    pub async fn left(&self) -> Vec<String> {
        match self.raw().list(&keys::uploads(&repository()), None, 1000).await {
            Ok(page) => page.entries.into_iter().map(|entry| entry.name).collect(),
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn has(&self, key: &Key) -> bool {
        match self.raw().stat(key).await {
            Ok(_) => true,
            Err(error) if error.is_not_found() => false,
            Err(error) => panic!("{key}: {error}"),
        }
    }

    /// Nothing of any upload is left, in storage or in memory. After a death there may be uploads of which nobody was
    /// told; gives how many.
    pub async fn finish(self) -> u64 {
        let mut strays = 0;
        if self.blow.is_death() {
            strays = self.left().await.len() as u64;
            let day = Duration::from_secs(24 * 3600);
            self.clock.advance(day);
            let engine = self.engine().await;
            let uploads =
                UploadsConfig { idle_timeout: day / 2, keep_failed_for: Duration::ZERO, ..self.setup.uploads.clone() };
            engine.set_policies(uploads);
            let report = self.scan().await;
            assert_eq!(report.failed, 0, "{report:?}");
        }
        let step = Duration::from_secs(61);
        self.until(step, "the end of all uploads", async |_| self.left().await.is_empty()).await;
        self.until(step, "empty memory", async |engine| engine.live_uploads() == 0 && known(&engine) == 0).await;
        let engine = self.engine().await;
        engine.drain().await;
        strays
    }
}

/// How many uploads the engine knows.
pub fn known(engine: &Engine) -> u64 {
    let all = ListUploads {
        repository: None,
        client: None,
        states: Vec::new(),
        sort: SortUploads::Name,
        descending: false,
        limit: 1,
        after: None,
    };
    engine.list(&all).expect("no token").total
}

pub fn repository() -> longshore::oci::RepositoryName {
    "sweep/engine".parse().expect("a name")
}

fn start(driver: SharedDriver, setup: &Setup, clock: &Arc<ManualClock>, boot: &str) -> Engine {
    let metrics = Metrics::unregistered();
    let content = Content::new(driver.clone(), ContentOptions::default(), metrics.clone());
    Engine::start(EngineOptions {
        driver,
        blobs: content.blobs(),
        hashes: HASHES.clone(),
        metrics,
        clock: clock.clone(),
        uploads: setup.uploads.clone(),
        checkpoint_durability: setup.durability,
        max_open_files: 10,
        batch_bytes: BATCH_BYTES,
        threads: 1,
        boot: Some(boot.to_owned()),
        syncs: true,
        scans: false,
    })
}
