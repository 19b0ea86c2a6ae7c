use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;

/// `uploads`: the upload engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UploadsConfig {
    /// How long a writer may be silent before a newer request to the same upload takes over from it. The newer
    /// one waits a quarter longer at most.
    #[serde(with = "duration")]
    pub takeover_after: Duration,
}

impl Default for UploadsConfig {
    fn default() -> Self {
        UploadsConfig { takeover_after: Duration::from_secs(1) }
    }
}
