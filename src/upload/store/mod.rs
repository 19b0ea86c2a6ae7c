//! What the jobs of an upload do to storage. Each function takes the [`Parts`] that the actor owns and works on them;
//! none knows of leases, mailboxes or requests.

mod commit;
mod open;
mod write;

use std::sync::Arc;
use std::time::SystemTime;

use super::record::{self, Checkpoint, Record};
use super::{UploadError, record::format_started_at};
use crate::content::Blobs;
use crate::hashing::{HashPool, Hasher, RunningDigest};
use crate::oci::{Algorithm, RepositoryName, UploadId};
use crate::storage::{self, Durability, PartialWriter, PutMode, SharedDriver, keys};
use crate::telemetry::Metrics;

/// What every upload needs of the outside.
#[derive(Clone)]
pub(super) struct UploadStore {
    pub driver: SharedDriver,
    pub blobs: Blobs,
    pub hashes: HashPool,
    pub metrics: Metrics,
    /// What a checkpoint survives.
    pub checkpoint_durability: Durability,
    /// Which boot of the machine this is.
    pub boot: Arc<str>,
}

/// The data of one upload; the actor owns it and lends it to one job at a time.
#[derive(Debug)]
pub(super) struct Parts {
    pub record: Record,
    /// Open only while somebody writes.
    pub writer: Option<Box<dyn PartialWriter>>,
    /// The digest of what is kept, where it is known without storage.
    pub hasher: Option<Hasher>,
}

/// An upload found in storage.
pub(super) struct Found {
    pub parts: Parts,
    /// How many bytes are kept.
    pub offset: u64,
}

impl UploadStore {
    /// Writes down that an upload has begun. `startedat` comes last: without it there is no upload.
    pub async fn create(
        &self,
        repository: &RepositoryName,
        id: UploadId,
        started_at: SystemTime,
        algorithm: Algorithm,
    ) -> Result<Parts, UploadError> {
        let digest = RunningDigest::new(algorithm);
        let parts = Parts {
            record: Record {
                repository: repository.clone(),
                id,
                started_at,
                checkpoint: Checkpoint {
                    partial: storage::Checkpoint { offset: 0, token: String::new() },
                    digest: digest.clone(),
                    boot: self.boot.to_string(),
                    synced: true,
                },
                commit: None,
            },
            writer: None,
            hasher: Some(self.hashes.hasher(digest)),
        };
        self.put_record(&parts.record).await?;
        let key = keys::upload_started_at(repository, id);
        let text = format_started_at(started_at).into_bytes().into();
        self.driver.put(&key, text, PutMode::Overwrite, self.checkpoint_durability).await?;
        Ok(parts)
    }

    /// Makes offset and hash state last, so that the upload can be gone on with from there in any process.
    pub async fn checkpoint(&self, parts: &mut Parts, durability: Durability) -> Result<(), UploadError> {
        let synced = durability == Durability::Power;
        if synced && !parts.record.checkpoint.synced {
            self.ensure_open(parts).await?;
        }
        let (Some(writer), Some(hasher)) = (parts.writer.as_mut(), parts.hasher.as_ref()) else {
            // Nothing is open, so nothing came since the newest checkpoint.
            return Ok(());
        };
        let digest = hasher.state().await?;
        let partial = writer.checkpoint(durability).await?;
        if partial.offset != digest.offset() {
            // A store that keeps only whole parts stands further back than the digest: its older state still holds.
            return Ok(());
        }
        if partial.offset == parts.record.checkpoint.partial.offset && (parts.record.checkpoint.synced || !synced) {
            return Ok(());
        }
        let checkpoint = Checkpoint { partial, digest, boot: self.boot.to_string(), synced };
        // It counts only once it is in storage.
        let record = Record { checkpoint, ..parts.record.clone() };
        self.put_record(&record).await?;
        parts.record = record;
        Ok(())
    }

    /// Removes everything of an upload; `startedat` goes last, so that a part that is left is still found.
    pub async fn remove(&self, repository: &RepositoryName, id: UploadId) -> Result<(), UploadError> {
        Ok(self.driver.delete_all(&keys::upload(repository, id), Some("startedat")).await?)
    }

    async fn put_record(&self, record: &Record) -> Result<(), UploadError> {
        let key = keys::upload_record(&record.repository, record.id);
        let bytes = record.encode().into();
        self.driver.put(&key, bytes, PutMode::Overwrite, self.checkpoint_durability).await?;
        Ok(())
    }
}

/// Which boot of the machine this is; `None` where it cannot be told, and then no boot equals another.
pub(super) fn current_boot() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}
