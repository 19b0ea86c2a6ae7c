//! Sets two reports side by side, and holds the second to limits.

mod limits;
mod page;
mod text;

use std::fmt;

pub use self::limits::{Limit, LimitError, Limits, Regression, Share};
use super::figures::{FIGURES, Unit};
use super::summary::distinct;
use super::{Latency, Report, Target};

/// A percentile of fewer times than this is one of them.
const FEW_FOR_P50: u64 = 10;
const FEW_FOR_P99: u64 = 100;

type Quantile = (&'static str, fn(&Latency) -> u64, u64);

const QUANTILES: [Quantile; 2] =
    [("p50", |latency| latency.p50_us, FEW_FOR_P50), ("p99", |latency| latency.p99_us, FEW_FOR_P99)];

/// Two reports side by side.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What they have in common, in the first one's order.
    pub targets: Vec<Pair>,
    /// What a reader must know about it, a sentence each.
    pub notes: Vec<String>,
    /// Whether both have a control.
    pub has_controls: bool,
}

/// A target of the first report, and what it is set against.
#[derive(Clone, Debug)]
pub struct Pair {
    /// As the first report has it.
    pub before: Target,
    /// As the second has it.
    pub after: Target,
    /// What both are compared by.
    pub rows: Vec<Row>,
}

/// One figure of both.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is called in a limit: `throughput`, `upload.patch.p99`.
    pub name: String,
    /// What it is called in a table.
    pub title: String,
    /// What it counts.
    pub unit: Unit,
    /// Whether a greater one is a better one.
    pub more_is_better: bool,
    /// In the first report; `None` where it was not measured.
    pub before: Option<f64>,
    /// In the second report; `None` where it was not measured.
    pub after: Option<f64>,
    /// How many times the first's the second is, each set against its own control; `None` where there is none.
    pub by_control: Option<f64>,
    /// It is a percentile of too few times.
    pub is_of_few: bool,
}

impl Pair {
    /// As it is called, and what it was called before if that was something else.
    pub fn name(&self) -> String {
        match self.before.name == self.after.name {
            true => self.after.name.clone(),
            false => format!("{} (before: {})", self.after.name, self.before.name),
        }
    }
}

impl Row {
    /// How many times the first's the second is; `None` where one was not measured, or there was nothing before.
    pub fn ratio(&self) -> Option<f64> {
        let before = self.before.filter(|before| *before > 0.0)?;
        Some(self.after? / before)
    }

    /// By which share it got worse: 0.1 is ten in a hundred slower, or less; below zero it got better. From nothing to
    /// something is infinitely worse where less is better. `None` where that cannot be told.
    pub fn worse_by(&self, by_control: bool) -> Option<f64> {
        if by_control && self.by_control.is_some() {
            return self.by_control.map(|ratio| self.worse(ratio));
        }
        match (self.before?, self.after?) {
            (before, after) if before <= 0.0 && after > 0.0 => (!self.more_is_better).then_some(f64::INFINITY),
            (before, after) if before <= 0.0 && after <= 0.0 => Some(0.0),
            _ => self.ratio().map(|ratio| self.worse(ratio)),
        }
    }

    fn worse(&self, ratio: f64) -> f64 {
        if self.more_is_better { 1.0 - ratio } else { ratio - 1.0 }
    }
}

/// Sets `after` against `before`. Targets are compared that have the same name; where each report has one registry, those
/// two are, whatever they are called.
///
/// # Errors
/// [`NothingInCommon`] when there is no such target.
pub fn compare(before: &Report, after: &Report) -> Result<Comparison, NothingInCommon> {
    let pairs = pairs(before, after);
    if pairs.is_empty() {
        return Err(NothingInCommon);
    }
    let controls = Option::zip(control(before), control(after));
    let mut notes = Vec::new();
    for (side, report) in [("first", before), ("second", after)] {
        let is_compared = |target: &&Target| {
            pairs.iter().any(|(one, other)| std::ptr::eq(*one, *target) || std::ptr::eq(*other, *target))
        };
        for target in report.targets.iter().filter(|target| !is_compared(target)) {
            notes.push(format!("{} is in the {side} report only", target.name));
        }
        if report.interrupted {
            notes.push(format!("the {side} run was interrupted"));
        }
    }
    if before.plan != after.plan {
        notes.push("the plans are not the same".to_owned());
    }
    if controls.is_none() && before.machines != after.machines {
        notes.push("the machines are not the same, and there is no control to tell what that makes out".to_owned());
    }
    let pair = |(before, after): (&Target, &Target)| Pair {
        before: before.clone(),
        after: after.clone(),
        rows: rows(before, after, controls.filter(|_| !before.is_control())),
    };
    Ok(Comparison { targets: pairs.iter().copied().map(pair).collect(), notes, has_controls: controls.is_some() })
}

