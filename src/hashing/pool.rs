use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::stream::{Stream, Work};
use super::{HashError, Hasher, RunningDigest};

/// What a thread hashes of one stream before the next one has its turn: about a tenth of a millisecond with SHA
/// instructions, a millisecond without. The locks around it cost less than a thousandth of that.
const QUANTUM_BYTES: usize = 256 << 10;

/// Threads that hash. Cheap to clone; they stop when the last clone and the last [`Hasher`] are gone.
#[derive(Clone)]
pub struct HashPool {
    threads: Arc<Threads>,
}

struct Threads {
    queue: Arc<ReadyQueue>,
    handles: Vec<JoinHandle<()>>,
}

/// The streams that have something to be hashed, each once, in turn.
struct ReadyQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    ready: VecDeque<Arc<Stream>>,
    sleeping_threads: usize,
    stopping: bool,
}

/// Hashes pieces into a digest. (Tests put another one in.)
pub(crate) type HashPieces = Arc<dyn Fn(&mut RunningDigest, &[Bytes]) + Send + Sync>;

impl HashPool {
    /// Starts threads; 0 starts as many as there are cores.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(threads: usize) -> io::Result<HashPool> {
        HashPool::start_with(threads, Arc::new(hash_pieces))
    }

    /// With another hash in place of ours, for tests.
    pub(crate) fn start_with(threads: usize, hash_pieces: HashPieces) -> io::Result<HashPool> {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, |cores| cores.get()),
            threads => threads,
        };
        let queue = Arc::new(ReadyQueue { state: Mutex::default(), changed: Condvar::new() });
        // Made first, so that the threads that did start are stopped when a later one does not.
        let mut started = Threads { queue, handles: Vec::with_capacity(threads) };
        for index in 0..threads {
            let queue = Arc::clone(&started.queue);
            let hash_pieces = Arc::clone(&hash_pieces);
            let run = move || run_thread(&queue, &*hash_pieces);
            started.handles.push(thread::Builder::new().name(format!("hash-{index}")).spawn(run)?);
        }
        Ok(HashPool { threads: Arc::new(started) })
    }

    /// A hasher that goes on from `state`.
    pub fn hasher(&self, state: RunningDigest) -> Hasher {
        Hasher::new(self.clone(), state)
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
        self.queue.lock().stopping = true;
        self.queue.changed.notify_all();
        for handle in self.handles.drain(..) {
            // A waker that one of the threads rang may have held the last hasher.
            if handle.thread().id() != thread::current().id() && handle.join().is_err() {
                log::error!("a hashing thread panicked");
            }
        }
    }
}

impl ReadyQueue {
    fn push(&self, stream: Arc<Stream>) {
        let mut state = self.lock();
        state.ready.push_back(stream);
        let someone_sleeps = state.sleeping_threads > 0;
        drop(state);
        if someone_sleeps {
            self.changed.notify_one();
        }
    }

    /// The next stream in turn; `None` when the pool stops.
    fn pop(&self) -> Option<Arc<Stream>> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            if let Some(stream) = state.ready.pop_front() {
                return Some(stream);
            }
            state.sleeping_threads += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleeping_threads -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run_thread(queue: &ReadyQueue, hash_pieces: &dyn Fn(&mut RunningDigest, &[Bytes])) {
    while let Some(stream) = queue.pop() {
        let Some(Work { mut digest, pieces }) = stream.take(QUANTUM_BYTES) else {
            continue;
        };
        let hashed = catch_unwind(AssertUnwindSafe(|| {
            hash_pieces(&mut digest, &pieces);
            digest
        }));
        // Before anybody is told, since what waits for progress bounds memory by it.
        drop(pieces);
        match hashed {
            Ok(digest) => {
                if stream.put_back(digest) {
                    queue.push(stream);
                }
            }
            Err(_) => {
                log::error!("hashing panicked, the upload that it was for has failed");
                stream.end(HashError::Failed);
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
