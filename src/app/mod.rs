//! Floor 7: the composition root: builds the parts of a [`Config`], binds, serves, drains, stops.

mod control;
mod logging;
mod offline;
mod readiness;
mod reload;
mod storage;

use std::error::Error;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::control::EngineControl;
pub use self::logging::start_log;
pub use self::offline::purge_offline;
use self::readiness::StorageReadiness;
pub use self::reload::Reloader;
use crate::clock::SystemClock;
use crate::config::{Config, DurabilityPolicy, HashImplementation, HashLanes, Sources, StorageDriver};
use crate::content::{Content, ContentOptions};
use crate::hashing::{HashPool, Implementation, LaneKernel, LanePlan};
use crate::http::{self, AdminOptions, AdminServer, ApiServer, RunningServer, ServerOptions};
use crate::oci::Algorithm;
use crate::registry::{LocalRegistry, LocalRegistryOptions};
use crate::storage::{Durability, SharedDriver, StorageError};
use crate::telemetry::Metrics;
use crate::upload::{Engine, EngineOptions};

/// How many connections may wait to be accepted.
const WAITING_CONNECTIONS: i32 = 4096;

/// A registry that runs: its servers, its upload engine, its storage.
#[derive(Debug)]
pub struct App {
    api: RunningServer,
    admin: RunningServer,
    engine: Engine,
    driver: SharedDriver,
    draining: Arc<AtomicBool>,
    shutdown_grace: Duration,
    reloader: Option<Arc<Reloader>>,
}

/// Why a registry could not be started.
#[derive(Debug)]
pub enum StartError {
    /// The storage cannot be used; another process may hold it.
    Storage {
        /// The configuration's key.
        key: &'static str,
        /// Why.
        source: StorageError,
    },
    /// An address cannot be listened on.
    Bind {
        /// The configuration's key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A server cannot be made of its configuration.
    Http(http::StartError),
    /// No threads can be started.
    Threads(std::io::Error),
    /// This processor lacks the instructions that `hashing.lanes` forces.
    Lanes(LaneKernel),
}

impl App {
    /// Builds everything that `config` says and serves it. Must be called within an actix system.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(config: Config) -> Result<App, StartError> {
        App::build(config, None, None).await
    }

    /// The same, with the sources that `config` was loaded from, so that it can be reloaded from them.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_from(config: Config, sources: Option<Sources>) -> Result<App, StartError> {
        App::build(config, sources, None).await
    }

    /// The same as [`App::start`] on a storage of the caller's own: of `storage`, only `timeout`, `max_concurrent_calls`
    /// and `durability` (as far as it is the engine's) count.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start_on(config: Config, driver: SharedDriver) -> Result<App, StartError> {
        App::build(config, None, Some(driver)).await
    }

    async fn build(config: Config, sources: Option<Sources>, driver: Option<SharedDriver>) -> Result<App, StartError> {
        raise_open_file_limit();
        choose_hashing(config.hashing.implementation);
        let api_listener = bind("http.addr", config.http.addr)?;
        let admin_listener = bind("http.admin_addr", config.http.admin_addr)?;

        let mut metrics_registry = prometheus_client::registry::Registry::default();
        let metrics = Metrics::register(&mut metrics_registry);
        let driver = match driver {
            Some(driver) => driver,
            None => open_storage(&config)?,
        };
        let driver = storage::wrap(driver, &config.storage, &metrics);
        let content = Content::new(driver.clone(), content_options(&config), metrics.clone());
        let hashes = start_hashing(&config, &metrics)?;
        let lanes = hashes.lanes();
        let engine = start_engine(&config, &driver, &content, &metrics, hashes, true)?;
        // Before the first request, so that it meets what holds: whether there is room.
        engine.look_now().await;
        let reloader = sources.map(|sources| {
            let engine = engine.clone();
            Arc::new(Reloader::new(sources, config.clone(), move |uploads| engine.set_policies(uploads)))
        });
        let registry = LocalRegistry::new(
            LocalRegistryOptions { anonymous_mount: config.blobs.anonymous_mount, ..LocalRegistryOptions::default() },
            content,
            engine.clone(),
        );
        let draining = Arc::new(AtomicBool::new(false));
        let shutdown_grace = config.http.shutdown_grace;
        let admin_options = AdminOptions {
            config: config.http.clone(),
            metrics_registry: Arc::new(metrics_registry),
            metrics: metrics.clone(),
            readiness: Arc::new(StorageReadiness { driver: driver.clone(), draining: draining.clone() }),
            control: Arc::new(EngineControl { engine: engine.clone(), reloader: reloader.clone() }),
        };
        let api_options = ServerOptions {
            config: config.http,
            registry: Arc::new(registry),
            metrics,
            manifest_max_bytes: config.manifests.max_size,
        };
        let admin = AdminServer::start(admin_options, admin_listener).map_err(StartError::Http)?;
        let api = ApiServer::start(api_options, api_listener).map_err(StartError::Http)?;
        log::info!(
            addr:% = api.local_addr(), admin_addr:% = admin.local_addr(), storage = driver.name(),
            sha256 = Implementation::current(Algorithm::Sha256).as_str(), hash_lanes:% = lanes;
            "longshore serves"
        );
        Ok(App { api, admin, engine, driver, draining, shutdown_grace, reloader })
    }

    /// Where the registry listens.
    pub fn addr(&self) -> SocketAddr {
        self.api.local_addr()
    }

    /// Where health and metrics are.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// The upload engine, for tests and tools that look at it from inside.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The storage as the registry sees it.
    pub fn driver(&self) -> &SharedDriver {
        &self.driver
    }

    /// Reads the configuration again; `None` when the registry was started without sources.
    pub fn reloader(&self) -> Option<&Arc<Reloader>> {
        self.reloader.as_ref()
    }

    /// Stops as SIGTERM does: says it is not ready, accepts nothing more, lets running requests end within
    /// `http.shutdown_grace`, and makes every upload last where it stands.
    pub async fn stop(self) {
        self.draining.store(true, Ordering::Release);
        self.api.stop(self.shutdown_grace).await;
        self.engine.drain().await;
        self.admin.stop(Duration::ZERO).await;
        log::info!("longshore stopped");
    }
}

