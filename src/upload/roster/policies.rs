//! What holds for which repository, worked out once for each configuration.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{RepositoryPattern, UploadsConfig};
use crate::oci::RepositoryName;
use crate::upload::machine::{MinRate, Rules};

/// How many claims may wait for one upload. One is a client that resumes while its old connection hangs; a few more
/// may come of retries. Whoever comes after that is told to come again.
const MAX_WAITING_CLAIMS: usize = 8;

/// The policies of one configuration.
#[derive(Debug)]
pub(in crate::upload) struct Policies {
    all: Arc<UploadsConfig>,
    overrides: Vec<(Vec<RepositoryPattern>, Arc<UploadsConfig>)>,
}

impl Policies {
    pub fn new(config: UploadsConfig) -> Self {
        let overrides = config
            .overrides
            .iter()
            .map(|entry| (entry.repositories.clone(), Arc::new(config.overridden_by(entry))))
            .collect();
        Policies { all: Arc::new(config), overrides }
    }

    /// What holds where nothing else is said.
    pub fn all(&self) -> &Arc<UploadsConfig> {
        &self.all
    }

    /// What holds for one repository.
    pub fn of(&self, repository: &RepositoryName) -> &Arc<UploadsConfig> {
        let fits = |patterns: &[RepositoryPattern]| patterns.iter().any(|pattern| pattern.matches(repository));
        self.overrides.iter().find(|(patterns, _)| fits(patterns)).map_or(&self.all, |(_, config)| config)
    }

    /// The same, as an upload's machine wants it.
    pub fn rules(&self, repository: &RepositoryName, sync_offsets: bool) -> Rules {
        let config = self.of(repository);
        let min_rate = MinRate { bytes_per_second: config.min_rate, window: config.min_rate_window };
        Rules {
            takeover_after: config.takeover_after,
            max_waiting: MAX_WAITING_CLAIMS,
            passivate_after: some_time(config.passivate_after),
            checkpoint_every: config.checkpoint_every,
            sync_offsets,
            idle_timeout: some_time(config.idle_timeout),
            max_age: some_time(config.max_age),
            max_size: some_number(config.max_size),
            min_rate: some_number(config.min_rate).map(|_| min_rate),
        }
    }
}

/// Zero is no limit.
pub(super) fn some_time(time: Duration) -> Option<Duration> {
    (time > Duration::ZERO).then_some(time)
}

/// Zero is no limit.
pub(super) fn some_number(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UploadsOverride;

    #[test]
    fn the_first_override_that_fits_counts_over_what_holds_for_all() {
        let entry = |pattern: &str, idle: u64| UploadsOverride {
            repositories: vec![pattern.parse().unwrap()],
            idle_timeout: Some(Duration::from_secs(idle)),
            ..UploadsOverride::default()
        };
        let overrides = vec![entry("ci/*", 1), entry("ci/**", 2)];
        let policies = Policies::new(UploadsConfig { overrides, max_size: 9, min_rate: 0, ..UploadsConfig::default() });
        let idle = |name: &str| policies.rules(&name.parse().unwrap(), false).idle_timeout.unwrap().as_secs();
        assert_eq!((idle("ci/a"), idle("ci/a/b"), idle("other")), (1, 2, 6 * 3600));
        let rules = policies.rules(&"ci/a".parse().unwrap(), true);
        assert_eq!((rules.max_size, rules.min_rate.is_none(), rules.sync_offsets), (Some(9), true, true));
    }
}
