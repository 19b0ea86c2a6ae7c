//! What a terminal shows of a report: the targets side by side, then what went wrong.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::figures::{FIGURES, Figure, percent, times};
use super::table::{Cell, Table, wrap};
use super::{Latency, Machine, Report, Target, TargetKind, warnings};
use crate::text::{count, latency, size};

/// So many errors and findings of a target are shown; the rest stands in the document.
const SHOWN_ERRORS: usize = 8;
const SHOWN_FINDINGS: usize = 5;

/// Lines that one message of others may take.
const MESSAGE_LINES: usize = 3;

type Quantile = (&'static str, fn(&Latency) -> u64);

const QUANTILES: [Quantile; 4] = [
    ("p50", |latency| latency.p50_us),
    ("p90", |latency| latency.p90_us),
    ("p99", |latency| latency.p99_us),
    ("max", |latency| latency.max_us),
];

/// The whole of it: lines of at most 100 columns, without colours, and no character in it that steers a terminal.
pub fn summary(report: &Report) -> String {
    let mut out = head(report);
    out.push_str(&targets(report));
    if !report.targets.is_empty() {
        out.push('\n');
        out.push_str(&table(report));
    }
    out.push_str(&errors(report));
    out.push_str(&findings(report));
    let warnings = warnings(report);
    if !warnings.is_empty() {
        out.push_str("\nmind\n");
        for warning in warnings {
            out.push_str(&wrap(&warning, 2, MESSAGE_LINES));
        }
    }
    out
}

fn head(report: &Report) -> String {
    let interrupted = if report.interrupted { ", interrupted" } else { "" };
    let line = format!("{}, {}, {:.1} s{interrupted}", report.tool, report.started_at, report.duration_seconds);
    let mut out = wrap(&line, 0, MESSAGE_LINES);
    for machine in &report.machines {
        out.push_str(&wrap(&format!("from {}", of_machine(machine)), 0, MESSAGE_LINES));
    }
    out
}

/// A machine in a line.
pub(super) fn of_machine(machine: &Machine) -> String {
    let features = match machine.cpu_features.is_empty() {
        true => String::new(),
        false => format!(" ({})", machine.cpu_features.join(", ")),
    };
    format!(
        "{}: {} × {}{features}, {} of memory, kernel {}",
        machine.host,
        machine.cpus,
        machine.cpu,
        size(machine.memory_bytes),
        machine.kernel
    )
}

fn targets(report: &Report) -> String {
    let mut out = String::from("\ntargets\n");
    if report.targets.is_empty() {
        out.push_str("  none\n");
    }
    for target in &report.targets {
        let line = format!("{}: {}, {}", target.name, target.address, of_turns(target));
        out.push_str(&wrap(&line, 2, MESSAGE_LINES));
    }
    out
}

/// Who runs a target, and how long it was measured.
pub(super) fn of_turns(target: &Target) -> String {
    let kind = match target.kind {
        TargetKind::Remote => "",
        TargetKind::Embedded => "started for the run, ",
        TargetKind::Control => "control, ",
    };
    let turns = match target.turns.len() {
        1 => "one turn".to_owned(),
        turns => format!("{turns} turns"),
    };
    format!("{kind}measured for {:.1} s in {turns}", target.measured_seconds)
}

fn table(report: &Report) -> String {
    let targets = &report.targets;
    let mut table = Table::new(targets.iter().map(|target| target.name.as_str()));
    for figure in &FIGURES {
        let values: Vec<_> = targets.iter().map(figure.of).collect();
        table.row(figure.title, compared(&values, |value| figure.unit.show(value)));
        let control = targets.iter().find(|target| target.is_control()).filter(|_| figure.is_told_of_control);
        if let Some(control) = control {
            table.row("  of the control's", of_control(targets, control, figure));
        }
    }
    processes(&mut table, targets);
    let names = distinct(targets, |target| target.latencies().map(|(name, _)| name).collect());
    for name in names {
        let found: Vec<_> = targets.iter().map(|target| latency_of(target, name)).collect();
        let counts = targets.iter().map(|target| done_and_failed(target, name));
        table.head("");
        table.row(name, counts.collect());
        for (label, of) in QUANTILES {
            let values: Vec<_> = found.iter().map(|found| found.map(|latency| of(latency) as f64)).collect();
            table.row(&format!("  {label}"), compared(&values, latency));
        }
    }
    table.head("");
    further(&mut table, targets);
    table.render()
}

/// Each value, with what it is of the first target's.
fn compared(values: &[Option<f64>], show: impl Fn(f64) -> String) -> Vec<Cell> {
    let first = values.first().copied().flatten();
    let cell = |(column, value): (usize, &Option<f64>)| match value {
        Some(shown) if column == 0 => Cell::new(show(*shown)),
        Some(shown) => Cell::noted(show(*shown), times(*value, first)),
        None => Cell::default(),
    };
    values.iter().enumerate().map(cell).collect()
}

fn of_control(targets: &[Target], control: &Target, figure: &Figure) -> Vec<Cell> {
    let cell = |target: &Target| match target.is_control() {
        true => Cell::default(),
        false => Cell::new(times((figure.of)(target), (figure.of)(control))),
    };
    targets.iter().map(cell).collect()
}

/// A line of the table that shows a value of each target that has it.
fn each(table: &mut Table, targets: &[Target], label: &str, of: impl Fn(&Target) -> Option<String>) {
    table.row(label, targets.iter().map(|target| Cell::new(of(target).unwrap_or_default())).collect());
}

fn processes(table: &mut Table, targets: &[Target]) {
    each(table, targets, "server memory, mean", |target| Some(size(target.server.as_ref()?.mean_memory_bytes)));
    each(table, targets, "server CPU, of all", |target| Some(percent(target.server.as_ref()?.cpu_share)));
    each(table, targets, "server wrote to disk", |target| Some(size(target.server.as_ref()?.written_bytes)));
}

fn done_and_failed(target: &Target, name: &str) -> Cell {
    let counts = match (target.workloads.get(name), target.operations.get(name)) {
        (Some(workload), _) => (workload.count, workload.errors),
        (None, Some(operation)) => (operation.count, operation.errors),
        (None, None) => return Cell::default(),
    };
    match counts {
        (done, 0) => Cell::new(count(done)),
        (done, failed) => Cell::new(format!("{}, {} bad", count(done), count(failed))),
    }
}

fn latency_of<'a>(target: &'a Target, name: &str) -> Option<&'a Latency> {
    let (_, latency) = target.latencies().find(|(found, _)| *found == name)?;
    (latency.count > 0).then_some(latency)
}

