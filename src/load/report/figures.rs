//! Figures of a target that follow from its report: what a summary shows first, and what reports are compared by.

use super::{Latency, Process, Target, TargetKind};
use crate::text::{latency, quantity, size};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes in a second.
    BytesPerSecond,
    /// Something in a second.
    PerSecond,
    /// Microseconds.
    Microseconds,
    /// Seconds of processor time.
    CpuSeconds,
    /// Bytes.
    Bytes,
    /// A part of a whole, 0 to 1.
    Share,
}

impl Unit {
    /// The value as people read it: `1.2 GiB/s`, `3.4 ms`, `5.6 %`.
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::BytesPerSecond => speed(value),
            // What is larger than any number of bytes is shown as the largest.
            Unit::Bytes => size(value as u64),
            Unit::PerSecond => quantity(value),
            Unit::Microseconds => latency(value),
            Unit::CpuSeconds => format!("{} s", quantity(value)),
            Unit::Share => percent(value),
        }
    }
}

/// `1.23 GiB/s`: a digit more than sizes have, as speeds are compared.
fn speed(bytes_per_second: f64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)].map(|(unit, bits)| (unit, (1_u64 << bits) as f64));
    let (unit, factor) = units.into_iter().find(|(_, factor)| bytes_per_second >= *factor).unwrap_or(("B", 1.0));
    format!("{} {unit}/s", quantity(bytes_per_second / factor))
}

/// `12 %`, `1.3 %`, `0.02 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        percent if percent == 0.0 || percent >= 9.95 => format!("{percent:.0} %"),
        percent if percent >= 0.95 => format!("{percent:.1} %"),
        percent => format!("{percent:.2} %"),
    }
}

/// `×1.25`: how many times the other one a figure is; empty where that means nothing.
pub fn times(value: Option<f64>, of: Option<f64>) -> String {
    match (value, of) {
        (Some(value), Some(of)) if of > 0.0 && value / of < 1e4 => format!("×{:.2}", value / of),
        _ => String::new(),
    }
}

/// One number about a target.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// What it is called on a command line.
    pub name: &'static str,
    /// What it is called in a table.
    pub title: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Whether a greater one is a better one.
    pub more_is_better: bool,
    /// Whether it says something beside the control's, which fails at nothing and holds nothing in memory.
    pub is_told_of_control: bool,
    /// Where it comes from; `None` where it was not measured.
    pub of: fn(&Target) -> Option<f64>,
}

/// Those that a target has as a whole.
pub const FIGURES: [Figure; 7] = [
    Figure {
        name: "throughput",
        title: "throughput",
        unit: Unit::BytesPerSecond,
        more_is_better: true,
        is_told_of_control: true,
        of: Target::bytes_per_second,
    },
    Figure {
        name: "requests",
        title: "requests a second",
        unit: Unit::PerSecond,
        more_is_better: true,
        is_told_of_control: true,
        of: Target::requests_per_second,
    },
    Figure {
        name: "tasks",
        title: "tasks a second",
        unit: Unit::PerSecond,
        more_is_better: true,
        is_told_of_control: true,
        of: Target::tasks_per_second,
    },
    Figure {
        name: "errors",
        title: "failed requests",
        unit: Unit::Share,
        more_is_better: false,
        is_told_of_control: false,
        of: Target::failed_share,
    },
    Figure {
        name: "cpu-per-gib",
        title: "server CPU per GiB",
        unit: Unit::CpuSeconds,
        more_is_better: false,
        is_told_of_control: true,
        of: |target| target.server.as_ref()?.cpu_seconds_per_gib,
    },
    Figure {
        name: "cpu-per-request",
        title: "server CPU per request",
        unit: Unit::Microseconds,
        more_is_better: false,
        is_told_of_control: true,
        of: |target| target.server.as_ref()?.cpu_us_per_request,
    },
    Figure {
        name: "memory",
        title: "server memory, peak",
        unit: Unit::Bytes,
        more_is_better: false,
        is_told_of_control: false,
        of: |target| target.server.as_ref().map(|server| server.peak_memory_bytes as f64),
    },
];

