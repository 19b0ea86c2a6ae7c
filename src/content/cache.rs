//! The descriptor cache: what is known of blobs and links, so that they need not be looked up.
//!
//! # How it stays right
//! Only what a load found or a write made is kept, never an absence. Each key belongs to one of a fixed number of
//! shards with a generation. A load remembers the generation before its first driver call and is kept only when it
//! is still the same; a removal takes the entry away and moves the generation on, before it deletes and again after.
//! So a load that began before a delete, and read what was there then, is not kept after it. When a removal does not
//! come to a known end (it failed, timed out, or was cancelled, and may still happen later), its key is not cached
//! for a while.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::Equivalent;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::oci::{Digest, RepositoryName};
use crate::telemetry::{CacheLabels, CacheResult, CacheScope, Metrics};

/// Which of a repository's links an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LinkKind {
    /// `_layers`: gives access to a blob.
    Layer,
    /// `_manifests/revisions`: gives access to a manifest.
    Revision,
}

/// What an entry stands for: a repository's link, or with no repository the bytes themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Subject<'a> {
    pub link: Option<(&'a RepositoryName, LinkKind)>,
    pub digest: &'a Digest,
}

/// What is known of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// The length of the bytes.
    pub size_bytes: u64,
    /// The digest that the bytes are kept under; `None` when it is the one that was asked for.
    pub kept_under: Option<Digest>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OwnedSubject {
    link: Option<(RepositoryName, LinkKind)>,
    digest: Digest,
}

impl Equivalent<OwnedSubject> for Subject<'_> {
    fn equivalent(&self, owned: &OwnedSubject) -> bool {
        let link = owned.link.as_ref().map(|(repository, kind)| (repository, *kind));
        self.link == link && *self.digest == owned.digest
    }
}

