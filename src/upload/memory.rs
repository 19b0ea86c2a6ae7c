//! A bound on what all bodies together have waiting in memory. Past it connections wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::OwnedSemaphorePermit;

use super::limit::Limit;
use super::turns::{Turn, Turns};

/// What is counted in one: finer would only cost.
const UNIT_BYTES: u64 = 4096;

/// The least that a body takes at once, so that what it writes is worth a write where all are in line.
const LEAST_BATCH_BYTES: usize = 32 * 1024;

/// Where half of the memory has less for each body, no body holds more than one batch.
const SCARCE_BYTES: usize = 64 * 1024;

/// What bodies wait in line for. Cheap to clone.
///
/// It bounds what has been taken from connections and is not written yet. Beside it there are, for each writer, what its
/// connection receives into, and the last batch, which may still be waiting to be hashed after it was written; and a part of
/// a page of those that take turns.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    units: Limit,
    /// Who of very many receives; its turn is a body's memory then.
    turns: Turns,
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
        self.memory.bodies()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.memory.bodies.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Memory {
    pub fn new(limit_bytes: u64) -> Self {
        Memory { units: Limit::new(units(limit_bytes)), turns: Turns::new(limit_bytes), bodies: Arc::default() }
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

    /// How many bodies there are.
    pub fn bodies(&self) -> usize {
        self.bodies.load(Ordering::Relaxed)
    }

    /// Whether there are so many bodies that they take turns, where they can.
    pub fn is_crowded(&self) -> bool {
        self.turns.are_taken_by(self.bodies())
    }

    /// The turn to receive, if there is one and nobody waits in line.
    pub fn try_turn(&self) -> Option<Turn> {
        self.turns.try_take()
    }

    /// Waits in line for the turn to receive; it always comes.
    pub async fn turn(&self) -> Option<Turn> {
        self.turns.take().await
    }

    /// What half of the memory has for each body.
    fn part(&self) -> usize {
        self.units.all() * UNIT_BYTES as usize / 2 / self.bodies().max(1)
    }

    /// Takes so many bytes if nobody waits in line.
    fn try_take(&self, bytes: usize) -> Option<Share> {
        let permit = self.units.try_take(units(bytes as u64))?;
        Some(Share { permit: Some(permit) })
    }

    /// Waits in line for so many bytes. A piece that is larger than the whole gets the whole.
    async fn take(&self, bytes: usize) -> Share {
        Share { permit: self.units.take(units(bytes as u64)).await }
    }

    /// From now on there is so much. Where there is less than before, it goes as it is given back.
    pub fn set_limit(&self, limit_bytes: u64) {
        self.units.set(units(limit_bytes));
        self.turns.set_limit(limit_bytes);
    }
}

fn units(bytes: u64) -> usize {
    // No more than `u32::MAX` are given at once, which is 16 TiB.
    usize::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(usize::MAX).clamp(1, Limit::MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
