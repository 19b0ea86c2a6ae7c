use std::collections::BTreeMap;
use std::time::Duration;

use super::recorder::{Failure, Timing};
use super::totals::Totals;
use crate::load::report::{Connections, Finding, Histogram, Resumes, Stalls};

/// How many findings are kept whole.
pub(super) const MOST_FINDINGS: usize = 100;

/// How many kinds of errors are told apart; a server can send any code.
pub(super) const MOST_KINDS_OF_ERRORS: usize = 200;

/// What some of the workers recorded.
#[derive(Default)]
pub(super) struct Shard {
    operations: BTreeMap<&'static str, Requests>,
    workloads: BTreeMap<&'static str, Tasks>,
    errors: BTreeMap<ErrorKind, (u64, String)>,
    pub(super) resumes: Resumes,
    pub(super) time_to_offset: Histogram,
    pub(super) stalls: Stalls,
    pub(super) time_to_end: Histogram,
    pub(super) connections: Connections,
    pub(super) connect: Histogram,
    pub(super) looked_up: u64,
    pub(super) pulled: u64,
    findings: Vec<Finding>,
    found: u64,
    interval: Interval,
}

/// Operation, status, code.
pub(super) type ErrorKind = (&'static str, u16, String);

#[derive(Clone, Default)]
pub(super) struct Requests {
    pub(super) count: u64,
    pub(super) errors: u64,
    pub(super) bytes: u64,
    pub(super) latency: Histogram,
    pub(super) first_byte: Histogram,
}

#[derive(Clone, Default)]
pub(super) struct Tasks {
    pub(super) count: u64,
    pub(super) errors: u64,
    pub(super) bytes: u64,
    pub(super) latency: Histogram,
}

/// Since the last sample.
#[derive(Default)]
struct Interval {
    requests: u64,
    errors: u64,
    latency: Histogram,
}

impl Shard {
    pub(super) fn operation(&mut self, name: &'static str, timing: Timing, bytes: u64, result: Result<(), &Failure>) {
        let took = timing.end - timing.should_start;
        let requests = self.operations.entry(name).or_default();
        self.interval.requests += 1;
        match result {
            Ok(()) => {
                requests.count += 1;
                requests.bytes += bytes;
                requests.latency.record(took);
                if let Some(first_byte) = timing.first_byte {
                    requests.first_byte.record(first_byte - timing.should_start);
                }
                self.interval.latency.record(took);
            }
            Err(failure) => {
                requests.errors += 1;
                self.interval.errors += 1;
                self.failure(name, failure);
            }
        }
    }

    pub(super) fn workload(&mut self, kind: &'static str, took: Duration, bytes: u64, ok: bool) {
        let tasks = self.workloads.entry(kind).or_default();
        if ok {
            tasks.count += 1;
            tasks.bytes += bytes;
            tasks.latency.record(took);
        } else {
            tasks.errors += 1;
        }
    }

    pub(super) fn failure(&mut self, what: &'static str, failure: &Failure) {
        let example = || (0, failure.message.clone());
        let mut kind = (what, failure.status, failure.code.clone());
        if self.errors.len() >= MOST_KINDS_OF_ERRORS && !self.errors.contains_key(&kind) {
            kind.2 = "other".to_owned();
        }
        self.errors.entry(kind).or_insert_with(example).0 += 1;
    }

    pub(super) fn finding(&mut self, finding: Finding) {
        self.found += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// Gives requests and errors since the last time, and adds their times to `latency`.
    pub(super) fn take_interval(&mut self, latency: &mut Histogram) -> (u64, u64) {
        let counts = (self.interval.requests, self.interval.errors);
        if self.interval.latency.count() > 0 {
            latency.add(&self.interval.latency);
            self.interval.latency = Histogram::new();
        }
        (self.interval.requests, self.interval.errors) = (0, 0);
        counts
    }

    pub(super) fn add_to(&self, totals: &mut Totals) {
        for (name, requests) in &self.operations {
            totals.operations.entry(name).or_default().add(requests);
        }
        for (kind, tasks) in &self.workloads {
            totals.workloads.entry(kind).or_default().add(tasks);
        }
        for (kind, (count, example)) in &self.errors {
            totals.errors.entry(kind.clone()).or_insert_with(|| (0, example.clone())).0 += count;
        }
        totals.resumes.cuts += self.resumes.cuts;
        totals.resumes.resumed += self.resumes.resumed;
        totals.resumes.restarted += self.resumes.restarted;
        totals.resumes.bytes_sent_again += self.resumes.bytes_sent_again;
        totals.time_to_offset.add(&self.time_to_offset);
        totals.stalls.stalled += self.stalls.stalled;
        totals.stalls.finished += self.stalls.finished;
        for (by, count) in &self.stalls.ended {
            *totals.stalls.ended.entry(by.clone()).or_default() += count;
        }
        totals.time_to_end.add(&self.time_to_end);
        totals.connections.opened += self.connections.opened;
        totals.connections.failed += self.connections.failed;
        totals.connections.broken += self.connections.broken;
        totals.connect.add(&self.connect);
        totals.verification.looked_up += self.looked_up;
        totals.verification.pulled += self.pulled;
        totals.verification.found += self.found;
        let room = MOST_FINDINGS.saturating_sub(totals.verification.findings.len());
        totals.verification.findings.extend(self.findings.iter().take(room).cloned());
    }
}

impl Requests {
    fn add(&mut self, other: &Requests) {
        self.count += other.count;
        self.errors += other.errors;
        self.bytes += other.bytes;
        self.latency.add(&other.latency);
        self.first_byte.add(&other.first_byte);
    }
}

impl Tasks {
    fn add(&mut self, other: &Tasks) {
        self.count += other.count;
        self.errors += other.errors;
        self.bytes += other.bytes;
        self.latency.add(&other.latency);
    }
}
