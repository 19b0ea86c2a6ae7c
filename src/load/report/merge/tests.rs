use super::*;
use crate::load::report::{Histogram, Sample, Turn, samples};

/// The run of one of two machines: it began `later_seconds` after the hour.
fn run(host: &str, later_seconds: u32) -> (String, Report) {
    let mut report = samples::full();
    report.started_at = format!("2026-11-21T09:00:{later_seconds:02}Z");
    report.machines = vec![samples::machine(host)];
    report.interrupted = false;
    (format!("{host}.json"), report)
}

#[track_caller]
fn sum(reports: &[(String, Report)]) -> Report {
    merge(reports).unwrap()
}

#[track_caller]
fn refused(reports: &[(String, Report)]) -> String {
    merge(reports).unwrap_err().to_string()
}

#[test]
fn counters_and_histograms_are_added_exactly() {
    let (mut one, other) = (run("alpha", 0), run("beta", 0));
    let mut fast = Histogram::new();
    (1..=300).for_each(|n| fast.record(Duration::from_micros(n)));
    let workload = one.1.targets[0].workloads.get_mut("push-streamed").unwrap();
    (workload.count, workload.latency) = (300, fast.summary());
    one.1.targets[0].operations.remove("blob.head");
    let merged = sum(&[one, other]);

    let target = &merged.targets[0];
    let workload = &target.workloads["push-streamed"];
    assert_eq!((workload.count, workload.errors, workload.bytes), (400, 4, 8 << 30));
    let mut expected = fast;
    expected.add(&samples::latency(300).histogram().unwrap());
    assert_eq!(workload.latency, expected.summary());
    assert_eq!(target.operations["blob.head"], samples::target("a").operations["blob.head"]);
    assert_eq!(target.operations["blob.patch"].errors, 80);
    assert_eq!((target.errors.len(), target.errors[0].count), (1, 80));
    assert_eq!(target.stalls.ended["408"], 4);
    assert_eq!((target.resumes.cuts, target.resumes.time_to_offset.count), (10, 200));
    assert_eq!((target.connections.opened, target.connections.peak), (40, 16));
    assert_eq!((target.starts.due, target.starts.lateness.count), (200, 200));
    assert_eq!((target.verification.found, target.verification.findings.len()), (2, 2));
    assert_eq!(target.measured_seconds, 10.0);
    assert_eq!(target.bytes_per_second(), Some((8_u64 << 30) as f64 / 10.0));
}

#[test]
fn timelines_are_aligned_by_the_time_of_day() {
    let (one, mut other) = (run("alpha", 7), run("beta", 4));
    for target in &mut other.1.targets {
        target.timeline.iter_mut().for_each(|sample| (sample.p50_us, sample.p99_us) = (9000, 10_000));
    }
    let merged = sum(&[one, other]);
    assert_eq!(merged.started_at, "2026-11-21T09:00:04Z");
    assert_eq!(merged.duration_seconds, 35.5);
    let target = &merged.targets[0];
    let both = Turn { tasks: 100, requests: 400, bytes: 4 << 30, server: None, ..Turn::default() };
    let turns: Vec<Turn> = [(0.0, 8.0), (10.0, 18.0)]
        .map(|(started_seconds, ended_seconds)| Turn { started_seconds, ended_seconds, ..both.clone() })
        .into();
    assert_eq!(target.turns, turns);
    let at = |second: f64| *target.timeline.iter().find(|sample| sample.at_seconds == second).unwrap();
    let alone = Sample {
        at_seconds: 2.0,
        bytes: 400 << 20,
        requests: 44,
        errors: 4,
        connections: 8,
        p50_us: 9000,
        p99_us: 10_000,
    };
    assert_eq!(at(2.0), alone);
    let both =
        Sample { at_seconds: 3.0, bytes: 800 << 20, requests: 88, errors: 8, connections: 16, p50_us: 7000, ..alone };
    assert_eq!(at(3.0), both);
    assert_eq!(target.timeline.iter().map(|sample| sample.bytes).sum::<u64>(), 20 * (400 << 20));
    assert!(merged.notes[0].starts_with("the runs began up to 3.0 s apart"), "{:?}", merged.notes);
}

#[test]
fn the_server_is_counted_once_and_each_generator_and_control() {
    let (one, mut other) = (run("alpha", 0), run("beta", 0));
    other.1.targets[0].server = None;
    other.1.generator.cpu_share = 0.75;
    let merged = sum(&[one, other]);
    let server = merged.targets[0].server.as_ref().unwrap();
    assert_eq!(server.cpu_seconds(), 8.0);
    // The same time for twice as much.
    assert_eq!((server.cpu_seconds_per_gib, server.cpu_us_per_request), (Some(1.0), Some(750.0)));
    let both_watched = merged.targets[1].server.as_ref().unwrap();
    assert_eq!((both_watched.cpu_seconds(), both_watched.cpu_seconds_per_gib), (8.0, Some(1.0)));
    let control = merged.targets[2].server.as_ref().unwrap();
    assert_eq!((control.cpu_seconds(), control.cpu_seconds_per_gib), (16.0, Some(2.0)));
    assert_eq!((merged.generator.cpu_seconds(), merged.generator.cpu_share), (16.0, 0.75));
    assert_eq!(merged.generator.peak_memory_bytes, 128 << 20);
}

