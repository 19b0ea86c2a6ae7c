//! Tags: names that point at manifests.

mod conditions;
mod moves;
mod removal;

use std::sync::Arc;

pub use self::conditions::TagCondition;
use super::ContentPage;
use super::store::Store;
use crate::oci::{Digest, RepositoryName, Tag};
use crate::storage::{EntryKind, StorageError, keys};

/// The tags of repositories. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tags {
    store: Arc<Store>,
}

impl Tags {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Tags { store }
    }

    /// Where a tag points; `None` when it is absent or its link is broken. The manifest need not be there. One driver
    /// call.
    ///
    /// # Errors
    /// Faults of the storage.
    pub async fn resolve(&self, repository: &RepositoryName, tag: &Tag) -> Result<Option<Digest>, StorageError> {
        Ok(self.store.read_link(&keys::tag_current(repository, tag)).await?.target())
    }

    /// At most `limit` tags after `last`, in byte order; `None` when the repository has no tags at all. One driver call.
    ///
    /// No tag is opened: one whose link is broken is listed too. A store that has to read a whole folder for a page of
    /// it keeps the sorted names as long as the folder does not change, so that a page costs the same wherever it
    /// starts.
    ///
    /// # Errors
    /// Faults of the storage.
    pub async fn list(
        &self,
        repository: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Option<ContentPage<Tag>>, StorageError> {
        let folder = keys::tags(repository);
        let mut items: Vec<Tag> = Vec::new();
        let mut after = last.map(str::to_owned);
        loop {
            // One more than is missing tells whether there are more.
            let missing = limit.saturating_add(1) - items.len();
            let page = match self.store.driver.list(&folder, after.as_deref(), missing).await {
                Ok(page) => page,
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error),
            };
            // What is no tag's folder was put there by somebody else.
            let folders = page.entries.iter().filter(|entry| entry.kind == EntryKind::Folder);
            items.extend(folders.filter_map(|entry| entry.name.parse::<Tag>().ok()));
            after = page.entries.into_iter().last().map(|entry| entry.name);
            if items.len() > limit || !page.more {
                // A page of no length ends the list: nothing could follow the name it ends with.
                let more = limit > 0 && items.len() > limit;
                items.truncate(limit);
                return Ok(Some(ContentPage { items, more }));
            }
        }
    }
}

#[cfg(test)]
mod tests;
