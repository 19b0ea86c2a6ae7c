use serde::{Deserialize, Serialize};

/// `hashing`: how digests are computed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HashingConfig {
    /// Which code hashes.
    pub implementation: HashImplementation,
    /// What hashes several uploads together.
    pub lanes: HashLanes,
    /// How many threads hash; 0 takes as many as there are cores.
    pub threads: usize,
}

/// Which code hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HashImplementation {
    /// The fastest for this processor.
    #[default]
    Auto,
    /// The `sha2` crate: best where the processor has SHA instructions.
    Sha2,
    /// The assembly of AWS-LC: best where it has none.
    AwsLc,
}

/// What hashes several uploads together on one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HashLanes {
    /// Whatever is fastest for so many: by the processor's instructions and a measurement of some milliseconds at the start.
    #[default]
    Auto,
    /// Nothing: each is hashed alone.
    Single,
    /// Two at once with SHA instructions.
    ShaNi,
    /// Eight at once with AVX2.
    Avx2,
    /// Sixteen at once with AVX-512.
    Avx512,
}
