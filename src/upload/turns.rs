//! Whose turn it is to receive, where there are many bodies.
//!
//! Whoever waits for a turn has not received yet: its bytes stay with the kernel, and with the client behind it, and gather
//! there. So what many bodies hold in memory does not grow with their number, and the more there are the larger a part each
//! brings at once. Without turns 9,000 bodies that dripped took 94 KiB each and 14 s of CPU for each GiB, with them 45 KiB
//! and 7 s (2 cores, the client among them).

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::limit::Limit;

/// How much each receives at once: as much as a block of its connection's.
pub(super) const TURN_BYTES: usize = 256 * 1024;

/// So many receive, hash and write at once: enough for the disk and for hashing in lanes.
const MOST_TURNS: u64 = 128;

/// The turns that nobody has. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Turns(Limit);

/// The right to receive some of a body; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
}

/// Bytes of a body, and the turn in which they were received, if it was in one. It ends when they are hashed and written,
/// or with this.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub pieces: Vec<Bytes>,
    pub turn: Option<Turn>,
}

impl Turns {
    /// For bodies that have so much memory together, of which this is half.
    pub fn new(limit_bytes: u64) -> Self {
        Turns(Limit::new(number(limit_bytes)))
    }

    /// Whether there are fewer turns than bodies.
    pub fn are_taken_by(&self, bodies: usize) -> bool {
        self.0.all() < bodies
    }

    /// A turn, if one is free and nobody is in line.
    pub fn try_take(&self) -> Option<Turn> {
        self.0.try_take(1).map(|permit| Turn { _permit: permit })
    }

    /// Waits in line for one; it always comes.
    pub async fn take(&self) -> Option<Turn> {
        self.0.take(1).await.map(|permit| Turn { _permit: permit })
    }

    /// From now on there is so much memory.
    pub fn set_limit(&self, limit_bytes: u64) {
        self.0.set(number(limit_bytes));
    }
}

fn number(limit_bytes: u64) -> usize {
    // Not more than `MOST_TURNS`.
    (limit_bytes / 2 / TURN_BYTES as u64).clamp(1, MOST_TURNS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_take_half_of_the_memory_at_most() {
        for (limit_mib, turns) in [(8, 16), (64, 128), (512, 128), (0, 1)] {
            let taken = Turns::new(limit_mib << 20);
            assert!(taken.are_taken_by(turns + 1) && !taken.are_taken_by(turns), "{limit_mib} MiB");
        }
    }
}
