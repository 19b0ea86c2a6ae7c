//! What the jobs of an upload do to storage. Each function takes the [`Parts`] that the actor owns and works on them;
//! none knows of leases, mailboxes or requests.

mod commit;
mod expire;
mod open;
mod rest;
mod slots;
mod whole;
mod write;

pub(super) use self::slots::{FileSlot, FileSlots};

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::record::{self, Checkpoint, Record};
use super::{UploadError, record::format_started_at};
use crate::clock::SharedClock;
use crate::content::Blobs;
use crate::hashing::{HashPool, Hasher, RunningDigest};
use crate::oci::{Algorithm, RepositoryName, UploadId};
use crate::storage::{self, Change, Durability, PartialWriter, PutMode, SharedDriver, StorageError, keys};
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
    /// Whether the driver syncs what it is asked to.
    pub syncs: bool,
    /// Which boot of the machine this is.
    pub boot: Arc<str>,
    pub clock: SharedClock,
    /// How many partials may be open.
    pub files: FileSlots,
}

/// The data of one upload; the actor owns it and lends it to one job at a time.
#[derive(Debug)]
pub(super) struct Parts {
    pub record: Record,
    /// Open only while somebody writes.
    pub writer: Option<Box<dyn PartialWriter>>,
    /// What allows `writer` to be open.
    pub file: Option<FileSlot>,
    /// The digest of what is kept, where it is known without storage.
    pub hasher: Option<Hasher>,
    /// When the last byte came.
    pub progress_at: SystemTime,
    /// Where other programs find a state of the digest, if this process wrote it.
    pub shared_state_at: Option<u64>,
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
        client: Option<IpAddr>,
    ) -> Result<Parts, UploadError> {
        let digest = RunningDigest::new(algorithm);
        let parts = Parts {
            record: Record {
                repository: repository.clone(),
                id,
                started_at,
                client,
                progress_at: started_at,
                checkpoint: Checkpoint {
                    partial: storage::Checkpoint { offset: 0, token: String::new() },
                    digest: digest.clone(),
                    is_unproven: false,
                    boot: self.boot.to_string(),
                    synced: true,
                },
                synced_checkpoint: None,
                commit: None,
                expired: None,
            },
            writer: None,
            file: None,
            hasher: Some(self.hashes.hasher(digest)),
            progress_at: started_at,
            shared_state_at: None,
        };
        let started_at = format_started_at(started_at).into_bytes();
        let begun = Change::PutFolder {
            folder: keys::upload(repository, id),
            objects: vec![
                (keys::upload_record(repository, id), parts.record.encode().into()),
                (keys::upload_started_at(repository, id), started_at.into()),
            ],
            durability: self.checkpoint_durability,
        };
        self.driver.apply(vec![begun]).await.map_err(|interrupted| interrupted.cause)?;
        Ok(parts)
    }

    /// Makes offset and hash state last, so that the upload can be gone on with from there in any process.
    pub async fn checkpoint(&self, parts: &mut Parts, durability: Durability) -> Result<(), UploadError> {
        let started = Instant::now();
        let synced = durability == Durability::Power && self.syncs;
        if parts.writer.is_none() && may_be_ahead(parts, synced) {
            self.ensure_open(parts).await?;
        }
        let (Some(writer), Some(hasher)) = (parts.writer.as_mut(), parts.hasher.as_ref()) else {
            // Nothing came since the newest checkpoint.
            return Ok(());
        };
        let digest = hasher.state().await?;
        let partial = checkpoint_of(writer.as_mut(), durability).await?;
        if partial.offset < digest.offset() {
            // A store that keeps only whole parts stands further back than the digest: its older state still holds.
            return Ok(());
        }
        let newest = &parts.record.checkpoint;
        let is_same = partial.offset == newest.partial.offset && digest.offset() == newest.digest.offset();
        if is_same && (newest.synced || !synced) {
            return Ok(());
        }
        self.put_checkpoint(parts, partial, digest, synced).await?;
        self.metrics.checkpoint_duration.observe(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// The same in the middle of a body: takes the state as far as it is there, and waits for no hash. What lies between
    /// the state and the bytes is hashed again if the process dies. It is made as lasting as the one before it, whose
    /// place it takes.
    pub async fn mid_checkpoint(&self, parts: &mut Parts) -> Result<(), UploadError> {
        let started = Instant::now();
        // More of the body waits, so it has to be open anyway.
        self.ensure_open(parts).await?;
        let (Some(writer), Some(hasher)) = (parts.writer.as_mut(), parts.hasher.as_ref()) else { return Ok(()) };
        let digest = hasher.newest_state()?;
        let partial = checkpoint_of(writer.as_mut(), self.checkpoint_durability).await?;
        if partial.offset < digest.offset() {
            return Ok(());
        }
        let synced = self.checkpoint_durability == Durability::Power && self.syncs;
        match self.put_checkpoint(parts, partial, digest, synced).await {
            // A body does not end because a point to go on from could not be written down: the one before it holds.
            Err(UploadError::Storage(error)) => {
                log::warn!(upload:% = parts.record.id, error:%; "a checkpoint within a body was not written");
            }
            Err(error) => return Err(error),
            Ok(()) => self.metrics.checkpoint_duration.observe(started.elapsed().as_secs_f64()),
        }
        Ok(())
    }

    async fn put_checkpoint(
        &self,
        parts: &mut Parts,
        partial: storage::Checkpoint,
        digest: RunningDigest,
        synced: bool,
    ) -> Result<(), UploadError> {
        let old = &parts.record.checkpoint;
        let checkpoint =
            Checkpoint { partial, digest, is_unproven: old.is_unproven, boot: self.boot.to_string(), synced };
        // What survives a loss of power is not given up for what does not.
        let synced_checkpoint = match (synced, old.synced && old.partial.offset > 0) {
            (true, _) => None,
            (false, true) => Some(old.clone()),
            (false, false) => parts.record.synced_checkpoint.clone(),
        };
        // It counts only once it is in storage.
        let record = Record { checkpoint, synced_checkpoint, progress_at: parts.progress_at, ..parts.record.clone() };
        self.put_record(&record).await?;
        parts.record = record;
        Ok(())
    }

    /// Removes everything of an upload; `startedat` goes last, so that a part that is left is still found.
    pub async fn remove(&self, repository: &RepositoryName, id: UploadId) -> Result<(), UploadError> {
        let removed = self.driver.apply(vec![removal(repository, id)]).await;
        Ok(removed.map_err(|interrupted| interrupted.cause)?)
    }

    async fn put_record(&self, record: &Record) -> Result<(), UploadError> {
        let key = keys::upload_record(&record.repository, record.id);
        let bytes = record.encode().into();
        self.driver.put(&key, bytes, PutMode::Overwrite, self.checkpoint_durability).await?;
        Ok(())
    }
}

/// The newest point from which the partial can be opened again; no driver call where it stands without one.
async fn checkpoint_of(
    writer: &mut dyn PartialWriter,
    durability: Durability,
) -> Result<storage::Checkpoint, StorageError> {
    match writer.standing_checkpoint(durability) {
        Some(standing) => Ok(standing),
        None => writer.checkpoint(durability).await,
    }
}

/// Removes everything of an upload; `startedat` goes last.
fn removal(repository: &RepositoryName, id: UploadId) -> Change {
    Change::DeleteAll { folder: keys::upload(repository, id), last: Some("startedat") }
}

/// Whether a partial that is closed may hold what its newest checkpoint does not: bytes, or bytes that are synced.
fn may_be_ahead(parts: &Parts, synced: bool) -> bool {
    let checkpoint = &parts.record.checkpoint;
    match &parts.hasher {
        // Since its revival nothing came; what came before it shows only once it is open.
        None => synced,
        Some(hasher) => {
            let is_at_the_end =
                hasher.fed_to() == checkpoint.partial.offset && hasher.fed_to() == checkpoint.digest.offset();
            !is_at_the_end || synced && !checkpoint.synced
        }
    }
}

impl Parts {
    /// Closes what is open. What was appended is with the store.
    pub fn close(&mut self) {
        self.writer = None;
        self.file = None;
    }
}

/// Which boot of the machine this is; `None` where it cannot be told, and then no boot equals another.
pub(super) fn current_boot() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}
