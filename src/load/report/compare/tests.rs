use super::*;
use crate::load::report::{Process, samples};

/// The same run after something changed in each target's figures.
fn after(change: impl Fn(&mut Target)) -> Report {
    let mut report = samples::full();
    report.targets.iter_mut().filter(|target| !target.is_control()).for_each(change);
    report
}

fn compared(change: impl Fn(&mut Target)) -> Comparison {
    compare(&samples::full(), &after(change)).unwrap()
}

#[track_caller]
fn row<'a>(comparison: &'a Comparison, name: &str) -> &'a Row {
    comparison.targets[0].rows.iter().find(|row| row.name == name).unwrap()
}

fn slower(target: &mut Target) {
    target.workloads.get_mut("push-streamed").unwrap().latency = samples::latency(360);
    target.workloads.get_mut("push-streamed").unwrap().bytes = 3 << 30;
}

#[track_caller]
fn regressions(limits: &Limits, comparison: &Comparison) -> Vec<String> {
    let found = limits.check(comparison).unwrap();
    found.into_iter().map(|found| format!("{} {}: {}", found.target, found.figure, found.detail)).collect()
}

fn limits(all: Option<f64>, single: &[&str]) -> Limits {
    Limits { all, single: single.iter().map(|text| text.parse().unwrap()).collect(), by_control: false }
}

#[test]
fn the_same_report_is_the_same() {
    let comparison = compared(|_| {});
    assert_eq!(comparison.targets.len(), 3);
    assert_eq!(comparison.notes, ["the first run was interrupted", "the second run was interrupted"]);
    for pair in &comparison.targets {
        assert_eq!(pair.rows.len(), FIGURES.len() + 2 * 5);
        assert!(pair.rows.iter().all(|row| row.ratio() == Some(1.0) && row.worse_by(true) == Some(0.0)), "{pair:?}");
    }
    assert_eq!(limits(Some(0.0), &[]).check(&comparison).unwrap(), []);
}

#[test]
fn ratios_tell_what_got_worse() {
    let comparison = compared(slower);
    let throughput = row(&comparison, "throughput");
    assert!((throughput.ratio().unwrap() - 0.75).abs() < 1e-9, "{throughput:?}");
    assert_eq!(regressions(&limits(None, &["throughput=25%"]), &comparison), Vec::<String>::new());
    let p99 = row(&comparison, "push-streamed.p99");
    assert!((p99.worse_by(false).unwrap() - 0.2).abs() < 0.002, "{p99:?}");
    assert_eq!(row(&comparison, "blob.patch.p50").worse_by(false), Some(0.0));
    let faster = compare(&after(slower), &samples::full()).unwrap();
    assert!(row(&faster, "throughput").worse_by(false).unwrap() < -0.3);
}

#[test]
fn limits_find_regressions() {
    let comparison = compared(slower);
    assert_eq!(regressions(&limits(Some(0.3), &[]), &comparison), Vec::<String>::new());
    assert_eq!(
        regressions(&limits(Some(0.22), &[]), &comparison),
        [
            "a throughput: 410 MiB/s before, 307 MiB/s now: 25 % worse, allowed are 22 %",
            "b throughput: 410 MiB/s before, 307 MiB/s now: 25 % worse, allowed are 22 %"
        ]
    );
    let found = regressions(&limits(Some(0.3), &["a/push-streamed.p99=15%"]), &comparison);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("a push-streamed.p99: 29.7 ms before, 35.6 ms now: 20 % worse"), "{found:?}");
    assert_eq!(regressions(&limits(Some(0.22), &["throughput=any"]), &comparison), Vec::<String>::new());
    assert_eq!(regressions(&limits(None, &["throughput=50%", "throughput=10%"]), &comparison).len(), 2);
}

#[test]
fn errors_where_there_were_none_are_infinitely_worse() {
    let mut good = samples::full();
    good.targets.iter_mut().for_each(|target| target.operations.get_mut("blob.patch").unwrap().errors = 0);
    let comparison = compare(&good, &samples::full()).unwrap();
    let found = regressions(&limits(Some(0.5), &[]), &comparison);
    assert_eq!(found[0], "a errors: 0 % before, 9.1 % now: infinitely worse, allowed are 50 %");
    assert_eq!(regressions(&limits(Some(0.5), &["errors=any"]), &comparison), Vec::<String>::new());
}

