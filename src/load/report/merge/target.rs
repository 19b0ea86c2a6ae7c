//! How one target of several reports is added up.

use std::collections::BTreeMap;

use super::MergeError;
use super::parts::{Many, Times, add, add_process};
use crate::load::report::{
    Connections, ErrorCount, Latency, Operation, Process, Report, Resumes, Sample, Stalls, Starts, Target, Turn,
    Verification, Workload,
};

/// So many findings are kept, as in a report of one machine.
const KEPT_FINDINGS: usize = 100;

/// A report, and when it began.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// What it is told by.
    pub(super) report: &'a str,
    pub(super) machine: &'a Report,
    /// Since the start of the earliest.
    pub(super) shift_seconds: f64,
}

/// The sum of one target's reports.
pub(super) fn add_target(found: &[(Place<'_>, &Target)]) -> Result<Target, MergeError> {
    let targets = || found.iter().map(|(_, target)| *target);
    let (_, first) = &found[0];
    Ok(Target {
        name: first.name.clone(),
        address: first.address.clone(),
        kind: first.kind,
        measured_seconds: targets().map(|target| target.measured_seconds).fold(0.0, f64::max),
        turns: turns(found),
        operations: operations(found)?,
        workloads: workloads(found)?,
        starts: Starts {
            due: sum(targets(), |target| target.starts.due),
            late: sum(targets(), |target| target.starts.late),
            lateness: times(found, "starts", |target| &target.starts.lateness)?,
        },
        errors: errors(targets()),
        resumes: Resumes {
            cuts: sum(targets(), |target| target.resumes.cuts),
            resumed: sum(targets(), |target| target.resumes.resumed),
            restarted: sum(targets(), |target| target.resumes.restarted),
            bytes_sent_again: sum(targets(), |target| target.resumes.bytes_sent_again),
            time_to_offset: times(found, "resumes", |target| &target.resumes.time_to_offset)?,
        },
        stalls: Stalls {
            stalled: sum(targets(), |target| target.stalls.stalled),
            finished: sum(targets(), |target| target.stalls.finished),
            ended: ended(targets()),
            time_to_end: times(found, "stalls", |target| &target.stalls.time_to_end)?,
        },
        connections: Connections {
            opened: sum(targets(), |target| target.connections.opened),
            failed: sum(targets(), |target| target.connections.failed),
            broken: sum(targets(), |target| target.connections.broken),
            peak: sum(targets(), |target| target.connections.peak),
            connect: times(found, "connections", |target| &target.connections.connect)?,
        },
        verification: Verification {
            looked_up: sum(targets(), |target| target.verification.looked_up),
            pulled: sum(targets(), |target| target.verification.pulled),
            findings: targets().flat_map(|target| target.verification.findings.clone()).take(KEPT_FINDINGS).collect(),
            found: sum(targets(), |target| target.verification.found),
        },
        server: server(found),
        timeline: timeline(found),
    })
}

fn sum<'a>(targets: impl Iterator<Item = &'a Target>, of: impl Fn(&Target) -> u64) -> u64 {
    targets.fold(0, |sum, target| sum.saturating_add(of(target)))
}

fn times(found: &[(Place<'_>, &Target)], what: &str, of: impl Fn(&Target) -> &Latency) -> Result<Latency, MergeError> {
    let mut times = Times::default();
    for (place, target) in found {
        add_times(&mut times, of(target), place, target, what)?;
    }
    Ok(times.latency())
}

fn add_times(
    times: &mut Times,
    more: &Latency,
    place: &Place<'_>,
    target: &Target,
    what: &str,
) -> Result<(), MergeError> {
    times.add(more).map_err(|cause| MergeError::Latency {
        report: place.report.to_owned(),
        what: format!("{what} of target {}", target.name),
        cause,
    })
}

fn operations(found: &[(Place<'_>, &Target)]) -> Result<Many<Operation>, MergeError> {
    let mut sums: Many<(Operation, Times, Times)> = Many::new();
    for (place, target) in found {
        for (name, more) in &target.operations {
            let (sum, latency, first_byte) = sums.entry(name.clone()).or_default();
            add(&mut sum.count, more.count);
            add(&mut sum.errors, more.errors);
            add(&mut sum.bytes, more.bytes);
            add_times(latency, &more.latency, place, target, name)?;
            add_times(first_byte, &more.first_byte, place, target, name)?;
        }
    }
    let told = sums.into_iter().map(|(name, (sum, latency, first_byte))| {
        (name, Operation { latency: latency.latency(), first_byte: first_byte.latency(), ..sum })
    });
    Ok(told.collect())
}

fn workloads(found: &[(Place<'_>, &Target)]) -> Result<Many<Workload>, MergeError> {
    let mut sums: Many<(Workload, Times)> = Many::new();
    for (place, target) in found {
        for (name, more) in &target.workloads {
            let (sum, latency) = sums.entry(name.clone()).or_default();
            add(&mut sum.count, more.count);
            add(&mut sum.errors, more.errors);
            add(&mut sum.bytes, more.bytes);
            add_times(latency, &more.latency, place, target, name)?;
        }
    }
    let told = sums.into_iter().map(|(name, (sum, latency))| (name, Workload { latency: latency.latency(), ..sum }));
    Ok(told.collect())
}

/// The most frequent first.
fn errors<'a>(targets: impl Iterator<Item = &'a Target>) -> Vec<ErrorCount> {
    let mut sums: BTreeMap<(&str, u16, &str), ErrorCount> = BTreeMap::new();
    for error in targets.flat_map(|target| &target.errors) {
        let kind = (error.operation.as_str(), error.status, error.code.as_str());
        match sums.get_mut(&kind) {
            Some(sum) => add(&mut sum.count, error.count),
            None => drop(sums.insert(kind, error.clone())),
        }
    }
    let mut errors: Vec<ErrorCount> = sums.into_values().collect();
    errors.sort_by_key(|error| std::cmp::Reverse(error.count));
    errors
}

fn ended<'a>(targets: impl Iterator<Item = &'a Target>) -> Many<u64> {
    let mut sums = Many::new();
    for (how, count) in targets.flat_map(|target| &target.stalls.ended) {
        add(sums.entry(how.clone()).or_default(), *count);
    }
    sums
}

/// When anybody had a turn: the turns of all machines, those that meet made one. What the server used in such a one is
/// not known: each machine watched it for a time of its own.
fn turns(found: &[(Place<'_>, &Target)]) -> Vec<Turn> {
    let shifted = found.iter().flat_map(|(place, target)| {
        target.turns.iter().map(|turn| Turn {
            started_seconds: turn.started_seconds + place.shift_seconds,
            ended_seconds: turn.ended_seconds + place.shift_seconds,
            ..turn.clone()
        })
    });
    let mut all: Vec<Turn> = shifted.collect();
    all.sort_by(|one, other| one.started_seconds.total_cmp(&other.started_seconds));
    let mut joined: Vec<Turn> = Vec::new();
    for turn in all {
        match joined.last_mut() {
            Some(last) if turn.started_seconds <= last.ended_seconds => {
                last.ended_seconds = last.ended_seconds.max(turn.ended_seconds);
                last.tasks = last.tasks.saturating_add(turn.tasks);
                last.requests = last.requests.saturating_add(turn.requests);
                last.bytes = last.bytes.saturating_add(turn.bytes);
                last.server = None;
            }
            _ => joined.push(turn),
        }
    }
    joined
}

/// The process of a registry is one, whoever watched it, and served all: of several accounts of it the one with the most
/// processor time is taken, and its time for each GiB and request is told of what all machines asked for. Controls are
/// as many as machines.
fn server(found: &[(Place<'_>, &Target)]) -> Option<Process> {
    let watched = || found.iter().filter_map(|(_, target)| Some((*target, target.server.as_ref()?)));
    if found[0].1.is_control() {
        let mut sum = Process::default();
        for (index, (_, process)) in watched().enumerate() {
            add_process(&mut sum, process, index == 0);
            sum.cpu_share = sum.cpu_share.max(process.cpu_share);
        }
        return watched().next().map(|_| sum);
    }
    let (target, process) =
        watched().max_by(|(_, one), (_, other)| one.cpu_seconds().total_cmp(&other.cpu_seconds()))?;
    let targets = || found.iter().map(|(_, target)| *target);
    let share_of = |one: u64, all: u64| (all > 0).then(|| one as f64 / all as f64);
    let bytes = share_of(target.content_bytes(), sum(targets(), Target::content_bytes));
    let requests = share_of(target.requests().0, sum(targets(), |target| target.requests().0));
    let scaled = |figure: Option<f64>, share: Option<f64>| Some(figure? * share?);
    Some(Process {
        cpu_seconds_per_gib: scaled(process.cpu_seconds_per_gib, bytes),
        cpu_us_per_request: scaled(process.cpu_us_per_request, requests),
        ..process.clone()
    })
}

fn timeline(found: &[(Place<'_>, &Target)]) -> Vec<Sample> {
    let mut seconds: BTreeMap<i64, Sample> = BTreeMap::new();
    for (place, target) in found {
        for more in &target.timeline {
            // What is not a number, or beyond all numbers, ends at the edge; it is wrong wherever it stands.
            let second = (more.at_seconds + place.shift_seconds).round() as i64;
            let sum = seconds.entry(second).or_insert(Sample { at_seconds: second as f64, ..Sample::default() });
            sum.p50_us = weighted_mean(sum, more);
            sum.p99_us = sum.p99_us.max(more.p99_us);
            add(&mut sum.bytes, more.bytes);
            add(&mut sum.requests, more.requests);
            add(&mut sum.errors, more.errors);
            add(&mut sum.connections, more.connections);
        }
    }
    seconds.into_values().collect()
}

fn weighted_mean(one: &Sample, other: &Sample) -> u64 {
    let requests = one.requests as f64 + other.requests as f64;
    let time = |sample: &Sample| sample.p50_us as f64 * sample.requests as f64;
    // Microseconds are whole, and the mean lies between two of them.
    if requests > 0.0 { ((time(one) + time(other)) / requests).round() as u64 } else { 0 }
}
