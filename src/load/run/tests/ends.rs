use super::fake::{Event, Fake, milliseconds, plan};
use crate::load::plan::Shape;
use crate::load::run::Stopper;

#[tokio::test(start_paused = true)]
async fn told_to_stop_a_run_breaks_off_cancels_uploads_and_still_reports() {
    for rate in [None, Some(50.0)] {
        let fake = Fake { takes: None, ..Fake::taking(0) };
        let stopper = Stopper::new();
        let stop = stopper.signal();
        let shape = Shape { rate, duration: Some(milliseconds(60_000)), ..Shape::default() };
        let begun = tokio::time::Instant::now();
        let stopping = async {
            tokio::time::sleep(milliseconds(1500)).await;
            stopper.now();
        };
        let (report, ()) = tokio::join!(fake.run_until(plan(&["a", "b"], shape), stop), stopping);
        let report = report.unwrap();
        assert!(report.interrupted);
        let took = begun.elapsed() - milliseconds(1500);
        assert!(took < milliseconds(1000), "it took {took:?}");
        assert_eq!(report.targets[0].workloads.len(), 0, "nothing came to its end");
        assert!(report.targets[0].measured_seconds > 1.0);
        assert!(report.targets[1].turns.is_empty());
        let events = fake.events();
        let ends: Vec<&Event> = events.iter().rev().take(2).collect();
        assert_eq!(ends, [&Event::Closed("a".to_owned()), &Event::Cancelled]);
    }
}

#[tokio::test(start_paused = true)]
async fn stopped_before_it_began_a_run_does_nothing() {
    let fake = Fake::taking(10);
    let stopper = Stopper::new();
    stopper.now();
    let report = fake.run_until(plan(&["a"], Shape::default()), stopper.signal()).await.unwrap();
    assert!(report.interrupted);
    assert_eq!(fake.events(), []);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_end_after_its_turn_is_broken_off() {
    let fake = Fake { takes: None, ..Fake::taking(0) };
    let shape = Shape { workers: Some(2), duration: Some(milliseconds(1000)), ..Shape::default() };
    let report = fake.run(plan(&["a"], shape)).await;
    assert!(!report.interrupted);
    assert!(report.notes.iter().any(|note| note.starts_with("2 tasks for a did not end")), "{:?}", report.notes);
    assert!(fake.events().contains(&Event::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn tasks_that_fail_are_counted_and_not_repeated_without_rest() {
    let fake = Fake { fails: true, ..Fake::taking(0) };
    let shape = Shape { workers: Some(1), duration: Some(milliseconds(10_000)), ..Shape::default() };
    let report = fake.run(plan(&["a"], shape)).await;
    let done = &report.targets[0].workloads["push-monolithic"];
    assert_eq!(done.count, 0);
    // 10, 20, … 640 ms, then each second.
    assert!((12..=20).contains(&done.errors), "{}", done.errors);
    let errors = &report.targets[0].errors;
    assert_eq!((errors.len(), errors[0].status, errors[0].code.as_str()), (1, 500, "UNKNOWN"));
    assert_eq!(errors[0].count, done.errors);
}
