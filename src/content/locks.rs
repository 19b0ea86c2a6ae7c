use std::hash::{BuildHasher, Hash, RandomState};

use tokio::sync::RwLock;

/// A fixed number of locks that stand for any number of things: two things may share one, which costs
/// waiting and nothing else. Holders never wait for a client's bytes.
#[derive(Debug)]
pub(super) struct Stripes {
    hasher: RandomState,
    locks: Box<[RwLock<()>]>,
}

impl Stripes {
    /// Enough that two of the things that are busy at one time rarely share a lock.
    const COUNT: usize = 256;

    pub(super) fn new() -> Self {
        Stripes { hasher: RandomState::new(), locks: (0..Self::COUNT).map(|_| RwLock::new(())).collect() }
    }

    /// The lock of `thing`.
    pub(super) fn of(&self, thing: &impl Hash) -> &RwLock<()> {
        // The remainder is below the number of locks, so it fits.
        let index = self.hasher.hash_one(thing) % (self.locks.len() as u64);
        &self.locks[index as usize]
    }
}
