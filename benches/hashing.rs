//! How fast each implementation hashes on one core, and what handing over to the pool costs.
//!
//! `cargo bench --bench hashing`

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use longshore::hashing::{HashPool, Implementation, RunningDigest};
use longshore::oci::Algorithm;

const PIECE_BYTES: usize = 1 << 20;
const ROUNDS: usize = 9;

fn main() {
    let piece: Bytes = (0..PIECE_BYTES).map(|index| (index * 31) as u8).collect();
    println!("one stream, one core, GB/s (median of {ROUNDS})");
    for algorithm in Algorithm::ALL {
        for implementation in Implementation::ALL {
            let fastest = if implementation == Implementation::fastest(algorithm) { "  <- fastest()" } else { "" };
            let rate = rate_of(algorithm, implementation, &piece);
            println!("  {algorithm} {:<7} {rate:.2}{fastest}", implementation.as_str());
        }
    }
    println!("hash n bytes, microseconds (median): on the caller | by the pool, awaited");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    let pool = HashPool::start(0).expect("threads start");
    for kibibytes in [17, 32, 64, 128] {
        let data = piece.slice(..kibibytes << 10);
        let inline = median(1001, || {
            let mut running = RunningDigest::new(Algorithm::Sha256);
            running.update(black_box(&data));
            black_box(running);
        });
        let pooled = median(1001, || {
            let mut hasher = pool.hasher(RunningDigest::new(Algorithm::Sha256));
            hasher.feed(0, vec![data.clone()]).expect("bytes follow");
            black_box(runtime.block_on(hasher.state()).expect("hashing goes on"));
        });
        println!("  {kibibytes:>3} KiB  {:>7.1} | {:>7.1}", micros(inline), micros(pooled));
    }
}

/// GB/s.
fn rate_of(algorithm: Algorithm, implementation: Implementation, piece: &[u8]) -> f64 {
    const PIECES: usize = 100;
    let time = median(ROUNDS, || {
        let mut running = RunningDigest::new(algorithm);
        for _ in 0..PIECES {
            running.update_with(implementation, black_box(piece));
        }
        black_box(running);
    });
    (PIECES * PIECE_BYTES) as f64 / time.as_secs_f64() / 1e9
}

fn median(rounds: usize, mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[rounds / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
