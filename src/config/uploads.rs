use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{RepositoryPattern, byte_size, duration, optional};
use crate::oci::RepositoryName;

/// `uploads`: the upload engine and the policies for what stalls or is too much. A limit or time of zero is none, unless
/// said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UploadsConfig {
    /// How long a writer may be silent before a newer request to the same upload takes over from it. The newer
    /// one waits a quarter longer at most.
    #[serde(with = "duration")]
    pub takeover_after: Duration,
    /// After how long a time without a request an open upload leaves memory; it lives on in storage. Zero: never.
    #[serde(with = "duration")]
    pub passivate_after: Duration,
    /// How many bytes of one body are hashed again at most after the process was killed.
    #[serde(with = "byte_size")]
    pub checkpoint_every: u64,
    /// How many bytes of all bodies together wait in memory to be written. Beyond it, connections wait.
    #[serde(with = "byte_size")]
    pub max_memory: u64,
    /// An upload to which no byte came for so long expires.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// A body that brings fewer bytes a second than this, over `min_rate_window`, makes its upload expire.
    #[serde(with = "byte_size")]
    pub min_rate: u64,
    /// Over what time `min_rate` is measured.
    #[serde(with = "duration")]
    pub min_rate_window: Duration,
    /// An upload expires when it is so old, however busy.
    #[serde(with = "duration")]
    pub max_age: Duration,
    /// The largest blob that is taken, in bytes.
    #[serde(with = "byte_size")]
    pub max_size: u64,
    /// How many uploads may be open, in all.
    pub max_open: u64,
    /// How many of one client.
    pub max_open_per_client: u64,
    /// How many of one repository.
    pub max_open_per_repository: u64,
    /// How many uploads may be written to at once, in all.
    pub max_writing: u64,
    /// How many by one client.
    pub max_writing_per_client: u64,
    /// How many of one repository.
    pub max_writing_per_repository: u64,
    /// How long an expired upload is kept, so that an operator can see why it expired. Zero: not at all.
    #[serde(with = "duration")]
    pub keep_failed_for: Duration,
    /// How many bytes of expired uploads are kept in all; the oldest go first. Zero: no limit.
    #[serde(with = "byte_size")]
    pub keep_failed_max_size: u64,
    /// With less free space than this no new upload is begun, and nothing that expired is kept.
    #[serde(with = "byte_size")]
    pub min_free_space: u64,
    /// How often the storage is looked through for uploads that nobody knows; each time by a tenth sooner or later.
    /// Zero: only after the start.
    #[serde(with = "duration")]
    pub scan_every: Duration,
    /// What holds instead for some repositories; the first that fits counts.
    pub overrides: Vec<UploadsOverride>,
}

/// Other values for some repositories; what is not said is as for all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UploadsOverride {
    /// Which repositories.
    pub repositories: Vec<RepositoryPattern>,
    /// See [`UploadsConfig::idle_timeout`].
    #[serde(with = "optional::duration", skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// See [`UploadsConfig::min_rate`].
    #[serde(with = "optional::byte_size", skip_serializing_if = "Option::is_none")]
    pub min_rate: Option<u64>,
    /// See [`UploadsConfig::min_rate_window`].
    #[serde(with = "optional::duration", skip_serializing_if = "Option::is_none")]
    pub min_rate_window: Option<Duration>,
    /// See [`UploadsConfig::max_age`].
    #[serde(with = "optional::duration", skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// See [`UploadsConfig::max_size`].
    #[serde(with = "optional::byte_size", skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    /// See [`UploadsConfig::max_open_per_repository`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_open_per_repository: Option<u64>,
    /// See [`UploadsConfig::max_writing_per_repository`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_writing_per_repository: Option<u64>,
    /// See [`UploadsConfig::keep_failed_for`].
    #[serde(with = "optional::duration", skip_serializing_if = "Option::is_none")]
    pub keep_failed_for: Option<Duration>,
}

impl UploadsConfig {
    /// What holds for one repository: the values for all, and over them those of the first override that fits. It has
    /// no overrides of its own.
    pub fn for_repository(&self, repository: &RepositoryName) -> UploadsConfig {
        let fits = |entry: &&UploadsOverride| entry.repositories.iter().any(|pattern| pattern.matches(repository));
        match self.overrides.iter().find(fits) {
            Some(entry) => self.overridden_by(entry),
            None => UploadsConfig { overrides: Vec::new(), ..self.clone() },
        }
    }

