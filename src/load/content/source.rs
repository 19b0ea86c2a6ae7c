use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Blob;
use super::tape::Tape;
use crate::load::plan::{ContentPlan, Uniqueness};

/// Digests of blobs up to this size are computed on a thread that must not be blocked: it takes tens of microseconds.
const SMALL_BYTES: u64 = 64 << 10;

/// Up to this size, states for digests are computed before the run begins.
const PREPARED_BYTES: u64 = 1 << 30;

/// Makes the blobs of a run; each is another one. Cheap to clone.
#[derive(Clone)]
pub struct Source {
    shared: Arc<Shared>,
}

struct Shared {
    tape: Arc<Tape>,
    seed: u64,
    drawn: AtomicU64,
    uniqueness: Uniqueness,
    piece_bytes: usize,
}

impl Source {
    /// Draws the tape, and computes what makes digests cheap for blobs up to 1 GiB of the sizes of `plan`. Takes
    /// as long as hashing that.
    pub fn new(plan: &ContentPlan, seed: u64) -> Self {
        let tape = Tape::new(seed);
        if plan.uniqueness == Uniqueness::Tail {
            tape.digest(plan.sizes.largest().min(PREPARED_BYTES), &[]);
        }
        Source::of_tape(tape, plan, seed)
    }

    pub(super) fn of_tape(tape: Tape, plan: &ContentPlan, seed: u64) -> Self {
        let piece_bytes = usize::try_from(plan.piece_size).unwrap_or(usize::MAX);
        let shared =
            Shared { tape: Arc::new(tape), seed, drawn: AtomicU64::new(0), uniqueness: plan.uniqueness, piece_bytes };
        Source { shared: Arc::new(shared) }
    }

    /// A blob of `size` bytes that this run never had. Its digest is computed on another thread where it takes time.
    ///
    /// Those of less than 8 bytes are not all different: there are not enough of them.
    pub async fn blob(&self, size: u64) -> Blob {
        let shared = &self.shared;
        // An odd factor gives each number another key.
        let number = shared.drawn.fetch_add(1, Ordering::Relaxed);
        let key = shared.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let is_quick = match shared.uniqueness {
            Uniqueness::Tail => shared.tape.knows(size),
            Uniqueness::Whole => size <= SMALL_BYTES,
        };
        let (tape, uniqueness, piece_bytes) = (Arc::clone(&shared.tape), shared.uniqueness, shared.piece_bytes);
        let make = move || Blob::new(tape, size, key, uniqueness, piece_bytes);
        if is_quick {
            return make();
        }
        match tokio::task::spawn_blocking(make.clone()).await {
            Ok(blob) => blob,
            // The runtime is going down; whoever waits is about to be dropped, too.
            Err(_) => make(),
        }
    }
}
