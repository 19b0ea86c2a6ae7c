//! A correct registry gives no error and no finding, and nothing is left on it.

use longshore::load::plan::{
    Cancel, Contend, ContendOver, Cut, HeadMany, ImagePull, ImagePush, PullRanges, PushChunked, Replay, ReplayWhat,
    Resume, Sizes, Stall, TagsList, Trace, Workload,
};
use longshore::load::report::Target;
use tokio::time::Duration;

use crate::harness::{Registry, Storage};
use crate::registry::{BadRegistry, Vice};
use crate::runs::{assert_good, plan, report_of};

/// Does a workload on both registries, and lets `look` see what is told of each.
async fn on_both(workload: Workload, look: impl Fn(&Target)) {
    let name = workload.name();
    let small = BadRegistry::start(Vice::None).await;
    let target = report_of(plan(small.address, workload.clone())).await;
    assert_good(&target, name, 6);
    assert_eq!(small.open_uploads(), 0);
    look(&target);

    let registry = Registry::start(Storage::Memory).await;
    let target = report_of(plan(registry.address(), workload)).await;
    assert_good(&target, name, 6);
    look(&target);
    registry.finish().await;
}

/// Pushes are looked up and pulled afterwards, and none of that is counted with the requests.
fn pushes_are_verified(target: &Target) {
    assert_eq!((target.verification.looked_up, target.verification.pulled), (6, 6));
    assert!(!target.operations.contains_key("blob.get") && !target.operations.contains_key("blob.head"));
}

