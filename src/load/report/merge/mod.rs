//! Adds up the reports of several machines that loaded the same targets at the same time.

mod parts;
mod target;

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::parts::{Many, add_process};
use self::target::{Place, add_target};
use super::{LatencyError, Process, Report, Target, TargetKind};

/// Reports whose runs begin so far apart are told of.
const TOLD_APART: Duration = Duration::from_secs(1);

/// Adds up reports, each with the name that it is to be told by.
///
/// Counts and histograms are added exactly. What happened within the run is counted from the start of the earliest.
/// Samples are added second by second; see [`Sample`](super::Sample) for their percentiles. What a server's process used
/// is taken once, however many watched it. Each machine has a control of its own, and those are added up as if they were
/// one. What a reader must know about the sum is in its `notes`.
///
/// # Errors
/// [`MergeError`] says what cannot be added up.
pub fn merge(reports: &[(String, Report)]) -> Result<Report, MergeError> {
    let [first, _, ..] = reports else {
        return Err(MergeError::TooFew);
    };
    refuse_twice(reports)?;
    let starts = reports.iter().map(|(name, report)| start_of(name, report)).collect::<Result<Vec<_>, _>>()?;
    let origin = *starts.iter().min().unwrap_or(&starts[0]);
    let mut notes = Vec::new();
    let mut places = Vec::new();
    for ((name, report), start) in reports.iter().zip(&starts) {
        places.push(Place { report: name, machine: report, shift_seconds: (*start - origin).as_seconds_f64() });
    }
    refuse_apart(&places, &mut notes)?;
    let targets = add_targets(&places, &mut notes)?;
    let ends = places.iter().map(|place| place.shift_seconds + place.machine.duration_seconds);
    let mut machines = Vec::new();
    for machine in reports.iter().flat_map(|(_, report)| &report.machines) {
        if !machines.contains(machine) {
            machines.push(machine.clone());
        }
    }
    let (_, model) = first;
    let plan = plans(reports, &mut notes);
    let tool = tools(reports, &mut notes);
    for note in reports.iter().flat_map(|(_, report)| &report.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    Ok(Report {
        schema: model.schema,
        tool,
        started_at: reports[position_of(&starts, origin)].1.started_at.clone(),
        duration_seconds: ends.fold(0.0, f64::max),
        interrupted: reports.iter().any(|(_, report)| report.interrupted),
        plan,
        machines,
        generator: generators(reports),
        notes,
        targets,
    })
}

fn position_of(starts: &[OffsetDateTime], origin: OffsetDateTime) -> usize {
    starts.iter().position(|start| *start == origin).unwrap_or(0)
}

fn start_of(name: &str, report: &Report) -> Result<OffsetDateTime, MergeError> {
    OffsetDateTime::parse(&report.started_at, &Rfc3339)
        .map_err(|_| MergeError::Start { report: name.to_owned(), started_at: report.started_at.clone() })
}

/// A report that is given twice would count twice.
fn refuse_twice(reports: &[(String, Report)]) -> Result<(), MergeError> {
    for (index, (name, report)) in reports.iter().enumerate() {
        if let Some((other, _)) = reports[..index].iter().find(|(_, other)| other == report) {
            return Err(MergeError::Twice { first: other.clone(), second: name.clone() });
        }
    }
    Ok(())
}

/// Rates of loads that did not meet do not add up.
fn refuse_apart(places: &[Place<'_>], notes: &mut Vec<String>) -> Result<(), MergeError> {
    let end = |place: &Place<'_>| place.shift_seconds + place.machine.duration_seconds;
    for (index, one) in places.iter().enumerate() {
        for other in &places[..index] {
            if one.shift_seconds > end(other) || other.shift_seconds > end(one) {
                return Err(MergeError::Apart { first: other.report.to_owned(), second: one.report.to_owned() });
            }
        }
    }
    let latest = places.iter().map(|place| place.shift_seconds).fold(0.0, f64::max);
    if latest > TOLD_APART.as_secs_f64() {
        notes.push(format!("the runs began up to {latest:.1} s apart: rates are those of the time that each measured"));
    }
    Ok(())
}

/// Targets in the order in which the reports have them; each is looked for by its name.
fn add_targets(places: &[Place<'_>], notes: &mut Vec<String>) -> Result<Vec<Target>, MergeError> {
    let all = || places.iter().flat_map(|place| &place.machine.targets);
    let names = super::summary::distinct(all(), |target| vec![target.name.as_str()]);
    let mut sums = Vec::new();
    let mut is_any_common = false;
    for name in names {
        let of_name = |place: &Place<'_>| place.machine.targets.iter().position(|target| target.name == name);
        let found: Vec<(Place<'_>, &Target)> =
            places.iter().filter_map(|place| Some((*place, &place.machine.targets[of_name(place)?]))).collect();
        is_any_common |= found.len() == places.len();
        refuse_others(&found)?;
        if found.len() < places.len() {
            notes.push(format!("{name} is in {} of {} reports only", found.len(), places.len()));
        }
        sums.push(add_target(&found)?);
    }
    if !is_any_common {
        return Err(MergeError::NothingInCommon);
    }
    if sums.iter().any(Target::is_control) && places.len() > 1 {
        notes.push("each machine had a control of its own: they are added up as one".to_owned());
    }
    Ok(sums)
}

/// Two registries that only share a name are not added up.
fn refuse_others(found: &[(Place<'_>, &Target)]) -> Result<(), MergeError> {
    let Some((first_place, first)) = found.first() else {
        return Ok(());
    };
    for (place, target) in &found[1..] {
        let is_same_place = target.address == first.address || target.kind == TargetKind::Control;
        if target.kind != first.kind || !is_same_place {
            return Err(MergeError::OtherTarget {
                target: target.name.clone(),
                first: (first_place.report.to_owned(), first.address.clone()),
                second: (place.report.to_owned(), target.address.clone()),
            });
        }
    }
    Ok(())
}

fn tools(reports: &[(String, Report)], notes: &mut Vec<String>) -> String {
    let mut tools: Vec<&str> = Vec::new();
    for (_, report) in reports {
        if !tools.contains(&report.tool.as_str()) {
            tools.push(&report.tool);
        }
    }
    if tools.len() > 1 {
        notes.push("the reports were written by different versions".to_owned());
    }
    tools.join(", ")
}

/// The plan that all had, or a list of all.
fn plans(reports: &[(String, Report)], notes: &mut Vec<String>) -> serde_json::Value {
    let plans: Vec<_> = reports.iter().map(|(_, report)| &report.plan).collect();
    if plans.iter().all(|plan| *plan == plans[0]) {
        return plans[0].clone();
    }
    notes.push("the plans are not the same: all of them are kept".to_owned());
    plans.into_iter().cloned().collect()
}

/// All load testers: what they used is added up, and their share is that of the busiest machine. Several on one machine
/// share its processors.
fn generators(reports: &[(String, Report)]) -> Process {
    let mut sum = Process::default();
    let mut shares: Many<f64> = Many::default();
    for (index, (_, report)) in reports.iter().enumerate() {
        add_process(&mut sum, &report.generator, index == 0);
        let machine = report.machines.first().map_or_else(|| index.to_string(), |machine| machine.host.clone());
        *shares.entry(machine).or_default() += report.generator.cpu_share;
    }
    sum.cpu_share = shares.into_values().fold(0.0, f64::max);
    sum
}

/// Reports cannot be added up.
#[derive(Debug)]
pub enum MergeError {
    /// There are not two of them.
    TooFew,
    /// Two are the same.
    Twice {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// The moment at which a run began is none.
    Start {
        /// Which report.
        report: String,
        /// What stands there.
        started_at: String,
    },
    /// One run had ended when the other began.
    Apart {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// Under one name they have targets that are not the same.
    OtherTarget {
        /// The name.
        target: String,
        /// A report, and where the target is in it.
        first: (String, String),
        /// Another, and where it is there.
        second: (String, String),
    },
    /// No target is in all of them.
    NothingInCommon,
    /// A histogram cannot be read.
    Latency {
        /// In which report.
        report: String,
        /// Of what.
        what: String,
        /// Why.
        cause: LatencyError,
    },
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MergeError::TooFew => write!(f, "at least two reports are needed to add them up"),
            MergeError::Twice { first, second } => write!(f, "{first} and {second} are the same report"),
            MergeError::Start { report, started_at } => {
                write!(f, "{report}: started_at is {started_at:?}, which is no RFC 3339 time")
            }
            MergeError::Apart { first, second } => {
                write!(f, "{first} and {second} did not run at the same time, so their rates do not add up")
            }
            MergeError::OtherTarget { target, first, second } => {
                let ((first, address), (second, other)) = (first, second);
                write!(f, "target {target} is {address:?} in {first} and {other:?} in {second}: not the same registry")
            }
            MergeError::NothingInCommon => write!(f, "the reports have no target in common"),
            MergeError::Latency { report, what, cause } => write!(f, "{report}: {what}: {cause}"),
        }
    }
}

impl std::error::Error for MergeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            MergeError::Latency { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
