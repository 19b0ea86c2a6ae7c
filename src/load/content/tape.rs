use std::sync::RwLock;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::hashing::RunningDigest;
use crate::oci::{Algorithm, Digest};

/// 32 MiB and an odd number of bytes that is prime to the block sizes of stores.
const LAP_BYTES: usize = (32 << 20) + 4_099;

/// How far the saved digest states are apart.
const STATE_EVERY_BYTES: u64 = 1 << 20;

/// The bytes that all blobs of a run are made of, and the digest states of their beginnings.
pub(super) struct Tape {
    lap: Bytes,
    /// The state after `index` MiB of laps; grows when a longer blob is drawn.
    states: RwLock<Vec<RunningDigest>>,
}

impl Tape {
    pub(super) fn new(seed: u64) -> Self {
        Tape::with_lap(seed, LAP_BYTES)
    }

    pub(super) fn with_lap(seed: u64, lap_bytes: usize) -> Self {
        let mut lap = vec![0; lap_bytes];
        SmallRng::seed_from_u64(seed).fill_bytes(&mut lap);
        Tape { lap: lap.into(), states: RwLock::new(vec![RunningDigest::new(Algorithm::Sha256)]) }
    }

    /// The bytes from `offset` on, up to the lap's end, `most` at most.
    pub(super) fn slice(&self, offset: u64, most: usize) -> Bytes {
        let start = self.in_lap(offset);
        self.lap.slice(start..(start + most).min(self.lap.len()))
    }

    /// Which lap a byte is in, and where.
    pub(super) fn lap_of(&self, offset: u64) -> (u64, usize) {
        (offset / self.lap.len() as u64, self.in_lap(offset))
    }

    fn in_lap(&self, offset: u64) -> usize {
        (offset % self.lap.len() as u64) as usize
    }

    /// Whether the digest of a blob of `size` bytes takes microseconds.
    pub(super) fn knows(&self, size: u64) -> bool {
        let states = self.states.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        (states.len() as u64) * STATE_EVERY_BYTES > size
    }

    /// The digest of the first `length` bytes of laps, followed by `tail`.
    pub(super) fn digest(&self, length: u64, tail: &[u8]) -> Digest {
        let mut running = self.state_before(length);
        self.hash_up_to(&mut running, length);
        running.update(tail);
        running.finish()
    }

    /// The last saved state at or before `offset`; saves those that lack.
    fn state_before(&self, offset: u64) -> RunningDigest {
        let index = (offset / STATE_EVERY_BYTES) as usize;
        let read = self.states.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(state) = read.get(index) {
            return state.clone();
        }
        drop(read);
        let mut states = self.states.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        while states.len() <= index {
            let mut next = states[states.len() - 1].clone();
            let end = next.offset() + STATE_EVERY_BYTES;
            self.hash_up_to(&mut next, end);
            states.push(next);
        }
        states[index].clone()
    }

    fn hash_up_to(&self, running: &mut RunningDigest, end: u64) {
        while running.offset() < end {
            let most = usize::try_from(end - running.offset()).unwrap_or(usize::MAX);
            running.update(&self.slice(running.offset(), most.min(self.lap.len())));
        }
    }
}
