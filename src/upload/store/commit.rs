//! Verifying, publishing, linking, removing.

use super::*;
use crate::oci::Digest;

impl UploadStore {
    /// Makes what was written the blob `digest` of the repository, and removes the upload; gives the blob's size.
    ///
    /// Whatever step the process dies at, the same call afterwards ends the same: the record says beforehand what is
    /// about to be published, so that data which is gone from the upload is looked for under its digest.
    ///
    /// # Errors
    /// [`UploadError::DigestMismatch`]: the upload stays as it was.
    pub async fn commit(&self, parts: &mut Parts, digest: &Digest) -> Result<u64, UploadError> {
        let size = match self.published_before(parts).await? {
            Some((published, _)) if published != *digest => {
                return Err(UploadError::DigestMismatch { expected: digest.clone(), actual: published });
            }
            Some((_, size)) => size,
            None => self.verify_and_publish(parts, digest).await?,
        };
        self.blobs.published(digest, size);
        let repository = parts.record.repository.clone();
        self.blobs.link(&repository, digest, size).await?;
        if let Err(error) = self.remove_or_try_again(&repository, parts.record.id).await {
            // The blob is there and linked: that is what was asked for. What is left is found by its `startedat`.
            log::warn!(repository:% = repository, upload:% = parts.record.id, error:%; "committed upload was not removed");
        }
        Ok(size)
    }

    /// A fault that passes is no reason to leave something behind.
    async fn remove_or_try_again(&self, repository: &RepositoryName, id: UploadId) -> Result<(), UploadError> {
        match self.remove(repository, id).await {
            Ok(()) => Ok(()),
            Err(_) => self.remove(repository, id).await,
        }
    }

    /// What an earlier commit, which died or failed behind it, has published.
    async fn published_before(&self, parts: &mut Parts) -> Result<Option<(Digest, u64)>, UploadError> {
        let Some((digest, size)) = parts.record.commit.clone() else { return Ok(None) };
        self.ensure_open(parts).await?;
        if parts.writer.is_some() {
            return Ok(None);
        }
        Ok(Some((digest, size)))
    }

    async fn verify_and_publish(&self, parts: &mut Parts, digest: &Digest) -> Result<u64, UploadError> {
        let size = self.ensure_open(parts).await?;
        let actual = self.digest_of(parts, digest.algorithm()).await?;
        if actual != *digest {
            self.checkpoint(parts, self.checkpoint_durability).await?;
            return Err(UploadError::DigestMismatch { expected: digest.clone(), actual });
        }
        let record = Record { commit: Some((actual, size)), ..parts.record.clone() };
        self.put_record(&record).await?;
        parts.record = record;
        let Some(writer) = parts.writer.take() else { return Err(UploadError::Unknown) };
        writer.publish(&keys::blob_data(digest), Durability::Power).await?;
        Ok(size)
    }

    /// The digest of what is kept: of the state that ran along, or, for another algorithm, by reading once more.
    async fn digest_of(&self, parts: &mut Parts, algorithm: Algorithm) -> Result<Digest, UploadError> {
        let (Some(writer), Some(hasher)) = (parts.writer.as_mut(), parts.hasher.as_ref()) else {
            return Err(UploadError::Unknown);
        };
        let state = hasher.state().await?;
        if state.algorithm() == algorithm {
            return Ok(state.finish());
        }
        let mut other = self.hashes.hasher(RunningDigest::new(algorithm));
        let all = 0..writer.offset();
        self.hash_range(writer.as_mut(), &mut other, all).await?;
        Ok(other.state().await?.finish())
    }
}
