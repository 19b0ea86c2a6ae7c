use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::QUICK_BYTES;
use crate::storage::{StorageError, StorageErrorKind};

/// How many bytes of manifests are worked on at once; others wait for their turn.
///
/// What is read of a manifest takes up to about twenty times its bytes (many short annotations), so that a client could
/// fill the memory with a few dozen large ones. Small ones have room of their own, and do not wait behind large ones.
#[derive(Debug)]
pub(in crate::content) struct Room {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Room {
    /// For each of the two: four manifests of the usual limit, or some thousand usual ones.
    const KIBIBYTES: usize = 16 << 10;

    pub(in crate::content) fn new() -> Self {
        let room = || Arc::new(Semaphore::new(Self::KIBIBYTES));
        Room { small: room(), large: room() }
    }

    /// Waits for room for a manifest of so many bytes; it is free again when what is returned is dropped.
    pub(super) async fn take(&self, size_bytes: usize) -> Result<OwnedSemaphorePermit, StorageError> {
        let room = if size_bytes <= QUICK_BYTES { &self.small } else { &self.large };
        let kibibytes = size_bytes.div_ceil(1 << 10).min(Self::KIBIBYTES);
        let kibibytes = u32::try_from(kibibytes).expect("a few thousand fit");
        room.clone().acquire_many_owned(kibibytes).await.map_err(|closed| {
            StorageError::with_source(StorageErrorKind::Fault, "wait", "the room for manifests", closed)
        })
    }
}
