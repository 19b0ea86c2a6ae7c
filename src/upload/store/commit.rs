//! Verifying, publishing, linking, removing.

use std::time::Duration;

use super::*;
use crate::oci::Digest;

/// When the removal of a committed upload is tried again, after it has failed twice.
const REMOVAL_RETRIES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(300)];

impl UploadStore {
    /// Makes what was written the blob `digest` of the repository, and removes the upload; gives the blob's size.
    ///
    /// Whatever step the process dies at, the same call afterwards ends the same: the record says beforehand what is
    /// about to be published, so that data which is gone from the upload is looked for under its digest.
    ///
    /// # Errors
    /// [`UploadError::DigestMismatch`]: the upload stays as it was.
    pub async fn commit(&self, parts: &mut Parts, digest: &Digest) -> Result<u64, UploadError> {
        let started = Instant::now();
        let size = match self.published_before(parts).await? {
            Some((published, _)) if published != *digest => {
                return Err(UploadError::DigestMismatch { expected: digest.clone(), actual: published });
            }
            Some((_, size)) => size,
            None => self.verify_and_publish(parts, digest).await?,
        };
        self.blobs.published(digest, size);
        self.link_and_remove(parts, digest, size, Vec::new()).await?;
        self.metrics.commit_duration.observe(started.elapsed().as_secs_f64());
        Ok(size)
    }

    /// Gives the repository access to the blob and removes the upload, in one call behind what else is to be changed
    /// before.
    pub(super) async fn link_and_remove(
        &self,
        parts: &Parts,
        digest: &Digest,
        size: u64,
        before: Vec<Change>,
    ) -> Result<(), UploadError> {
        let (repository, id) = (parts.record.repository.clone(), parts.record.id);
        let link = self.blobs.begin_link(&repository, digest, size);
        let mut changes = before;
        changes.push(link.change());
        let linked = changes.len();
        changes.push(removal(&repository, id));
        let is_removed = match self.driver.apply(changes).await {
            Ok(()) => true,
            Err(interrupted) if interrupted.done == linked => false,
            Err(interrupted) => return Err(interrupted.cause.into()),
        };
        link.made();
        if !is_removed && let Err(error) = self.remove(&repository, id).await {
            // The blob is there and linked: that is what was asked for.
            log::warn!(repository:% = repository, upload:% = id, error:%; "committed upload was not removed yet");
            tokio::spawn(self.clone().remove_later(repository, id));
        }
        Ok(())
    }

    /// A fault that passes is no reason to leave something behind: tries some times more. One that lasts leaves it to the
    /// scan.
    async fn remove_later(self, repository: RepositoryName, id: UploadId) {
        for wait in REMOVAL_RETRIES {
            tokio::time::sleep(wait).await;
            match self.remove(&repository, id).await {
                Ok(()) => return,
                Err(error) => log::warn!(repository:%, upload:% = id, error:%; "committed upload was not removed yet"),
            }
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
        let mut actual = self.digest_of(parts, digest.algorithm()).await?;
        if actual != *digest && parts.record.checkpoint.is_unproven {
            actual = self.prove(parts, digest.algorithm()).await?;
        }
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

    /// The state that the digest began with came from another program: reads the data once, and believes that.
    async fn prove(&self, parts: &mut Parts, algorithm: Algorithm) -> Result<Digest, UploadError> {
        let Some(writer) = parts.writer.as_mut() else { return Err(UploadError::Unknown) };
        let all = 0..writer.offset();
        let mut proven = self.hashes.hasher(RunningDigest::new(parts.record.checkpoint.digest.algorithm()));
        self.hash_range(writer.as_mut(), &mut proven, all).await?;
        parts.hasher = Some(proven);
        let checkpoint = &mut parts.record.checkpoint;
        (checkpoint.partial.offset, checkpoint.partial.token) = (0, String::new());
        (checkpoint.digest, checkpoint.is_unproven) = (RunningDigest::new(checkpoint.digest.algorithm()), false);
        self.digest_of(parts, algorithm).await
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
