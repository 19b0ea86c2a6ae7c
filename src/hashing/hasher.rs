use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::stream::Stream;
use super::{HashPool, RunningDigest};

/// Up to this, and with nothing waiting before it, the caller hashes itself. Handing over to a sleeping thread and
/// being woken by it takes about 47 microseconds; 32 KiB take 16 with SHA instructions and 96 without
/// (`benches/hashing.rs`). More would hold up the caller's other work for longer than the hand-over costs.
const INLINE_BYTES: usize = 32 << 10;

/// Feeds one running digest. Dropping it drops what is not hashed yet.
pub struct Hasher {
    pool: HashPool,
    stream: Arc<Stream>,
    fed_to: u64,
}

/// Why a digest cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashError {
    /// The bytes do not follow those that were fed before.
    Gap {
        /// The offset of the next byte.
        expected: u64,
        /// The offset they were said to have.
        found: u64,
    },
    /// The thread that hashed it panicked: a fault of this program.
    Failed,
    /// The hasher was dropped before everything was hashed.
    Dropped,
}

impl Hasher {
    pub(super) fn new(pool: HashPool, state: RunningDigest) -> Self {
        let fed_to = state.offset();
        Hasher { pool, stream: Arc::new(Stream::new(state)), fed_to }
    }

    /// Hands bytes over, which stand at `offset`; returns without waiting for their hashing. Nothing bounds how much
    /// waits: the caller does, by [`Hasher::wait_until`].
    ///
    /// # Errors
    /// [`HashError::Gap`] when they are not the next ones (nothing is hashed then); [`HashError::Failed`].
    pub fn feed(&mut self, offset: u64, pieces: Vec<Bytes>) -> Result<(), HashError> {
        if offset != self.fed_to {
            return Err(HashError::Gap { expected: self.fed_to, found: offset });
        }
        let fed_bytes: usize = pieces.iter().map(Bytes::len).sum();
        self.fed_to += fed_bytes as u64;
        let pieces = match fed_bytes <= INLINE_BYTES {
            true => match self.stream.hash_inline(pieces) {
                Ok(()) => return Ok(()),
                Err(pieces) => pieces,
            },
            false => pieces,
        };
        if self.stream.add(pieces)? {
            self.pool.schedule(Arc::clone(&self.stream));
        }
        Ok(())
    }

    /// The offset of the next byte to feed.
    pub fn fed_to(&self) -> u64 {
        self.fed_to
    }

    /// How far it is hashed.
    pub fn hashed_to(&self) -> u64 {
        self.stream.hashed_to()
    }

    /// The state as far as it is hashed, without waiting.
    ///
    /// # Errors
    /// [`HashError::Failed`].
    pub fn newest_state(&self) -> Result<RunningDigest, HashError> {
        self.stream.newest()
    }

    /// Resolves when everything before `offset` (or, if less, everything fed so far) is hashed. The future stands on
    /// its own: it does not borrow the hasher.
    ///
    /// # Errors
    /// [`HashError::Failed`]; [`HashError::Dropped`] when the hasher is gone before.
    pub fn wait_until(&self, offset: u64) -> impl Future<Output = Result<(), HashError>> + Send + use<> {
        let stream = Arc::clone(&self.stream);
        let offset = offset.min(self.fed_to);
        async move { stream.wait_until(offset).await.map(drop) }
    }

    /// The state when everything fed so far is hashed. The future stands on its own.
    ///
    /// # Errors
    /// [`HashError::Failed`]; [`HashError::Dropped`] when the hasher is gone before.
    pub fn state(&self) -> impl Future<Output = Result<RunningDigest, HashError>> + Send + use<> {
        let stream = Arc::clone(&self.stream);
        let offset = self.fed_to;
        async move { stream.wait_until(offset).await }
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.stream.end(HashError::Dropped);
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("fed_to", &self.fed_to).field("hashed_to", &self.hashed_to()).finish()
    }
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HashError::Gap { expected, found } => {
                write!(f, "bytes at offset {found} do not follow those up to {expected}")
            }
            HashError::Failed => f.write_str("hashing failed"),
            HashError::Dropped => f.write_str("hashing was given up"),
        }
    }
}

impl Error for HashError {}
