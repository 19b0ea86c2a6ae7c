use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};

use super::error::{Cause, End, TransferError};
use super::journal::Journal;
use crate::layout::{Layout, LayoutWriter};
use crate::oci::{Descriptor, Digest, Reference, RepositoryName, Tag};
use crate::services::{Caller, Page, PageRequest, Registry, RegistryError, Repository};

/// A repository of a registry, here or elsewhere. Cheap to clone.
#[derive(Clone)]
pub struct RepositoryEnd {
    pub(super) repository: Arc<dyn Repository>,
    pub(super) address: Arc<str>,
}

/// Where content comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A registry.
    Repository {
        /// The repository.
        end: RepositoryEnd,
        /// What of it.
        reference: Reference,
    },
    /// A layout or a single file.
    Layout {
        /// The layout.
        layout: Layout,
        /// The name or digest of what is wanted of it; `None`: the only thing in it.
        name: Option<String>,
    },
}

/// Where content goes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// A registry.
    Repository {
        /// The repository.
        end: RepositoryEnd,
        /// The tag that it gets; `None`: it can be had by its digest only.
        tag: Option<Tag>,
        /// Where it is kept how far uploads are, for the next run.
        journal: Option<Journal>,
    },
    /// A layout.
    Layout {
        /// The layout.
        writer: LayoutWriter,
        /// The name that it gets.
        tag: Option<Tag>,
    },
}

impl RepositoryEnd {
    /// `address` tells the registry from others: two ends of the same address are one registry, between whose
    /// repositories blobs can be mounted, and uploads are kept in the journal under it.
    ///
    /// # Errors
    /// [`RegistryError::NameRefused`].
    pub fn new(registry: &dyn Registry, address: &str, name: &RepositoryName) -> Result<Self, RegistryError> {
        let repository = registry.repository(name, &Caller::default())?;
        Ok(RepositoryEnd { repository: repository.into(), address: address.into() })
    }

    /// A page of the repository's tags.
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`] when it holds nothing.
    pub async fn tags(&self, page: &PageRequest) -> Result<Page<Tag>, RegistryError> {
        self.repository.tags().list(page).await
    }

    /// The repository's name.
    pub fn name(&self) -> &RepositoryName {
        self.repository.name()
    }
}

impl fmt::Display for RepositoryEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.name())
    }
}

impl fmt::Debug for RepositoryEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryEnd").field("address", &self.address).field("name", self.name()).finish()
    }
}

/// A blob's bytes on their way from the source.
pub(super) type Pieces = BoxStream<'static, Result<Bytes, Cause>>;

impl Source {
    /// A blob from `offset` on. It is of the size that its descriptor says.
    pub(super) async fn open(&self, blob: &Descriptor, offset: u64) -> Result<Pieces, TransferError> {
        let range = (offset > 0).then_some(offset..blob.size);
        let failed = |cause: Cause| TransferError::Failed { end: End::Source, subject: named(&blob.digest), cause };
        let (size_bytes, pieces) = match self {
            Source::Repository { end, .. } => {
                let content = end.repository.blobs().fetch(&blob.digest, range).await.map_err(|e| failed(e.into()))?;
                if content.range.start != offset {
                    let cause = format!("bytes from {offset} on were asked for, from {} on came", content.range.start);
                    return Err(TransferError::invalid(named(&blob.digest), cause));
                }
                (content.size_bytes, content.stream.map(|piece| piece.map_err(Cause::from)).boxed())
            }
            Source::Layout { layout, .. } => {
                let content = layout.blob(&blob.digest, range).await.map_err(|error| failed(error.into()))?;
                (content.size_bytes, content.stream.map(|piece| piece.map_err(Cause::from)).boxed())
            }
        };
        match size_bytes == blob.size {
            true => Ok(pieces),
            false => Err(wrong_size(blob, size_bytes)),
        }
    }

    /// Whether reading it again costs no more than a look at the disk.
    pub(super) fn is_near(&self) -> bool {
        matches!(self, Source::Layout { .. })
    }
}

/// The descriptor or the source is wrong.
pub(super) fn wrong_size(blob: &Descriptor, found_bytes: u64) -> TransferError {
    let cause = format!("it has {found_bytes} bytes, its descriptor says {}", blob.size);
    TransferError::invalid(named(&blob.digest), cause)
}

/// How a blob is called in an error.
pub(super) fn named(digest: &Digest) -> String {
    format!("blob {digest}")
}
