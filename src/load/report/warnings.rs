//! What a reader must know before trusting the figures.

use super::figures::percent;
use super::summary::distinct;
use super::{Report, Target};
use crate::text::latency;

/// From here on the load tester is busy enough to be what is measured.
const SATURATED_SHARE: f64 = 0.85;

/// From here on the machine has nothing left, whoever uses it.
const FULL_SHARE: f64 = 0.97;

/// From this share on tasks that began late say that the load was not the one that was asked for.
const MANY_LATE: f64 = 0.01;

/// Below this share failed requests are told in the table only.
const MANY_FAILED: f64 = 0.01;

/// Fewer requests than this have no 99th percentile worth the name.
const FEW_REQUESTS: u64 = 100;

/// One sentence each, the gravest first. They hold text of others: names of targets.
pub fn warnings(report: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    for target in report.targets.iter().filter(|target| target.verification.found > 0) {
        let things = if target.verification.found == 1 { "thing" } else { "things" };
        warnings.push(format!(
            "{} does not hold to what it acknowledged: {} {things} found wrong",
            target.name, target.verification.found
        ));
    }
    if report.interrupted {
        warnings.push("the run was interrupted: it is shorter than its plan".to_owned());
    }
    warnings.extend(of_generator(report));
    warnings.extend(report.notes.iter().cloned());
    warnings.extend(of_control(report));
    for target in &report.targets {
        warnings.extend(of_target(target));
    }
    warnings
}

fn of_generator(report: &Report) -> Option<String> {
    let share = report.generator.cpu_share;
    if share >= SATURATED_SHARE {
        return Some(format!(
            "the load tester used {} of its machine's processors: the figures may be its own limits, not the targets'",
            percent(share)
        ));
    }
    let of_servers = report.targets.iter().filter_map(|target| Some(target.server.as_ref()?.cpu_share));
    let server = of_servers.fold(0.0, f64::max);
    (server > 0.0 && share + server >= FULL_SHARE).then(|| {
        format!(
            "the machine was full: the load tester used {} of its processors, a server beside it {}",
            percent(share),
            percent(server)
        )
    })
}

/// The control knows only some workloads.
fn of_control(report: &Report) -> Option<String> {
    let control = report.targets.iter().find(|target| target.is_control())?;
    let all = distinct(&report.targets, |target| target.workloads.keys().map(String::as_str).collect());
    let missing: Vec<&str> = all.into_iter().filter(|name| !control.workloads.contains_key(*name)).collect();
    let names = missing.join(", ");
    (!names.is_empty()).then(|| format!("the control did not do {names}: what is told of it is of unlike work"))
}

fn of_target(target: &Target) -> Vec<String> {
    let name = &target.name;
    if target.measured_seconds <= 0.0 {
        return vec![format!("{name} was not measured")];
    }
    let mut warnings = Vec::new();
    let (all, failed) = target.requests();
    match target.failed_share() {
        None => warnings.push(format!("{name} was asked nothing")),
        Some(share) if share >= MANY_FAILED => {
            warnings.push(format!("{} of the requests to {name} failed ({failed} of {all})", percent(share)));
        }
        Some(_) if all < FEW_REQUESTS => {
            warnings.push(format!("few requests to {name} ended ({all}): a percentile of so few says little"));
        }
        Some(_) => {}
    }
    let starts = &target.starts;
    let late = starts.late as f64 / starts.due.max(1) as f64;
    if late >= MANY_LATE {
        warnings.push(format!(
            "{} of the tasks for {name} began late, one in a hundred by {} or more: too few workers for that rate, or too \
             slow a target; their times count from when they were due",
            percent(late),
            latency(starts.lateness.p99_us as f64)
        ));
    }
    let connections = &target.connections;
    if connections.failed > 0 || connections.broken > 0 {
        warnings.push(format!(
            "connections to {name}: {} could not be opened, {} broke",
            connections.failed, connections.broken
        ));
    }
    let lost = target.resumes.restarted;
    if lost > 0 {
        warnings.push(format!("{name} lost {lost} of {} uploads that were cut", target.resumes.cuts));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::samples;
    use crate::load::report::{Connections, Process, Resumes, Starts, Verification};

    fn quiet() -> Report {
        let mut report = samples::full();
        report.interrupted = false;
        report.notes.clear();
        report.targets.truncate(1);
        let target = &mut report.targets[0];
        target.verification = Verification::default();
        target.connections = Connections::default();
        target.resumes = Resumes::default();
        target.starts = Starts::default();
        target.operations.get_mut("blob.patch").unwrap().errors = 0;
        report
    }

    #[test]
    fn a_good_run_has_no_warning() {
        assert_eq!(warnings(&quiet()), Vec::<String>::new());
    }

    #[test]
    fn whatever_makes_figures_doubtful_is_told() {
        let generator = |cpu_share| move |report: &mut Report| report.generator.cpu_share = cpu_share;
        type Change = Box<dyn Fn(&mut Report)>;
        let cases: [(Change, &str); 12] = [
            (Box::new(|report| report.targets[0].verification.found = 3), "a does not hold to what it acknowledged: 3"),
            (Box::new(|report| report.interrupted = true), "the run was interrupted"),
            (
                Box::new(|report| {
                    let mut control = samples::full().targets.remove(2);
                    control.verification.found = 0;
                    control.starts.late = 0;
                    control.connections = Connections::default();
                    control.resumes.restarted = 0;
                    control.operations.get_mut("blob.patch").unwrap().errors = 0;
                    report.targets.push(control);
                    report.targets[0].workloads.insert("pull".to_owned(), Default::default());
                }),
                "the control did not do pull: what is told of it is of unlike work",
            ),
            (Box::new(|report| report.notes.push("the disk was slow".to_owned())), "the disk was slow"),
            (Box::new(generator(0.9)), "the load tester used 90 % of its machine's processors"),
            (Box::new(generator(0.6)), "the machine was full: the load tester used 60 %"),
            (Box::new(|report| report.targets[0].measured_seconds = 0.0), "a was not measured"),
            (Box::new(|report| report.targets[0].operations.clear()), "a was asked nothing"),
            (
                Box::new(|report| report.targets[0].operations.get_mut("blob.patch").unwrap().errors = 100),
                "20 % of the requests to a failed (100 of 500)",
            ),
            (Box::new(|report| report.targets[0].connections.broken = 1), "connections to a: 0 could not be opened, 1"),
            (
                Box::new(|report| report.targets[0].starts = samples::full().targets[0].starts.clone()),
                "1.0 % of the tasks for a began late, one in a hundred by 297 µs",
            ),
            (Box::new(|report| report.targets[0].resumes.restarted = 1), "a lost 1 of 0 uploads"),
        ];
        for (change, expected) in cases {
            let mut report = quiet();
            change(&mut report);
            let found = warnings(&report);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(expected), "{found:?}");
        }
        let mut report = quiet();
        report.targets[0].operations.retain(|name, _| name == "blob.put");
        report.targets[0].operations.get_mut("blob.put").unwrap().count = 99;
        report.targets[0].server = Some(Process::default());
        assert_eq!(warnings(&report), ["few requests to a ended (99): a percentile of so few says little"]);
    }
}
