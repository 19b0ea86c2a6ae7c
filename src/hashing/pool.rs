use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::stream::Stream;
use super::{HashError, Hasher, Implementation, LanePlan, RunningDigest};
use crate::oci::{Algorithm, Digest};
use queue::ReadyQueue;

mod queue;
mod thread_loop;

/// Up to this a whole is hashed by the caller, where the processor has instructions for it: it takes 64 microseconds then,
/// a hand-over to a sleeping thread and back 47 more (`benches/hashing.rs`). Pushes of small images (10 layers of 100 KiB)
/// took 7 % less CPU than with a hand-over.
const WHOLE_BYTES: usize = 128 << 10;

/// Threads that hash. Cheap to clone; they stop when the last clone and the last [`Hasher`] are gone.
#[derive(Clone)]
pub struct HashPool {
    threads: Arc<Threads>,
}

struct Threads {
    queue: Arc<ReadyQueue>,
    handles: Vec<JoinHandle<()>>,
}

/// Hashes pieces into one digest. (Tests put another one in.)
pub(crate) type HashPieces = Arc<dyn Fn(&mut RunningDigest, &[Bytes]) + Send + Sync>;

impl HashPool {
    /// Starts threads; 0 starts as many as there are cores. Streams are hashed together as [`LanePlan::current`] says.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(threads: usize) -> io::Result<HashPool> {
        HashPool::start_planned(threads, LanePlan::current(), Arc::new(hash_pieces))
    }

    /// Starts threads that hash by a certain plan.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start_with_lanes(threads: usize, plan: LanePlan) -> io::Result<HashPool> {
        HashPool::start_planned(threads, plan, Arc::new(hash_pieces))
    }

    /// With another hash in place of ours, for tests; each stream alone.
    #[cfg(test)]
    pub(crate) fn start_with(threads: usize, hash_pieces: HashPieces) -> io::Result<HashPool> {
        HashPool::start_planned(threads, LanePlan::SINGLE, hash_pieces)
    }

    fn start_planned(threads: usize, plan: LanePlan, hash_pieces: HashPieces) -> io::Result<HashPool> {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, |cores| cores.get()),
            threads => threads,
        };
        let queue = Arc::new(ReadyQueue::new(plan, threads));
        // Made first, so that the threads that did start are stopped when a later one does not.
        let mut started = Threads { queue, handles: Vec::with_capacity(threads) };
        for index in 0..threads {
            let queue = Arc::clone(&started.queue);
            let hash_pieces = Arc::clone(&hash_pieces);
            let run = move || thread_loop::run(&queue, &*hash_pieces);
            started.handles.push(thread::Builder::new().name(format!("hash-{index}")).spawn(run)?);
        }
        Ok(HashPool { threads: Arc::new(started) })
    }

    /// A hasher that goes on from `state`.
    pub fn hasher(&self, state: RunningDigest) -> Hasher {
        Hasher::new(self.clone(), state)
    }

    /// The digest of a whole whose pieces are all there. Up to some size the caller hashes itself.
    ///
    /// # Errors
    /// [`HashError::Failed`].
    pub async fn digest_of(&self, algorithm: Algorithm, pieces: &[Bytes]) -> Result<Digest, HashError> {
        let mut running = RunningDigest::new(algorithm);
        let bytes: usize = pieces.iter().map(Bytes::len).sum();
        if bytes <= WHOLE_BYTES && Implementation::has_instructions(algorithm) {
            hash_pieces(&mut running, pieces);
            return Ok(running.finish());
        }
        let mut hasher = self.hasher(running);
        hasher.feed(0, pieces.to_vec())?;
        Ok(hasher.state().await?.finish())
    }

    /// How streams are hashed together.
    pub fn lanes(&self) -> LanePlan {
        *self.threads.queue.plan()
    }

    /// Lets a stream have its turn. It must not be in the queue.
    pub(super) fn schedule(&self, stream: Arc<Stream>) {
        self.threads.queue.push(stream);
    }
}

impl fmt::Debug for HashPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool").field("threads", &self.threads.handles.len()).finish()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.queue.stop();
        for handle in self.handles.drain(..) {
            // A waker that one of the threads rang may have held the last hasher.
            if handle.thread().id() != thread::current().id() && handle.join().is_err() {
                log::error!("a hashing thread panicked");
            }
        }
    }
}

fn hash_pieces(digest: &mut RunningDigest, pieces: &[Bytes]) {
    for piece in pieces {
        digest.update(piece);
    }
}

#[cfg(test)]
mod tests;
