use std::io;
use std::ops::Range;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};

use super::LocalRepository;
use crate::oci::{Digest, RepositoryName};
use crate::registry::{BlobContent, BlobSender, Blobs, RegistryError, SharedSocket};
use crate::storage::ObjectSender;

#[async_trait]
impl Blobs for LocalRepository {
    async fn stat(&self, digest: &Digest) -> Result<u64, RegistryError> {
        let found = self.content.blobs().stat(&self.name, digest).await?;
        found.ok_or_else(|| RegistryError::BlobUnknown(digest.clone()))
    }

    async fn fetch(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<BlobContent, RegistryError> {
        let Some(reader) = self.content.blobs().open(&self.name, digest, range).await? else {
            return Err(RegistryError::BlobUnknown(digest.clone()));
        };
        Ok(BlobContent {
            size_bytes: reader.stat.size_bytes,
            range: reader.range,
            modified: Some(reader.stat.modified),
            stream: reader.stream.map_err(RegistryError::from).boxed(),
            sender: reader.sender.map(|sender| Box::new(Sender(sender)) as Box<dyn BlobSender>),
        })
    }

    async fn mount(&self, digest: &Digest, from: Option<&RepositoryName>) -> Result<Option<u64>, RegistryError> {
        let blobs = self.content.blobs();
        let mounted = match from {
            Some(from) => blobs.mount(&self.name, digest, from).await?,
            None if self.options.anonymous_mount => blobs.mount_known(&self.name, digest).await?,
            None => None,
        };
        Ok(mounted)
    }

    async fn delete(&self, digest: &Digest) -> Result<(), RegistryError> {
        if self.content.blobs().delete(&self.name, digest).await? {
            return Ok(());
        }
        Err(RegistryError::BlobUnknown(digest.clone()))
    }
}

/// An object's sender as a blob's.
struct Sender(Box<dyn ObjectSender>);

#[async_trait]
impl BlobSender for Sender {
    async fn send(&mut self, socket: SharedSocket, limit_bytes: u64) -> Result<io::Result<u64>, RegistryError> {
        Ok(self.0.send(socket, limit_bytes).await?)
    }
}
