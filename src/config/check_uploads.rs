//! What `uploads:` may not say, for all repositories and for those of each override.

use std::fmt;
use std::time::Duration;

use super::{ConfigError, UploadsConfig};

/// A checkpoint is a few small writes: more of them than one for each MiB would cost more than the data.
const SMALLEST_CHECKPOINT_BYTES: u64 = 1 << 20;

/// A body is written in batches of 512 KiB, of which one is gathered while two are under way, and several bodies must
/// get on beside each other.
const SMALLEST_MEMORY_BYTES: u64 = 8 << 20;

/// Within less time a rate is the chance of when packets came.
const SHORTEST_RATE_WINDOW: Duration = Duration::from_secs(1);

/// A scan asks the storage about every repository that has uploads: oftener, it would never rest.
const SHORTEST_SCAN_PERIOD: Duration = Duration::from_secs(60);

pub(super) fn check(uploads: &UploadsConfig) -> Result<(), ConfigError> {
    if uploads.checkpoint_every < SMALLEST_CHECKPOINT_BYTES {
        let problem = "is less than 1MiB, which would cost more than the data itself";
        return Err(ConfigError::at("uploads.checkpoint_every", problem));
    }
    if uploads.max_memory < SMALLEST_MEMORY_BYTES {
        let problem = "is less than 8MiB, and a few bodies alone need that: each has several batches of 512KiB";
        return Err(ConfigError::at("uploads.max_memory", problem));
    }
    if uploads.scan_every > Duration::ZERO && uploads.scan_every < SHORTEST_SCAN_PERIOD {
        return Err(ConfigError::at("uploads.scan_every", "is less than 1m; take 0 to scan only after the start"));
    }
    check_policies(uploads, &"uploads")?;
    for (index, entry) in uploads.overrides.iter().enumerate() {
        let section = format!("uploads.overrides[{index}]");
        if entry.repositories.is_empty() {
            let problem = "is empty, so that the override holds for nothing";
            return Err(ConfigError::at(format!("{section}.repositories"), problem));
        }
        check_policies(&uploads.overridden_by(entry), &section)?;
    }
    Ok(())
}

/// What an override may set, with the values that hold in the end.
fn check_policies(values: &UploadsConfig, section: &dyn fmt::Display) -> Result<(), ConfigError> {
    if values.min_rate > 0 && values.min_rate_window < SHORTEST_RATE_WINDOW {
        let problem = "is less than 1s, and min_rate is measured over it; set min_rate to 0 to measure none";
        return Err(ConfigError::at(format!("{section}.min_rate_window"), problem));
    }
    for (name, time) in [("idle_timeout", values.idle_timeout), ("max_age", values.max_age)] {
        if time > Duration::ZERO && time < values.takeover_after {
            let problem = "is less than uploads.takeover_after, so that uploads would expire before a client is back";
            return Err(ConfigError::at(format!("{section}.{name}"), problem));
        }
    }
    Ok(())
}
