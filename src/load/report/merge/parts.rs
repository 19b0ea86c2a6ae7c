//! How the parts of a report are added up that know nothing of machines.

use std::collections::BTreeMap;

use crate::load::report::{Histogram, Latency, LatencyError, Process};

/// Things by their names.
pub(super) type Many<T> = BTreeMap<String, T>;

/// Counts are added up; more than can be counted stay at the greatest that can.
pub(super) fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// Times of one kind while they are added up.
#[derive(Default)]
pub(super) struct Times(Histogram);

impl Times {
    pub(super) fn add(&mut self, latency: &Latency) -> Result<(), LatencyError> {
        self.0.add(&latency.histogram()?);
        Ok(())
    }

    pub(super) fn latency(&self) -> Latency {
        self.0.summary()
    }
}

/// Adds up what processes used that are not the same. `cpu_share` is left to the caller, who knows the machines.
pub(super) fn add_process(sum: &mut Process, more: &Process, is_first: bool) {
    let per_gib = per_unit(sum, more, |process| process.cpu_seconds_per_gib, is_first);
    let per_request = per_unit(sum, more, |process| process.cpu_us_per_request, is_first);
    sum.user_cpu_seconds += more.user_cpu_seconds;
    sum.system_cpu_seconds += more.system_cpu_seconds;
    sum.cpu_seconds_per_gib = per_gib;
    sum.cpu_us_per_request = per_request;
    add(&mut sum.peak_memory_bytes, more.peak_memory_bytes);
    add(&mut sum.mean_memory_bytes, more.mean_memory_bytes);
    add(&mut sum.read_bytes, more.read_bytes);
    add(&mut sum.written_bytes, more.written_bytes);
    add(&mut sum.voluntary_switches, more.voluntary_switches);
    add(&mut sum.involuntary_switches, more.involuntary_switches);
}

/// Time for each unit of both together: all the time over all the units, which follow from time and time for each.
fn per_unit(one: &Process, other: &Process, of: fn(&Process) -> Option<f64>, is_first: bool) -> Option<f64> {
    if is_first {
        return of(other);
    }
    match (of(one), of(other)) {
        (Some(first), Some(second)) if first > 0.0 && second > 0.0 => {
            let units = one.cpu_seconds() / first + other.cpu_seconds() / second;
            let seconds = one.cpu_seconds() + other.cpu_seconds();
            (units > 0.0).then(|| seconds / units)
        }
        // One that had no units, or used no time for them: its units are not known.
        _ => None,
    }
}
