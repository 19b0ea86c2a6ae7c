//! Policies of all kinds, mild and strict.

use std::time::Duration;

use longshore::config::UploadsConfig;

use crate::random::Random;

pub fn random(random: &mut Random) -> UploadsConfig {
    let seconds = |choices: &[u64], random: &mut Random| Duration::from_secs(random.pick(choices));
    UploadsConfig {
        takeover_after: Duration::from_millis(1),
        passivate_after: seconds(&[0, 1, 5, 60], random),
        checkpoint_every: random.pick(&[500, 2_000, 64 << 20]),
        max_memory: random.pick(&[8 << 10, 512 << 20]),
        idle_timeout: seconds(&[0, 0, 60, 300, 3600], random),
        min_rate: random.pick(&[0, 0, 1, 100, 5_000]),
        min_rate_window: seconds(&[10, 60, 300], random),
        max_age: seconds(&[0, 0, 0, 600, 7200], random),
        max_size: random.pick(&[0, 0, 0, 4_000, 20_000]),
        max_open: random.pick(&[0, 0, 6, 12]),
        max_open_per_client: random.pick(&[0, 0, 4]),
        max_open_per_repository: random.pick(&[0, 0, 6]),
        max_writing: random.pick(&[0, 0, 3]),
        max_writing_per_client: random.pick(&[0, 0, 2]),
        max_writing_per_repository: random.pick(&[0, 0, 2]),
        keep_failed_for: seconds(&[0, 0, 600], random),
        keep_failed_max_size: random.pick(&[0, 10_000]),
        min_free_space: random.pick(&[0, 1_000]),
        scan_every: Duration::ZERO,
        overrides: Vec::new(),
    }
}

/// With which everything ends soon, and nothing is kept.
pub fn last() -> UploadsConfig {
    UploadsConfig {
        takeover_after: Duration::from_millis(1),
        passivate_after: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(60),
        max_age: Duration::from_secs(600),
        keep_failed_for: Duration::ZERO,
        min_free_space: 0,
        max_open: 0,
        ..UploadsConfig::default()
    }
}
