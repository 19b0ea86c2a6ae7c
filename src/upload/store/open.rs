//! Finding an upload in storage and opening its partial.

use futures_util::StreamExt;
use std::ops::Range;

use super::super::record::{Expired, RecordError, parse_started_at};
use super::*;
use crate::storage::StorageErrorKind;

/// `startedat` holds twenty-odd bytes; anything much longer is none.
const MAX_STARTED_AT_BYTES: u64 = 256;

/// The longest state of a digest that anybody writes is about 200 bytes.
const MAX_STATE_BYTES: u64 = 4096;

enum StoredRecord {
    Whole(Box<Record>),
    Broken,
    Absent,
}

impl UploadStore {
    /// Finds an upload that no actor owns: from before a restart, or begun by distribution.
    ///
    /// # Errors
    /// [`UploadError::Unknown`] when there is none, or not in this repository.
    pub async fn find(&self, repository: &RepositoryName, id: UploadId) -> Result<Found, UploadError> {
        let started_at = self.read_started_at(repository, id).await?;
        let (record, is_bare) = match self.read_record(repository, id).await? {
            StoredRecord::Whole(record) => (*record, false),
            StoredRecord::Broken => (self.record_without_checkpoint(repository, id, started_at), false),
            StoredRecord::Absent => (self.record_without_checkpoint(repository, id, started_at), true),
        };
        if let Some(Expired { policy, at, .. }) = record.expired {
            return Err(UploadError::Expired { policy, at });
        }
        let progress_at = self.progress_of(&record).await;
        let mut parts = Parts { record, writer: None, file: None, hasher: None, progress_at, shared_state_at: None };
        // Whoever only asks where it stands needs no open file, and does not wait for what must be hashed again.
        let offset = match self.open(&mut parts).await? {
            Some(writer) => {
                let offset = writer.offset();
                if is_bare {
                    self.believe_shared_state(&mut parts, offset).await?;
                }
                offset
            }
            None if is_bare => return Err(self.finish_removal(repository, id).await),
            None => self.offset_without_data(&mut parts).await?,
        };
        Ok(Found { parts, offset })
    }

    /// When the last byte came: bytes that came after the newest checkpoint show in the file's time, where the store has one.
    async fn progress_of(&self, record: &Record) -> SystemTime {
        let key = keys::upload_data(&record.repository, record.id);
        match self.driver.stat(&key).await {
            Ok(stat) => record.progress_at.max(stat.modified),
            Err(_) => record.progress_at,
        }
    }

