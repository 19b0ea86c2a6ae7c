use std::sync::Arc;

use super::Manifests;
use crate::content::ContentError;
use crate::content::cache::{LinkKind, Subject};
use crate::content::store::Store;
use crate::content::task::to_its_end;
use crate::oci::{Digest, Manifest, RepositoryName};
use crate::storage::{StorageError, keys};

impl Manifests {
    /// Removes a manifest from the repository: every tag that points at it, then its revision link, and last its entry
    /// in the referrers index, which shows only manifests that are linked. A delete that failed half-way can be asked for
    /// again. `false` when the repository had no such manifest (a broken link to it, and what a delete that failed left
    /// in the index, are removed all the same). The bytes stay. It goes on to its end when the caller leaves.
    ///
    /// The layout knows no way from a manifest to its tags: each tag's link is read, a bounded number at a time, so
    /// that the cost grows with the repository's tags (about one driver call for each).
    ///
    /// # Errors
    /// Faults of the storage, after which the manifest may be there or not, without some of its tags.
    pub async fn delete(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, ContentError> {
        let (store, repository, digest) = (self.store.clone(), repository.clone(), digest.clone());
        let removed = to_its_end(async move { store.remove_manifest(&repository, &digest).await }).await?;
        Ok(removed?)
    }
}

impl Store {
    async fn remove_manifest(
        self: Arc<Self>,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StorageError> {
        let was_there = self.remove_revision(repository, digest).await?;
        self.forget_scanned(repository, digest).await?;
        Ok(was_there)
    }

    async fn remove_revision(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, StorageError> {
        let _not_put_meanwhile = self.revision_locks.of(&(repository, digest)).write().await;
        let stored = self.manifest(repository, digest).await?;
        if stored.is_some() {
            self.remove_tags_of(repository, digest).await?;
        }
        let subject = Subject { link: Some((repository, LinkKind::Revision)), digest };
        let removal = self.descriptors.begin_removal(subject);
        let was_deleted = self.delete_if_present(&keys::revision_link(repository, digest)).await?;
        removal.settle();
        let was_there = stored.is_some() && was_deleted;
        let stored = match stored {
            Some(stored) => Some(stored),
            None => self.load_manifest(digest).await?,
        };
        let manifest = stored.and_then(|stored| Manifest::parse(&stored.data, None).ok());
        if let Some(subject) = manifest.and_then(|manifest| manifest.subject) {
            self.delete_if_present(&keys::referrer(repository, &subject, digest)).await?;
        }
        Ok(was_there)
    }
}
