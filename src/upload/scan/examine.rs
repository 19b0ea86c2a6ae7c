//! What stands in the folder of an upload that nobody knows.

use std::time::SystemTime;

use super::{FoundUpload, Kept};
use crate::oci::{RepositoryName, UploadId};
use crate::storage::{Key, keys};
use crate::upload::UploadError;
use crate::upload::record::Record;
use crate::upload::roster::to_millis;
use crate::upload::store::UploadStore;

pub(super) enum Examined {
    /// An upload that can be gone on with.
    Upload(FoundUpload),
    /// One that has expired and is kept for a look.
    Kept(FoundUpload, Kept),
    /// Nothing that an upload could be made of, untouched since then.
    Leftover { bytes: u64, since: Option<SystemTime> },
    /// A newer version's: left alone.
    Foreign,
}

impl UploadStore {
    /// Looks at it without opening its data: four small calls at most.
    pub(super) async fn examine(&self, repository: &RepositoryName, id: UploadId) -> Result<Examined, UploadError> {
        let data = self.stat_if_there(&keys::upload_data(repository, id)).await?;
        let bytes = data.map_or(0, |(bytes, _)| bytes);
        let modified = data.map(|(_, modified)| modified);
        let record = match self.whole_record(repository, id).await {
            Err(UploadError::RecordTooNew) => return Ok(Examined::Foreign),
            Err(error) => return Err(error),
            Ok(record) => record,
        };
        let started_at = match self.read_started_at(repository, id).await {
            Ok(started_at) => started_at,
            Err(UploadError::Unknown) => {
                let sign = self.stat_if_there(&keys::upload_record(repository, id)).await?;
                let since = modified.into_iter().chain(sign.map(|(_, modified)| modified)).max();
                return Ok(Examined::Leftover { bytes, since });
            }
            Err(error) => return Err(error),
        };
        let Some(record) = record else {
            // distribution's; without data it is the end of a removal, or not yet begun.
            if data.is_none() {
                return Ok(Examined::Leftover { bytes, since: Some(started_at) });
            }
            let progress_at = modified.unwrap_or(started_at);
            return Ok(Examined::Upload(FoundUpload { client: None, started_at, progress_at, offset: bytes }));
        };
        if data.is_none() && record.expired.is_none() && self.has_lost_its_data(&record).await? {
            return Ok(Examined::Leftover { bytes, since: Some(record.progress_at) });
        }
        Ok(of_record(&record, bytes, modified))
    }

    /// Whether a record without data says that there was some, and no commit has published it: so ends a removal that was
    /// broken off. Nobody can go on with that.
    async fn has_lost_its_data(&self, record: &Record) -> Result<bool, UploadError> {
        if record.checkpoint.partial.offset == 0 {
            return Ok(false);
        }
        match &record.commit {
            Some((digest, size)) => Ok(self.blobs.stat_global(digest).await? != Some(*size)),
            None => Ok(true),
        }
    }

    async fn stat_if_there(&self, key: &Key) -> Result<Option<(u64, SystemTime)>, UploadError> {
        match self.driver.stat(key).await {
            Ok(stat) => Ok(Some((stat.size_bytes, stat.modified))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn of_record(record: &Record, bytes: u64, modified: Option<SystemTime>) -> Examined {
    let found =
        |offset, progress_at| FoundUpload { client: record.client, started_at: record.started_at, progress_at, offset };
    match record.expired {
        Some(expired) => {
            let kept = Kept { policy: expired.policy, at: to_millis(expired.at), bytes };
            Examined::Kept(found(expired.offset, record.progress_at), kept)
        }
        None => {
            // Bytes that came after the newest checkpoint show in the data's time.
            let progress_at = modified.map_or(record.progress_at, |modified| modified.max(record.progress_at));
            Examined::Upload(found(bytes.max(record.checkpoint.partial.offset), progress_at))
        }
    }
}
