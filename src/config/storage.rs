use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{byte_size, duration};

/// `storage`: where bytes are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// Which driver keeps them.
    pub driver: StorageDriver,
    /// `storage.filesystem`.
    pub filesystem: FilesystemConfig,
    /// `storage.memory`.
    pub memory: MemoryConfig,
    /// What survives a loss of power.
    pub durability: DurabilityPolicy,
    /// After this time a driver's call is given up.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How many calls run at once; further ones wait.
    pub max_concurrent_calls: usize,
}

/// Which driver keeps the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageDriver {
    /// Files below a folder.
    #[default]
    Filesystem,
    /// This process's memory; everything is gone when it ends.
    Memory,
}

/// `storage.filesystem`: files below a folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesystemConfig {
    /// The folder; it is created when it is not there.
    pub root: PathBuf,
    /// Whether large uploads are written past the page cache.
    pub direct_io: DirectIo,
    /// How much of the disk the log takes in which small objects survive a loss of power; zero for none.
    #[serde(with = "byte_size")]
    pub redo_log: u64,
}

/// Whether large uploads are written past the page cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectIo {
    /// Always where a commit waits for the disk in any case; with [`DurabilityPolicy::Process`] as long as the disk takes
    /// it fast.
    #[default]
    Auto,
    /// Always, where the filesystem can.
    On,
    /// Never.
    Off,
}

/// `storage.memory`: this process's memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// How many bytes are kept at most, uploads in progress included; then the store is full.
    #[serde(with = "byte_size")]
    pub max_size: u64,
}

/// What survives a loss of power. A killed process loses nothing that was acknowledged, in any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DurabilityPolicy {
    /// What the system happened to write back.
    Process,
    /// Every blob, link, manifest and tag whose push was answered.
    #[default]
    Commit,
    /// Every byte of an upload that was acknowledged, too.
    Ack,
}

impl Default for StorageConfig {
    fn default() -> Self {
        StorageConfig {
            driver: StorageDriver::default(),
            filesystem: FilesystemConfig::default(),
            memory: MemoryConfig::default(),
            durability: DurabilityPolicy::default(),
            timeout: Duration::from_secs(30),
            max_concurrent_calls: 256,
        }
    }
}

impl Default for FilesystemConfig {
    fn default() -> Self {
        FilesystemConfig { root: PathBuf::from("./data"), direct_io: DirectIo::Auto, redo_log: 64 << 20 }
    }
}

impl Default for MemoryConfig {
    fn default() -> Self {
        MemoryConfig { max_size: 1 << 30 }
    }
}
