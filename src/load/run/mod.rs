//! A run: its targets in turns, workers at a pace, the report at the end.
//!
//! What is done is a [`Driver`]'s: it makes a [`Session`] for each turn of a target, which does one [`Workload`] after
//! the other with a [`Context`]. [`run()`] is the rest.
//!
//! [`Workload`]: crate::load::plan::Workload

mod around;
mod assemble;
mod closed;
mod context;
mod driver;
mod error;
mod ledger;
mod open;
mod own_cpu;
mod runner;
mod state;
mod stop;
mod targets;
#[cfg(test)]
mod tests;
mod turn;
mod work;

use std::path::PathBuf;

pub use context::Context;
pub use driver::{Done, Driver, Session, Target};
pub use error::RunError;
pub use ledger::{Ledger, PushedBlob, PushedManifest};
pub use runner::run;
pub use stop::{Stop, Stopper};

use crate::load::plan::Plan;

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The plan.
    pub plan: Plan,
    /// Hosts that may be put under load although they are not on this machine, since whoever runs this is in charge of
    /// them. Not part of a plan, so that nobody is by somebody else's file.
    pub in_charge_of: Vec<String>,
    /// The longshore that embedded servers are made of; `None`: the program that runs now.
    pub program: Option<PathBuf>,
}