#[test]
fn generators_on_one_machine_share_it() {
    let (one, mut other) = (run("alpha", 0), run("alpha", 0));
    other.1.generator.cpu_share = 0.5;
    let merged = sum(&[one, other]);
    assert_eq!(merged.machines.len(), 1);
    assert_eq!(merged.generator.cpu_share, 0.75);
}

#[test]
fn different_plans_and_versions_are_kept_and_told() {
    let (one, mut other) = (run("alpha", 0), run("beta", 0));
    other.1.plan["duration"] = "60s".into();
    other.1.tool = "longshore 0.2.0".to_owned();
    other.1.targets.remove(1);
    let merged = sum(&[one.clone(), other.clone()]);
    assert_eq!(merged.plan, serde_json::json!([one.1.plan, other.1.plan]));
    assert_eq!(merged.tool, "longshore 0.1.0, longshore 0.2.0");
    assert_eq!(merged.targets.len(), 3);
    assert!(merged.notes.iter().any(|note| note == "b is in 1 of 2 reports only"), "{:?}", merged.notes);
    assert!(merged.notes.iter().any(|note| note.starts_with("the plans are not the same")), "{:?}", merged.notes);

    let same = sum(&[run("alpha", 0), run("beta", 0)]);
    assert_eq!(same.plan, one.1.plan);
    let control = "each machine had a control of its own: they are added up as one";
    assert_eq!(same.notes, [control, "the disk was slow"]);
}

#[test]
fn sums_can_be_added_up_again() {
    let runs = [run("alpha", 0), run("beta", 0), run("gamma", 0)];
    let two = sum(&runs[..2]);
    let stepwise = sum(&[("two".to_owned(), two), runs[2].clone()]);
    let at_once = sum(&runs);
    assert_eq!(stepwise.targets[0].workloads, at_once.targets[0].workloads);
    assert_eq!(stepwise.targets[0].timeline, at_once.targets[0].timeline);
    assert_eq!(stepwise.machines, at_once.machines);
}

#[test]
fn what_does_not_add_up_is_refused() {
    let one = run("alpha", 0);
    assert_eq!(refused(&[]), "at least two reports are needed to add them up");
    assert_eq!(refused(std::slice::from_ref(&one)), "at least two reports are needed to add them up");
    assert_eq!(refused(&[one.clone(), one.clone()]), "alpha.json and alpha.json are the same report");
    assert_eq!(
        refused(&[one.clone(), run("beta", 40)]),
        "alpha.json and beta.json did not run at the same time, so their rates do not add up"
    );

    let mut elsewhere = run("beta", 0);
    elsewhere.1.targets[0].address = "http://127.0.0.1:1".to_owned();
    let error = refused(&[one.clone(), elsewhere]);
    assert!(error.starts_with("target a is \"http://a.registry.example:5000\" in alpha.json and"), "{error}");

    let mut others = run("beta", 0);
    others.1.targets.iter_mut().for_each(|target| target.name.push('2'));
    assert_eq!(refused(&[one.clone(), others]), "the reports have no target in common");

    let mut timeless = run("beta", 0);
    timeless.1.started_at = "noon".to_owned();
    assert_eq!(refused(&[one.clone(), timeless]), "beta.json: started_at is \"noon\", which is no RFC 3339 time");

    let mut broken = run("beta", 0);
    broken.1.targets[1].workloads.get_mut("push-streamed").unwrap().latency.histogram.clear();
    let error = refused(&[one, broken]);
    assert!(error.starts_with("beta.json: push-streamed of target b: histogram cannot be read"), "{error}");
}

#[test]
fn numbers_without_measure_do_no_harm() {
    let (mut one, mut other) = (run("alpha", 0), run("beta", 0));
    for run in [&mut one, &mut other] {
        let target = &mut run.1.targets[0];
        target.measured_seconds = -1e300;
        target.timeline[0] =
            Sample { at_seconds: 1e300, bytes: u64::MAX, requests: u64::MAX, p50_us: u64::MAX, ..target.timeline[0] };
        target.turns[0].started_seconds = -1e300;
        target.workloads.get_mut("push-streamed").unwrap().bytes = u64::MAX;
    }
    let merged = sum(&[one, other]);
    let last = merged.targets[0].timeline.last().unwrap();
    assert_eq!((last.bytes, last.p50_us), (u64::MAX, u64::MAX));
    assert_eq!(merged.targets[0].workloads["push-streamed"].bytes, u64::MAX);
}
