//! A bound on what all bodies together have waiting in memory. Past it connections wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted in one: finer would only cost.
const UNIT_BYTES: u64 = 4096;

/// The least that a body takes at once, so that what it writes is worth a write where all are in line.
const LEAST_BATCH_BYTES: usize = 32 * 1024;

/// Where half of the memory has less for each body, no body holds more than one batch.
const SCARCE_BYTES: usize = 64 * 1024;

/// What bodies wait in line for. Cheap to clone.
///
/// It bounds what has been taken from connections and is not written yet. Beside it there are, for each writer, what its
/// connection receives into, and the last batch, which may still be waiting to be hashed after it was written.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    free: Arc<Semaphore>,
    /// How many units there are in all.
    all: Arc<AtomicUsize>,
    /// How many bodies there are.
    bodies: Arc<AtomicUsize>,
}

/// A body that takes of the memory, while it is there.
#[derive(Debug)]
pub(super) struct Body {
    memory: Memory,
}

/// Some of it; given back when dropped.
#[derive(Debug, Default)]
pub(super) struct Share {
    permit: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Makes one of two.
    pub fn add(&mut self, other: Share) {
        match (&mut self.permit, other.permit) {
            (Some(permit), Some(more)) => permit.merge(more),
            (permit, more) => *permit = permit.take().or(more),
        }
    }

    /// For how many bytes it is.
    pub fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) * UNIT_BYTES as usize
    }

    /// Takes off what `bytes` need, as far as it is there and something is left.
    pub fn split_off(&mut self, bytes: usize) -> Share {
        let permit = self.permit.as_mut().and_then(|permit| {
            let spare = permit.num_permits().saturating_sub(1);
            permit.split(units(bytes as u64).min(spare))
        });
        Share { permit }
    }

    /// Gives back what so many bytes do not need.
    pub fn shrink_to(&mut self, bytes: usize) {
        let Some(permit) = &mut self.permit else { return };
        drop(permit.split(permit.num_permits().saturating_sub(units(bytes as u64))));
    }
}

impl Body {
    /// Takes so many bytes if nobody waits in line; more of them, up to what a body takes at once, if there are.
    pub fn try_take(&self, bytes: usize, batch_bytes: usize) -> Option<Share> {
        let step = self.batch_bytes(batch_bytes);
        let more = (step > bytes).then(|| self.memory.try_take(step)).flatten();
        more.or_else(|| self.memory.try_take(bytes))
    }

    /// Waits in line for so many bytes, or for as much as a body takes at once, if that is more.
    pub fn take(&self, bytes: usize, batch_bytes: usize) -> impl Future<Output = Share> + Send + use<> {
        let memory = self.memory.clone();
        let wanted = bytes.max(self.batch_bytes(batch_bytes));
        async move { memory.take(wanted).await }
    }

    /// How much a body takes and writes at once: `most_bytes`, and where the memory is short the power of two of which each
    /// body may have one under way and one that is gathered.
    pub fn batch_bytes(&self, most_bytes: usize) -> usize {
        let part = self.memory.part();
        if part >= most_bytes {
            return most_bytes;
        }
        let power_of_two = part.checked_ilog2().map_or(0, |exponent| 1 << exponent);
        power_of_two.max(LEAST_BATCH_BYTES).min(most_bytes)
    }

    /// Whether there are so many bodies that each is to hold one batch only. They keep everything busy all the same.
    pub fn is_scarce(&self) -> bool {
        self.memory.part() < SCARCE_BYTES
    }

