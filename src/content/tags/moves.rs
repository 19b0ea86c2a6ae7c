use super::TagCondition;
use crate::content::ContentError;
use crate::content::store::Store;
use crate::oci::{Digest, RepositoryName, Tag};
use crate::storage::{PutMode, StorageErrorKind, keys};

/// Somebody else moves the tag between our look and our put. In one process a lock prevents it, so that more than a
/// few times means many other nodes at the same tag.
const ATTEMPTS: usize = 16;

impl Store {
    /// Makes a tag point at a manifest that is there, if the condition holds. Two driver calls, and one or more for a
    /// condition.
    ///
    /// # Errors
    /// [`ContentError::ConditionFailed`], [`ContentError::Contended`].
    pub(in crate::content) async fn point_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        condition: &TagCondition,
    ) -> Result<(), ContentError> {
        let _not_moved_meanwhile = self.tag_locks.of(&(repository, tag)).write().await;
        self.move_tag(repository, tag, digest, condition).await?;
        // After the current link: the tags are listed by their folders, and a tag should not be listed before it
        // leads anywhere.
        self.write_link(&keys::tag_index(repository, tag, digest), digest, PutMode::Overwrite).await?;
        Ok(())
    }

    async fn move_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        condition: &TagCondition,
    ) -> Result<(), ContentError> {
        let current = keys::tag_current(repository, tag);
        for _ in 0..ATTEMPTS {
            let mode = self.mode_for(repository, tag, digest, condition).await?;
            match self.write_link(&current, digest, mode).await {
                Ok(()) => return Ok(()),
                Err(error) if is_conflict(error.kind()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ContentError::Contended(tag.clone()))
    }
}

fn is_conflict(kind: StorageErrorKind) -> bool {
    matches!(kind, StorageErrorKind::AlreadyExists | StorageErrorKind::VersionMismatch)
}
