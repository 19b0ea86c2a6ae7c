//! The storage of a configuration: a driver and what is wrapped round it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::config::{DirectIo, DurabilityPolicy, StorageConfig, StorageDriver};
use crate::storage::adapters::{Deadline, Limit, Meter};
use crate::storage::filesystem::{self, Filesystem, FilesystemOptions};
use crate::storage::memory::{Memory, MemoryOptions};
use crate::storage::{SharedDriver, StorageError, StorageErrorKind};
use crate::telemetry::Metrics;

/// Opens the driver.
pub(super) fn open(config: &StorageConfig) -> Result<SharedDriver, StorageError> {
    let root = &config.filesystem.root;
    Ok(match config.driver {
        StorageDriver::Memory => Arc::new(Memory::new(MemoryOptions { max_bytes: config.memory.max_size })),
        StorageDriver::Filesystem if root.exists() && !root.is_dir() => {
            let kind = StorageErrorKind::Fault;
            return Err(StorageError::with_source(kind, "open", root.display(), "it is not a folder"));
        }
        StorageDriver::Filesystem => {
            let sync = config.durability != DurabilityPolicy::Process;
            let direct_io = match config.filesystem.direct_io {
                DirectIo::Auto if !sync => filesystem::DirectIo::WhileFast,
                DirectIo::Auto | DirectIo::On => filesystem::DirectIo::On,
                DirectIo::Off => filesystem::DirectIo::Off,
            };
            let redo_log_bytes = config.filesystem.redo_log;
            let options = FilesystemOptions { sync, direct_io, redo_log_bytes, ..FilesystemOptions::new(root) };
            Arc::new(Filesystem::open(options)?)
        }
    })
}

/// Wraps it, from the inside: a bound on calls at once, a deadline for each (waiting for its turn included), and the
/// counting of what was asked for.
pub(super) fn wrap(driver: SharedDriver, config: &StorageConfig, metrics: &Metrics) -> SharedDriver {
    let calls = NonZeroUsize::new(config.max_concurrent_calls).unwrap_or(NonZeroUsize::MIN);
    let limited: SharedDriver = Arc::new(Limit::new(driver, calls));
    let bounded: SharedDriver = Arc::new(Deadline::new(limited, config.timeout));
    Arc::new(Meter::new(bounded, metrics))
}
