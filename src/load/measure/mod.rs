//! What is counted while a run goes on. Workers record into a few shards, so that they hardly meet; a sampler empties
//! the shards once a second.
//!
//! What should have started before the measuring began (the warm-up) does not count, and neither do tasks that the end of
//! the run broke off.

mod recorder;
mod shard;
mod totals;

pub use recorder::{Failure, Recorder, StallEnd, Timing};
pub use totals::Totals;

#[cfg(test)]
mod tests;