/// Each name once, in the order in which the targets have them.
pub(super) fn distinct<'a>(
    targets: impl IntoIterator<Item = &'a Target>,
    of: impl Fn(&'a Target) -> Vec<&'a str>,
) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    targets.into_iter().flat_map(of).filter(|name| seen.insert(*name)).collect()
}

/// What stands at the end of the table, by itself.
pub(super) fn further_table(targets: &[Target]) -> Table {
    let mut table = Table::new(targets.iter().map(|target| target.name.as_str()));
    further(&mut table, targets);
    table
}

/// What only some workloads make: late starts, cuts, stalls, looks. And the connections.
fn further(table: &mut Table, targets: &[Target]) {
    each(table, targets, "tasks that began late", |target| {
        (target.starts.due > 0).then(|| percent(target.starts.late as f64 / target.starts.due as f64))
    });
    let resumes = |target: &Target, value: String| (target.resumes.cuts > 0).then_some(value);
    each(table, targets, "uploads cut", |target| resumes(target, target.resumes.cuts.to_string()));
    each(table, targets, "  gone on with", |target| resumes(target, target.resumes.resumed.to_string()));
    each(table, targets, "  begun anew", |target| resumes(target, target.resumes.restarted.to_string()));
    each(table, targets, "  sent again", |target| resumes(target, size(target.resumes.bytes_sent_again)));
    time(table, targets, "  until the offset was told", |target| &target.resumes.time_to_offset);
    let stalls = |target: &Target, value: String| (target.stalls.stalled > 0).then_some(value);
    each(table, targets, "uploads stalled", |target| stalls(target, target.stalls.stalled.to_string()));
    each(table, targets, "  finished all the same", |target| stalls(target, target.stalls.finished.to_string()));
    for how in distinct(targets, |target| target.stalls.ended.keys().map(String::as_str).collect()) {
        each(table, targets, &format!("  ended by {how}"), |target| target.stalls.ended.get(how).map(u64::to_string));
    }
    time(table, targets, "  until they were ended", |target| &target.stalls.time_to_end);
    each(table, targets, "connections", |target| Some(count(target.connections.opened)));
    each(table, targets, "  most at once", |target| Some(count(target.connections.peak)));
    let bad = |number: u64| (number > 0).then(|| count(number));
    each(table, targets, "  could not be opened", |target| bad(target.connections.failed));
    each(table, targets, "  broke", |target| bad(target.connections.broken));
    time(table, targets, "  until one was open", |target| &target.connections.connect);
    each(table, targets, "blobs looked up", |target| Some(count(target.verification.looked_up)));
    each(table, targets, "  pulled and compared", |target| Some(count(target.verification.pulled)));
    each(table, targets, "  found wrong", |target| Some(count(target.verification.found)));
}

