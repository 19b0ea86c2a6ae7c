use serde::{Deserialize, Serialize};

/// `hashing`: how digests are computed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HashingConfig {
    /// Which code hashes.
    pub implementation: HashImplementation,
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
