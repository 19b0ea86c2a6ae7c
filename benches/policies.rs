//! What many uploads that nobody writes to cost, and whether those who push notice when many expire at once.
//!
//! `cargo bench --bench policies [-- memory|reaping]`
//!
//! - `memory`: a million uploads are begun and leave memory; the resident memory of the process, before and after. The
//!   store keeps nothing, so that what is measured is the engine.
//! - `reaping`: a hundred thousand uploads on the filesystem expire in the same second while eight clients send PATCHes of
//!   64 KiB; how long those take, with and without.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use longshore::clock::{ManualClock, SharedClock};
use longshore::config::UploadsConfig;
use longshore::content::{Content, ContentOptions};
use longshore::hashing::HashPool;
use longshore::oci::{Algorithm, RepositoryName};
use longshore::storage::filesystem::{Filesystem, FilesystemOptions};
use longshore::storage::{
    Checkpoint, Driver, Durability, Key, ListPage, Object, ObjectReader, PartialWriter, PutMode, SharedDriver, Stat,
    StorageError, StorageErrorKind, Version,
};
use longshore::telemetry::Metrics;
use longshore::upload::{Engine, EngineOptions, ListUploads, SortUploads, Start, UploadHandle, WriteOptions};

const QUIET_UPLOADS: usize = 1_000_000;
const EXPIRING_UPLOADS: usize = 100_000;
const CLIENTS: usize = 8;
const PATCH_BYTES: usize = 64 << 10;
const QUIET_FOR: Duration = Duration::from_secs(60);

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    actix::System::new().block_on(async {
        if is_wanted("memory") {
            memory().await;
        }
        if is_wanted("reaping") {
            reaping().await;
        }
    });
}

async fn memory() {
    let clock = Arc::new(ManualClock::starting_at(std::time::SystemTime::now()));
    let engine = start(Arc::new(Nowhere), clock.clone(), Duration::ZERO);
    let before = resident_bytes();
    let started = Instant::now();
    for _ in 0..QUIET_UPLOADS / 1000 {
        let begun = (0..1000).map(|n| begin(&engine, n % 100));
        futures_util::future::join_all(begun).await;
        clock.advance(QUIET_FOR);
        while engine.live_uploads() > 0 {
            engine.look_now().await;
            tokio::task::yield_now().await;
        }
    }
    let each = (resident_bytes() - before) as f64 / QUIET_UPLOADS as f64;
    println!(
        "{QUIET_UPLOADS} open and quiet uploads: {:.0} MiB resident in all, {each:.0} bytes each (begun and passivated in {:.0} s)",
        resident_bytes() as f64 / (1 << 20) as f64,
        started.elapsed().as_secs_f64()
    );
    let started = Instant::now();
    let request = ListUploads {
        repository: None,
        client: None,
        states: Vec::new(),
        sort: SortUploads::Deadline,
        descending: false,
        limit: 100,
        after: None,
    };
    let page = engine.list(&request).expect("a page");
    println!("a page of 100 by deadline, of {}: {:.2} s", page.total, started.elapsed().as_secs_f64());
}

async fn reaping() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::starting_at(std::time::SystemTime::now()));
    let engine = start(open(folder.path()), clock.clone(), Duration::from_secs(3600));
    for _ in 0..EXPIRING_UPLOADS / 1000 {
        let begun = (0..1000).map(|n| begin(&engine, n % 100));
        futures_util::future::join_all(begun).await;
    }
    clock.advance(QUIET_FOR);
    while engine.live_uploads() > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Two rounds without, so that the machine's own drift is seen.
    let without = [patches(&engine, Duration::from_secs(8)).await, patches(&engine, Duration::from_secs(8)).await];
    let uploads = engine.list(&count()).expect("a page").total;
    clock.advance(Duration::from_secs(24 * 3600));
    let started = Instant::now();
    let with = patches(&engine, Duration::from_secs(20)).await;
    let mut left = engine.list(&count()).expect("a page").total;
    let rate = (uploads - left) as f64 / started.elapsed().as_secs_f64();
    while left > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        left = engine.list(&count()).expect("a page").total;
    }
    println!("PATCHes of 64 KiB by {CLIENTS} clients at once, milliseconds: p50, p99, greatest; PATCHes a second");
    for (name, taken) in [("alone", &without[0]), ("alone, again", &without[1]), ("while 100,000 expire", &with)] {
        println!("{name:<24} {}", taken.text());
    }
    println!("{rate:.0} were reaped a second meanwhile; all {uploads} within {:.0} s", started.elapsed().as_secs_f64());
    engine.drain().await;
}

struct Taken {
    millis: Vec<f64>,
    during: Duration,
}

impl Taken {
    fn text(&self) -> String {
        let at = |part: f64| self.millis[((self.millis.len() - 1) as f64 * part) as usize];
        let rate = self.millis.len() as f64 / self.during.as_secs_f64();
        format!("{:>8.2} {:>8.2} {:>8.2} {rate:>8.0}", at(0.5), at(0.99), at(1.0))
    }
}

