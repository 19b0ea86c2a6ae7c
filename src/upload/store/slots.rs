//! How many partials are open at once. They come from a pool, so that uploads that drip do not each hold a descriptor.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The right to have one partial open.
pub(in crate::upload) type FileSlot = OwnedSemaphorePermit;

/// The pool. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::upload) struct FileSlots {
    free: Arc<Semaphore>,
    all: usize,
}

impl FileSlots {
    pub fn new(slots: usize) -> Self {
        let all = slots.clamp(2, Semaphore::MAX_PERMITS);
        FileSlots { free: Arc::new(Semaphore::new(all)), all }
    }

    /// Waits for a slot. It comes: half of them are never held without a job that runs.
    pub async fn take(&self) -> Option<FileSlot> {
        self.free.clone().acquire_owned().await.ok()
    }

    /// Whether a writer that waits for bytes should give its slot back. It keeps it while fewer than half are taken: so
    /// those who only wait never hold more than half.
    pub fn are_scarce(&self) -> bool {
        self.free.available_permits() * 2 < self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn they_are_scarce_when_half_are_taken() {
        let slots = FileSlots::new(4);
        let first = slots.take().await;
        let second = slots.take().await;
        assert!(!slots.are_scarce());
        let third = slots.take().await;
        assert!(slots.are_scarce());
        drop((first, second, third));
        assert!(!slots.are_scarce());
    }
}
