//! What a run found out: the JSON document, and what is made of it.

mod latency;
mod model;

pub use latency::{Histogram, Latency, LatencyError};
pub use model::{
    Connections, ErrorCount, Finding, FindingKind, Machine, Operation, Process, Report, Resumes, SCHEMA, Sample,
    Stalls, Target, TargetKind, Turn, Verification, Workload,
};
