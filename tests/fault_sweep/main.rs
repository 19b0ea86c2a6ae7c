//! Every driver call of every operation fails once, in every way, below the whole registry; the client tries again.
//!
//! For each operation and each kind of fault, the n-th driver call fails, before its effect or after it, for n = 1, 2 …
//! until the operation makes no such call. The client asks where it stands and goes on. Then what it was told must be
//! true, and nothing may be left. In place of failing once, a process may die there: every later call of it fails, and the
//! client goes on with another process.

mod blow;
mod engine_sweep;
#[allow(dead_code, unused_imports, reason = "shared with tests/it, which uses all of it")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod lifecycle;
mod machine;
mod operations;
mod store;
mod sweep;

use std::sync::Mutex;

use futures_util::future::LocalBoxFuture;
use longshore::storage::StorageErrorKind;
use tokio::time::Instant;

use blow::Blow;
use engine_sweep::EngineSweep;
use lifecycle::Lifecycle;
use operations::Operation;
use store::Store;
use sweep::Sweep;

const KINDS: [StorageErrorKind; 3] = [StorageErrorKind::Fault, StorageErrorKind::Full, StorageErrorKind::TimedOut];

/// How many sweeps run beside each other: most of their time they wait.
const AT_ONCE: usize = 6;

/// No operation makes so many calls; a sweep that gets there would never end.
const MOST_CALLS: u64 = 300;

/// Says at which point a test failed.
struct Point(String);

impl Drop for Point {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("at this point: {}", self.0);
        }
    }
}

/// One operation with one kind of blow, at each of its calls; gives how many points were tried, and the uploads that were
/// left and of which no client ever knew.
type Work = Box<dyn FnOnce() -> LocalBoxFuture<'static, (u64, u64)> + Send>;

impl From<Sweep> for Work {
    fn from(sweep: Sweep) -> Work {
        Box::new(|| Box::pin(sweep.run()))
    }
}

impl From<EngineSweep> for Work {
    fn from(sweep: EngineSweep) -> Work {
        Box::new(|| Box::pin(sweep.run()))
    }
}

/// Runs sweeps beside each other, each on one of a few threads; gives how many points were tried.
fn run(sweeps: Vec<impl Into<Work> + Send>) -> u64 {
    // The registry says of each injected fault that it happened; RUST_LOG brings that back.
    let _ = env_logger::builder().filter_level(log::LevelFilter::Off).parse_default_env().try_init();
    let (began_at, queue) = (Instant::now(), Mutex::new(sweeps));
    let next = || queue.lock().expect("no panic").pop();
    let work = || {
        let system = actix::System::new();
        let mut totals = (0, 0);
        while let Some(sweep) = next() {
            let (points, strays) = system.block_on(sweep.into()());
            totals = (totals.0 + points, totals.1 + strays);
        }
        totals
    };
    let done: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    let (points, strays) = done.iter().flatten().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    println!("{points} points in {:?}, {strays} strays", began_at.elapsed());
    let failed = done.iter().filter(|result| result.is_err()).count();
    assert_eq!(failed, 0, "{failed} sweeps failed, see above");
    points
}

#[test]
fn every_call_fails_once_and_a_client_that_tries_again_finds_everything_as_it_was_told() {
    let mut sweeps = Vec::new();
    for operation in Operation::ALL {
        for kind in KINDS {
            for after_effect in [false, true] {
                sweeps.push(Sweep::new(operation, Blow::once(kind, after_effect), Store::memory()));
            }
        }
    }
    assert!(run(sweeps) > 500);
}

#[test]
fn two_calls_in_a_row_fail() {
    let mut sweeps = Vec::new();
    for operation in Operation::SHORT {
        for after_effect in [false, true] {
            let blow = Blow { times: 2, ..Blow::once(StorageErrorKind::Fault, after_effect) };
            sweeps.push(Sweep::new(operation, blow, Store::memory()));
        }
    }
    assert!(run(sweeps) > 50);
}

#[test]
fn the_process_dies_at_every_call_and_the_next_one_goes_on() {
    let mut sweeps = Vec::new();
    for operation in Operation::ALL {
        for after_effect in [false, true] {
            sweeps.push(Sweep::new(operation, Blow::death(after_effect), Store::memory()));
        }
    }
    assert!(run(sweeps) > 100);
}

#[test]
fn every_call_on_files_fails_once_and_no_file_stays_open() {
    let mut sweeps = Vec::new();
    for operation in Operation::ALL {
        for blow in
            [Blow::once(StorageErrorKind::Fault, false), Blow::once(StorageErrorKind::Full, true), Blow::death(false)]
        {
            sweeps.push(Sweep::new(operation, blow, Store::filesystem()));
        }
    }
    assert!(run(sweeps) > 200);
}

#[test]
fn every_call_of_an_uploads_later_life_fails_once() {
    let mut sweeps = Vec::new();
    for operation in Lifecycle::ALL {
        for kind in KINDS {
            for after_effect in [false, true] {
                sweeps.push(EngineSweep::new(operation, Blow::once(kind, after_effect)));
            }
        }
    }
    assert!(run(sweeps) > 300);
}

#[test]
fn the_process_dies_at_every_call_of_an_uploads_later_life() {
    let mut sweeps = Vec::new();
    for operation in Lifecycle::ALL {
        for after_effect in [false, true] {
            sweeps.push(EngineSweep::new(operation, Blow::death(after_effect)));
        }
    }
    assert!(run(sweeps) > 100);
}
