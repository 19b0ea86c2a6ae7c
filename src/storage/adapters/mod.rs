//! Drivers around drivers. Each is an [`Adapter`], which forwards, with an [`Around`], which says what is done around
//! every call, those of partial writers and streams included. They compose in any order:
//!
//! ```ignore
//! let driver = Meter::new(Arc::new(Deadline::new(driver, timeout)), &metrics);
//! ```
//!
//! [`Faulty`] and [`PowerCut`] are for tests only; they are compiled with the crate so that tests of every kind can use
//! them. The latter is a store of its own, to be put innermost.

mod call;
mod deadline;
mod faulty;
mod forward;
mod limit;
mod meter;
mod power_cut;
#[cfg(test)]
mod testing;

pub use call::{Around, Call, Operation};
pub use deadline::{Deadline, Timeout};
pub use faulty::{Fault, Faults, Faulty, Gate};
pub use forward::Adapter;
pub use limit::{Limit, Turns};
pub use meter::{Counts, Meter};
pub use power_cut::PowerCut;

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Arc;
    use std::time::Duration;

    use super::testing::suite_passes;
    use super::*;
    use crate::telemetry::Metrics;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_suite_passes_through_all_of_them() {
        suite_passes(|memory| {
            let limit = Arc::new(Limit::new(memory, NonZeroUsize::MIN));
            let deadline = Arc::new(Deadline::new(limit, Duration::from_secs(600)));
            Arc::new(Meter::new(Arc::new(Faulty::new(deadline)), &Metrics::unregistered()))
        })
        .await;
    }
}
