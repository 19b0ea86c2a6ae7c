use std::collections::BTreeMap;

use super::shard::{ErrorKind, MOST_KINDS_OF_ERRORS, Requests, Tasks};
use crate::load::report::{
    Connections, ErrorCount, Histogram, Operation, Resumes, Stalls, Target, Verification, Workload,
};

/// What all workers of a target recorded.
#[derive(Default)]
pub struct Totals {
    pub(super) operations: BTreeMap<&'static str, Requests>,
    pub(super) workloads: BTreeMap<&'static str, Tasks>,
    pub(super) errors: BTreeMap<ErrorKind, (u64, String)>,
    pub(super) resumes: Resumes,
    pub(super) time_to_offset: Histogram,
    pub(super) stalls: Stalls,
    pub(super) time_to_end: Histogram,
    pub(in crate::load) connections: Connections,
    pub(super) connect: Histogram,
    pub(super) verification: Verification,
}

impl Totals {
    /// How many tasks were done.
    pub fn tasks(&self) -> u64 {
        self.workloads.values().map(|tasks| tasks.count).sum()
    }

    /// How many requests were answered as they should be.
    pub fn requests(&self) -> u64 {
        self.operations.values().map(|requests| requests.count).sum()
    }

    /// Bytes of content that were moved by tasks that succeeded.
    pub fn bytes(&self) -> u64 {
        self.workloads.values().map(|tasks| tasks.bytes).sum()
    }

    /// Puts all of it into a target's report.
    pub fn fill(self, target: &mut Target) {
        target.operations =
            self.operations.iter().map(|(name, requests)| ((*name).to_owned(), told(requests))).collect();
        target.workloads = self.workloads.iter().map(|(kind, tasks)| ((*kind).to_owned(), told_task(tasks))).collect();
        target.errors = errors(self.errors);
        target.resumes = Resumes { time_to_offset: self.time_to_offset.summary(), ..self.resumes };
        target.stalls = Stalls { time_to_end: self.time_to_end.summary(), ..self.stalls };
        target.connections = Connections { connect: self.connect.summary(), ..self.connections };
        target.verification = self.verification;
    }
}

fn told(requests: &Requests) -> Operation {
    Operation {
        count: requests.count,
        errors: requests.errors,
        bytes: requests.bytes,
        latency: requests.latency.summary(),
        first_byte: requests.first_byte.summary(),
    }
}

fn told_task(tasks: &Tasks) -> Workload {
    Workload { count: tasks.count, errors: tasks.errors, bytes: tasks.bytes, latency: tasks.latency.summary() }
}

/// The most frequent first.
fn errors(counted: BTreeMap<ErrorKind, (u64, String)>) -> Vec<ErrorCount> {
    let told = |((operation, status, code), (count, example)): (ErrorKind, (u64, String))| ErrorCount {
        operation: operation.to_owned(),
        status,
        code,
        count,
        example,
    };
    let mut errors: Vec<ErrorCount> = counted.into_iter().map(told).collect();
    errors.sort_by_key(|error| std::cmp::Reverse(error.count));
    // Each shard had kinds of its own.
    let rest = errors.split_off(errors.len().min(MOST_KINDS_OF_ERRORS));
    if let Some(first) = rest.first() {
        let count = rest.iter().map(|error| error.count).sum();
        let (operation, code) = ("other".to_owned(), "other".to_owned());
        errors.push(ErrorCount { operation, status: 0, code, count, example: first.example.clone() });
    }
    errors
}