#[test]
fn a_control_takes_the_machine_out() {
    let mut slow_machine = after(|target| target.measured_seconds = 20.0);
    let control = slow_machine.targets.iter_mut().find(|target| target.is_control()).unwrap();
    control.measured_seconds = 20.0;
    control.server = Some(Process { cpu_seconds_per_gib: Some(4.0), ..samples::process() });
    let comparison = compare(&samples::full(), &slow_machine).unwrap();
    let throughput = row(&comparison, "throughput");
    assert_eq!((throughput.ratio(), throughput.by_control), (Some(0.5), Some(1.0)));
    assert_eq!(row(&comparison, "cpu-per-gib").by_control, Some(0.5));
    assert_eq!(row(&comparison, "errors").by_control, None);

    let raw = limits(None, &["throughput=10%"]);
    assert_eq!(regressions(&raw, &comparison).len(), 2);
    assert_eq!(regressions(&Limits { by_control: true, ..raw.clone() }, &comparison), Vec::<String>::new());
    let mut alone = slow_machine;
    alone.targets.retain(|target| !target.is_control());
    let comparison = compare(&samples::full(), &alone).unwrap();
    assert_eq!(Limits { by_control: true, ..raw }.check(&comparison), Err(LimitError::NoControl));
}

#[test]
fn percentiles_of_few_times_have_only_limits_of_their_own() {
    let few = |target: &mut Target| {
        let workload = target.workloads.get_mut("push-streamed").unwrap();
        workload.latency = samples::latency(900);
        workload.latency.count = 99;
    };
    let comparison = compared(few);
    assert!(row(&comparison, "push-streamed.p99").is_of_few && !row(&comparison, "push-streamed.p50").is_of_few);
    let found = regressions(&limits(Some(0.1), &[]), &comparison);
    assert!(found.len() == 2 && found.iter().all(|found| found.contains("push-streamed.p50")), "{found:?}");
    assert_eq!(regressions(&limits(None, &["push-streamed.p99=10%"]), &comparison).len(), 2);
}

#[test]
fn what_is_gone_is_told_where_it_has_a_limit() {
    let comparison = compared(|target| target.workloads.clear());
    assert_eq!(row(&comparison, "push-streamed.p99").after, None);
    assert_eq!(
        regressions(&limits(None, &["a/push-streamed.p99=10%"]), &comparison),
        ["a push-streamed.p99: not in the second report"]
    );
    let error = limits(None, &["pull.p99=10%"]).check(&comparison).unwrap_err().to_string();
    assert!(error.starts_with("no target has a figure \"pull.p99\"; there are throughput, requests,"), "{error}");
}

#[test]
fn targets_are_paired_by_name_or_because_there_is_one() {
    let mut renamed = samples::full();
    renamed.targets.remove(1);
    renamed.targets[0].name = "a2".to_owned();
    renamed.machines = vec![samples::machine("beta")];
    let mut single = samples::full();
    single.targets.remove(1);
    let comparison = compare(&single, &renamed).unwrap();
    assert_eq!(comparison.targets[0].name(), "a2 (before: a)");
    assert_eq!(regressions(&limits(None, &["a2/throughput=0%"]), &comparison), Vec::<String>::new());

    let comparison = compare(&samples::full(), &single).unwrap();
    assert!(comparison.notes.contains(&"b is in the first report only".to_owned()), "{:?}", comparison.notes);
    renamed.targets.retain(|target| !target.is_control());
    single.targets[0].name = "a2".to_owned();
    let comparison = compare(&single, &renamed).unwrap();
    assert!(comparison.notes.iter().any(|note| note.starts_with("the machines are not the same")), "{comparison:?}");
    assert!(compare(&samples::full(), &samples::empty()).is_err());
}

#[test]
fn limits_are_percentages() {
    assert_eq!("2.5 %".parse(), Ok(Share(0.025)));
    assert_eq!(
        "a/blob.patch.p99=10%".parse(),
        Ok(Limit { figure: "a/blob.patch.p99".to_owned(), worse_by: Some(0.1) })
    );
    assert_eq!("errors = any".parse(), Ok(Limit { figure: "errors".to_owned(), worse_by: None }));
    for wrong in ["10", "-1%", "%", "NaN%", "inf%", "ten%"] {
        assert!(wrong.parse::<Share>().is_err(), "{wrong}");
    }
    for wrong in ["p99", "=10%", "p99=10", "p99=", ""] {
        assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
    }
}

#[test]
fn both_are_shown_side_by_side() {
    let comparison = compared(slower);
    let found = limits(Some(0.22), &[]).check(&comparison).unwrap();
    let text = comparison.summary(&found);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    for part in ["before", "by control", "×0.75 25 % worse", "same", "worse than allowed\n  a throughput: 410 MiB/s"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn hostile_names_are_shown_harmlessly() {
    let hostile = "<script>\u{1b}[2J\u{202e}";
    let mut before = samples::full();
    before.targets[0].name = hostile.to_owned();
    let comparison = compare(&before, &before).unwrap();
    let found = [Regression { target: hostile.to_owned(), figure: hostile.to_owned(), detail: hostile.to_owned() }];
    let text = comparison.summary(&found);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    let page = comparison.html((hostile, &before), (hostile, &before), &found);
    crate::load::report::html::check_page(&page);
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;\\u{1b}[2J\\u{202e}"), "{page}");
}
