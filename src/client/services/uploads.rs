//! Uploads by the services' traits.
//!
//! How the start of a body is said by HTTP:
//! - [`StartPoint::Current`]: by nothing but the upload's address.
//! - [`StartPoint::Exactly`]: by `Content-Range`, which needs the body's length; without one the registry is asked where
//!   the upload stands before the body is sent, and only that is compared.
//! - [`StartPoint::Replay`]: bytes that the registry has already are not sent again, and not compared: the digest at the
//!   end is what finds a difference.
//!
//! [`WriteRequest::discard_on_cut`] is a DELETE after the cut, which the registry may get to see or not.

use async_trait::async_trait;

use crate::client::error::Subject;
use crate::client::repository::RepositoryClient;
use crate::client::upload::{HttpUploadWriter, UploadSession, WriterOptions};
use crate::oci::{Algorithm, Digest, UploadId};
use crate::services::{RegistryError, StartPoint, Upload, UploadStatus, UploadWriter, Uploads, WriteRequest};

#[async_trait]
impl Uploads for RepositoryClient {
    async fn start(&self, algorithm: Algorithm) -> Result<Box<dyn Upload>, RegistryError> {
        let started = self.start_upload(algorithm).await;
        Ok(Box::new(started.map_err(|error| error.for_service(Subject::NewUpload))?))
    }

    /// By the address that registries usually give an upload of this id. One that keeps more in its addresses does not
    /// know it so; see [`Uploads::reopen`].
    async fn resume(&self, id: UploadId) -> Result<Box<dyn Upload>, RegistryError> {
        let url = self.endpoint(["blobs", "uploads", &id.to_string()]);
        self.found(url.as_str())
    }

    /// A ticket is the repository's name and the upload's address, which need not tell by itself whose upload it is.
    async fn reopen(&self, ticket: &str) -> Result<Box<dyn Upload>, RegistryError> {
        match ticket.split_once(' ') {
            Some((name, location)) if name == self.name().as_str() => self.found(location),
            _ => Err(RegistryError::UploadUnknown),
        }
    }
}

impl RepositoryClient {
    fn found(&self, location: &str) -> Result<Box<dyn Upload>, RegistryError> {
        match self.open_upload(location) {
            Ok(session) => Ok(Box::new(session)),
            Err(error) => {
                log::debug!(error:% = error; "what was kept of an upload is not its address");
                Err(RegistryError::UploadUnknown)
            }
        }
    }
}

#[async_trait]
impl Upload for UploadSession {
    fn id(&self) -> UploadId {
        UploadSession::id(self)
    }

    fn ticket(&self) -> String {
        format!("{} {}", self.repository().name(), self.location())
    }

    async fn status(&self) -> Result<UploadStatus, RegistryError> {
        let offset = self.stands_at().await?;
        Ok(UploadStatus { id: UploadSession::id(self), offset, started_at: None })
    }

    async fn write(&self, request: WriteRequest) -> Result<Box<dyn UploadWriter>, RegistryError> {
        let WriteRequest { start, length, digest, discard_on_cut } = request;
        // What the last answer said may have changed since only by others' writing. The request says where its body goes,
        // so that the registry tells them apart, unless that would take a length that is not known.
        let mut held = match self.known_offset() {
            Some(held) => held,
            None => self.stands_at().await?,
        };
        let is_elsewhere = matches!(start, StartPoint::Exactly(asked) | StartPoint::Replay(asked) if asked != held);
        let cannot_be_said = matches!(start, StartPoint::Exactly(_)) && length.is_none();
        if is_elsewhere || cannot_be_said {
            held = self.stands_at().await?;
        }
        let (start, is_exact) = match start {
            StartPoint::Current => (held, false),
            StartPoint::Exactly(asked) if asked == held => (asked, true),
            StartPoint::Replay(asked) if asked <= held => (asked, false),
            StartPoint::Exactly(_) | StartPoint::Replay(_) => {
                return Err(RegistryError::RangeNotSatisfiable { offset: held });
            }
        };
        let options = WriterOptions { start, length, skipped: held - start, is_exact, digest, discard_on_cut };
        Ok(Box::new(HttpUploadWriter::begin(self.clone(), options)))
    }

    async fn commit(&self, digest: &Digest) -> Result<u64, RegistryError> {
        let for_service = |error: crate::client::ClientError| error.for_service(Subject::Commit(digest));
        UploadSession::commit(self, digest).await.map_err(for_service)?;
        // The answer does not tell it, and others may have written since this one knew.
        let size = self.repository().blob_size(digest).await.map_err(for_service)?;
        size.ok_or_else(|| RegistryError::BlobUnknown(digest.clone()))
    }

    async fn cancel(&self) -> Result<(), RegistryError> {
        self.cancel_known().await.map_err(|error| error.for_service(Subject::Upload))
    }
}

impl UploadSession {
    async fn stands_at(&self) -> Result<u64, RegistryError> {
        self.offset().await.map_err(|error| error.for_service(Subject::Upload))
    }
}
