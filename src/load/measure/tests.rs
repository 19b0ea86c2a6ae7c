use std::time::Duration;

use tokio::time::Instant;

use super::{Failure, Recorder, StallEnd, Timing};
use crate::load::report::{Finding, FindingKind, Target, samples};

fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn filled(recorder: &Recorder) -> Target {
    let mut target = samples::full().targets.remove(0);
    recorder.totals().fill(&mut target);
    target
}

fn timing(start: Instant, took: u64) -> Timing {
    Timing { should_start: start, first_byte: Some(start + milliseconds(took / 2)), end: start + milliseconds(took) }
}

#[test]
fn nothing_counts_that_should_have_started_before_the_measuring() {
    let recorder = Recorder::new();
    let start = Instant::now();
    let recorded = |start| {
        recorder.operation("blob.put", timing(start, 20), 10, Ok(()));
        recorder.workload("push", start, start + milliseconds(20), 10, true);
    };
    recorded(start);
    recorder.measure_from(start + milliseconds(5));
    recorded(start);
    recorded(start + milliseconds(5));
    let target = filled(&recorder);
    assert_eq!((target.operations["blob.put"].count, target.workloads["push"].count), (1, 1));
    assert_eq!(recorder.tasks_ended(), 3);
}

#[test]
fn workers_record_side_by_side_and_are_added_up() {
    let recorder = Recorder::new();
    let start = Instant::now();
    recorder.measure_from(start);
    std::thread::scope(|scope| {
        for number in 1..=20_u64 {
            let worker = recorder.for_worker();
            scope.spawn(move || {
                worker.operation("blob.put", timing(start, 10 * number), 3, Ok(()));
                worker.moved(3);
                worker.workload("push", start, start + milliseconds(10 * number), 3, number != 7);
            });
        }
    });
    let target = filled(&recorder);
    let put = &target.operations["blob.put"];
    assert_eq!((put.count, put.bytes, put.errors), (20, 60, 0));
    assert!(put.latency.max_us.abs_diff(200_000) < 300 && put.latency.p50_us.abs_diff(100_000) < 300, "{put:?}");
    assert!(put.first_byte.max_us.abs_diff(100_000) < 200, "{put:?}");
    let push = &target.workloads["push"];
    assert_eq!((push.count, push.errors, push.bytes), (19, 1, 57));
    assert_eq!((recorder.totals().requests(), recorder.totals().bytes()), (20, 57));
}

#[test]
fn a_sample_has_what_happened_since_the_one_before() {
    let recorder = Recorder::new();
    let start = Instant::now();
    recorder.measure_from(start);
    recorder.for_worker().operation("a", timing(start, 10), 0, Ok(()));
    recorder.for_worker().operation("a", timing(start, 30), 0, Ok(()));
    let failure = Failure::without_answer("reset", "it is gone");
    recorder.operation("a", timing(start, 30), 0, Err(&failure));
    recorder.moved(100);
    recorder.connection_opened(milliseconds(1));
    let first = recorder.sample(1.5);
    assert_eq!((first.at_seconds, first.requests, first.errors, first.bytes, first.connections), (1.5, 3, 1, 100, 1));
    assert!(first.p99_us.abs_diff(30_000) < 50, "{first:?}");
    recorder.connection_closed(false);
    let second = recorder.sample(2.5);
    assert_eq!((second.requests, second.errors, second.bytes, second.connections, second.p99_us), (0, 0, 0, 0, 0));
    assert_eq!(filled(&recorder).operations["a"].count, 2, "totals stay");
}

#[test]
fn errors_are_told_apart_and_bounded() {
    let recorder = Recorder::new();
    let start = Instant::now();
    recorder.measure_from(start);
    let fail = |code: &str| {
        recorder.for_worker().operation(
            "a",
            timing(start, 1),
            0,
            Err(&Failure::answer(500, code, &"long ".repeat(1000))),
        );
    };
    for number in 0..1000 {
        fail(&format!("CODE{number}"));
        fail("OFTEN");
    }
    let errors = filled(&recorder).errors;
    assert!(errors.len() <= 201, "{}", errors.len());
    assert_eq!(errors.iter().map(|error| error.count).sum::<u64>(), 2000);
    assert_eq!((errors[0].code.as_str(), errors[0].count), ("OFTEN", 1000));
    assert!(errors.iter().any(|error| error.code == "other"));
    assert!(errors.iter().all(|error| error.example.len() <= 300));
    assert_eq!(recorder.errors(), 2000);
}

#[test]
fn cuts_stalls_connections_and_findings_are_kept() {
    let recorder = Recorder::new();
    let start = Instant::now();
    recorder.cut();
    recorder.offset_told(start, start + milliseconds(50), 1000);
    recorder.resumed();
    recorder.restarted();
    recorder.stalled(start, StallEnd::Finished);
    recorder.stalled(start, StallEnd::Ended { by: "408".to_owned(), at: start + milliseconds(70) });
    recorder.connection_opened(milliseconds(2));
    recorder.for_worker().connection_opened(milliseconds(2));
    recorder.connection_closed(true);
    recorder.connection_failed();
    recorder.looked_up();
    recorder.pulled();
    for number in 0..150 {
        recorder.for_worker().finding(Finding {
            kind: FindingKind::Missing,
            repository: "a".to_owned(),
            digest: number.to_string(),
            detail: String::new(),
            history: Vec::new(),
        });
    }
    let target = filled(&recorder);
    let resumes = &target.resumes;
    assert_eq!((resumes.cuts, resumes.resumed, resumes.restarted, resumes.bytes_sent_again), (1, 1, 1, 1000));
    assert!(resumes.time_to_offset.max_us.abs_diff(50_000) < 100);
    assert_eq!((target.stalls.stalled, target.stalls.finished, target.stalls.ended["408"]), (2, 1, 1));
    let connections = &target.connections;
    assert_eq!((connections.opened, connections.failed, connections.broken, connections.peak), (2, 1, 1, 2));
    let verification = &target.verification;
    assert_eq!((verification.looked_up, verification.pulled, verification.found), (1, 1, 150));
    assert_eq!(verification.findings.len(), 100);
}