fn count(target: &Target, operation: &str) -> u64 {
    let Some(operation) = target.operations.get(operation) else { return 0 };
    assert_eq!((operation.errors, operation.latency.count), (0, operation.count));
    operation.count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_monolithic() {
    on_both(Workload::PushMonolithic, |target| {
        pushes_are_verified(target);
        assert_eq!((count(target, "upload.start"), count(target, "blob.put")), (6, 6));
        assert_eq!(target.operations["blob.put"].bytes, target.workloads["push-monolithic"].bytes);
        assert!(target.connections.opened >= 2 && target.connections.peak <= 2, "{:?}", target.connections);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_single_post() {
    on_both(Workload::PushSinglePost, |target| {
        pushes_are_verified(target);
        assert_eq!((count(target, "blob.post"), count(target, "upload.start")), (6, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_streamed() {
    on_both(Workload::PushStreamed, |target| {
        pushes_are_verified(target);
        assert_eq!((count(target, "upload.patch"), count(target, "blob.put")), (6, 6));
        assert_eq!(target.operations["upload.patch"].bytes, target.workloads["push-streamed"].bytes);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_chunked() {
    let chunk_sizes = Sizes::Uniform { least: 1, most: 40_000 };
    on_both(Workload::PushChunked(PushChunked { chunk_sizes }), |target| {
        pushes_are_verified(target);
        assert!(count(target, "upload.patch") > 6);
        assert_eq!(target.operations["upload.patch"].bytes, target.workloads["push-chunked"].bytes);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resume_after_each_kind_of_cut() {
    for cut in [Cut::Reset, Cut::HalfClose, Cut::Silence] {
        let workload =
            Resume { cuts: vec![cut], times: 2, wait: Duration::from_millis(1), silence: Duration::from_millis(100) };
        on_both(Workload::Resume(workload), |target| {
            pushes_are_verified(target);
            let resumes = &target.resumes;
            assert!((6..=12).contains(&resumes.cuts), "{cut:?}: {resumes:?}");
            assert_eq!((resumes.resumed, resumes.restarted), (6, 0), "{cut:?}");
            assert_eq!(resumes.time_to_offset.count, resumes.cuts, "{cut:?}");
            assert!(count(target, "upload.status") >= resumes.cuts, "{cut:?}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalls_that_are_borne() {
    for workload in [
        Stall { drip_rate: Some(2_000_000), stop_for: None },
        Stall { drip_rate: None, stop_for: Some(Duration::from_millis(20)) },
    ] {
        on_both(Workload::Stall(workload), |target| {
            assert_eq!((target.stalls.stalled, target.stalls.finished), (6, 6));
            assert!(target.stalls.ended.is_empty());
            assert_eq!(count(target, "upload.patch"), 0, "what is slow on purpose is not timed");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replays() {
    for what in [ReplayWhat::Patch, ReplayWhat::Put] {
        on_both(Workload::Replay(Replay { what }), pushes_are_verified).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contention() {
    for over in [ContendOver::Digest, ContendOver::Upload] {
        on_both(Workload::Contend(Contend { over, clients: 3 }), pushes_are_verified).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mounts() {
    on_both(Workload::Mount, |target| {
        assert_eq!(count(target, "blob.mount"), 6);
        assert_eq!(target.workloads["mount"].bytes, 0, "nothing is pushed where mounts are taken");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancels() {
    on_both(Workload::Cancel(Cancel { sent_ratio: 0.5 }), |target| {
        assert_eq!((count(target, "upload.cancel"), count(target, "upload.status")), (6, 6));
        assert_eq!(target.verification.looked_up, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls() {
    on_both(Workload::PullWhole, |target| {
        assert_eq!(count(target, "blob.get"), 6);
        assert_eq!(target.operations["blob.get"].bytes, target.workloads["pull-whole"].bytes);
    })
    .await;
    let ranges = PullRanges { range_sizes: Sizes::Uniform { least: 1, most: 50_000 }, ranges: 3 };
    on_both(Workload::PullRanges(ranges), |target| {
        assert_eq!(count(target, "blob.get-range"), 18);
        assert_eq!(target.operations["blob.get-range"].bytes, target.workloads["pull-ranges"].bytes);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups() {
    on_both(Workload::HeadMany(HeadMany { heads: 5 }), |target| assert_eq!(count(target, "blob.head"), 30)).await;
    on_both(Workload::ManifestByTag, |target| assert_eq!(count(target, "manifest.get"), 6)).await;
    on_both(Workload::TagsList(TagsList { page: 2 }), |target| assert!(count(target, "tags.list") >= 6)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images() {
    let layer_sizes = Some(Sizes::Fixed(20_000));
    on_both(Workload::ImagePush(ImagePush { layers: 3, layer_sizes, head_before: true, parallel: 2 }), |target| {
        assert_eq!((count(target, "blob.head"), count(target, "blob.put")), (24, 24));
        assert_eq!((count(target, "manifest.put"), target.verification.pulled), (6, 24));
        assert!(target.workloads["image-push"].bytes > 6 * 3 * 20_000);
    })
    .await;
    on_both(Workload::ImagePull(ImagePull { parallel: 2 }), |target| {
        assert_eq!(count(target, "manifest.get"), 6);
        assert!(count(target, "blob.get") >= 12);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace() {
    on_both(Workload::Trace(Trace::default()), |target| {
        assert!(target.operations.len() > 1, "{:?}", target.operations.keys());
    })
    .await;
}

/// They hold no thread, and none waits for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_are_open_at_once() {
    const MANY: u32 = 500;
    let registry = BadRegistry::start(Vice::WaitsForPuts(MANY as usize)).await;
    let mut plan = plan(registry.address, Workload::PushMonolithic);
    plan.shape.workers = Some(MANY);
    plan.shape.count = Some(MANY.into());
    plan.content.sizes = Sizes::Fixed(100);
    let target = report_of(plan).await;
    assert_good(&target, "push-monolithic", MANY.into());
    assert_eq!((target.connections.peak, target.connections.failed), (MANY.into(), 0));
}

/// A registry that takes blobs by uploads only is pushed to all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_offered_is_done_otherwise() {
    let registry = BadRegistry::start(Vice::OnlyUploads).await;
    for workload in [Workload::PushSinglePost, Workload::Mount] {
        let target = report_of(plan(registry.address, workload.clone())).await;
        assert_good(&target, workload.name(), 6);
        assert!(target.workloads[workload.name()].bytes > 0);
    }
    assert_eq!(registry.open_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_are_as_large_as_the_registry_wants_them() {
    let registry = BadRegistry::start(Vice::WantsChunks(10_000)).await;
    let chunked = PushChunked { chunk_sizes: Sizes::Uniform { least: 1, most: 5_000 } };
    let mut plan = plan(registry.address, Workload::PushChunked(chunked));
    plan.content.sizes = Sizes::Fixed(40_000);
    assert_good(&report_of(plan).await, "push-chunked", 6);
    assert_eq!(registry.smallest_chunk(), Some(10_000));
}
