//! Taking in and committing a blob that came in one batch.

use bytes::Bytes;

use super::*;
use crate::oci::Digest;
use crate::telemetry::DirectionLabels;

impl UploadStore {
    /// Takes in the last batch of a body (see [`UploadStore::write`]), then commits; gives how many bytes are kept after the
    /// first, and the blob's size.
    ///
    /// When the batch is the whole blob and has the right digest, it never becomes a partial: what is about to be
    /// published, blob, link and removal are one call. If the process dies in it before the blob is published, the upload
    /// is as it was, with nothing in it, and nobody was told of a byte; after that, the same PUT needs no byte any more. In
    /// every other case it is as if both were asked for one after the other.
    ///
    /// # Errors
    /// Of the first; then the second was not tried.
    pub async fn write_and_commit(
        &self,
        parts: &mut Parts,
        offset: u64,
        overlap: u64,
        pieces: Vec<Bytes>,
        digest: &Digest,
    ) -> Result<(u64, Result<u64, UploadError>), UploadError> {
        if offset == 0 && is_untouched(parts) && self.hashes.digest_of(digest.algorithm(), &pieces).await? == *digest {
            let size = self.commit_whole(parts, pieces, digest).await?;
            return Ok((size, Ok(size)));
        }
        let kept = self.write(parts, offset, overlap, pieces).await?;
        Ok((kept, self.commit(parts, digest).await))
    }

    async fn commit_whole(&self, parts: &mut Parts, pieces: Vec<Bytes>, digest: &Digest) -> Result<u64, UploadError> {
        let started = Instant::now();
        let size = pieces.iter().map(|piece| piece.len() as u64).sum();
        // Without data in the upload it counts only where the blob is there, whichever of the two got into storage.
        parts.record.commit = Some((digest.clone(), size));
        let record = Change::Put {
            key: keys::upload_record(&parts.record.repository, parts.record.id),
            data: vec![parts.record.encode().into()],
            durability: self.checkpoint_durability,
        };
        let blob = Change::Put { key: keys::blob_data(digest), data: pieces, durability: Durability::Power };
        self.link_and_remove(parts, digest, size, vec![record, blob]).await?;
        self.blobs.published(digest, size);
        self.metrics.blob_bytes.get_or_create(&DirectionLabels { direction: "in" }).inc_by(size);
        self.metrics.commit_duration.observe(started.elapsed().as_secs_f64());
        Ok(size)
    }
}

/// Whether nothing was ever written to it.
pub(super) fn is_untouched(parts: &Parts) -> bool {
    parts.writer.is_none()
        && parts.record.checkpoint.partial.offset == 0
        && parts.record.commit.is_none()
        && parts.hasher.as_ref().is_some_and(|hasher| hasher.fed_to() == 0)
}
