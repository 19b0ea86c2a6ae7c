use std::sync::{Mutex, mpsc};

use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::super::{HashError, LaneKernel};
use super::thread_loop::QUANTUM_BYTES;
use super::*;
use crate::oci::{Algorithm, Digest};

const LARGE: usize = 100 << 10;

fn pattern(seed: usize, length: usize) -> Bytes {
    (0..length).map(|index| (index * 31 + seed * 17 + index / 251) as u8).collect()
}

fn digest_of(algorithm: Algorithm, data: &[u8]) -> Digest {
    let mut running = RunningDigest::new(algorithm);
    running.update(data);
    running.finish()
}

fn new_hasher(pool: &HashPool) -> Hasher {
    pool.hasher(RunningDigest::new(Algorithm::Sha256))
}

/// A pool of one thread that asks for leave before each turn, and tells the offset it starts from.
struct GatedPool {
    pool: HashPool,
    begun: mpsc::Receiver<u64>,
    go_on: mpsc::Sender<()>,
}

fn gated_pool() -> GatedPool {
    let (begin, begun) = mpsc::channel();
    let (go_on, leave) = mpsc::channel();
    let leave = Mutex::new(leave);
    let gate = move |digest: &mut RunningDigest, pieces: &[Bytes]| {
        begin.send(digest.offset()).unwrap();
        leave.lock().unwrap().recv().unwrap();
        hash_pieces(digest, pieces);
    };
    GatedPool { pool: HashPool::start_with(1, Arc::new(gate)).unwrap(), begun, go_on }
}

fn plans() -> Vec<LanePlan> {
    LaneKernel::ALL.into_iter().filter_map(LanePlan::forced).chain([LanePlan::SINGLE, LanePlan::current()]).collect()
}

#[test]
fn a_whole_of_some_size_waits_for_no_thread() {
    if !Implementation::has_instructions(Algorithm::Sha256) {
        return;
    }
    // Its thread is never let go on; if it has begun nevertheless, it ends with this.
    let GatedPool { pool, begun: _begun, go_on } = gated_pool();
    let whole = pattern(3, WHOLE_BYTES);
    let digest = pool.digest_of(Algorithm::Sha256, std::slice::from_ref(&whole)).now_or_never();
    drop(go_on);
    assert_eq!(digest, Some(Ok(digest_of(Algorithm::Sha256, &whole))));
}

#[tokio::test]
async fn a_whole_has_its_digest_whoever_hashes_it() {
    let pool = HashPool::start(1).unwrap();
    for algorithm in Algorithm::ALL {
        for length in [0, 1, 1000, WHOLE_BYTES - 1, WHOLE_BYTES, WHOLE_BYTES + 1, 3 * WHOLE_BYTES] {
            let whole = pattern(7, length);
            let middle = length / 3;
            let pieces = [whole.slice(..middle), whole.slice(middle..)];
            assert_eq!(pool.digest_of(algorithm, &pieces).await, Ok(digest_of(algorithm, &whole)), "{length} bytes");
        }
    }
}

#[tokio::test]
async fn many_streams_at_once_come_out_right() {
    for plan in plans() {
        many_streams_at_once(&HashPool::start_with_lanes(3, plan).unwrap()).await;
    }
}

async fn many_streams_at_once(pool: &HashPool) {
    let hash_one = async |seed: usize| {
        let algorithm = Algorithm::ALL[seed % 2];
        let data = pattern(seed, seed * 15_919);
        let mut hasher = pool.hasher(RunningDigest::new(algorithm));
        for (index, piece) in data.chunks(1 + seed * 331).enumerate() {
            hasher.feed(hasher.fed_to(), vec![data.slice_ref(piece), Bytes::new()]).unwrap();
            if index % 5 == 0 {
                hasher.wait_until(hasher.fed_to() / 2).await.unwrap();
                assert!(hasher.hashed_to() >= hasher.fed_to() / 2);
            }
        }
        let state = hasher.state().await.unwrap();
        assert_eq!(state.offset(), data.len() as u64);
        assert_eq!(state.finish(), digest_of(algorithm, &data), "stream {seed}");
    };
    join_all((0..60).map(hash_one)).await;
}

#[tokio::test]
async fn a_hasher_goes_on_from_a_state() {
    let pool = HashPool::start(0).unwrap();
    let data = pattern(1, 3 * LARGE);
    let mut begun = RunningDigest::new(Algorithm::Sha256);
    begun.update(&data[..LARGE + 1]);
    let mut hasher = pool.hasher(begun);
    assert_eq!((hasher.fed_to(), hasher.hashed_to()), (LARGE as u64 + 1, LARGE as u64 + 1));
    hasher.feed(LARGE as u64 + 1, vec![data.slice(LARGE + 1..)]).unwrap();
    assert_eq!(hasher.state().await.unwrap().finish(), digest_of(Algorithm::Sha256, &data));
}

#[tokio::test]
async fn a_gap_or_an_overlap_is_refused_and_changes_nothing() {
    let pool = HashPool::start(1).unwrap();
    let mut hasher = new_hasher(&pool);
    hasher.feed(0, vec![pattern(0, 10)]).unwrap();
    for found in [0, 9, 11] {
        let refused = hasher.feed(found, vec![pattern(0, 5)]);
        assert_eq!(refused, Err(HashError::Gap { expected: 10, found }));
    }
    assert_eq!(hasher.fed_to(), 10);
    assert_eq!(hasher.state().await.unwrap().finish(), digest_of(Algorithm::Sha256, &pattern(0, 10)));
}

