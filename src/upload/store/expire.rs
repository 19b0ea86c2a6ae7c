//! The end of an upload by a policy or an operator: kept for a look, or removed.

use super::super::record::Expired;
use super::*;
use crate::upload::Policy;

impl UploadStore {
    /// Writes down that the upload has expired and keeps its data; where that cannot be written (a full disk), or nothing
    /// is to be kept, removes everything. Gives how it expired, if it is kept.
    pub async fn expire(
        &self,
        parts: &mut Parts,
        policy: Policy,
        offset: u64,
        is_kept: bool,
    ) -> Result<Option<Expired>, UploadError> {
        parts.close();
        parts.hasher = None;
        let (repository, id) = (parts.record.repository.clone(), parts.record.id);
        let expired = Expired { policy, at: self.clock.now_utc(), offset };
        if is_kept && parts.record.commit.is_none() {
            let record = Record { expired: Some(expired), progress_at: parts.progress_at, ..parts.record.clone() };
            match self.put_record(&record).await {
                Ok(()) => {
                    parts.record = record;
                    return Ok(Some(expired));
                }
                Err(error) => {
                    log::warn!(repository:%, upload:% = id, error:%; "expired upload is removed, since it cannot be kept");
                }
            }
        }
        self.remove(&repository, id).await?;
        Ok(None)
    }

    /// Removes everything of an expired upload that was kept. No actor stands before it: whoever asks in the middle of this
    /// finds what is left by then. So the data goes first, or without the word of how it expired it could be gone on with.
    pub async fn remove_kept(&self, repository: &RepositoryName, id: UploadId) -> Result<(), UploadError> {
        self.remove_data(repository, id).await?;
        self.remove(repository, id).await
    }

    /// Removes the data of an expired upload and leaves the word of how it expired.
    pub async fn strip(&self, repository: &RepositoryName, id: UploadId) -> Result<(), UploadError> {
        self.remove_data(repository, id).await?;
        for algorithm in Algorithm::ALL {
            self.driver.delete_all(&keys::upload_hash_states(repository, id, algorithm), None).await?;
        }
        Ok(())
    }

    async fn remove_data(&self, repository: &RepositoryName, id: UploadId) -> Result<(), UploadError> {
        match self.driver.delete(&keys::upload_data(repository, id)).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }
}
