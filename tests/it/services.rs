//! The suite of `longshore::services` on what implements it: the registry in this process, and the client before a
//! server, whose connections are whole or in small pieces.

use std::net::SocketAddr;
use std::sync::Arc;

use longshore::client::{Client, Credentials, RetryPolicy};
use longshore::clock::SystemClock;
use longshore::config::UploadsConfig;
use longshore::content::{Content, ContentOptions};
use longshore::hashing::HashPool;
use longshore::registry::{LocalRegistry, LocalRegistryOptions};
use longshore::services::suite::{self, Subject};
use longshore::storage::filesystem::{Filesystem, FilesystemOptions};
use longshore::storage::memory::{Memory, MemoryOptions};
use longshore::storage::{Durability, SharedDriver};
use longshore::telemetry::Metrics;
use longshore::upload::{Engine, EngineOptions};

use crate::harness::chaos::{Proxy, Script, Step};
use crate::harness::{Registry, Storage, leftovers};

on_both_storages! { in_process, by_http, }

async fn in_process(storage: Storage) {
    let thread = std::thread::spawn(move || actix::System::new().block_on(run_in_process(storage)));
    tokio::task::spawn_blocking(|| thread.join()).await.expect("a thread").expect("the suite passes");
}

async fn run_in_process(storage: Storage) {
    let folder = tempfile::tempdir().expect("a folder");
    let driver: SharedDriver = match storage {
        Storage::Memory => Arc::new(Memory::new(MemoryOptions { max_bytes: 1 << 30 })),
        Storage::Filesystem => {
            Arc::new(Filesystem::open(FilesystemOptions::new(folder.path())).expect("the folder opens"))
        }
    };
    let metrics = Metrics::unregistered();
    let content = Content::new(driver.clone(), ContentOptions::default(), metrics.clone());
    let engine = Engine::start(EngineOptions {
        driver: driver.clone(),
        blobs: content.blobs().clone(),
        hashes: HashPool::start(1).expect("a thread"),
        metrics,
        clock: Arc::new(SystemClock),
        uploads: UploadsConfig::default(),
        checkpoint_durability: Durability::Process,
        max_open_files: 100,
        batch_bytes: EngineOptions::BATCH_BYTES,
        threads: 2,
        boot: None,
        syncs: false,
        scans: false,
    });
    let registry = LocalRegistry::new(LocalRegistryOptions::default(), content, engine.clone());
    suite::run(&Subject::new(Arc::new(registry))).await;
    engine.drain().await;
    leftovers::of_keys(&driver).await;
}

async fn by_http(storage: Storage) {
    let registry = Registry::start(storage).await;
    let address = registry.address();
    run_by_http(&registry, address).await;
    registry.finish().await;
}

/// What TCP may do to any body and any answer: no piece arrives as it was sent.
#[tokio::test]
async fn by_http_in_small_pieces() {
    let registry = Registry::start(Storage::Memory).await;
    let split = Script { up: vec![Step::Split(1009)], down: vec![Step::Split(503)], ..Script::default() };
    let proxy = Proxy::start(registry.address(), vec![split; 10_000]).await;
    run_by_http(&registry, proxy.address()).await;
    registry.finish().await;
}

async fn run_by_http(registry: &Registry, address: SocketAddr) {
    let subject = Subject::seen_by_two(Arc::new(client(address)), Arc::new(client(address)));
    for case in suite::cases() {
        println!("case: {}", case.name);
        case.run(&subject).await;
        leftovers::of_uploads(registry).await;
    }
}

/// Tries nothing again, so that what is answered once is seen.
fn client(address: SocketAddr) -> Client {
    let builder = Client::builder(&format!("http://{address}")).credentials(Credentials::Anonymous);
    builder.retries(RetryPolicy::none()).build().expect("the address is one")
}
