//! Manifests: bytes like any blob, with a revision link that gives a repository access to them.

mod delete;
mod digests;
mod kept;
mod put;
mod references;
mod room;

use std::sync::Arc;

use bytes::Bytes;
use log::warn;

pub(super) use self::kept::ManifestBytes;
pub use self::put::{NewManifest, PutOutcome};
pub(super) use self::room::Room;
use super::blobs::Access;
use super::cache::{Known, LinkKind, Subject};
use super::store::Store;
use super::task::off_the_workers;
use crate::oci::{Digest, RepositoryName, stored_media_type};
use crate::storage::{StorageError, StorageErrorKind, keys};

/// Manifests of repositories. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Manifests {
    store: Arc<Store>,
}

/// A manifest as it is stored.
#[derive(Clone, Debug)]
pub struct StoredManifest {
    /// Its media type, without parameters: the one it was pushed with.
    pub media_type: Arc<str>,
    /// Its bytes as they were pushed.
    pub data: Bytes,
}

/// Hashing and reading more than this takes longer (about a millisecond) than going to another thread.
const QUICK_BYTES: usize = 128 << 10;

/// A stored manifest up to this is read, also when the limit for new ones is lower.
const LARGEST_STORED_BYTES: u64 = 16 << 20;

impl Manifests {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Manifests { store }
    }

    /// A manifest by its digest; `None` when the repository has no link to it, or its bytes are absent. Two driver
    /// calls at most; none when it is small and was asked for before.
    ///
    /// # Errors
    /// Faults of the storage.
    pub async fn get(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StorageError> {
        self.store.manifest(repository, digest).await
    }

    /// Whether the repository has a manifest. Two driver calls at most; none when it is known.
    ///
    /// # Errors
    /// Faults of the storage.
    pub async fn exists(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, StorageError> {
        Ok(self.store.find(repository, LinkKind::Revision, digest).await?.is_some())
    }
}

impl Store {
    pub(super) async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StorageError> {
        let subject = Subject { link: Some((repository, LinkKind::Revision)), digest };
        let load = self.descriptors.begin(subject);
        let Some(Access { kept_under, is_known }) = self.access(subject).await? else { return Ok(None) };
        let stored = match self.manifest_bytes.get(&kept_under) {
            Some(stored) => stored,
            None => match self.load_manifest(&kept_under).await? {
                Some(stored) => stored,
                None => {
                    self.bytes_are_gone(subject, &kept_under);
                    return Ok(None);
                }
            },
        };
        if !is_known {
            let size_bytes = stored.data.len() as u64;
            self.descriptors.keep(load, subject, Known::of(size_bytes, digest, kept_under));
        }
        Ok(Some(stored))
    }

    pub(super) fn largest_stored_bytes(&self) -> u64 {
        self.options.manifest_max_bytes.max(LARGEST_STORED_BYTES)
    }

    /// Reads manifest bytes, without regard to who has access to them; `None` when they are absent or no manifest.
    async fn load_manifest(&self, digest: &Digest) -> Result<Option<StoredManifest>, StorageError> {
        let object = match self.driver.get(&keys::blob_data(digest), self.largest_stored_bytes()).await {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if error.kind() == StorageErrorKind::WrongSize => {
                warn!(digest:% = digest; "bytes are too many for a manifest, it counts as absent");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let media_type = match object.data.len() {
            0..=QUICK_BYTES => stored_media_type(&object.data),
            _ => {
                off_the_workers({
                    let data = object.data.clone();
                    move || stored_media_type(&data)
                })
                .await?
            }
        };
        let Some(media_type) = media_type else {
            warn!(digest:% = digest, size_bytes = object.data.len(); "bytes are no manifest, it counts as absent");
            return Ok(None);
        };
        let stored = StoredManifest { media_type: media_type.into(), data: object.data };
        self.manifest_bytes.keep(digest, &stored);
        Ok(Some(stored))
    }
}

#[cfg(test)]
pub(super) mod testing {
    pub(in crate::content) use super::digests::digest_of as digest_of_bytes;
}

#[cfg(test)]
mod tests;
