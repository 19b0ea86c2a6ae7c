//! Making an upload last when nobody is expected for some time: synced, and with its digest where other programs look for
//! it. So it costs a busy upload nothing.

use super::*;
use crate::storage::StorageError;

impl UploadStore {
    /// A checkpoint that survives the loss of power, and the state of the digest in distribution's place and form.
    pub async fn rest(&self, parts: &mut Parts) -> Result<(), UploadError> {
        if parts.hasher.is_none() && parts.writer.is_none() {
            return self.sync_what_was_found(parts).await;
        }
        self.checkpoint(parts, Durability::Power).await?;
        let digest = &parts.record.checkpoint.digest;
        let offset = digest.offset();
        let stands_there = offset == parts.record.checkpoint.partial.offset && offset > 0;
        if stands_there && !parts.record.checkpoint.is_unproven && parts.shared_state_at != Some(offset) {
            let state = digest.to_bytes();
            if let Err(error) = self.share_state(&parts.record, state, offset).await {
                // Without it another program hashes again what is there.
                log::debug!(upload:% = parts.record.id, error:%; "state of the digest was not shared");
                return Ok(());
            }
            parts.shared_state_at = Some(offset);
        }
        Ok(())
    }

    /// Found again and only asked for: bytes past its checkpoint are synced, and nothing is hashed for that. The state stays
    /// where it was, somewhat before them.
    async fn sync_what_was_found(&self, parts: &mut Parts) -> Result<(), UploadError> {
        if !self.syncs {
            return Ok(());
        }
        let Some(mut writer) = self.open(parts).await? else { return Ok(()) };
        let newest = &parts.record.checkpoint;
        if newest.synced && newest.partial.offset == writer.offset() {
            return Ok(());
        }
        let digest = newest.digest.clone();
        let partial = writer.checkpoint(Durability::Power).await?;
        self.put_checkpoint(parts, partial, digest, true).await
    }

    async fn share_state(&self, record: &Record, state: Vec<u8>, offset: u64) -> Result<(), StorageError> {
        let (repository, id) = (&record.repository, record.id);
        let algorithm = record.checkpoint.digest.algorithm();
        // One state is enough, and an older one of bytes that were cut off since would be wrong.
        self.driver.delete_all(&keys::upload_hash_states(repository, id, algorithm), None).await?;
        let key = keys::upload_hash_state(repository, id, algorithm, offset);
        self.driver.put(&key, state.into(), PutMode::Overwrite, Durability::Process).await?;
        Ok(())
    }

    /// Takes back what other programs were told of the digest: bytes before it are about to change.
    pub(super) async fn unshare_states(&self, parts: &mut Parts) -> Result<(), UploadError> {
        parts.shared_state_at = None;
        let (repository, id) = (&parts.record.repository, parts.record.id);
        let algorithm = parts.record.checkpoint.digest.algorithm();
        self.driver.delete_all(&keys::upload_hash_states(repository, id, algorithm), None).await?;
        Ok(())
    }
}
