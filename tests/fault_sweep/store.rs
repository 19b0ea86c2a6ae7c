//! Where the bytes are.

use std::path::PathBuf;
use std::sync::Arc;

use longshore::storage::SharedDriver;
use longshore::storage::filesystem::{Filesystem, FilesystemOptions};
use longshore::storage::memory::{Memory, MemoryOptions};
use tempfile::TempDir;

/// Where the bytes are, without faults.
pub struct Store {
    pub driver: SharedDriver,
    folder: Option<TempDir>,
}

impl Store {
    pub fn memory() -> Store {
        Store { driver: Arc::new(Memory::new(MemoryOptions { max_bytes: 1 << 30 })), folder: None }
    }

    pub fn filesystem() -> Store {
        let folder = tempfile::tempdir().expect("a folder");
        let options = FilesystemOptions { sync: false, ..FilesystemOptions::new(folder.path()) };
        Store { driver: Arc::new(Filesystem::open(options).expect("a driver")), folder: Some(folder) }
    }

    /// Data files that this process has open.
    pub fn open_files(&self) -> Vec<PathBuf> {
        let Some(folder) = &self.folder else { return Vec::new() };
        let entries = std::fs::read_dir("/proc/self/fd").expect("a folder").filter_map(Result::ok);
        let targets = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        targets.filter(|target| target.starts_with(folder.path().join("docker")) && !target.is_dir()).collect()
    }
}
