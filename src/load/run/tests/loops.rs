use std::collections::HashSet;

use super::fake::{Event, Fake, milliseconds, plan};
use crate::load::plan::{Shape, Stage, Workload, WorkloadPlan};

#[tokio::test(start_paused = true)]
async fn workers_of_a_closed_loop_begin_when_the_task_before_has_ended() {
    let fake = Fake::taking(100);
    let shape = Shape { workers: Some(3), duration: Some(milliseconds(950)), ..Shape::default() };
    let report = fake.run(plan(&["a"], shape)).await;
    let target = &report.targets[0];
    let done = &target.workloads["push-monolithic"];
    assert_eq!((done.count, done.errors, done.bytes), (30, 0, 3000));
    assert_eq!(target.operations["blob.put"].count, 30);
    assert_eq!(target.measured_seconds, 1.0, "until the last task has ended");
    assert!((done.latency.p50_us as f64 - 100_000.0).abs() < 200.0, "{}", done.latency.p50_us);
    assert_eq!(target.timeline.iter().map(|sample| sample.bytes).sum::<u64>(), 3000);
    assert_eq!(target.timeline.iter().map(|sample| sample.requests).sum::<u64>(), 30);
}

#[tokio::test(start_paused = true)]
async fn what_began_in_the_warm_up_does_not_count() {
    let fake = Fake::taking(100);
    let warm_up = milliseconds(450);
    let shape = Shape { workers: Some(1), warm_up, duration: Some(milliseconds(500)), ..Shape::default() };
    let report = fake.run(plan(&["a"], shape)).await;
    // Begun at 0, 100, …, 900; the first that counts at 500.
    assert_eq!(fake.due().len(), 10);
    let done = &report.targets[0].workloads["push-monolithic"];
    assert_eq!(done.count, 5);
    assert_eq!(report.targets[0].turns.len(), 1);
    assert_eq!(report.targets[0].measured_seconds, 0.55);
}

#[tokio::test(start_paused = true)]
async fn a_count_is_kept_exactly() {
    let fake = Fake::taking(10);
    let shape = Shape { workers: Some(7), count: Some(25), ..Shape::default() };
    let report = fake.run(plan(&["a", "b"], shape)).await;
    for target in &report.targets {
        assert_eq!(target.workloads["push-monolithic"].count, 25, "{}", target.name);
    }
    assert_eq!(fake.due().len(), 50);
}

