//! What a run found out: the JSON document, and what is made of it.

mod compare;
mod figures;
mod file;
mod html;
mod latency;
mod merge;
mod model;
#[cfg(test)]
pub(crate) mod samples;
mod schema;
mod summary;
mod table;
mod warnings;

pub use compare::{Comparison, Limit, LimitError, Limits, NothingInCommon, Pair, Regression, Row, Share, compare};
pub use figures::{FIGURES, Figure, Unit};
pub use file::{FileError, ReportError, replace};
pub use html::html;
pub use latency::{Histogram, Latency, LatencyError};
pub use merge::{MergeError, merge};
pub use model::{
    Connections, ErrorCount, Finding, FindingKind, Machine, Operation, Process, Report, Resumes, SCHEMA, Sample,
    Stalls, Starts, Target, TargetKind, Turn, Verification, Workload,
};
pub use schema::JSON_SCHEMA;
pub use summary::summary;
pub use warnings::warnings;
