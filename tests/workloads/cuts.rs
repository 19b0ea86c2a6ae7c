//! What a registry does to slow clients is told, and what a cut costs.

use std::collections::BTreeMap;

use longshore::load::plan::{Cut, Resume, Sizes, Stall, Workload};
use tokio::time::Duration;

use crate::harness::{Registry, Storage};
use crate::registry::{BadRegistry, Vice};
use crate::runs::{findings, plan, report_of};

fn stop() -> Workload {
    // The server's patience is far shorter.
    Workload::Stall(Stall { drip_rate: None, stop_for: Some(Duration::from_secs(600)) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_ends_silent_bodies_is_told() {
    const PATIENCE: Duration = Duration::from_millis(30);
    for (vice, by) in [(Vice::EndsSilentBodies(PATIENCE), "408"), (Vice::ResetsSilentBodies(PATIENCE), "reset")] {
        let registry = BadRegistry::start(vice).await;
        let target = report_of(plan(registry.address, stop())).await;
        let stalls = &target.stalls;
        assert_eq!((stalls.stalled, stalls.finished), (6, 0), "{stalls:?}");
        assert_eq!(stalls.ended, BTreeMap::from([(by.to_owned(), 6)]));
        assert!(stalls.time_to_end.count == 6 && stalls.time_to_end.min_us >= 30_000, "{stalls:?}");
        assert_eq!(target.errors, [], "it is what was asked for");
        assert_eq!(registry.open_uploads(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_of_longshore_that_strikes_is_told() {
    let registry = Registry::start_with(Storage::Memory, |config| {
        config.uploads.idle_timeout = Duration::from_secs(1);
        config.uploads.keep_failed_for = Duration::ZERO;
    })
    .await;
    let target = report_of(plan(registry.address(), stop())).await;
    let stalls = &target.stalls;
    assert_eq!((stalls.stalled, stalls.finished), (6, 0), "{stalls:?}");
    assert_eq!(stalls.ended.values().sum::<u64>(), 6, "{stalls:?}");
    assert!(stalls.time_to_end.min_us >= 1_000_000, "{stalls:?}");
    assert_eq!((target.errors.len(), findings(&target)), (0, vec![]), "{:?}", target.errors);
    registry.finish().await;
}

/// Until the half-closed body is at its end a correct registry keeps all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_that_loses_nothing_costs_nothing() {
    let registry = BadRegistry::start(Vice::None).await;
    let (wait, silence) = (Duration::from_millis(1), Duration::from_millis(500));
    let workload = Workload::Resume(Resume { cuts: vec![Cut::HalfClose], times: 1, wait, silence });
    let mut plan = plan(registry.address, workload);
    plan.content.sizes = Sizes::Fixed(100_000);
    let target = report_of(plan).await;
    assert_eq!((target.resumes.cuts, target.resumes.bytes_sent_again), (6, 0));
    assert_eq!(target.workloads["resume"].bytes, 600_000);
}
