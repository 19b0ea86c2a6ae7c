//! Reports made up for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Connections, ErrorCount, Finding, FindingKind, Histogram, Latency, Machine, Operation, Process, Report, Resumes,
    SCHEMA, Sample, Stalls, Starts, Target, TargetKind, Turn, Verification, Workload,
};

/// The times of a hundred requests: `step_us`, twice that, …
pub(crate) fn latency(step_us: u64) -> Latency {
    let mut histogram = Histogram::new();
    for number in 1..=100 {
        histogram.record(Duration::from_micros(number * step_us));
    }
    histogram.summary()
}

/// A report without any target.
pub(crate) fn empty() -> Report {
    Report {
        schema: SCHEMA,
        tool: "longshore 0.1.0".to_owned(),
        started_at: "2026-11-21T09:00:00Z".to_owned(),
        duration_seconds: 0.0,
        interrupted: false,
        plan: serde_json::json!({}),
        machines: Vec::new(),
        generator: Process::default(),
        notes: Vec::new(),
        targets: Vec::new(),
    }
}

/// A report of two registries and a control in which nothing is left out.
pub(crate) fn full() -> Report {
    let control = Target { kind: TargetKind::Control, ..target("control") };
    Report {
        duration_seconds: 32.5,
        interrupted: true,
        plan: serde_json::json!({"duration": "30s", "workloads": {"push-streamed": {"weight": 2}}}),
        machines: vec![machine("alpha")],
        generator: Process { cpu_share: 0.25, ..process() },
        notes: vec!["the disk was slow".to_owned()],
        targets: vec![target("a"), target("b"), control],
        ..empty()
    }
}

pub(crate) fn machine(host: &str) -> Machine {
    Machine {
        host: host.to_owned(),
        cpu: "AMD EPYC".to_owned(),
        cpus: 2,
        cpu_features: vec!["sha_ni".to_owned(), "avx2".to_owned()],
        kernel: "6.18.0".to_owned(),
        memory_bytes: 24 << 30,
    }
}

/// What moved 4 GiB in ten seconds: ten tasks a second, four good requests each and one bad in ten.
pub(crate) fn target(name: &str) -> Target {
    Target {
        name: name.to_owned(),
        address: format!("http://{name}.registry.example:5000"),
        kind: TargetKind::Remote,
        measured_seconds: 10.0,
        turns: vec![turn(0.0, 5.0), turn(10.0, 15.0)],
        operations: operations(),
        workloads: BTreeMap::from([("push-streamed".to_owned(), workload())]),
        starts: Starts { due: 100, late: 1, lateness: latency(3) },
        errors: vec![ErrorCount {
            operation: "blob.patch".to_owned(),
            status: 503,
            code: "UNAVAILABLE".to_owned(),
            count: 40,
            example: "come back later".to_owned(),
        }],
        resumes: Resumes { cuts: 5, resumed: 4, restarted: 1, bytes_sent_again: 1 << 20, time_to_offset: latency(10) },
        stalls: Stalls {
            stalled: 3,
            finished: 1,
            ended: BTreeMap::from([("408".to_owned(), 2)]),
            time_to_end: latency(1000),
        },
        connections: Connections { opened: 20, failed: 1, broken: 2, peak: 8, connect: latency(2) },
        verification: Verification { looked_up: 100, pulled: 10, findings: vec![finding()], found: 1 },
        server: Some(process()),
        timeline: (0..10).map(sample).collect(),
    }
}

fn operations() -> BTreeMap<String, Operation> {
    let operation =
        |errors, bytes| Operation { count: 100, errors, bytes, latency: latency(100), first_byte: latency(50) };
    BTreeMap::from([
        ("blob.patch".to_owned(), operation(40, 4 << 30)),
        ("blob.post".to_owned(), operation(0, 0)),
        ("blob.put".to_owned(), operation(0, 0)),
        ("blob.head".to_owned(), operation(0, 0)),
    ])
}

fn workload() -> Workload {
    Workload { count: 100, errors: 2, bytes: 4 << 30, latency: latency(300) }
}

pub(crate) fn finding() -> Finding {
    Finding {
        kind: FindingKind::LostBytes,
        repository: "load/a".to_owned(),
        digest: "sha256:0123".to_owned(),
        detail: "512 bytes of 1024 are gone".to_owned(),
        history: vec!["0.1 s POST 202".to_owned(), "0.2 s PATCH 202 Range 0-1023".to_owned()],
    }
}

pub(crate) fn process() -> Process {
    Process {
        user_cpu_seconds: 6.0,
        system_cpu_seconds: 2.0,
        cpu_seconds_per_gib: Some(2.0),
        cpu_us_per_request: Some(1500.0),
        cpu_share: 0.4,
        peak_memory_bytes: 64 << 20,
        mean_memory_bytes: 32 << 20,
        read_bytes: 1 << 20,
        written_bytes: 4 << 30,
        voluntary_switches: 1000,
        involuntary_switches: 10,
    }
}

pub(crate) fn turn(started_seconds: f64, ended_seconds: f64) -> Turn {
    let server = Some(Process { user_cpu_seconds: 3.0, system_cpu_seconds: 1.0, ..process() });
    Turn { started_seconds, ended_seconds, tasks: 50, requests: 200, bytes: 2 << 30, server }
}

fn sample(second: u32) -> Sample {
    // Two turns of five seconds with five between them.
    let at_seconds = f64::from(if second < 5 { second } else { second + 5 });
    Sample { at_seconds, bytes: 400 << 20, requests: 44, errors: 4, connections: 8, p50_us: 5000, p99_us: 9900 }
}
