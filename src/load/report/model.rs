//! The JSON document of a run. Sizes are bytes, times of day RFC 3339, moments within the run seconds since its start.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Latency;

/// The version of this document's form. Fields may be added to it; one that changes its meaning makes another version.
pub const SCHEMA: u32 = 1;

/// A run of the load tester.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What wrote it: `longshore 0.1.0`.
    pub tool: String,
    /// When the run began.
    pub started_at: String,
    /// How long it took, warm-up and all.
    pub duration_seconds: f64,
    /// Ctrl-C ended it before its time.
    pub interrupted: bool,
    /// What was to be done, as a plan file says it, defaults included. A list of them in a report of several machines
    /// that did not do the same.
    pub plan: serde_json::Value,
    /// The machines that the load came from.
    pub machines: Vec<Machine>,
    /// The load tester's own process while something was measured; of several machines all of them, with the share of
    /// the busiest one.
    pub generator: Process,
    /// What the run itself has to say: tasks that were begun late, content that was left, figures that could not be had,
    /// machines that were added up.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The registries, in the plan's order.
    pub targets: Vec<Target>,
}

/// Where the load came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name.
    pub host: String,
    /// The processor's model.
    pub cpu: String,
    /// How many of them this process may use.
    pub cpus: usize,
    /// Those extensions that speed hashing up: `sha_ni`, `avx2`, `avx512f`.
    pub cpu_features: Vec<String>,
    /// The kernel's version.
    pub kernel: String,
    /// Its memory.
    pub memory_bytes: u64,
}

/// What a registry did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// As it is called in the plan.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// Who runs it.
    pub kind: TargetKind,
    /// How long it was measured: all its turns without the warm-up.
    pub measured_seconds: f64,
    /// When it had its turns.
    pub turns: Vec<Turn>,
    /// Single requests by operation (`upload.patch`, `blob.get`, `manifest.put`, …).
    pub operations: BTreeMap<String, Operation>,
    /// Whole tasks by workload (`push-streamed`, `resume`, …).
    pub workloads: BTreeMap<String, Workload>,
    /// How well the load tester kept to the times at which tasks were due.
    #[serde(default)]
    pub starts: Starts,
    /// What went wrong.
    pub errors: Vec<ErrorCount>,
    /// Uploads that were cut and gone on with.
    pub resumes: Resumes,
    /// Uploads that were slow or stood still on purpose.
    pub stalls: Stalls,
    /// Connections of its turns.
    pub connections: Connections,
    /// What was looked up, pulled and compared.
    pub verification: Verification,
    /// The server's process where it runs on this machine and its id is known.
    pub server: Option<Process>,
    /// How it went, a sample each second of its turns.
    pub timeline: Vec<Sample>,
}

/// Who runs a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// Somebody: its address was given.
    Remote,
    /// This run started a longshore for itself.
    Embedded,
    /// No registry: it receives, hashes and writes.
    Control,
}

/// A part of the run that belonged to one target, and what was done in it, so that turns can be set side by side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// When it began, behind its warm-up.
    pub started_seconds: f64,
    /// When it ended.
    pub ended_seconds: f64,
    /// How many tasks were done in it.
    #[serde(default)]
    pub tasks: u64,
    /// How many requests were answered as they should be.
    #[serde(default)]
    pub requests: u64,
    /// Bytes of content that its tasks moved.
    #[serde(default)]
    pub bytes: u64,
    /// The server's process; `None` where [`Target::server`] is, and where turns of several machines made this one.
    pub server: Option<Process>,
}

/// Requests of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// How many were answered as they should be.
    pub count: u64,
    /// How many were not.
    pub errors: u64,
    /// Bytes of their bodies, in the direction that is theirs.
    pub bytes: u64,
    /// From when each should have begun to its answer's last byte.
    pub latency: Latency,
    /// From when each should have begun to its answer's first byte.
    pub first_byte: Latency,
}

/// Tasks of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// How many were done.
    pub count: u64,
    /// How many failed.
    pub errors: u64,
    /// Bytes of content that they moved (bytes that were sent again count once).
    pub bytes: u64,
    /// From when each should have begun to its end.
    pub latency: Latency,
}

/// Tasks that were due at a time of their own (an open loop), and how well it was kept; zeros where workers went on as
/// soon as they could.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Starts {
    /// How many were due.
    pub due: u64,
    /// How many of them began more than ten milliseconds late, because nobody was free to do them.
    pub late: u64,
    /// From when each was due to when it began.
    pub lateness: Latency,
}

