use std::net::IpAddr;

use async_trait::async_trait;
use bytes::Bytes;

use super::LocalRepository;
use crate::content::Content;
use crate::oci::{Algorithm, Digest, RepositoryName, UploadId};
use crate::registry::{RegistryError, StartPoint, Upload, UploadStatus, UploadWriter, Uploads, WriteRequest};
use crate::storage::StorageErrorKind;
use crate::upload::{Progress, Start, UploadError, UploadHandle, WriteOptions, Writer};

struct LocalUpload {
    handle: UploadHandle,
    client: Option<IpAddr>,
    repository: RepositoryName,
    content: Content,
}

struct LocalWriter {
    writer: Writer,
}

#[async_trait]
impl Uploads for LocalRepository {
    async fn start(&self, algorithm: Algorithm) -> Result<Box<dyn Upload>, RegistryError> {
        let (handle, _) = self.engine.begin(&self.name, algorithm, self.caller.address).await?;
        Ok(self.upload(handle))
    }

    async fn resume(&self, id: UploadId) -> Result<Box<dyn Upload>, RegistryError> {
        Ok(self.upload(self.engine.upload(&self.name, id)))
    }

    async fn reopen(&self, ticket: &str) -> Result<Box<dyn Upload>, RegistryError> {
        self.resume(ticket.parse().map_err(|_| RegistryError::UploadUnknown)?).await
    }
}

impl LocalRepository {
    fn upload(&self, handle: UploadHandle) -> Box<dyn Upload> {
        let (repository, content) = (self.name.clone(), self.content.clone());
        Box::new(LocalUpload { handle, client: self.caller.address, repository, content })
    }
}

#[async_trait]
impl Upload for LocalUpload {
    fn id(&self) -> UploadId {
        self.handle.id()
    }

    fn ticket(&self) -> String {
        self.handle.id().to_string()
    }

    async fn status(&self) -> Result<UploadStatus, RegistryError> {
        let Progress { offset, started_at } = self.handle.status().await?;
        Ok(UploadStatus { id: self.handle.id(), offset, started_at: Some(started_at) })
    }

    async fn write(&self, request: WriteRequest) -> Result<Box<dyn UploadWriter>, RegistryError> {
        let options = WriteOptions {
            start: match request.start {
                StartPoint::Current => Start::Current,
                StartPoint::Exactly(offset) => Start::Exactly(offset),
                StartPoint::Replay(offset) => Start::Replay(offset),
            },
            length: request.length,
            digest: request.digest,
            discard_on_cut: request.discard_on_cut,
            client: self.client,
        };
        let writer = self.handle.write(options).await?;
        Ok(Box::new(LocalWriter { writer }))
    }

    async fn commit(&self, digest: &Digest) -> Result<u64, RegistryError> {
        let options = WriteOptions {
            start: Start::Current,
            length: Some(0),
            digest: Some(digest.clone()),
            discard_on_cut: false,
            client: self.client,
        };
        let committed = match self.handle.write(options).await {
            Ok(writer) => writer.commit(digest).await,
            Err(error) => Err(error),
        };
        match committed {
            // An earlier one has ended it.
            Err(UploadError::Unknown) => {
                let size_bytes = self.content.blobs().stat(&self.repository, digest).await?;
                size_bytes.ok_or(RegistryError::UploadUnknown)
            }
            committed => Ok(committed?),
        }
    }

    async fn cancel(&self) -> Result<(), RegistryError> {
        Ok(self.handle.cancel().await?)
    }
}

#[async_trait]
impl UploadWriter for LocalWriter {
    async fn send(&mut self, piece: Bytes) -> Result<(), RegistryError> {
        Ok(self.writer.send(piece).await?)
    }

    fn takes_turns(&self) -> bool {
        self.writer.takes_turns()
    }

    async fn turn(&mut self) -> Result<usize, RegistryError> {
        Ok(self.writer.turn().await?)
    }

    async fn end_turn(&mut self, pieces: Vec<Bytes>) -> Result<(), RegistryError> {
        Ok(self.writer.end_turn(pieces).await?)
    }

    async fn lost(&mut self) -> RegistryError {
        self.writer.lost().await.into()
    }

    async fn finish(self: Box<Self>) -> Result<u64, RegistryError> {
        Ok(self.writer.finish().await?)
    }

    async fn cut(self: Box<Self>) -> Result<u64, RegistryError> {
        Ok(self.writer.cut().await?)
    }

    async fn commit(self: Box<Self>, digest: &Digest) -> Result<u64, RegistryError> {
        Ok(self.writer.commit(digest).await?)
    }
}

impl From<UploadError> for RegistryError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Unknown => RegistryError::UploadUnknown,
            UploadError::Expired { policy, at } => RegistryError::UploadExpired { policy: policy.as_str(), at },
            UploadError::Struck { policy } => RegistryError::PolicyStruck { policy: policy.as_str() },
            UploadError::TooLarge { limit_bytes } => RegistryError::TooLarge { limit_bytes },
            UploadError::OverLimit { limit, value, retry_after } => {
                RegistryError::OverLimit { limit: limit.into(), value, retry_after }
            }
            UploadError::LowSpace => RegistryError::StorageLow,
            UploadError::Busy { retry_after } => RegistryError::Busy { retry_after },
            UploadError::RangeMismatch { offset } => RegistryError::RangeNotSatisfiable { offset },
            UploadError::SizeMismatch { offset } => RegistryError::SizeInvalid { offset },
            UploadError::Superseded => RegistryError::Superseded,
            UploadError::DigestMismatch { expected, actual } => RegistryError::DigestMismatch { expected, actual },
            UploadError::Draining => RegistryError::Unavailable("shutting down".into()),
            UploadError::Storage(error) => match error.kind() {
                StorageErrorKind::Full => RegistryError::StorageFull,
                StorageErrorKind::TimedOut => RegistryError::Unavailable(error.to_string()),
                _ => RegistryError::Internal(error.to_string()),
            },
            UploadError::Gap
            | UploadError::RecordTooNew
            | UploadError::Hashing(_)
            | UploadError::Passivated
            | UploadError::Died => RegistryError::Internal(error.to_string()),
        }
    }
}