impl Target {
    /// Bytes of content that were moved.
    pub fn content_bytes(&self) -> u64 {
        let bytes = self.workloads.values().fold(0_u64, |sum, workload| sum.saturating_add(workload.bytes));
        match bytes {
            // Somebody who is asked single things does no tasks.
            0 => self.operations.values().fold(0, |sum, operation| sum.saturating_add(operation.bytes)),
            bytes => bytes,
        }
    }

    /// Requests that ended, and those of them that failed.
    pub fn requests(&self) -> (u64, u64) {
        self.operations.values().fold((0_u64, 0_u64), |(all, failed), operation| {
            let ended = operation.count.saturating_add(operation.errors);
            (all.saturating_add(ended), failed.saturating_add(operation.errors))
        })
    }

    /// Bytes of content in each second that was measured; `None` where none was.
    pub fn bytes_per_second(&self) -> Option<f64> {
        self.per_second(self.content_bytes())
    }

    /// Requests that ended in each second that was measured; `None` where none was.
    pub fn requests_per_second(&self) -> Option<f64> {
        self.per_second(self.requests().0)
    }

    /// Tasks that were done in each second that was measured; `None` where none was, and where there are no tasks.
    pub fn tasks_per_second(&self) -> Option<f64> {
        let tasks = self.workloads.values().map(|workload| workload.count).reduce(u64::saturating_add)?;
        self.per_second(tasks)
    }

    /// Which share of the requests failed; `None` where there was no request.
    pub fn failed_share(&self) -> Option<f64> {
        let (all, failed) = self.requests();
        (all > 0).then(|| failed as f64 / all as f64)
    }

    /// Whether it is the control.
    pub fn is_control(&self) -> bool {
        self.kind == TargetKind::Control
    }

    /// Every kind of time that was taken: whole tasks by workload, then requests by operation.
    pub fn latencies(&self) -> impl Iterator<Item = (&str, &Latency)> {
        let workloads = self.workloads.iter().map(|(name, workload)| (name.as_str(), &workload.latency));
        workloads.chain(self.operations.iter().map(|(name, operation)| (name.as_str(), &operation.latency)))
    }

    fn per_second(&self, count: u64) -> Option<f64> {
        (self.measured_seconds > 0.0).then(|| count as f64 / self.measured_seconds)
    }
}

impl Process {
    /// Processor time in its own code and in the kernel.
    pub fn cpu_seconds(&self) -> f64 {
        self.user_cpu_seconds + self.system_cpu_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::samples;

    #[test]
    fn figures_follow_from_the_report() {
        let target = samples::target("a");
        let figures: Vec<_> = FIGURES.iter().map(|figure| (figure.name, (figure.of)(&target))).collect();
        assert_eq!(
            figures,
            [
                ("throughput", Some((4_u64 << 30) as f64 / 10.0)),
                ("requests", Some(44.0)),
                ("tasks", Some(10.0)),
                ("errors", Some(40.0 / 440.0)),
                ("cpu-per-gib", Some(2.0)),
                ("cpu-per-request", Some(1500.0)),
                ("memory", Some((64_u64 << 20) as f64)),
            ]
        );
    }

    #[test]
    fn what_was_not_measured_has_no_figure() {
        let target = Target { measured_seconds: 0.0, server: None, ..samples::target("a") };
        for figure in FIGURES.iter().filter(|figure| figure.name != "errors") {
            assert_eq!((figure.of)(&target), None, "{}", figure.name);
        }
        let idle = Target { operations: Default::default(), workloads: Default::default(), ..samples::target("a") };
        assert_eq!((idle.failed_share(), idle.tasks_per_second(), idle.content_bytes()), (None, None, 0));
    }

    #[test]
    fn ratios_and_shares_are_short() {
        let speeds = [0.0, 1000.0, 1536.0, 1e9].map(|value| Unit::BytesPerSecond.show(value));
        assert_eq!(speeds, ["0 B/s", "1000 B/s", "1.50 KiB/s", "954 MiB/s"]);
        for (share, text) in [(0.0, "0 %"), (0.0002, "0.02 %"), (0.0123, "1.2 %"), (0.456, "46 %"), (1.0, "100 %")] {
            assert_eq!(percent(share), text);
        }
        assert_eq!(times(Some(5.0), Some(4.0)), "×1.25");
        assert_eq!(times(Some(5.0), Some(0.0)), "");
        assert_eq!(times(Some(1e9), Some(1.0)), "");
        assert_eq!(times(None, Some(1.0)), "");
    }
}
