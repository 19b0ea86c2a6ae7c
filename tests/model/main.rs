//! Random interleavings of clients, cuts, kills, restarts, clock jumps, policies and storage faults at any call, against
//! a model of what must hold. Time is a manual clock's, the store is memory that fails as told, and the engine is used
//! through its public API only, with its real threads.
//!
//! | file | what |
//! |---|---|
//! | `upload.rs` | the model: which bytes an upload must and may hold, what may have ended it |
//! | `world.rs` | the store, the engines that come and go, the faults, what no answer may say |
//! | `process.rs` | a process that can be killed |
//! | `steps.rs`, `bodies.rs`, `races.rs` | what is done, and what its answer is held against |
//! | `end.rs` | the end: nothing is left but what was committed |
//!
//! A seed that fails fails again, as far as threads meet in the same way: `LONGSHORE_MODEL_SEED=7` runs only that one,
//! or as many from there on as `LONGSHORE_MODEL_SEEDS` says; `LONGSHORE_MODEL_STEPS` says how many steps of each.

mod bodies;
mod end;
mod policies;
mod process;
mod races;
mod random;
mod steps;
mod upload;
mod world;

use std::str::FromStr;

use crate::world::{Tally, World};

/// How many seeds are run, and how many steps of each.
const SEEDS: usize = 40;
const STEPS: u64 = 5_500;

/// How many run at once: they wait for timers now and then.
const AT_ONCE: usize = 4;

#[test]
fn whatever_happens_what_was_promised_holds() {
    let steps: u64 = from_environment("LONGSHORE_MODEL_STEPS").unwrap_or(STEPS);
    let first: Option<u64> = from_environment("LONGSHORE_MODEL_SEED");
    let many = from_environment("LONGSHORE_MODEL_SEEDS").unwrap_or(if first.is_some() { 1 } else { SEEDS });
    let seeds: Vec<u64> = (first.unwrap_or(1)..).take(many).collect();
    let mut done = 0;
    for lane in lanes(&seeds, steps) {
        done += lane.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause));
    }
    println!("{done} steps in all");
    assert!(done >= seeds.len() as u64 * steps);
}

fn lanes(seeds: &[u64], steps: u64) -> Vec<std::thread::JoinHandle<u64>> {
    (0..AT_ONCE)
        .map(|lane| {
            let own: Vec<u64> = seeds.iter().copied().skip(lane).step_by(AT_ONCE).collect();
            std::thread::spawn(move || own.into_iter().map(|seed| run(seed, steps)).sum())
        })
        .collect()
}

fn run(seed: u64, steps: u64) -> u64 {
    let began = std::time::Instant::now();
    let tally = actix::System::new().block_on(async move {
        let mut world = World::new(seed);
        while world.tally.steps < steps {
            world.step().await;
        }
        world.end().await;
        world.tally
    });
    let Tally { steps, faults, kills, drains, begun, commits, expiries, takeovers, resumed_bytes } = tally;
    println!(
        "seed {seed}: {steps} steps, {begun} uploads begun, {commits} committed, {expiries} expired, {faults} faults \
         struck, {kills} kills, {drains} drains, {takeovers} take-overs, {resumed_bytes} bytes resumed, {:.1} s",
        began.elapsed().as_secs_f64()
    );
    steps
}

fn from_environment<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