fn control(report: &Report) -> Option<&Target> {
    report.targets.iter().find(|target| target.is_control())
}

fn pairs<'a>(before: &'a Report, after: &'a Report) -> Vec<(&'a Target, &'a Target)> {
    let same = |one: &'a Target| {
        let found = after
            .targets
            .iter()
            .find(|other| other.is_control() == one.is_control() && (one.is_control() || other.name == one.name));
        found.map(|other| (one, other))
    };
    let mut pairs: Vec<_> = before.targets.iter().filter_map(same).collect();
    if !pairs.iter().any(|(one, _)| !one.is_control())
        && let (Some(one), Some(other)) = (only_registry(before), only_registry(after))
    {
        pairs.insert(0, (one, other));
    }
    pairs
}

fn only_registry(report: &Report) -> Option<&Target> {
    let mut registries = report.targets.iter().filter(|target| !target.is_control());
    registries.next().filter(|_| registries.next().is_none())
}

fn rows(before: &Target, after: &Target, controls: Option<(&Target, &Target)>) -> Vec<Row> {
    let mut rows = Vec::new();
    for figure in &FIGURES {
        let values = |(one, other): (&Target, &Target)| ((figure.of)(one), (figure.of)(other));
        let of_controls = controls.filter(|_| figure.is_told_of_control).map(values);
        let (before, after) = values((before, after));
        rows.push(Row {
            name: figure.name.to_owned(),
            title: figure.title.to_owned(),
            unit: figure.unit,
            more_is_better: figure.more_is_better,
            before,
            after,
            by_control: by_control((before, after), of_controls),
            is_of_few: false,
        });
    }
    let names = distinct([before, after], |target| target.latencies().map(|(name, _)| name).collect());
    for name in names {
        for (quantile, of, few) in QUANTILES {
            let values = |(one, other): (&Target, &Target)| (times(one, name, of), times(other, name, of));
            let ((first, first_count), (second, second_count)) = values((before, after));
            let of_controls = controls.map(values).map(|((one, _), (other, _))| (one, other));
            rows.push(Row {
                name: format!("{name}.{quantile}"),
                title: format!("{name} {quantile}"),
                unit: Unit::Microseconds,
                more_is_better: false,
                before: first,
                after: second,
                by_control: by_control((first, second), of_controls),
                is_of_few: first_count.min(second_count) < few,
            });
        }
    }
    rows.retain(|row| row.before.is_some() || row.after.is_some());
    rows
}

/// A percentile, and how many times it is of.
fn times(target: &Target, name: &str, of: fn(&Latency) -> u64) -> (Option<f64>, u64) {
    let found = target.latencies().find(|(found, latency)| *found == name && latency.count > 0);
    found.map_or((None, 0), |(_, latency)| (Some(of(latency) as f64), latency.count))
}

type Two = (Option<f64>, Option<f64>);

fn by_control((before, after): Two, controls: Option<Two>) -> Option<f64> {
    let (control_before, control_after) = controls?;
    let all = [before?, after?, control_before?, control_after?];
    let [before, after, control_before, control_after] = all;
    all.iter().all(|value| *value > 0.0).then(|| (after / control_after) / (before / control_before))
}

/// Two reports have no target that could be compared.
#[derive(Debug)]
pub struct NothingInCommon;

impl fmt::Display for NothingInCommon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the reports have no target in common")
    }
}

impl std::error::Error for NothingInCommon {}

#[cfg(test)]
mod tests;