#[tokio::test(start_paused = true)]
async fn tasks_of_an_open_loop_are_due_at_exact_moments() {
    let fake = Fake::taking(250);
    let shape = Shape { rate: Some(8.0), duration: Some(milliseconds(1990)), ..Shape::default() };
    let report = fake.run(plan(&["a"], shape)).await;
    let due = fake.due();
    assert_eq!(due.len(), 16);
    for (number, due_at) in due.iter().enumerate() {
        assert_eq!(*due_at - due[0], milliseconds(125 * number as u64), "task {number}");
    }
    assert_eq!(report.targets[0].workloads["push-monolithic"].count, 16);
    assert_eq!((report.targets[0].starts.due, report.targets[0].starts.late), (16, 0));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_has_to_wait_is_timed_from_when_it_was_due_and_told() {
    let fake = Fake::taking(300);
    let shape = Shape { rate: Some(10.0), max_in_flight: 1, duration: Some(milliseconds(1150)), ..Shape::default() };
    let report = fake.run(plan(&["a"], shape)).await;
    let due = fake.due();
    // Begun at 0, 300, 600, 900; due at 0, 100, 200, 300.
    assert_eq!(due.len(), 4);
    let done = &report.targets[0].workloads["push-monolithic"];
    assert!((done.latency.max_us as f64 - 900_000.0).abs() < 2000.0, "{}", done.latency.max_us);
    let starts = &report.targets[0].starts;
    assert_eq!((starts.due, starts.late), (4, 3));
    assert!((starts.lateness.max_us as f64 - 600_000.0).abs() < 2000.0, "{}", starts.lateness.max_us);
}

#[tokio::test(start_paused = true)]
async fn a_ramp_brings_workers_in_one_by_one() {
    let fake = Fake::taking(1000);
    let stage = Stage { length: milliseconds(10_000), workers: Some(10), rate: None, step: false };
    let shape = Shape { workers: Some(1), stages: vec![stage], ..Shape::default() };
    fake.run(plan(&["a"], shape)).await;
    let due = fake.due();
    let begun_by =
        |second: u64| due.iter().filter(|due| **due - due_first(&fake) <= milliseconds(second * 1000)).count();
    assert!(begun_by(1) <= 4, "{}", begun_by(1));
    // Half of the ramp: about five workers a second.
    let in_sixth = begun_by(6) - begun_by(5);
    assert!((5..=7).contains(&in_sixth), "{in_sixth}");
    let in_last = begun_by(10) - begun_by(9);
    assert!((9..=11).contains(&in_last), "{in_last}");
}

fn due_first(fake: &Fake) -> std::time::Duration {
    fake.due()[0]
}

#[tokio::test(start_paused = true)]
async fn targets_take_turns_and_connections_are_closed_between() {
    let fake = Fake::taking(100);
    let shape = Shape {
        workers: Some(2),
        duration: Some(milliseconds(1950)),
        turn: milliseconds(1000),
        warm_up: milliseconds(200),
        ..Shape::default()
    };
    let report = fake.run(plan(&["a", "b"], shape)).await;
    let order: Vec<String> = fake
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Begin(name) => Some(format!("+{name}")),
            Event::Closed(name) => Some(format!("-{name}")),
            _ => None,
        })
        .collect();
    // The last two are the look afterwards.
    assert_eq!(order, ["+a", "-a", "+b", "-b", "+a", "-a", "+b", "-b", "+a", "-a", "+b", "-b"]);
    for target in &report.targets {
        assert_eq!(target.turns.len(), 2);
        assert!(target.turns[0].ended_seconds <= target.turns[1].started_seconds);
        assert!((1.95..2.2).contains(&target.measured_seconds), "{}", target.measured_seconds);
        let tasks: Vec<u64> = target.turns.iter().map(|turn| turn.tasks).collect();
        assert!(tasks.iter().all(|tasks| (10..40).contains(tasks)), "each has tasks of its own: {tasks:?}");
        assert_eq!(tasks.iter().sum::<u64>(), target.workloads.values().map(|workload| workload.count).sum::<u64>());
    }
    assert!(report.targets[0].turns[1].started_seconds >= report.targets[1].turns[0].ended_seconds);
}

#[tokio::test(start_paused = true)]
async fn workloads_are_mixed_and_duplicates_drawn_as_often_as_wanted() {
    let fake = Fake::taking(1);
    let shape = Shape { workers: Some(1), count: Some(3000), ..Shape::default() };
    let mut plan = plan(&["a"], shape);
    plan.content.duplicate_ratio = 0.3;
    plan.workloads.push(WorkloadPlan { weight: 3.0, workload: Workload::PushStreamed });
    let report = fake.run(plan).await;
    let streamed = report.targets[0].workloads["push-streamed"].count;
    assert!((2100..2400).contains(&streamed), "{streamed} of 3000");
    let digests: Vec<String> = fake
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Task { digest, .. } => Some(digest),
            _ => None,
        })
        .collect();
    let distinct = digests.iter().collect::<HashSet<_>>().len();
    assert!((2000..2200).contains(&distinct), "{distinct} of {} are distinct", digests.len());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_draws_the_same() {
    let mut drawn = Vec::new();
    for _ in 0..2 {
        let fake = Fake::taking(10);
        let shape = Shape { workers: Some(1), count: Some(20), ..Shape::default() };
        let mut plan = plan(&["a"], shape);
        plan.workloads.push(WorkloadPlan { weight: 1.0, workload: Workload::PushStreamed });
        fake.run(plan).await;
        let tasks = fake.events().into_iter().filter_map(|event| match event {
            Event::Task { workload, digest, .. } => Some((workload, digest)),
            _ => None,
        });
        drawn.push(tasks.collect::<Vec<_>>());
    }
    assert_eq!(drawn[0], drawn[1]);
}