fn open_storage(config: &Config) -> Result<SharedDriver, StartError> {
    storage::open(&config.storage).map_err(|source| {
        let key = match config.storage.driver {
            StorageDriver::Filesystem => "storage.filesystem.root",
            StorageDriver::Memory => "storage.memory",
        };
        StartError::Storage { key, source }
    })
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let failed = |source| StartError::Bind { key, address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    // The standard library lets 128 connections wait to be accepted; of thousands that come at once, the others would
    // try again after a second, and longer each time. The kernel has a bound of its own (net.core.somaxconn).
    rustix::net::listen(&listener, WAITING_CONNECTIONS).map_err(|error| failed(error.into()))?;
    Ok(listener)
}

fn raise_open_file_limit() {
    match http::raise_open_file_limit() {
        Some(limit) => log::debug!(limit; "open files are limited"),
        None => log::warn!("the limit of open files cannot be told"),
    }
}

fn choose_hashing(implementation: HashImplementation) {
    Implementation::choose(match implementation {
        HashImplementation::Auto => None,
        HashImplementation::Sha2 => Some(Implementation::Sha2),
        HashImplementation::AwsLc => Some(Implementation::AwsLc),
    });
}

fn content_options(config: &Config) -> ContentOptions {
    ContentOptions {
        // With `durability: process` the driver itself syncs nothing.
        durability: Durability::Power,
        cache_max_entries: config.cache.max_entries,
        allow_sparse_manifests: config.manifests.allow_sparse,
        manifest_max_bytes: config.manifests.max_size,
    }
}

fn start_hashing(config: &Config, metrics: &Metrics) -> Result<HashPool, StartError> {
    let forced = |kernel| LanePlan::forced(kernel).ok_or(StartError::Lanes(kernel));
    let plan = match config.hashing.lanes {
        HashLanes::Auto => LanePlan::current(),
        HashLanes::Single => LanePlan::SINGLE,
        HashLanes::ShaNi => forced(LaneKernel::ShaNi)?,
        HashLanes::Avx2 => forced(LaneKernel::Avx2)?,
        HashLanes::Avx512 => forced(LaneKernel::Avx512)?,
    };
    let hashes = HashPool::start_with_lanes(config.hashing.threads, plan).map_err(StartError::Threads)?;
    metrics.hash_lanes.set(plan.lanes() as i64);
    Ok(hashes)
}

fn start_engine(
    config: &Config,
    driver: &SharedDriver,
    content: &Content,
    metrics: &Metrics,
    hashes: HashPool,
    scans: bool,
) -> Result<Engine, StartError> {
    Ok(Engine::start(EngineOptions {
        driver: driver.clone(),
        blobs: content.blobs().clone(),
        hashes,
        metrics: metrics.clone(),
        clock: Arc::new(SystemClock),
        uploads: config.uploads.clone(),
        max_open_files: http::spare_open_files(),
        boot: None,
        syncs: config.storage.durability != DurabilityPolicy::Process,
        scans,
        batch_bytes: EngineOptions::BATCH_BYTES,
        checkpoint_durability: match config.storage.durability {
            DurabilityPolicy::Process | DurabilityPolicy::Commit => Durability::Process,
            DurabilityPolicy::Ack => Durability::Power,
        },
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    }))
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Storage { key, source } => write!(f, "{key}: {source}"),
            StartError::Bind { key, address, source } => write!(f, "{key}: cannot listen on {address}: {source}"),
            StartError::Http(error) => error.fmt(f),
            StartError::Threads(error) => write!(f, "cannot start threads: {error}"),
            StartError::Lanes(kernel) => {
                write!(f, "hashing.lanes: this processor has no instructions for {}", kernel.as_str())
            }
        }
    }
}

impl Error for StartError {}