#[test]
fn small_pieces_are_hashed_by_the_caller_unless_others_wait() {
    let GatedPool { pool, begun, go_on } = gated_pool();
    let mut hasher = new_hasher(&pool);
    hasher.feed(0, vec![pattern(0, 100), pattern(1, 100)]).unwrap();
    assert_eq!(hasher.hashed_to(), 200);
    hasher.feed(200, vec![pattern(2, LARGE)]).unwrap();
    assert_eq!(begun.recv().unwrap(), 200);
    hasher.feed(hasher.fed_to(), vec![pattern(3, 100)]).unwrap();
    assert_eq!(hasher.hashed_to(), 200);
    assert_eq!(hasher.newest_state().unwrap().offset(), 200);
    go_on.send(()).unwrap();
    assert_eq!(begun.recv().unwrap(), 200 + LARGE as u64);
    go_on.send(()).unwrap();
    futures_executor(hasher.wait_until(u64::MAX)).unwrap();
    assert_eq!(hasher.hashed_to(), hasher.fed_to());
}

#[test]
fn streams_take_turns() {
    let GatedPool { pool, begun, go_on } = gated_pool();
    let mut long = new_hasher(&pool);
    long.feed(0, vec![pattern(0, 3 * QUANTUM_BYTES)]).unwrap();
    assert_eq!(begun.recv().unwrap(), 0);
    let mut begun_before = RunningDigest::new(Algorithm::Sha256);
    begun_before.update(b"short");
    let mut short = pool.hasher(begun_before);
    short.feed(5, vec![pattern(1, LARGE)]).unwrap();
    for _ in 0..4 {
        go_on.send(()).unwrap();
    }
    let order: Vec<u64> = (0..3).map(|_| begun.recv().unwrap()).collect();
    assert_eq!(order, [5, QUANTUM_BYTES as u64, 2 * QUANTUM_BYTES as u64]);
    let state = futures_executor(long.state()).unwrap();
    assert_eq!(state.finish(), digest_of(Algorithm::Sha256, &pattern(0, 3 * QUANTUM_BYTES)));
}

#[test]
fn a_dropped_hasher_drops_its_work_and_tells_who_waits() {
    /// Bytes that are seen to be freed.
    struct Counted(Bytes, mpsc::Sender<()>);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.send(()).unwrap();
        }
    }
    let GatedPool { pool, begun, go_on } = gated_pool();
    let (free, freed) = mpsc::channel();
    let mut hasher = new_hasher(&pool);
    for _ in 0..3 {
        let piece = Bytes::from_owner(Counted(pattern(0, QUANTUM_BYTES), free.clone()));
        hasher.feed(hasher.fed_to(), vec![piece]).unwrap();
    }
    begun.recv().unwrap();
    let state = hasher.state();
    drop(hasher);
    freed.recv().unwrap();
    freed.recv().unwrap();
    assert!(freed.try_recv().is_err(), "the piece in hand is still needed");
    assert_eq!(futures_executor(state), Err(HashError::Dropped));
    go_on.send(()).unwrap();
    freed.recv().unwrap();

    let mut next = new_hasher(&pool);
    next.feed(0, vec![pattern(1, LARGE)]).unwrap();
    assert_eq!(begun.recv().unwrap(), 0);
    go_on.send(()).unwrap();
    futures_executor(next.state()).unwrap();
}

#[tokio::test]
async fn a_panic_fails_its_own_stream_only() {
    let faulty = |digest: &mut RunningDigest, pieces: &[Bytes]| {
        assert!(!pieces[0].starts_with(b"panic"), "made by the test");
        hash_pieces(digest, pieces);
    };
    let pool = HashPool::start_with(1, Arc::new(faulty)).unwrap();
    let mut unlucky = new_hasher(&pool);
    let mut lucky = new_hasher(&pool);
    let mut poison = b"panic".to_vec();
    poison.resize(LARGE, 0);
    unlucky.feed(0, vec![poison.into()]).unwrap();
    lucky.feed(0, vec![pattern(0, LARGE)]).unwrap();
    assert_eq!(unlucky.state().await, Err(HashError::Failed));
    assert_eq!(unlucky.wait_until(1).await, Err(HashError::Failed));
    assert_eq!(unlucky.newest_state(), Err(HashError::Failed));
    assert_eq!(unlucky.feed(LARGE as u64, vec![pattern(0, 1)]), Err(HashError::Failed));
    assert_eq!(lucky.state().await.unwrap().finish(), digest_of(Algorithm::Sha256, &pattern(0, LARGE)));
}

#[test]
fn threads_end_with_the_last_handle() {
    let witness = Arc::new(());
    let held = Arc::clone(&witness);
    let pool = HashPool::start_with(
        4,
        Arc::new(move |digest: &mut RunningDigest, pieces: &[Bytes]| {
            let _held = &held;
            hash_pieces(digest, pieces);
        }),
    )
    .unwrap();
    let hasher = new_hasher(&pool.clone());
    drop(pool);
    assert_eq!(Arc::strong_count(&witness), 2);
    drop(hasher);
    assert_eq!(Arc::strong_count(&witness), 1);
}

/// Runs one future on this thread, which may block: the gate is turned by the test itself.
fn futures_executor<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