/// Errors of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// The operation.
    pub operation: String,
    /// The answer's status; 0 where there was none.
    pub status: u16,
    /// The registry's code, or of what kind it was: `connect`, `reset`, `timeout`, `protocol`.
    pub code: String,
    /// How many.
    pub count: u64,
    /// The message of one of them.
    pub example: String,
}

/// Uploads that were cut on purpose and gone on with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resumes {
    /// How many were cut.
    pub cuts: u64,
    /// How many went on to their end.
    pub resumed: u64,
    /// How many had to begin anew because the registry lost them.
    pub restarted: u64,
    /// Bytes that had been sent before a cut, and had to be sent again.
    pub bytes_sent_again: u64,
    /// From the cut to the answer that tells the offset.
    pub time_to_offset: Latency,
}

/// Uploads that were slow or stood still on purpose, and what the server did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stalls {
    /// How many.
    pub stalled: u64,
    /// How many went on to their end all the same.
    pub finished: u64,
    /// How many the server ended, by its answer (`408`, `404`, `reset`, …).
    pub ended: BTreeMap<String, u64>,
    /// From the stall's begin until the server ended the upload.
    pub time_to_end: Latency,
}

/// Connections to a target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// How many were opened.
    pub opened: u64,
    /// How many could not be.
    pub failed: u64,
    /// How many broke that nobody cut on purpose.
    pub broken: u64,
    /// How many were open at once at most; of several machines the sum of theirs.
    pub peak: u64,
    /// How long it took to open one.
    pub connect: Latency,
}

/// Whether what was acknowledged is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Blobs that were looked up.
    pub looked_up: u64,
    /// Blobs that were pulled and compared.
    pub pulled: u64,
    /// What was wrong; `found` counts all, here stand the first hundred.
    pub findings: Vec<Finding>,
    /// How many things were wrong.
    pub found: u64,
}

/// Something that a registry acknowledged and does not hold to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// The repository.
    pub repository: String,
    /// The blob.
    pub digest: String,
    /// What exactly.
    pub detail: String,
    /// What was done and answered: a line each, with its moment.
    pub history: Vec<String>,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A blob whose push was acknowledged is not there.
    Missing,
    /// Its size is another one.
    WrongSize,
    /// Its bytes are others.
    WrongBytes,
    /// Bytes of an upload that had been acknowledged are lost.
    LostBytes,
    /// The registry told of more bytes than were sent.
    WrongOffset,
    /// Something was taken that must be refused (a wrong digest, a wrong range).
    Accepted,
}

impl FindingKind {
    /// As it stands in the document.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::Missing => "missing",
            FindingKind::WrongSize => "wrong-size",
            FindingKind::WrongBytes => "wrong-bytes",
            FindingKind::LostBytes => "lost-bytes",
            FindingKind::WrongOffset => "wrong-offset",
            FindingKind::Accepted => "accepted",
        }
    }
}

/// What a process used while something was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Processor time in its own code.
    pub user_cpu_seconds: f64,
    /// Processor time in the kernel.
    pub system_cpu_seconds: f64,
    /// Processor time for each GiB of content moved; `None` where none was.
    pub cpu_seconds_per_gib: Option<f64>,
    /// Processor time for each request, in microseconds; `None` where there was none.
    pub cpu_us_per_request: Option<f64>,
    /// The share of the machine's processors that was used (1: all of them).
    pub cpu_share: f64,
    /// The most memory it held.
    pub peak_memory_bytes: u64,
    /// How much memory it held on average.
    pub mean_memory_bytes: u64,
    /// What it read from disks.
    pub read_bytes: u64,
    /// What it wrote to disks.
    pub written_bytes: u64,
    /// How often it waited.
    pub voluntary_switches: u64,
    /// How often it was made to wait.
    pub involuntary_switches: u64,
}

/// A second of a target's turn. Added up from several machines, its `p50_us` is their mean, weighted by requests, and its
/// `p99_us` the greatest of theirs: samples hold no histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When it began.
    pub at_seconds: f64,
    /// Bytes of content that were moved in it.
    pub bytes: u64,
    /// Requests that ended in it.
    pub requests: u64,
    /// Of them, those that failed.
    pub errors: u64,
    /// Connections that were open at its end.
    pub connections: u64,
    /// Half of the requests took no longer.
    pub p50_us: u64,
    /// 99 in 100 took no longer.
    pub p99_us: u64,
}
