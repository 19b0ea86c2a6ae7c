//! Times of a server whose delays are known: bounds from below, since a machine may always be slower.

use longshore::load::plan::{HeadMany, Shape, Workload};
use longshore::load::report::Latency;
use tokio::time::Duration;

use crate::registry::{BadRegistry, Vice};
use crate::runs::{assert_good, plan, report_of};

/// How many of the times were at least so long.
fn at_least(latency: &Latency, microseconds: u64) -> u64 {
    let histogram = latency.histogram().unwrap();
    let count = latency.count;
    let shorter = (0..count).filter(|nth| histogram.quantile_us((*nth as f64 + 0.5) / count as f64) < microseconds);
    count - shorter.count() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_takes_as_long_as_the_server_waits() {
    const DELAY: Duration = Duration::from_millis(20);
    let registry = BadRegistry::start(Vice::IsSlow(DELAY)).await;
    let target = report_of(plan(registry.address, Workload::PushStreamed)).await;
    assert_good(&target, "push-streamed", 6);
    for name in ["upload.start", "upload.patch", "blob.put"] {
        let operation = &target.operations[name];
        assert_eq!((operation.latency.count, operation.first_byte.count), (6, 6), "{name}");
        // The histogram keeps three digits.
        assert!(operation.latency.min_us >= 19_900, "{name}: {:?}", operation.latency);
        assert!(operation.first_byte.min_us >= 19_900, "{name}: {:?}", operation.first_byte);
        assert!(operation.first_byte.mean_us <= operation.latency.mean_us, "{name}");
    }
    assert!(target.workloads["push-streamed"].latency.min_us >= 3 * 19_900);
}

/// An open loop does not wait for a server that stands still: what was due meanwhile has waited, and its times say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_once_makes_all_wait_that_were_due() {
    const STANDS_STILL: Duration = Duration::from_millis(500);
    let registry = BadRegistry::start(Vice::StandsStillOnce { after: 40, length: STANDS_STILL }).await;
    let mut plan = plan(registry.address, Workload::HeadMany(HeadMany { heads: 1 }));
    plan.shape = Shape { rate: Some(200.0), max_in_flight: 4, count: Some(200), ..Shape::default() };
    let target = report_of(plan).await;
    assert_good(&target, "head-many", 200);
    let latency = &target.operations["blob.head"].latency;
    assert_eq!(latency.count, 200);
    // In half a second a hundred are due: the first of them waits for all of it, the last for nothing. Only four of them
    // could be sent.
    assert!(latency.max_us >= 490_000, "{latency:?}");
    assert!(at_least(latency, 250_000) >= 45, "{} of {latency:?}", at_least(latency, 250_000));
    assert!(at_least(latency, 100_000) >= 75, "{} of {latency:?}", at_least(latency, 100_000));
}
