use std::ops::Range;
use std::sync::Arc;

use log::warn;

use super::cache::{Known, LinkKind, Load, Subject};
use super::link;
use super::store::Store;
use crate::oci::{Digest, RepositoryName};
use crate::storage::{Change, Key, ObjectReader, PutMode, StorageError, keys};

/// Blobs: bytes once for the registry, and links that give repositories access. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    pub(super) store: Arc<Store>,
}

impl Blobs {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Blobs { store }
    }

    /// The size in bytes of what the registry has under a digest, whoever has access to it; `None` when it has
    /// nothing. One driver call at most.
    ///
    /// # Errors
    /// Faults of the storage.
    pub async fn stat_global(&self, digest: &Digest) -> Result<Option<u64>, StorageError> {
        self.store.size_of(digest).await
    }

    /// The size in bytes of a blob that the repository links; `None` when the link or the bytes are absent. No driver
    /// call when it is known, and two at most.
    ///
    /// # Errors
    /// Faults of the storage.
    pub async fn stat(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<u64>, StorageError> {
        Ok(self.store.find(repository, LinkKind::Layer, digest).await?.map(|found| found.size_bytes))
    }

    /// Opens a blob that the repository links and streams `range` of it (`None`: all; cut at its end); `None` when
    /// the link or the bytes are absent. Two driver calls at most, one when the link is known.
    ///
    /// # Errors
    /// Faults of the storage.
    pub async fn open(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        range: Option<Range<u64>>,
    ) -> Result<Option<ObjectReader>, StorageError> {
        let subject = Subject { link: Some((repository, LinkKind::Layer)), digest };
        let load = self.store.descriptors.begin(subject);
        let Some(Access { kept_under, is_known }) = self.store.access(subject).await? else { return Ok(None) };
        match self.store.driver.read(&keys::blob_data(&kept_under), range).await {
            Ok(reader) => {
                if !is_known {
                    let known = Known::of(reader.stat.size_bytes, digest, kept_under);
                    self.store.descriptors.keep(load, subject, known);
                }
                Ok(Some(reader))
            }
            Err(error) if error.is_not_found() => {
                self.store.bytes_are_gone(subject, &kept_under);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives the repository access to a blob whose bytes have been published: writes the link durably, and remembers
    /// it.
    ///
    /// # Errors
    /// Faults of the storage, after which it may be linked or not.
    pub async fn link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size_bytes: u64,
    ) -> Result<(), StorageError> {
        self.link_to(repository, digest, Known { size_bytes, kept_under: None }).await
    }

    /// Begins the same where the link is written together with other changes: [`PendingLink::change`] is to be made, and
    /// [`PendingLink::made`] said when it was.
    pub fn begin_link(&self, repository: &RepositoryName, digest: &Digest, size_bytes: u64) -> PendingLink {
        let load = self.store.descriptors.begin(Subject { link: Some((repository, LinkKind::Layer)), digest });
        PendingLink {
            store: self.store.clone(),
            repository: repository.clone(),
            digest: digest.clone(),
            size_bytes,
            load,
        }
    }

    /// Remembers that bytes were verified and published under a digest. It gives access to nobody.
    pub fn published(&self, digest: &Digest, size_bytes: u64) {
        self.store.remember_size(digest, size_bytes);
    }

    /// Takes the repository's link away; `false` when it had none that leads to a blob (a broken one is removed all
    /// the same). The bytes stay.
    ///
    /// # Errors
    /// Faults of the storage, after which it may be linked or not.
    pub async fn delete(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, StorageError> {
        let was_there = self.stat(repository, digest).await?.is_some();
        let subject = Subject { link: Some((repository, LinkKind::Layer)), digest };
        let removal = self.store.descriptors.begin_removal(subject);
        let was_deleted = self.store.delete_if_present(&keys::layer_link(repository, digest)).await?;
        removal.settle();
        Ok(was_there && was_deleted)
    }

    pub(super) async fn link_to(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        known: Known,
    ) -> Result<(), StorageError> {
        let subject = Subject { link: Some((repository, LinkKind::Layer)), digest };
        let load = self.store.descriptors.begin(subject);
        let target = known.kept_under.as_ref().unwrap_or(digest);
        self.store.write_link(&keys::layer_link(repository, digest), target, PutMode::Overwrite).await?;
        self.store.descriptors.keep(load, subject, known);
        Ok(())
    }
}

/// A link to a blob that is about to be written.
#[derive(Debug)]
pub struct PendingLink {
    store: Arc<Store>,
    repository: RepositoryName,
    digest: Digest,
    size_bytes: u64,
    load: Load,
}

impl PendingLink {
    /// What has to be made for it.
    pub fn change(&self) -> Change {
        Change::Put {
            key: keys::layer_link(&self.repository, &self.digest),
            data: vec![link::format(&self.digest)],
            durability: self.store.options.durability,
        }
    }

    /// It is written: remembers it.
    pub fn made(self) {
        let subject = Subject { link: Some((&self.repository, LinkKind::Layer)), digest: &self.digest };
        let known = Known { size_bytes: self.size_bytes, kept_under: None };
        self.store.descriptors.keep(self.load, subject, known);
    }
}

/// What a repository's link gives access to.
#[derive(Debug)]
pub(super) struct Access {
    /// The digest under which the bytes are kept.
    pub kept_under: Digest,
    /// Whether the cache has it: then there is nothing to remember.
    pub is_known: bool,
}

impl Known {
    pub(super) fn of(size_bytes: u64, asked_for: &Digest, kept_under: Digest) -> Self {
        Known { size_bytes, kept_under: (kept_under != *asked_for).then_some(kept_under) }
    }
}

impl Store {
    /// What a repository's link leads to; `None` when the link or the bytes are absent.
    pub(super) async fn find(
        &self,
        repository: &RepositoryName,
        kind: LinkKind,
        digest: &Digest,
    ) -> Result<Option<Known>, StorageError> {
        let subject = Subject { link: Some((repository, kind)), digest };
        if let Some(known) = self.descriptors.get(subject) {
            return Ok(Some(known));
        }
        let load = self.descriptors.begin(subject);
        let Some(kept_under) = self.linked_digest(subject).await? else { return Ok(None) };
        let Some(size_bytes) = self.size_of(&kept_under).await? else {
            self.bytes_are_gone(subject, &kept_under);
            return Ok(None);
        };
        let known = Known::of(size_bytes, digest, kept_under);
        self.descriptors.keep(load, subject, known.clone());
        Ok(Some(known))
    }

    /// What a link gives access to, if there is such a link. Says nothing of the bytes. One driver call at most.
    pub(super) async fn access(&self, subject: Subject<'_>) -> Result<Option<Access>, StorageError> {
        if let Some(known) = self.descriptors.get(subject) {
            let kept_under = known.kept_under.unwrap_or_else(|| subject.digest.clone());
            return Ok(Some(Access { kept_under, is_known: true }));
        }
        let linked = self.linked_digest(subject).await?;
        Ok(linked.map(|kept_under| Access { kept_under, is_known: false }))
    }

    async fn linked_digest(&self, subject: Subject<'_>) -> Result<Option<Digest>, StorageError> {
        Ok(self.read_link(&link_key(subject)).await?.target())
    }

    async fn size_of(&self, digest: &Digest) -> Result<Option<u64>, StorageError> {
        let subject = Subject { link: None, digest };
        if let Some(known) = self.descriptors.get(subject) {
            return Ok(Some(known.size_bytes));
        }
        let load = self.descriptors.begin(subject);
        match self.driver.stat(&keys::blob_data(digest)).await {
            Ok(stat) => {
                let known = Known { size_bytes: stat.size_bytes, kept_under: None };
                self.descriptors.keep(load, subject, known);
                Ok(Some(stat.size_bytes))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn remember_size(&self, digest: &Digest, size_bytes: u64) {
        let subject = Subject { link: None, digest };
        let load = self.descriptors.begin(subject);
        self.descriptors.keep(load, subject, Known { size_bytes, kept_under: None });
    }

    /// A link leads to bytes that are not there: it counts as absent.
    pub(super) fn bytes_are_gone(&self, subject: Subject<'_>, kept_under: &Digest) {
        warn!(key:% = link_key(subject), digest:% = kept_under; "link leads to no bytes, it counts as absent");
        self.descriptors.forget(subject);
        self.descriptors.forget(Subject { link: None, digest: kept_under });
    }
}

fn link_key(subject: Subject<'_>) -> Key {
    match subject.link {
        Some((repository, LinkKind::Layer)) => keys::layer_link(repository, subject.digest),
        Some((repository, LinkKind::Revision)) => keys::revision_link(repository, subject.digest),
        None => keys::blob_data(subject.digest),
    }
}

#[cfg(test)]
#[path = "blobs_tests.rs"]
mod tests;
