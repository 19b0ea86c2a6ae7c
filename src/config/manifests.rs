use serde::{Deserialize, Serialize};

use super::byte_size;

/// `manifests`: what is accepted as one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ManifestsConfig {
    /// Whether a manifest may name blobs and manifests that the repository does not have.
    pub allow_sparse: bool,
    /// The longest manifest that is accepted, in bytes.
    #[serde(with = "byte_size")]
    pub max_size: u64,
}

impl Default for ManifestsConfig {
    fn default() -> Self {
        ManifestsConfig { allow_sparse: false, max_size: 4 << 20 }
    }
}
