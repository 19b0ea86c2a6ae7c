use super::Blobs;
use super::cache::{Known, LinkKind};
use crate::oci::{Digest, RepositoryName};
use crate::storage::StorageError;

impl Blobs {
    /// Gives `to` access to a blob that `from` has access to; the size of the blob, or `None` when `from` has not.
    ///
    /// # Errors
    /// Faults of the storage, after which it may be linked or not.
    pub async fn mount(
        &self,
        to: &RepositoryName,
        digest: &Digest,
        from: &RepositoryName,
    ) -> Result<Option<u64>, StorageError> {
        let Some(known) = self.store.find(from, LinkKind::Layer, digest).await? else { return Ok(None) };
        let size_bytes = known.size_bytes;
        self.link_to(to, digest, known).await?;
        Ok(Some(size_bytes))
    }

    /// Gives `to` access to a blob that the registry has for anybody; its size, or `None` when it has not.
    ///
    /// Whoever knows a digest gets at the content this way: the caller decides whether that is allowed.
    ///
    /// # Errors
    /// Faults of the storage, after which it may be linked or not.
    pub async fn mount_known(&self, to: &RepositoryName, digest: &Digest) -> Result<Option<u64>, StorageError> {
        let Some(size_bytes) = self.stat_global(digest).await? else { return Ok(None) };
        self.link_to(to, digest, Known { size_bytes, kept_under: None }).await?;
        Ok(Some(size_bytes))
    }
}
