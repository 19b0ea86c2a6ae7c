//! The engine as a whole: over the memory driver, with real threads and no mocks.

mod bodies;
mod checkpoints;
mod commits;
mod faults;
mod lists;
mod passivation;
mod policies;
mod races;
mod records;
mod restarts;
mod scans;
mod shared_states;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::Digest as _;

use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::config::UploadsConfig;
use crate::content::{Blobs, Content, ContentOptions};
use crate::hashing::HashPool;
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::storage::memory::{Memory, MemoryOptions};
use crate::storage::{Durability, SharedDriver, keys};
use crate::telemetry::Metrics;

/// Long enough that no test comes near it by accident.
const NEVER: Duration = Duration::from_secs(3600);

fn memory() -> SharedDriver {
    Arc::new(Memory::new(MemoryOptions { max_bytes: 1 << 30 }))
}

fn blobs(driver: &SharedDriver) -> Blobs {
    Content::new(driver.clone(), ContentOptions::default(), Metrics::unregistered()).blobs().clone()
}

/// An engine over `driver`, as a process that starts on it would make one.
fn engine(driver: &SharedDriver) -> Engine {
    engine_that_takes_over_after(driver, NEVER)
}

fn engine_that_takes_over_after(driver: &SharedDriver, takeover_after: Duration) -> Engine {
    Engine::start(engine_options(driver, takeover_after))
}

fn engine_options(driver: &SharedDriver, takeover_after: Duration) -> EngineOptions {
    EngineOptions {
        driver: driver.clone(),
        blobs: blobs(driver),
        hashes: HashPool::start(1).unwrap(),
        metrics: Metrics::unregistered(),
        clock: Arc::new(SystemClock),
        uploads: UploadsConfig { takeover_after, ..UploadsConfig::default() },
        max_open_files: 100,
        batch_bytes: EngineOptions::BATCH_BYTES,
        checkpoint_durability: Durability::Process,
        threads: 2,
        boot: None,
        syncs: true,
        scans: false,
    }
}

/// An engine whose time a test turns, with policies of its own.
fn engine_with(driver: &SharedDriver, clock: &Arc<ManualClock>, uploads: UploadsConfig) -> Engine {
    Engine::start(EngineOptions { clock: clock.clone(), uploads, ..engine_options(driver, NEVER) })
}

/// A clock that stands at now, as the times of stored objects do.
fn manual_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::starting_at(std::time::SystemTime::now()))
}

/// No policy, so that a test sets the one it is about.
fn no_policies() -> UploadsConfig {
    UploadsConfig {
        takeover_after: NEVER,
        passivate_after: Duration::ZERO,
        idle_timeout: Duration::ZERO,
        min_rate: 0,
        max_age: Duration::ZERO,
        keep_failed_for: Duration::ZERO,
        min_free_space: 0,
        ..UploadsConfig::default()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets the engine look at what is due until something holds.
async fn until(engine: &Engine, mut holds: impl AsyncFnMut() -> bool) {
    let started = std::time::Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(30), "it never came to hold");
        engine.look_now().await;
        tokio::task::yield_now().await;
    }
}

async fn is_there(driver: &SharedDriver, upload: &UploadHandle) -> bool {
    driver.list(&keys::upload(&repository(), upload.id()), None, 1).await.is_ok()
}

fn repository() -> RepositoryName {
    "library/app".parse().unwrap()
}

/// Bytes that differ everywhere.
fn content(len: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    });
    bytes.take(len).collect()
}

fn sha256(content: &[u8]) -> Digest {
    Digest::from_bytes(Algorithm::Sha256, &sha2::Sha256::digest(content)).unwrap()
}

fn sha512(content: &[u8]) -> Digest {
    Digest::from_bytes(Algorithm::Sha512, &sha2::Sha512::digest(content)).unwrap()
}

fn options(start: Start) -> WriteOptions {
    WriteOptions { start, length: None, digest: None, discard_on_cut: false, client: None }
}

async fn begin(engine: &Engine) -> UploadHandle {
    engine.begin(&repository(), Algorithm::Sha256, None).await.unwrap().0
}

async fn write(upload: &UploadHandle, start: Start, pieces: &[Bytes]) -> Result<u64, UploadError> {
    let mut writer = upload.write(options(start)).await?;
    for piece in pieces {
        writer.send(piece.clone()).await?;
    }
    writer.finish().await
}

async fn commit(upload: &UploadHandle, digest: &Digest) -> Result<u64, UploadError> {
    let options = WriteOptions { digest: Some(digest.clone()), ..options(Start::Current) };
    upload.write(options).await?.commit(digest).await
}

async fn offset(upload: &UploadHandle) -> u64 {
    upload.status().await.unwrap().offset
}

async fn stored(driver: &SharedDriver, digest: &Digest) -> Bytes {
    driver.get(&keys::blob_data(digest), 1 << 30).await.unwrap().data
}

/// Fails when anything of an upload is left, in storage or, soon after, in the index.
async fn assert_no_upload_left(driver: &SharedDriver, engine: &Engine) {
    match driver.list(&keys::uploads(&repository()), None, 10).await {
        Err(error) if error.is_not_found() => {}
        listed => panic!("left in storage: {listed:?}"),
    }
    // An actor leaves the index only after its last call to the storage.
    until(engine, async || engine.live_uploads() == 0).await;
}
