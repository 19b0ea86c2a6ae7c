//! A registry's life in a test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::thread::JoinHandle;
use std::time::Duration;

use longshore::app::App;
use longshore::config::{Config, StorageDriver};
use longshore::storage::SharedDriver;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{PATIENCE, leftovers};

/// Which driver keeps the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    Filesystem,
    Memory,
}

/// A registry on free ports, with storage of its own.
pub struct Registry {
    config: Config,
    /// `None` with the memory driver.
    folder: Option<TempDir>,
    /// The test's own storage, if it has one.
    driver: Option<SharedDriver>,
    running: Option<Running>,
    http: reqwest::Client,
}

/// The thread with the registry's actix system.
struct Running {
    address: SocketAddr,
    admin_address: SocketAddr,
    driver: SharedDriver,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Registry {
    pub async fn start(storage: Storage) -> Registry {
        Registry::start_with(storage, |_| {}).await
    }

    /// On a storage of the test's own.
    #[allow(dead_code, reason = "each program of tests uses a part of the harness")]
    pub async fn start_on(driver: &SharedDriver, change: impl FnOnce(&mut Config)) -> Registry {
        Registry::start_with_driver(Storage::Memory, Some(driver.clone()), change).await
    }

    /// With a configuration that is not the default one.
    pub async fn start_with(storage: Storage, change: impl FnOnce(&mut Config)) -> Registry {
        Registry::start_with_driver(storage, None, change).await
    }

    async fn start_with_driver(
        storage: Storage,
        driver: Option<SharedDriver>,
        change: impl FnOnce(&mut Config),
    ) -> Registry {
        // With RUST_LOG set, a failing case shows what the registry said. The first case sets it up for all.
        let _ = env_logger::builder().is_test(true).try_init();
        let mut config = Config::default();
        let folder = match storage {
            Storage::Filesystem => Some(tempfile::tempdir().expect("a folder")),
            Storage::Memory => None,
        };
        config.http.addr = free_port();
        config.http.admin_addr = free_port();
        config.http.workers = 2;
        config.http.shutdown_grace = Duration::from_secs(5);
        match &folder {
            Some(folder) => config.storage.filesystem.root = folder.path().join("data"),
            None => config.storage.driver = StorageDriver::Memory,
        }
        change(&mut config);
        let running = Running::start(config.clone(), driver.clone()).await;
        Registry { config, folder, driver, running: Some(running), http: client() }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the registry runs")
    }

    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub fn address(&self) -> SocketAddr {
        self.running().address
    }

    /// The storage as the registry sees it.
    #[allow(dead_code, reason = "each program of tests uses a part of the harness")]
    pub fn driver(&self) -> &SharedDriver {
        &self.running().driver
    }

    /// A path made whole; an address that is whole already stays.
    pub fn url(&self, location: &str) -> String {
        if location.starts_with("http") { location.to_string() } else { format!("http://{}{location}", self.address()) }
    }

    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running().admin_address)
    }

    /// Where the filesystem driver keeps its files.
    pub fn root(&self) -> PathBuf {
        self.config.storage.filesystem.root.clone()
    }

    /// The value of a metric, by its name with labels as the page shows them.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let page = self.http.get(self.admin_url("/metrics")).send().await.expect("metrics").text().await.expect("text");
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Stops, and starts again on the same storage (and another port).
    pub async fn restart(&mut self) {
        self.stop().await;
        self.running = Some(Running::start(self.config.clone(), self.driver.clone()).await);
    }

    /// Stops, lets `between` change the configuration and what is stored, and starts again.
    pub async fn restart_with(&mut self, between: impl FnOnce(&mut Config)) {
        self.stop().await;
        between(&mut self.config);
        self.running = Some(Running::start(self.config.clone(), self.driver.clone()).await);
    }

    async fn stop(&mut self) {
        let running = self.running.take().expect("the registry runs");
        running.stop.send(()).expect("the registry listens");
        tokio::task::spawn_blocking(|| running.thread.join()).await.expect("a thread").expect("no panic");
    }

    /// Stops without a look at what is left, for a case that made it unreadable.
    pub async fn stop_unchecked(mut self) {
        self.stop().await;
    }

    /// Looks at what is left, and stops.
    pub async fn finish(mut self) {
        leftovers::of_uploads(&self).await;
        leftovers::of_keys(&self.running().driver).await;
        self.stop().await;
        if self.folder.is_some() {
            leftovers::of_files(&self.root());
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        assert!(self.running.is_none() || std::thread::panicking(), "the case did not finish its registry");
    }
}

impl Running {
    async fn start(config: Config, driver: Option<SharedDriver>) -> Running {
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = async move {
            let app = match driver {
                Some(driver) => App::start_on(config, driver).await,
                None => App::start(config).await,
            };
            let app = app.expect("the registry starts");
            let addresses = (app.addr(), app.admin_addr(), app.driver().clone());
            assert!(ready.send(addresses).is_ok(), "the test waits");
            // A test that panics drops its end: that is a stop as well.
            let _ = stopped.await;
            app.stop().await;
        };
        let thread = std::thread::spawn(|| actix::System::new().block_on(serve));
        let (address, admin_address, driver) = started.await.expect("the registry starts");
        Running { address, admin_address, driver, stop, thread }
    }
}

fn free_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A client that follows nothing and asks no proxy.
pub fn client() -> reqwest::Client {
    client_builder().build().expect("a client")
}

/// The same with a connection for each request, and an end to its patience.
pub fn client_of_one_connection_each() -> reqwest::Client {
    client_builder().pool_max_idle_per_host(0).timeout(PATIENCE).build().expect("a client")
}

fn client_builder() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::aws_lc_rs::default_provider().install_default().expect("the first provider");
    });
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none())
}

/// Every file below a folder, relative to it.
pub fn files_below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        // A folder may go while it is looked at.
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root).expect("below").to_path_buf());
            }
        }
    }
    found.sort();
    found
}
