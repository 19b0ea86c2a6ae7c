//! How many uploads are open and how many are written to: whole, by client and by repository.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::UploadsConfig;
use crate::oci::RepositoryName;
use crate::upload::UploadError;

/// An upload that is open may stay so for long; asking more often than this only costs.
const OPEN_RETRY: Duration = Duration::from_secs(30);

/// A body ends sooner.
const WRITING_RETRY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Counts {
    open: Tally,
    writing: Tally,
}

/// The keys of a kind's limits, and when to try again.
struct Limits {
    all: (&'static str, u64),
    per_client: (&'static str, u64),
    per_repository: (&'static str, u64),
    retry_after: Duration,
}

#[derive(Debug, Default)]
struct Tally {
    all: u64,
    by_client: HashMap<IpAddr, u64>,
    by_repository: HashMap<Arc<RepositoryName>, u64>,
}

impl Counts {
    /// Counts one more open upload.
    ///
    /// # Errors
    /// [`UploadError::OverLimit`]: nothing is counted then.
    pub fn admit(
        &mut self,
        repository: &Arc<RepositoryName>,
        client: Option<IpAddr>,
        all: &UploadsConfig,
        own: &UploadsConfig,
    ) -> Result<(), UploadError> {
        let limits = Limits {
            all: ("max_open", all.max_open),
            per_client: ("max_open_per_client", all.max_open_per_client),
            per_repository: ("max_open_per_repository", own.max_open_per_repository),
            retry_after: OPEN_RETRY,
        };
        self.open.check(repository, client, &limits)?;
        self.open.add(repository, client);
        Ok(())
    }

    /// The same for one that is written to.
    pub fn start_writing(
        &mut self,
        repository: &Arc<RepositoryName>,
        client: Option<IpAddr>,
        all: &UploadsConfig,
        own: &UploadsConfig,
    ) -> Result<(), UploadError> {
        let limits = Limits {
            all: ("max_writing", all.max_writing),
            per_client: ("max_writing_per_client", all.max_writing_per_client),
            per_repository: ("max_writing_per_repository", own.max_writing_per_repository),
            retry_after: WRITING_RETRY,
        };
        self.writing.check(repository, client, &limits)?;
        self.writing.add(repository, client);
        Ok(())
    }

    /// Counts an open upload that is there already, limits or not.
    pub fn adopt(&mut self, repository: &Arc<RepositoryName>, client: Option<IpAddr>) {
        self.open.add(repository, client);
    }

    pub fn remove_open(&mut self, repository: &Arc<RepositoryName>, client: Option<IpAddr>) {
        self.open.remove(repository, client);
    }

    pub fn hand_over_writing(&mut self, repository: &Arc<RepositoryName>, from: Option<IpAddr>, to: Option<IpAddr>) {
        self.writing.remove(repository, from);
        self.writing.add(repository, to);
    }

    pub fn stop_writing(&mut self, repository: &Arc<RepositoryName>, client: Option<IpAddr>) {
        self.writing.remove(repository, client);
    }

    pub fn open(&self) -> u64 {
        self.open.all
    }

    pub fn writing(&self) -> u64 {
        self.writing.all
    }

    /// The name that is counted under, if there is one: so all uploads of a repository share it.
    pub fn shared_name(&self, repository: &RepositoryName) -> Option<Arc<RepositoryName>> {
        self.open.by_repository.get_key_value(repository).map(|(name, _)| name.clone())
    }
}

impl Tally {
    fn check(
        &self,
        repository: &Arc<RepositoryName>,
        client: Option<IpAddr>,
        limits: &Limits,
    ) -> Result<(), UploadError> {
        let of_client = client.and_then(|client| self.by_client.get(&client)).copied().unwrap_or(0);
        let of_repository = self.by_repository.get(repository).copied().unwrap_or(0);
        let counted = [(self.all, limits.all), (of_client, limits.per_client), (of_repository, limits.per_repository)];
        match counted.into_iter().find(|(count, (_, limit))| *limit > 0 && count >= limit) {
            None => Ok(()),
            Some((_, (limit, value))) => Err(UploadError::OverLimit { limit, value, retry_after: limits.retry_after }),
        }
    }

    fn add(&mut self, repository: &Arc<RepositoryName>, client: Option<IpAddr>) {
        self.all += 1;
        *self.by_repository.entry(repository.clone()).or_default() += 1;
        if let Some(client) = client {
            *self.by_client.entry(client).or_default() += 1;
        }
    }

    fn remove(&mut self, repository: &Arc<RepositoryName>, client: Option<IpAddr>) {
        self.all = self.all.saturating_sub(1);
        take_one(&mut self.by_repository, repository);
        if let Some(client) = client {
            take_one(&mut self.by_client, &client);
        }
    }
}

/// A name that counts nothing any more is forgotten.
fn take_one<K: Hash + Eq>(counts: &mut HashMap<K, u64>, key: &K) {
    let Some(count) = counts.get_mut(key) else { return };
    *count = count.saturating_sub(1);
    if *count == 0 {
        counts.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_of(result: Result<(), UploadError>) -> Option<&'static str> {
        match result {
            Ok(()) => None,
            Err(UploadError::OverLimit { limit, .. }) => Some(limit),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn each_scope_has_its_limit_and_forgets_what_ended() {
        let config = UploadsConfig {
            max_open: 4,
            max_open_per_client: 2,
            max_open_per_repository: 3,
            max_writing: 1,
            ..UploadsConfig::default()
        };
        let mut counts = Counts::default();
        let (a, b) = (Arc::new("a".parse().unwrap()), Arc::new("b".parse().unwrap()));
        let client = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        let mut admit = |name: &Arc<RepositoryName>, client| limit_of(counts.admit(name, client, &config, &config));
        assert_eq!(admit(&a, client(1)), None);
        assert_eq!(admit(&a, client(1)), None);
        assert_eq!(admit(&b, client(1)), Some("max_open_per_client"));
        assert_eq!(admit(&a, client(2)), None);
        assert_eq!(admit(&a, client(3)), Some("max_open_per_repository"));
        assert_eq!(admit(&b, None), None);
        assert_eq!(admit(&b, None), Some("max_open"));
        counts.remove_open(&a, client(1));
        assert_eq!(limit_of(counts.admit(&b, client(1), &config, &config)), None);
        assert_eq!(limit_of(counts.start_writing(&a, None, &config, &config)), None);
        assert_eq!(limit_of(counts.start_writing(&a, None, &config, &config)), Some("max_writing"));
        counts.stop_writing(&a, None);
        for (name, client) in [(&a, client(1)), (&a, client(2)), (&b, None), (&b, client(1))] {
            counts.remove_open(name, client);
        }
        assert_eq!((counts.open(), counts.writing()), (0, 0));
        assert!(counts.open.by_client.is_empty() && counts.open.by_repository.is_empty());
    }
}