/// Two lines: half, and 99 in 100, took no longer.
fn time(table: &mut Table, targets: &[Target], label: &str, of: impl Fn(&Target) -> &Latency) {
    for (quantile, value) in [QUANTILES[0], QUANTILES[2]] {
        let shown = |target: &Target| {
            Some(of(target)).filter(|times| times.count > 0).map(|times| latency(value(times) as f64))
        };
        each(table, targets, &format!("{label}, {quantile}"), shown);
    }
}

fn errors(report: &Report) -> String {
    let mut out = String::new();
    for target in report.targets.iter().filter(|target| !target.errors.is_empty()) {
        out.push('\n');
        out.push_str(&wrap(&format!("errors of {}", target.name), 0, 1));
        let mut errors: Vec<_> = target.errors.iter().collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        for error in errors.iter().take(SHOWN_ERRORS) {
            let status = if error.status == 0 { String::new() } else { format!(" {}", error.status) };
            let line = format!("{} × {}{status} {}: {}", error.count, error.operation, error.code, error.example);
            out.push_str(&wrap(&line, 2, MESSAGE_LINES));
        }
        out.push_str(&rest(errors.len(), SHOWN_ERRORS, "kinds"));
    }
    out
}

fn findings(report: &Report) -> String {
    let mut out = String::new();
    for target in report.targets.iter().filter(|target| target.verification.found > 0) {
        out.push('\n');
        out.push_str(&wrap(&format!("findings at {}", target.name), 0, 1));
        for finding in target.verification.findings.iter().take(SHOWN_FINDINGS) {
            let what =
                format!("{}: {} {}: {}", finding.kind.as_str(), finding.repository, finding.digest, finding.detail);
            out.push_str(&wrap(&what, 2, MESSAGE_LINES));
            for line in &finding.history {
                out.push_str(&wrap(line, 6, MESSAGE_LINES));
            }
        }
        let found = usize::try_from(target.verification.found).unwrap_or(usize::MAX);
        out.push_str(&rest(found, SHOWN_FINDINGS.min(target.verification.findings.len()), "findings"));
    }
    out
}

fn rest(all: usize, shown: usize, of_what: &str) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        more => {
            let mut line = String::new();
            let _ = writeln!(line, "  and {more} more {of_what}");
            line
        }
    }
}

#[cfg(test)]
mod tests;