    /// The values for all, and over them those of `entry`.
    pub fn overridden_by(&self, entry: &UploadsOverride) -> UploadsConfig {
        let UploadsConfig {
            idle_timeout,
            min_rate,
            min_rate_window,
            max_age,
            max_size,
            max_open_per_repository,
            max_writing_per_repository,
            keep_failed_for,
            ..
        } = *self;
        UploadsConfig {
            idle_timeout: entry.idle_timeout.unwrap_or(idle_timeout),
            min_rate: entry.min_rate.unwrap_or(min_rate),
            min_rate_window: entry.min_rate_window.unwrap_or(min_rate_window),
            max_age: entry.max_age.unwrap_or(max_age),
            max_size: entry.max_size.unwrap_or(max_size),
            max_open_per_repository: entry.max_open_per_repository.unwrap_or(max_open_per_repository),
            max_writing_per_repository: entry.max_writing_per_repository.unwrap_or(max_writing_per_repository),
            keep_failed_for: entry.keep_failed_for.unwrap_or(keep_failed_for),
            overrides: Vec::new(),
            ..self.clone()
        }
    }
}

impl UploadsOverride {
    /// Every key that an override may have, at the default that holds for all: what the kind of each value is.
    pub(super) fn of_every_key() -> UploadsOverride {
        let all = UploadsConfig::default();
        UploadsOverride {
            repositories: Vec::new(),
            idle_timeout: Some(all.idle_timeout),
            min_rate: Some(all.min_rate),
            min_rate_window: Some(all.min_rate_window),
            max_age: Some(all.max_age),
            max_size: Some(all.max_size),
            max_open_per_repository: Some(all.max_open_per_repository),
            max_writing_per_repository: Some(all.max_writing_per_repository),
            keep_failed_for: Some(all.keep_failed_for),
        }
    }
}

impl Default for UploadsConfig {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        UploadsConfig {
            takeover_after: Duration::from_secs(1),
            passivate_after: Duration::from_secs(60),
            checkpoint_every: 128 << 20,
            max_memory: 512 << 20,
            idle_timeout: hours(6),
            min_rate: 1 << 10,
            min_rate_window: Duration::from_secs(300),
            max_age: hours(7 * 24),
            max_size: 0,
            max_open: 1_000_000,
            max_open_per_client: 0,
            max_open_per_repository: 0,
            max_writing: 0,
            max_writing_per_client: 0,
            max_writing_per_repository: 0,
            keep_failed_for: hours(24),
            keep_failed_max_size: 1 << 30,
            min_free_space: 256 << 20,
            scan_every: hours(6),
            overrides: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds_for(config: &UploadsConfig, repository: &str) -> UploadsConfig {
        config.for_repository(&repository.parse().unwrap())
    }

    #[test]
    fn the_first_override_that_fits_counts() {
        let of = |patterns: &[&str], min_rate, max_size| UploadsOverride {
            repositories: patterns.iter().map(|pattern| pattern.parse().unwrap()).collect(),
            min_rate,
            max_size,
            ..UploadsOverride::default()
        };
        let config = UploadsConfig {
            max_size: 9,
            overrides: vec![of(&["x/y", "ci/*"], Some(0), None), of(&["ci/**"], Some(7), Some(5))],
            ..UploadsConfig::default()
        };
        for (repository, min_rate, max_size) in
            [("ci/a", 0, 9), ("x/y", 0, 9), ("ci/a/b", 7, 5), ("other", UploadsConfig::default().min_rate, 9)]
        {
            let own = holds_for(&config, repository);
            assert_eq!((own.min_rate, own.max_size, own.overrides.len()), (min_rate, max_size, 0), "{repository}");
            let rest = UploadsConfig { min_rate: 0, max_size: 0, overrides: Vec::new(), ..config.clone() };
            assert_eq!(UploadsConfig { min_rate: 0, max_size: 0, ..own }, rest, "{repository}");
        }
    }

    #[test]
    fn each_key_of_an_override_takes_effect() {
        let all = UploadsConfig::default();
        let entry = UploadsOverride {
            repositories: vec!["**".parse().unwrap()],
            idle_timeout: Some(Duration::from_secs(1)),
            min_rate: Some(2),
            min_rate_window: Some(Duration::from_secs(3)),
            max_age: Some(Duration::from_secs(4)),
            max_size: Some(5),
            max_open_per_repository: Some(6),
            max_writing_per_repository: Some(7),
            keep_failed_for: Some(Duration::from_secs(8)),
        };
        let own = holds_for(&UploadsConfig { overrides: vec![entry.clone()], ..all.clone() }, "a");
        let (all, own) = (serde_json::to_value(all).unwrap(), serde_json::to_value(own).unwrap());
        let entry = serde_json::to_value(entry).unwrap();
        let every = serde_json::to_value(UploadsOverride::of_every_key()).unwrap();
        for name in every.as_object().unwrap().keys().filter(|name| *name != "repositories") {
            assert_eq!(own[name], entry[name], "{name}");
            assert_ne!(own[name], all[name], "{name}");
        }
    }
}
