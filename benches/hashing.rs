//! How fast each implementation hashes on one core, how fast several streams are hashed together, and what handing over
//! to the pool costs.
//!
//! `cargo bench --bench hashing`

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use longshore::hashing::{HashPool, Hasher, Implementation, LaneKernel, LanePlan, RunningDigest};
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
    println!("this processor's plan: {}", LanePlan::fastest());
    println!("n streams at once on one thread of the pool, pieces of 128 KiB, GB/s of all (median of {ROUNDS})");
    let forced = |kernel: LaneKernel| Some((kernel.as_str(), LanePlan::forced(kernel)?));
    let plans: Vec<_> = [("single", LanePlan::SINGLE), ("auto", LanePlan::fastest())]
        .into_iter()
        .chain(LaneKernel::ALL.into_iter().filter_map(forced))
        .collect();
    let names: Vec<String> = plans.iter().map(|(name, _)| format!("{name:>8}")).collect();
    println!("  streams {}", names.join(""));
    for streams in [1, 2, 3, 4, 6, 8, 12, 16, 32, 64] {
        let rates = plans.iter().map(|(_, plan)| format!("{:>8.2}", rate_together(*plan, streams, &piece)));
        println!("  {streams:>7} {}", rates.collect::<String>());
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

/// GB/s of streams that are fed in turn, and awaited all at the end.
fn rate_together(plan: LanePlan, streams: usize, piece: &Bytes) -> f64 {
    const STREAM_BYTES: usize = 4 << 20;
    const FEED_BYTES: usize = 128 << 10;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    let pool = HashPool::start_with_lanes(1, plan).expect("a thread starts");
    let time = median(ROUNDS, || {
        let new_hasher = |_| pool.hasher(RunningDigest::new(Algorithm::Sha256));
        let mut hashers: Vec<Hasher> = (0..streams).map(new_hasher).collect();
        for _ in 0..STREAM_BYTES / FEED_BYTES {
            for hasher in &mut hashers {
                hasher.feed(hasher.fed_to(), vec![piece.slice(..FEED_BYTES)]).expect("bytes follow");
            }
        }
        for hasher in &hashers {
            black_box(runtime.block_on(hasher.state()).expect("hashing goes on"));
        }
    });
    (streams * STREAM_BYTES) as f64 / time.as_secs_f64() / 1e9
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