impl Subject<'_> {
    fn to_owned(self) -> OwnedSubject {
        OwnedSubject {
            link: self.link.map(|(repository, kind)| (repository.clone(), kind)),
            digest: self.digest.clone(),
        }
    }

    fn scope(&self) -> CacheScope {
        if self.link.is_some() { CacheScope::repository } else { CacheScope::registry }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct DescriptorCache {
    /// `None` when the cache is off.
    entries: Option<Entries>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Entries {
    known: Cache<OwnedSubject, Known>,
    suspended: Cache<OwnedSubject, ()>,
    hasher: RandomState,
    generations: Box<[Mutex<u64>]>,
}

/// A look-up in storage that has begun.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    generation: u64,
}

impl DescriptorCache {
    const SHARDS: usize = 256;
    /// Longer than any call that was given up may go on.
    const SUSPENDED_FOR: Duration = Duration::from_secs(15 * 60);
    const MAX_SUSPENDED: u64 = 10_000;

    /// A cache of at most `max_entries` entries; 0 turns it off.
    pub(super) fn new(max_entries: u64, metrics: Metrics) -> Self {
        let entries = (max_entries > 0).then(|| Entries {
            // The least recently used goes first, not the least often used: what a push has just stored is asked for
            // next, and must not be turned away.
            known: Cache::builder().max_capacity(max_entries).eviction_policy(EvictionPolicy::lru()).build(),
            suspended: Cache::builder().max_capacity(Self::MAX_SUSPENDED).time_to_live(Self::SUSPENDED_FOR).build(),
            hasher: RandomState::new(),
            generations: (0..Self::SHARDS).map(|_| Mutex::new(0)).collect(),
        });
        DescriptorCache { entries, metrics }
    }

    /// What is known, without asking the storage. Counts as a request.
    pub(super) fn get(&self, subject: Subject<'_>) -> Option<Known> {
        let entries = self.entries.as_ref()?;
        let known = entries.known.get(&subject);
        let result = if known.is_some() { CacheResult::hit } else { CacheResult::miss };
        self.metrics.cache_requests.get_or_create(&CacheLabels { scope: subject.scope(), result }).inc();
        known
    }

    /// Begins a look-up or a write: before its first driver call.
    pub(super) fn begin(&self, subject: Subject<'_>) -> Load {
        Load { generation: self.entries.as_ref().map_or(0, |entries| *entries.generation(subject)) }
    }

    /// Keeps what a look-up found or a write made, unless something was removed meanwhile.
    pub(super) fn keep(&self, load: Load, subject: Subject<'_>, known: Known) {
        let Some(entries) = &self.entries else { return };
        let generation = entries.generation(subject);
        if *generation == load.generation && !entries.suspended.contains_key(&subject) {
            entries.known.insert(subject.to_owned(), known);
        }
    }

    /// Begins to remove something: before the driver call that deletes it.
    pub(super) fn begin_removal<'a>(&'a self, subject: Subject<'a>) -> Removal<'a> {
        self.forget(subject);
        Removal { cache: self, subject, is_settled: false }
    }

    /// Drops what is known of something that turned out to be gone.
    pub(super) fn forget(&self, subject: Subject<'_>) {
        let Some(entries) = &self.entries else { return };
        let mut generation = entries.generation(subject);
        *generation += 1;
        entries.known.invalidate(&subject);
    }
}

impl Entries {
    fn generation(&self, subject: Subject<'_>) -> MutexGuard<'_, u64> {
        // The remainder is below the number of shards, so it fits.
        let shard = self.hasher.hash_one(subject) % (self.generations.len() as u64);
        self.generations[shard as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something is being removed. Dropping it ends the removal.
pub(super) struct Removal<'a> {
    cache: &'a DescriptorCache,
    subject: Subject<'a>,
    is_settled: bool,
}

impl Removal<'_> {
    /// The driver said how it ended: what was to be removed is gone, or was never there.
    pub(super) fn settle(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        if !self.is_settled
            && let Some(entries) = &self.cache.entries
        {
            entries.suspended.insert(self.subject.to_owned(), ());
        }
        self.cache.forget(self.subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::testing::{digest_of, repository};

    fn cache() -> DescriptorCache {
        DescriptorCache::new(100, Metrics::unregistered())
    }

    const KNOWN: Known = Known { size_bytes: 7, kept_under: None };

    #[test]
    fn a_load_that_began_before_a_removal_is_not_kept() {
        let (cache, name, digest) = (cache(), repository("a"), digest_of(b"x"));
        let subject = Subject { link: Some((&name, LinkKind::Layer)), digest: &digest };
        let before = cache.begin(subject);
        let removal = cache.begin_removal(subject);
        let during = cache.begin(subject);
        cache.keep(before, subject, KNOWN);
        assert_eq!(cache.get(subject), None);
        cache.keep(during, subject, KNOWN);
        removal.settle();
        assert_eq!(cache.get(subject), None, "what was loaded during the removal went with it");
        cache.keep(during, subject, KNOWN);
        assert_eq!(cache.get(subject), None);
        cache.keep(cache.begin(subject), subject, KNOWN);
        assert_eq!(cache.get(subject), Some(KNOWN));
    }

    #[test]
    fn a_removal_without_a_known_end_suspends_its_key_only() {
        let (cache, name, digest) = (cache(), repository("a"), digest_of(b"x"));
        let subject = Subject { link: Some((&name, LinkKind::Layer)), digest: &digest };
        drop(cache.begin_removal(subject));
        cache.keep(cache.begin(subject), subject, KNOWN);
        assert_eq!(cache.get(subject), None);
        let other = Subject { link: Some((&name, LinkKind::Revision)), digest: &digest };
        cache.keep(cache.begin(other), other, KNOWN);
        assert_eq!(cache.get(other), Some(KNOWN));
    }

    #[test]
    fn scopes_and_repositories_are_apart() {
        let (cache, name, other, digest) = (cache(), repository("a"), repository("b"), digest_of(b"x"));
        let linked = |name| Subject { link: Some((name, LinkKind::Layer)), digest: &digest };
        cache.keep(cache.begin(linked(&name)), linked(&name), KNOWN);
        assert_eq!(cache.get(linked(&other)), None);
        assert_eq!(cache.get(Subject { link: None, digest: &digest }), None);
        assert_eq!(cache.get(linked(&name)), Some(KNOWN));
        let count = |scope, result| cache.metrics.cache_requests.get_or_create(&CacheLabels { scope, result }).get();
        assert_eq!(count(CacheScope::repository, CacheResult::hit), 1);
        assert_eq!(count(CacheScope::repository, CacheResult::miss), 1);
        assert_eq!(count(CacheScope::registry, CacheResult::miss), 1);
    }

    #[test]
    fn a_cache_that_is_off_keeps_nothing() {
        let (cache, digest) = (DescriptorCache::new(0, Metrics::unregistered()), digest_of(b"x"));
        let subject = Subject { link: None, digest: &digest };
        cache.keep(cache.begin(subject), subject, KNOWN);
        assert_eq!(cache.get(subject), None);
    }

    #[test]
    fn a_full_cache_takes_what_is_new() {
        let (cache, name) = (DescriptorCache::new(10, Metrics::unregistered()), repository("a"));
        for number in 0_u32..100 {
            let digest = digest_of(&number.to_le_bytes());
            let subject = Subject { link: Some((&name, LinkKind::Layer)), digest: &digest };
            cache.keep(cache.begin(subject), subject, KNOWN);
            assert_eq!(cache.get(subject), Some(KNOWN), "entry {number}");
        }
        let entries = cache.entries.as_ref().unwrap();
        entries.known.run_pending_tasks();
        assert!(entries.known.entry_count() <= 10);
    }
}