async fn patches(engine: &Engine, during: Duration) -> Taken {
    let is_over = AtomicBool::new(false);
    let client = async || {
        let body = Bytes::from(vec![7; PATCH_BYTES]);
        let upload = begin(engine, 1000).await;
        let mut millis = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let started = Instant::now();
            let mut writer = upload.write(options()).await.expect("a writer");
            writer.send(body.clone()).await.expect("a piece is taken");
            writer.finish().await.expect("a PATCH is answered");
            millis.push(started.elapsed().as_secs_f64() * 1e3);
        }
        upload.cancel().await.expect("it is cancelled");
        millis
    };
    let end = async {
        tokio::time::sleep(during).await;
        is_over.store(true, Ordering::Relaxed);
    };
    let clients = futures_util::future::join_all((0..CLIENTS).map(|_| client()));
    let (taken, ()) = tokio::join!(clients, end);
    let mut millis: Vec<f64> = taken.into_iter().flatten().collect();
    millis.sort_by(f64::total_cmp);
    Taken { millis, during }
}

async fn begin(engine: &Engine, repository: usize) -> UploadHandle {
    let repository: RepositoryName = format!("bench/r{repository}").parse().expect("a name");
    engine.begin(&repository, Algorithm::Sha256, None).await.expect("an upload begins").0
}

fn options() -> WriteOptions {
    WriteOptions { start: Start::Current, length: None, digest: None, discard_on_cut: false, client: None }
}

fn count() -> ListUploads {
    ListUploads {
        repository: None,
        client: None,
        states: Vec::new(),
        sort: SortUploads::Name,
        descending: false,
        limit: 1,
        after: None,
    }
}

fn open(root: &Path) -> SharedDriver {
    Arc::new(Filesystem::open(FilesystemOptions::new(root)).expect("the filesystem driver opens"))
}

fn start(driver: SharedDriver, clock: SharedClock, idle_timeout: Duration) -> Engine {
    let metrics = Metrics::unregistered();
    let content = Content::new(driver.clone(), ContentOptions::default(), metrics.clone());
    let uploads = UploadsConfig {
        passivate_after: QUIET_FOR,
        idle_timeout,
        // Those that are written to meanwhile are older than any limit by the turned clock.
        min_rate: 0,
        max_age: Duration::ZERO,
        keep_failed_for: Duration::ZERO,
        max_open: 0,
        ..UploadsConfig::default()
    };
    Engine::start(EngineOptions {
        driver,
        blobs: content.blobs().clone(),
        hashes: HashPool::start(2).expect("hashing threads"),
        metrics,
        clock,
        uploads,
        max_open_files: 1000,
        checkpoint_durability: Durability::Process,
        batch_bytes: EngineOptions::BATCH_BYTES,
        threads: 2,
        boot: None,
        syncs: true,
        scans: false,
    })
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("status");
    let kib =
        text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("resident memory") << 10
}

/// A store that keeps nothing.
#[derive(Debug)]
struct Nowhere;

fn absent<T>(operation: &'static str, key: &Key) -> Result<T, StorageError> {
    Err(StorageError::new(StorageErrorKind::NotFound, operation, key))
}

#[async_trait::async_trait]
impl Driver for Nowhere {
    fn name(&self) -> &'static str {
        "nowhere"
    }

    async fn get(&self, key: &Key, _: u64) -> Result<Object, StorageError> {
        absent("get", key)
    }

    async fn read(&self, key: &Key, _: Option<std::ops::Range<u64>>) -> Result<ObjectReader, StorageError> {
        absent("read", key)
    }

    async fn put(&self, _: &Key, _: Bytes, _: PutMode, _: Durability) -> Result<Version, StorageError> {
        Ok(Version(String::new()))
    }

    async fn stat(&self, key: &Key) -> Result<Stat, StorageError> {
        absent("stat", key)
    }

    async fn delete(&self, key: &Key) -> Result<(), StorageError> {
        absent("delete", key)
    }

    async fn delete_all(&self, _: &Key, _: Option<&str>) -> Result<(), StorageError> {
        Ok(())
    }

    async fn list(&self, key: &Key, _: Option<&str>, _: usize) -> Result<ListPage, StorageError> {
        absent("list", key)
    }

    async fn list_mark(&self, key: &Key) -> Result<Option<String>, StorageError> {
        absent("list_mark", key)
    }

    async fn create_partial(&self, key: &Key) -> Result<Box<dyn PartialWriter>, StorageError> {
        absent("create_partial", key)
    }

    async fn open_partial(&self, key: &Key, _: &Checkpoint) -> Result<Box<dyn PartialWriter>, StorageError> {
        absent("open_partial", key)
    }
}