    /// Goes on from a state that another program left, if it stands at exactly the data's end. Nothing proves it, so the
    /// data is read once if the digest then turns out wrong.
    async fn believe_shared_state(&self, parts: &mut Parts, offset: u64) -> Result<(), UploadError> {
        let algorithm = parts.record.checkpoint.digest.algorithm();
        let key = keys::upload_hash_state(&parts.record.repository, parts.record.id, algorithm, offset);
        let state = match self.driver.get(&key, MAX_STATE_BYTES).await {
            Ok(object) => RunningDigest::from_bytes(algorithm, &object.data).ok(),
            Err(error) if error.is_not_found() || error.kind() == StorageErrorKind::WrongSize => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(digest) = state.filter(|digest| digest.offset() == offset) {
            let checkpoint = &mut parts.record.checkpoint;
            checkpoint.partial.offset = offset;
            (checkpoint.digest, checkpoint.is_unproven, checkpoint.synced) = (digest, true, false);
        }
        Ok(())
    }

    /// A beginning without a record and without data is the end of a removal: the sign goes last.
    async fn finish_removal(&self, repository: &RepositoryName, id: UploadId) -> UploadError {
        if let Err(error) = self.remove(repository, id).await {
            log::warn!(repository:%, upload:% = id, error:%; "rest of an upload was not removed");
        }
        UploadError::Unknown
    }

    pub(in crate::upload) async fn read_started_at(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<SystemTime, UploadError> {
        let key = keys::upload_started_at(repository, id);
        let object = match self.driver.get(&key, MAX_STARTED_AT_BYTES).await {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Err(UploadError::Unknown),
            Err(error) if error.kind() == StorageErrorKind::WrongSize => {
                log::warn!(upload:% = id; "startedat is no time, the upload counts as unknown");
                return Err(UploadError::Unknown);
            }
            Err(error) => return Err(error.into()),
        };
        let started_at = std::str::from_utf8(&object.data).ok().and_then(parse_started_at);
        started_at.ok_or_else(|| {
            log::warn!(upload:% = id; "startedat is no time, the upload counts as unknown");
            UploadError::Unknown
        })
    }

    /// The record, if there is one that can be read.
    pub(in crate::upload) async fn whole_record(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<Record>, UploadError> {
        match self.read_record(repository, id).await? {
            StoredRecord::Whole(record) => Ok(Some(*record)),
            StoredRecord::Broken | StoredRecord::Absent => Ok(None),
        }
    }

    async fn read_record(&self, repository: &RepositoryName, id: UploadId) -> Result<StoredRecord, UploadError> {
        let key = keys::upload_record(repository, id);
        let object = match self.driver.get(&key, record::MAX_BYTES).await {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Ok(StoredRecord::Absent),
            Err(error) if error.kind() == StorageErrorKind::WrongSize => return Ok(StoredRecord::Broken),
            Err(error) => return Err(error.into()),
        };
        match Record::decode(&object.data) {
            Ok(record) if record.repository == *repository && record.id == id => {
                Ok(StoredRecord::Whole(Box::new(record)))
            }
            Err(RecordError::TooNew) => Err(UploadError::RecordTooNew),
            Ok(_) | Err(RecordError::Broken) => {
                log::warn!(upload:% = id; "upload record is broken, the data is hashed again");
                Ok(StoredRecord::Broken)
            }
        }
    }

    /// What distribution leaves, or what is left of a broken record: data, and when it was started.
    fn record_without_checkpoint(&self, repository: &RepositoryName, id: UploadId, started_at: SystemTime) -> Record {
        Record {
            repository: repository.clone(),
            id,
            started_at,
            client: None,
            progress_at: started_at,
            checkpoint: Checkpoint {
                partial: storage::Checkpoint { offset: 0, token: String::new() },
                digest: RunningDigest::new(Algorithm::Sha256),
                is_unproven: false,
                boot: self.boot.to_string(),
                synced: true,
            },
            synced_checkpoint: None,
            commit: None,
            expired: None,
        }
    }

    /// Opens the partial and brings the digest to where the data ends; gives how many bytes are kept.
    pub async fn reopen(&self, parts: &mut Parts) -> Result<u64, UploadError> {
        parts.writer = None;
        if parts.file.is_none() {
            parts.file = self.files.take().await;
        }
        let Some(mut writer) = self.open(parts).await? else { return self.offset_without_data(parts).await };
        let offset = writer.offset();
        let usable = |hasher: &Hasher| hasher.fed_to() <= offset && hasher.newest_state().is_ok();
        let mut hasher = match parts.hasher.take().filter(usable) {
            Some(hasher) => hasher,
            None => self.hashes.hasher(parts.record.checkpoint.digest.clone()),
        };
        let tail = hasher.fed_to()..offset;
        self.hash_range(writer.as_mut(), &mut hasher, tail).await?;
        parts.hasher = Some(hasher);
        parts.writer = Some(writer);
        Ok(offset)
    }

    /// Opens the partial; `None` when there is none.
    ///
    /// Bytes past the checkpoint are kept and hashed when this boot wrote them (they are with the kernel even if the
    /// process died); after another boot only what was synced is trusted, and the rest is cut off.
    pub(super) async fn open(&self, parts: &mut Parts) -> Result<Option<Box<dyn PartialWriter>>, UploadError> {
        let data_key = keys::upload_data(&parts.record.repository, parts.record.id);
        if parts.record.checkpoint.boot != *self.boot {
            self.distrust_unsynced(parts);
        }
        let mut writer = match self.driver.open_partial(&data_key, &parts.record.checkpoint.partial).await {
            Ok(writer) => writer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if error.kind() == StorageErrorKind::WrongSize => {
                log::warn!(upload:% = parts.record.id, error:%; "data is shorter than the checkpoint, it is hashed again");
                self.forget_checkpoint(parts);
                self.driver.open_partial(&data_key, &parts.record.checkpoint.partial).await?
            }
            Err(error) => return Err(error.into()),
        };
        if parts.record.checkpoint.boot != *self.boot {
            let offset = parts.record.checkpoint.partial.offset;
            if writer.offset() > offset {
                self.unshare_states(parts).await?;
                writer.rewind(offset).await?;
            }
            self.note_boot(parts).await?;
        }
        Ok(Some(writer))
    }

    /// Writes down that from here on bytes past the checkpoint are of this boot.
    pub(super) async fn note_boot(&self, parts: &mut Parts) -> Result<(), UploadError> {
        let mut record = parts.record.clone();
        record.checkpoint.boot = self.boot.to_string();
        self.put_record(&record).await?;
        parts.record = record;
        Ok(())
    }

    /// Feeds a range of the partial to a hasher that stands at its start, in bounded memory.
    pub(super) async fn hash_range(
        &self,
        writer: &mut dyn PartialWriter,
        hasher: &mut Hasher,
        range: Range<u64>,
    ) -> Result<(), UploadError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut stream = writer.read(range.clone()).await?;
        let mut at = range.start;
        while let Some(piece) = stream.next().await {
            let piece = piece?;
            let start_of_piece = at;
            at += piece.len() as u64;
            hasher.feed(start_of_piece, vec![piece])?;
            // One piece is read while the one before it is hashed.
            hasher.wait_until(start_of_piece).await?;
        }
        hasher.wait_until(at).await?;
        Ok(())
    }

    /// No partial: nothing was written yet, or a commit has published it, or its data was lost.
    async fn offset_without_data(&self, parts: &mut Parts) -> Result<u64, UploadError> {
        if let Some((digest, size)) = &parts.record.commit
            && self.blobs.stat_global(digest).await? == Some(*size)
        {
            parts.hasher = None;
            return Ok(*size);
        }
        parts.record.commit = None;
        if parts.record.checkpoint.partial.offset > 0 {
            log::warn!(upload:% = parts.record.id; "data of the upload is gone, it counts as unknown");
            return Err(UploadError::Unknown);
        }
        parts.hasher = Some(self.hashes.hasher(parts.record.checkpoint.digest.clone()));
        Ok(0)
    }

    fn distrust_unsynced(&self, parts: &mut Parts) {
        parts.hasher = None;
        if parts.record.checkpoint.synced {
            return;
        }
        match parts.record.synced_checkpoint.take() {
            Some(synced) => {
                log::info!(upload:% = parts.record.id; "an earlier boot's unsynced bytes are cut off");
                parts.record.checkpoint = synced;
            }
            None => {
                log::warn!(upload:% = parts.record.id; "an earlier boot synced nothing, the upload starts again");
                self.forget_checkpoint(parts);
            }
        }
    }

    fn forget_checkpoint(&self, parts: &mut Parts) {
        let checkpoint = &mut parts.record.checkpoint;
        checkpoint.partial = storage::Checkpoint { offset: 0, token: String::new() };
        checkpoint.digest = RunningDigest::new(checkpoint.digest.algorithm());
        (checkpoint.is_unproven, checkpoint.synced) = (false, true);
        parts.record.synced_checkpoint = None;
        parts.hasher = None;
    }
}
