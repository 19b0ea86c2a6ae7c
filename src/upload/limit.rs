//! Permits of which there are so many, and whose number can be set anew while they are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many permits. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    free: Arc<Semaphore>,
    /// How many there are in all.
    all: Arc<AtomicUsize>,
}

impl Limit {
    /// The largest number there is.
    pub const MOST: usize =
        if Semaphore::MAX_PERMITS < u32::MAX as usize { Semaphore::MAX_PERMITS } else { u32::MAX as usize };

    pub fn new(all: usize) -> Self {
        Limit { free: Arc::new(Semaphore::new(all)), all: Arc::new(AtomicUsize::new(all)) }
    }

    /// How many there are in all.
    pub fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// Takes so many if they are free and nobody waits in line.
    pub fn try_take(&self, wanted: usize) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_many_owned(self.number(wanted)).ok()
    }

    /// Waits in line for so many, or for all that there are. Nothing is never given: nobody closes the semaphore.
    pub async fn take(&self, wanted: usize) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_many_owned(self.number(wanted)).await.ok()
    }

    fn number(&self, wanted: usize) -> u32 {
        u32::try_from(wanted.min(self.all())).unwrap_or(u32::MAX)
    }

    /// From now on there are so many. Where there are fewer than before, they go as they are given back.
    pub fn set(&self, wanted: usize) {
        let before = self.all.swap(wanted, Ordering::Relaxed);
        if wanted > before {
            self.free.add_permits(wanted - before);
        } else if wanted < before {
            let (free, less) = (self.free.clone(), before - wanted);
            tokio::spawn(async move {
                if let Ok(permit) = free.acquire_many(u32::try_from(less).unwrap_or(u32::MAX)).await {
                    permit.forget();
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_comes_when_it_is_used_up_waits_in_line() {
        let limit = Limit::new(16);
        let first = limit.take(10).await;
        let mut second = Box::pin(limit.take(10));
        assert!((&mut second).now_or_never().is_none());
        // A small one that comes later does not overtake.
        let mut third = Box::pin(limit.take(1));
        assert!((&mut third).now_or_never().is_none());
        assert!(limit.try_take(1).is_none());
        drop(first);
        second.await;
        third.await;
        // More than there is at all is not waited for in vain.
        limit.take(1 << 30).await;
    }

    #[tokio::test]
    async fn it_can_move() {
        let limit = Limit::new(4);
        let all = limit.take(256).await;
        limit.set(8);
        let more = limit.take(4).await;
        limit.set(2);
        tokio::task::yield_now().await;
        drop((all, more));
        let left = limit.take(256).await;
        assert!(limit.take(1).now_or_never().is_none(), "two are all there are");
        drop(left);
    }
}
