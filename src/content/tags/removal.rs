use futures_util::{TryStreamExt, stream};

use super::Tags;
use crate::content::ContentError;
use crate::content::store::Store;
use crate::content::task::to_its_end;
use crate::oci::{Digest, RepositoryName, Tag};
use crate::storage::{StorageError, keys};

/// How many tags are looked at at once for the one manifest that goes.
const LOOKUPS_AT_ONCE: usize = 16;
/// How many names are held of a long list.
const NAMES_AT_ONCE: usize = 10_000;

impl Tags {
    /// Removes a tag; `false` when there was none. What it pointed at stays. It goes on to its end when the caller
    /// leaves.
    ///
    /// # Errors
    /// Faults of the storage, after which the tag may be there or not.
    pub async fn delete(&self, repository: &RepositoryName, tag: &Tag) -> Result<bool, ContentError> {
        let (store, repository, tag) = (self.store.clone(), repository.clone(), tag.clone());
        let removed = to_its_end(async move {
            let _not_moved_meanwhile = store.tag_locks.of(&(&repository, &tag)).write().await;
            store.remove_tag(&repository, &tag).await
        })
        .await?;
        Ok(removed?)
    }
}

impl Store {
    /// Removes every tag that points at a manifest.
    pub(in crate::content) async fn remove_tags_of(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), StorageError> {
        let folder = keys::tags(repository);
        let mut after: Option<String> = None;
        loop {
            let page = match self.driver.list(&folder, after.as_deref(), NAMES_AT_ONCE).await {
                Ok(page) => page,
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(error),
            };
            after = page.entries.last().map(|entry| entry.name.clone());
            let tags = page.entries.iter().filter_map(|entry| entry.name.parse::<Tag>().ok());
            stream::iter(tags.map(Ok))
                .try_for_each_concurrent(LOOKUPS_AT_ONCE, |tag| self.remove_tag_of(repository, tag, digest))
                .await?;
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn remove_tag_of(&self, repository: &RepositoryName, tag: Tag, digest: &Digest) -> Result<(), StorageError> {
        let current = keys::tag_current(repository, &tag);
        if self.read_link(&current).await?.target().as_ref() != Some(digest) {
            return Ok(());
        }
        let _not_moved_meanwhile = self.tag_locks.of(&(repository, &tag)).write().await;
        // It may have moved before it was locked.
        if self.read_link(&current).await?.target().as_ref() == Some(digest) {
            self.remove_tag(repository, &tag).await?;
        }
        Ok(())
    }

    /// Removes a tag's whole folder, since a folder is what is listed: also what others left there. The current link goes
    /// last, so that a tag is there whole until it is gone.
    async fn remove_tag(&self, repository: &RepositoryName, tag: &Tag) -> Result<bool, StorageError> {
        let was_there = match self.driver.stat(&keys::tag_current(repository, tag)).await {
            Ok(_) => true,
            Err(error) if error.is_not_found() => false,
            Err(error) => return Err(error),
        };
        self.driver.delete_all(&keys::tag(repository, tag), Some("current")).await?;
        Ok(was_there)
    }
}
