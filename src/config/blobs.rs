use serde::{Deserialize, Serialize};

/// `blobs`: how they may be shared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlobsConfig {
    /// Whether `POST …/uploads/?mount=<digest>` without `from` mounts a blob that any repository has.
    pub anonymous_mount: bool,
}

impl Default for BlobsConfig {
    fn default() -> Self {
        BlobsConfig { anonymous_mount: true }
    }
}
