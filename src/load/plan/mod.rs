//! What a run is to do: a YAML file, over which go flags. Sizes and times are written as people do (`16MiB`, `30s`).
//!
//! `config/load/` has examples in which each key is explained.

mod check;
mod error;
mod own;
mod parameters;
mod read;
mod shape;
mod sizes;
mod target;
mod trace;
mod workload;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::byte_size;

pub use error::PlanError;
pub use own::OwnServersPlan;
pub use parameters::{
    Cancel, Contend, ContendOver, Cut, HeadMany, ImagePull, ImagePush, PullRanges, PushChunked, Replay, ReplayWhat,
    Resume, Stall, TagsList,
};
pub use read::Setting;
pub use shape::{Pace, Shape, Stage};
pub use sizes::{Sizes, SizesError};
pub use target::{AddressError, Credentials, TargetAddress, TargetPlan};
pub use trace::{Trace, TraceShares};
pub use workload::{Workload, WorkloadPlan};

/// A run of the load tester.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// What all randomness begins with: the same plan with the same seed draws the same sizes, offsets and bytes. `None`:
    /// another one each time; the report tells it.
    pub seed: Option<u64>,
    /// Registries that run already.
    pub targets: Vec<TargetPlan>,
    /// A longshore of the run's own is a target, too: in a process and a temporary folder of its own.
    pub embedded: bool,
    /// A server that only receives, hashes and writes is a target, too, so that figures of different machines can be
    /// set side by side.
    pub control: bool,
    /// How those two are.
    pub own_servers: OwnServersPlan,
    /// What is done, mixed by weights.
    pub workloads: Vec<WorkloadPlan>,
    /// What is pushed.
    pub content: ContentPlan,
    /// How much at once, and for how long.
    pub shape: Shape,
    /// What is looked at afterwards.
    pub verify: VerifyPlan,
    /// Everything is pushed below this and the run's own id: `load/<run id>/<n>`.
    pub repository_prefix: String,
    /// Over how many repositories pushes are spread.
    pub repositories: u32,
    /// Afterwards what this run pushed is deleted, and nothing else.
    pub clean: bool,
    /// How many connections to one target there may be at once. Zero: as many as the work needs.
    pub max_connections: u32,
    /// Where the report goes.
    pub report: ReportPlan,
}

/// What is pushed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContentPlan {
    /// How large a blob is.
    pub sizes: Sizes,
    /// The share (0 to 1) of pushes whose blob this run pushed to the target before.
    pub duplicate_ratio: f64,
    /// What sets a blob apart from others.
    pub uniqueness: Uniqueness,
    /// How many blobs and images are pushed before the load begins, for workloads that pull, mount or look up.
    pub prepared: u32,
    /// How many bytes are handed to a connection at once.
    #[serde(with = "byte_size")]
    pub piece_size: u64,
}

/// What sets a blob apart from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Uniqueness {
    /// Its last 64 bytes. Costs next to nothing; a store that finds equal parts of blobs would be flattered.
    #[default]
    Tail,
    /// Every byte. Costs a pass over it and hashing it before it is pushed.
    Whole,
}

/// What is looked at afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerifyPlan {
    /// Which of the pushed blobs are looked up.
    pub lookup: Lookup,
    /// The share (0 to 1) of pushed blobs that are pulled and compared.
    pub pull_ratio: f64,
}

/// Which of the pushed blobs are looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lookup {
    /// Each.
    #[default]
    All,
    /// None.
    #[serde(rename = "none")]
    Off,
}

/// Where the report goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportPlan {
    /// A file for the JSON document.
    pub json: Option<PathBuf>,
    /// A file for the page with charts.
    pub html: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            seed: None,
            targets: Vec::new(),
            embedded: false,
            control: false,
            own_servers: OwnServersPlan::default(),
            workloads: Vec::new(),
            content: ContentPlan::default(),
            shape: Shape::default(),
            verify: VerifyPlan::default(),
            repository_prefix: "load".to_owned(),
            repositories: 16,
            clean: false,
            max_connections: 0,
            report: ReportPlan::default(),
        }
    }
}

impl Default for ContentPlan {
    fn default() -> Self {
        ContentPlan {
            sizes: Sizes::Fixed(16 << 20),
            duplicate_ratio: 0.0,
            uniqueness: Uniqueness::Tail,
            prepared: 16,
            piece_size: 256 << 10,
        }
    }
}

impl Default for VerifyPlan {
    fn default() -> Self {
        VerifyPlan { lookup: Lookup::All, pull_ratio: 0.01 }
    }
}
