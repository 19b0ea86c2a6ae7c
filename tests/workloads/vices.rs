//! Each vice is found, and told as what it is.

use longshore::load::plan::{
    Cancel, Contend, ContendOver, Cut, HeadMany, PullRanges, PushChunked, Replay, ReplayWhat, Resume, Sizes, Workload,
};
use longshore::load::report::{ErrorCount, FindingKind, Target};
use tokio::time::Duration;

use crate::registry::{BadRegistry, Vice};
use crate::runs::{findings, plan, report_of};

async fn with(vice: Vice, workload: Workload) -> (BadRegistry, Target) {
    let registry = BadRegistry::start(vice).await;
    let target = report_of(plan(registry.address, workload)).await;
    (registry, target)
}

fn resume(times: u32) -> Workload {
    let (wait, silence) = (Duration::from_millis(1), Duration::from_millis(100));
    Workload::Resume(Resume { cuts: vec![Cut::HalfClose], times, wait, silence })
}

fn chunked() -> Workload {
    Workload::PushChunked(PushChunked { chunk_sizes: Sizes::Fixed(10_000) })
}

/// Only this was found; each finding names the blob and says what was done.
fn assert_found(target: &Target, kind: FindingKind, in_detail: &str) {
    assert_eq!(findings(target), [kind], "{:?}", target.verification.findings);
    for finding in &target.verification.findings {
        assert!(finding.detail.contains(in_detail), "{finding:?}");
        assert!(finding.digest.starts_with("sha256:") && finding.repository.starts_with("load/"), "{finding:?}");
        assert!(finding.history.len() > 1 && finding.history.iter().all(|line| line.starts_with('+')), "{finding:?}");
    }
}