    /// How many bodies there are, this one among them.
    pub fn count(&self) -> usize {
        self.memory.bodies.load(Ordering::Relaxed)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.memory.bodies.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Memory {
    pub fn new(limit_bytes: u64) -> Self {
        let units = units(limit_bytes);
        Memory { free: Arc::new(Semaphore::new(units)), all: Arc::new(AtomicUsize::new(units)), bodies: Arc::default() }
    }

    /// Another body that takes of it.
    pub fn body(&self) -> Body {
        self.bodies.fetch_add(1, Ordering::Relaxed);
        Body { memory: self.clone() }
    }

    /// Whether half of the memory has no room for a batch of each body.
    pub fn is_short(&self, batch_bytes: usize) -> bool {
        self.part() < batch_bytes
    }

    /// What half of the memory has for each body.
    fn part(&self) -> usize {
        let all = self.all.load(Ordering::Relaxed) * UNIT_BYTES as usize;
        all / 2 / self.bodies.load(Ordering::Relaxed).max(1)
    }

    /// Takes so many bytes if nobody waits in line.
    fn try_take(&self, bytes: usize) -> Option<Share> {
        let permit = self.free.clone().try_acquire_many_owned(self.wanted(bytes)).ok()?;
        Some(Share { permit: Some(permit) })
    }

    /// Waits in line for so many bytes. A piece that is larger than the whole gets the whole.
    async fn take(&self, bytes: usize) -> Share {
        // It fails only when the semaphore is closed, which nobody does.
        Share { permit: self.free.clone().acquire_many_owned(self.wanted(bytes)).await.ok() }
    }

    fn wanted(&self, bytes: usize) -> u32 {
        let wanted = units(bytes as u64).min(self.all.load(Ordering::Relaxed));
        u32::try_from(wanted).unwrap_or(u32::MAX)
    }

    /// From now on there is so much. Where there is less than before, it goes as it is given back.
    pub fn set_limit(&self, limit_bytes: u64) {
        let wanted = units(limit_bytes);
        let before = self.all.swap(wanted, Ordering::Relaxed);
        if wanted > before {
            self.free.add_permits(wanted - before);
        } else {
            let (free, less) = (self.free.clone(), before - wanted);
            tokio::spawn(async move {
                if let Ok(permit) = free.acquire_many(u32::try_from(less).unwrap_or(u32::MAX)).await {
                    permit.forget();
                }
            });
        }
    }
}

fn units(bytes: u64) -> usize {
    // A semaphore hands out no more than `u32::MAX` at once, which is 16 TiB.
    usize::try_from(bytes.div_ceil(UNIT_BYTES))
        .unwrap_or(usize::MAX)
        .clamp(1, (u32::MAX as usize).min(Semaphore::MAX_PERMITS))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_comes_when_it_is_used_up_waits_in_line() {
        let memory = Memory::new(16 * UNIT_BYTES);
        let first = memory.take(10 * UNIT_BYTES as usize).await;
        let mut second = Box::pin(memory.take(10 * UNIT_BYTES as usize));
        assert!((&mut second).now_or_never().is_none());
        // A small one that comes later does not overtake.
        let mut third = Box::pin(memory.take(1));
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        second.await;
        third.await;
        // More than there is at all is not waited for in vain.
        memory.take(1 << 30).await;
    }

    #[test]
    fn the_more_bodies_there_are_the_less_each_takes_at_once() {
        const MOST: usize = 512 * 1024;
        let memory = Memory::new(64 * MOST as u64);
        let mut bodies = Vec::new();
        let mut sizes = Vec::new();
        for count in 1..=4096 {
            bodies.push(memory.body());
            let size = bodies[0].batch_bytes(MOST);
            assert!(
                size == MOST || size == LEAST_BATCH_BYTES || 2 * count * size <= 64 * MOST,
                "{count} take {size} each"
            );
            sizes.push(size);
        }
        sizes.dedup();
        assert_eq!(sizes, [512 << 10, 256 << 10, 128 << 10, 64 << 10, 32 << 10]);
        assert!(bodies[0].is_scarce());
        assert_eq!(bodies[0].batch_bytes(10_000), 10_000);
        bodies.truncate(256);
        assert!(!bodies[0].is_scarce(), "256 have 64 KiB each");
        drop(bodies);
        assert!(!memory.is_short(MOST));
    }

    #[tokio::test]
    async fn the_limit_can_move() {
        let memory = Memory::new(4 * UNIT_BYTES);
        let all = memory.take(1 << 20).await;
        memory.set_limit(8 * UNIT_BYTES);
        let more = memory.take(4 * UNIT_BYTES as usize).await;
        memory.set_limit(2 * UNIT_BYTES);
        tokio::task::yield_now().await;
        drop((all, more));
        let left = memory.take(1 << 20).await;
        assert!(memory.take(1).now_or_never().is_none(), "two units are all there is");
        drop(left);
    }
}
