use std::ops::Range;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};

use crate::client::blobs::Mount;
use crate::client::error::Subject;
use crate::client::repository::RepositoryClient;
use crate::oci::{Digest, RepositoryName};
use crate::services::{BlobContent, Blobs, RegistryError};

#[async_trait]
impl Blobs for RepositoryClient {
    async fn stat(&self, digest: &Digest) -> Result<u64, RegistryError> {
        let size = self.blob_size(digest).await.map_err(|error| error.for_service(Subject::Blob(digest)))?;
        size.ok_or_else(|| RegistryError::BlobUnknown(digest.clone()))
    }

    async fn fetch(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<BlobContent, RegistryError> {
        let download = self.fetch_blob(digest, range).await;
        let download = download.map_err(|error| error.for_service(Subject::Blob(digest)))?;
        let subject = digest.clone();
        let stream = download.stream.map_err(move |error| error.for_service(Subject::Blob(&subject))).boxed();
        Ok(BlobContent { size_bytes: download.size_bytes, range: download.range, modified: None, stream, sender: None })
    }

    async fn mount(&self, digest: &Digest, from: Option<&RepositoryName>) -> Result<Option<u64>, RegistryError> {
        match self.mount_blob(digest, from).await {
            Ok(Mount::Mounted) => self.stat(digest).await.map(Some),
            Ok(Mount::Upload(session)) => {
                // If this fails, the upload expires.
                let _ = session.cancel().await;
                Ok(None)
            }
            // Who may not read there, or finds nothing there, may upload.
            Err(error) if matches!(error.status().map(|status| status.as_u16()), Some(401 | 403 | 404)) => Ok(None),
            Err(error) => Err(error.for_service(Subject::NewUpload)),
        }
    }

    async fn delete(&self, digest: &Digest) -> Result<(), RegistryError> {
        self.delete_blob(digest).await.map_err(|error| error.for_service(Subject::Blob(digest)))
    }
}
