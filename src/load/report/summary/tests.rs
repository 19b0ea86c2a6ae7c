use super::*;
use crate::load::report::samples;
use crate::load::report::{ErrorCount, Process};

#[track_caller]
fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
        assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
    }
}

#[test]
fn every_figure_of_a_full_report_is_shown() {
    let text = summary(&samples::full());
    assert_fits(&text);
    for part in [
        "longshore 0.1.0, 2026-11-21T09:00:00Z, 32.5 s, interrupted",
        "from alpha: 2 × AMD EPYC (sha_ni, avx2), 24.0 GiB of memory, kernel 6.18.0",
        "a: http://a.registry.example:5000, measured for 10.0 s in 2 turns",
        "control: http://control.registry.example:5000, control, measured",
        "410 MiB/s ×1.00",
        "of the control's",
        "2.00 s",
        "1.50 ms",
        "push-streamed",
        "100, 2 bad",
        "100, 40 bad",
        "29.7 ms",
        "tasks that began late",
        "begun anew",
        "ended by 408",
        "until one was open, p99",
        "pulled and compared",
        "40 × blob.patch 503 UNAVAILABLE: come back later",
        "lost-bytes: load/a sha256:0123: 512 bytes of 1024 are gone",
        "0.2 s PATCH 202 Range 0-1023",
        "the run was interrupted",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn ratios_are_against_the_first_and_the_control() {
    let mut report = samples::full();
    for (target, server) in report.targets.iter_mut().zip([2.0, 3.0, 1.0]) {
        target.server = Some(Process { cpu_seconds_per_gib: Some(server), ..samples::process() });
    }
    let text = summary(&report);
    let mut lines = text.lines().skip_while(|line| !line.starts_with("server CPU per GiB"));
    let words: Vec<_> = lines.next().unwrap().split_whitespace().skip(4).collect();
    assert_eq!(words, ["2.00", "s", "3.00", "s", "×1.50", "1.00", "s", "×0.50"]);
    let words: Vec<_> = lines.next().unwrap().split_whitespace().skip(3).collect();
    assert_eq!(words, ["×2.00", "×3.00"]);
}

#[test]
fn a_report_of_nothing_is_shown_too() {
    let text = summary(&samples::empty());
    assert_fits(&text);
    assert!(text.contains("targets\n  none\n"), "{text}");
}

#[test]
fn six_targets_with_long_names_and_huge_numbers_fit() {
    let mut report = samples::full();
    report.targets = (0..6)
        .map(|number| {
            let mut target = samples::target(&format!("a registry whose name does not end anywhere soon, {number}"));
            let operation = target.operations.get_mut("blob.patch").unwrap();
            (operation.count, operation.bytes) = (u64::MAX, u64::MAX);
            let workload = target.workloads.remove("push-streamed").unwrap();
            target.workloads.insert("a workload that somebody gave a name without end".to_owned(), workload);
            target.connections.opened = u64::MAX;
            target
        })
        .collect();
    let text = summary(&report);
    assert_fits(&text);
    assert_eq!(text.matches("\nthroughput").count(), text.matches("\nserver CPU per GiB").count());
}

#[test]
fn what_servers_say_does_not_steer_the_terminal() {
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n\u{202e}";
    let mut report = samples::full();
    report.tool = hostile.to_owned();
    report.machines[0].host = hostile.to_owned();
    let target = &mut report.targets[0];
    (target.name, target.address) = (hostile.to_owned(), hostile.to_owned());
    target.errors = vec![ErrorCount {
        operation: hostile.to_owned(),
        status: 500,
        code: hostile.to_owned(),
        count: 1,
        example: hostile.repeat(1000),
    }];
    target.stalls.ended.insert(hostile.to_owned(), 1);
    let workload = target.workloads.remove("push-streamed").unwrap();
    target.workloads.insert(hostile.to_owned(), workload);
    let finding = &mut target.verification.findings[0];
    finding.detail = hostile.to_owned();
    finding.history = vec![hostile.to_owned()];
    let text = summary(&report);
    assert_fits(&text);
    assert!(!text.contains('\u{202e}') && text.contains("\\u{1b}[2J"), "{text}");
}

#[test]
fn the_most_frequent_errors_are_shown_and_the_rest_counted() {
    let mut report = samples::full();
    report.targets[0].errors = (1..=20)
        .map(|count| ErrorCount {
            operation: "blob.get".to_owned(),
            status: 500,
            code: "X".to_owned(),
            count,
            example: String::new(),
        })
        .collect();
    report.targets[0].verification.found = 1000;
    let text = summary(&report);
    assert!(text.contains("  20 × blob.get") && !text.contains("  12 × blob.get"), "{text}");
    assert!(text.contains("and 12 more kinds") && text.contains("and 999 more findings"), "{text}");
}