fn has_error(target: &Target, is_it: impl Fn(&ErrorCount) -> bool) -> bool {
    target.errors.iter().any(is_it)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_of_an_upload_are_lost() {
    let (_registry, target) = with(Vice::LosesBytes, resume(4)).await;
    assert_found(&target, FindingKind::LostBytes, "and now");
    let history = target.verification.findings[0].history.join("\n");
    assert!(history.contains("PATCH /v2/load/") && history.contains("(upload.status)"), "{history}");
    assert!(history.contains("by half-close") && history.contains("holds"), "{history}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn less_is_held_than_was_taken() {
    let (_registry, target) = with(Vice::KeepsLess, chunked()).await;
    assert_found(&target, FindingKind::LostBytes, "and holds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_bytes_are_told_of_than_were_sent() {
    let (_registry, target) = with(Vice::TellsTooMuch, resume(1)).await;
    assert_found(&target, FindingKind::WrongOffset, "were sent");
    assert_eq!(target.workloads["resume"].errors, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_offset_is_right_and_the_bytes_are_not() {
    let (_registry, target) = with(Vice::SpoilsBytes, resume(1)).await;
    assert_found(&target, FindingKind::LostBytes, "digest is another one");
    assert!(has_error(&target, |error| error.status == 400 && error.code == "DIGEST_INVALID"), "{:?}", target.errors);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_are_forgotten() {
    let (registry, target) = with(Vice::Forgets(3), resume(1)).await;
    assert_eq!(findings(&target), []);
    assert_eq!(target.resumes.restarted, 3);
    assert_eq!((target.workloads["resume"].count, registry.open_uploads()), (6, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_blobs_are_not_there() {
    for workload in [Workload::PushMonolithic, Workload::PushSinglePost, Workload::PushStreamed, chunked()] {
        let (_registry, target) = with(Vice::KeepsNothing, workload).await;
        assert_eq!(findings(&target), [FindingKind::Missing]);
        assert_eq!((target.verification.found, target.verification.looked_up), (6, 6));
        assert_eq!(target.errors, [], "the pushes were acknowledged");
    }
    let (registry, mut heads) = (BadRegistry::start(Vice::KeepsNothing).await, HeadMany::default());
    heads.heads = 2;
    let target = report_of(plan(registry.address, Workload::HeadMany(heads))).await;
    assert!(findings(&target).contains(&FindingKind::Missing));
    assert!(has_error(&target, |error| (error.operation.as_str(), error.status) == ("blob.head", 404)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_have_another_size() {
    for vice in [Vice::KeepsShort, Vice::ServesShort] {
        let (_registry, target) = with(vice, Workload::PushMonolithic).await;
        assert_found(&target, FindingKind::WrongSize, "bytes came");
    }
    let registry = BadRegistry::start(Vice::KeepsShort).await;
    let mut only_heads = plan(registry.address, Workload::PushMonolithic);
    only_heads.verify.pull_ratio = 0.0;
    let target = report_of(only_heads).await;
    assert_found(&target, FindingKind::WrongSize, "it tells");
    assert_eq!((target.verification.looked_up, target.verification.pulled), (6, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_bytes_are_served() {
    let (_registry, target) = with(Vice::ServesWrong, Workload::PushMonolithic).await;
    assert_found(&target, FindingKind::WrongBytes, "not those that were pushed");
    assert_eq!(target.workloads["push-monolithic"].errors, 0, "the push itself went well");

    let (_registry, target) = with(Vice::ServesWrong, Workload::PullWhole).await;
    assert!(findings(&target).contains(&FindingKind::WrongBytes));
    assert_eq!(target.workloads["pull-whole"].errors, 6);

    let (_registry, target) = with(Vice::ServesWrong, Workload::ManifestByTag).await;
    assert!(findings(&target).contains(&FindingKind::WrongBytes));
    assert_eq!(target.workloads["manifest-by-tag"].errors, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_again_is_appended_again() {
    let (registry, target) = with(Vice::AppendsAgain, Workload::Replay(Replay { what: ReplayWhat::Patch })).await;
    assert_found(&target, FindingKind::Accepted, "appended again");
    assert_eq!(registry.open_uploads(), 0, "a push that came to nothing is cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_upload_are_not_kept_apart() {
    let contend = Contend { over: ContendOver::Upload, clients: 3 };
    let (_registry, target) = with(Vice::AppendsAgain, Workload::Contend(contend)).await;
    assert_found(&target, FindingKind::WrongOffset, "were sent");
    assert_eq!(target.workloads["contend"].errors, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cancelled_is_still_there() {
    let (_registry, target) = with(Vice::KeepsCancelled, Workload::Cancel(Cancel { sent_ratio: 1.0 })).await;
    assert_found(&target, FindingKind::Accepted, "still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_reset() {
    let (registry, target) = with(Vice::Resets, Workload::PushStreamed).await;
    assert!(has_error(&target, |error| (error.status, error.code.as_str()) == (0, "reset")), "{:?}", target.errors);
    assert_eq!((target.workloads["push-streamed"].errors, target.connections.broken), (6, 6));
    assert_eq!(registry.open_uploads(), 0, "what failed is cancelled in the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_http_is_spoken() {
    let (_registry, target) = with(Vice::SpeaksNonsense, Workload::PushStreamed).await;
    assert!(has_error(&target, |error| (error.status, error.code.as_str()) == (0, "protocol")), "{:?}", target.errors);
    assert_eq!(target.workloads["push-streamed"].errors, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_is_busy() {
    let (registry, target) = with(Vice::IsBusy, chunked()).await;
    let busy = target.errors.iter().find(|error| error.operation == "upload.patch").expect("an error");
    assert_eq!((busy.status, busy.code.as_str()), (429, "TOOMANYREQUESTS"));
    assert_eq!(registry.answers("PATCH", 429), busy.count, "nothing is tried again behind the measures' back");

    let (_registry, target) = with(Vice::IsBusy, resume(2)).await;
    assert_eq!((target.workloads["resume"].count, findings(&target)), (6, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_are_ignored() {
    let ranges = PullRanges { range_sizes: Sizes::Fixed(1000), ranges: 2 };
    let (_registry, target) = with(Vice::IgnoresRanges, Workload::PullRanges(ranges)).await;
    assert!(has_error(&target, |error| error.example.contains("status 200, not 206")), "{:?}", target.errors);
    assert_eq!(target.workloads["pull-ranges"].errors, 6);
}
