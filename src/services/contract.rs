use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::{Page, PageRequest, RegistryError};
use crate::oci::{Algorithm, Digest, Reference, RepositoryName, Tag, UploadId};

/// On whose behalf something is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The client's address: its own, or the one that a trusted proxy tells.
    pub address: Option<IpAddr>,
}

/// A registry: its repositories by name, and the list of them.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The services of one repository. A repository that holds nothing is no error here.
    ///
    /// # Errors
    /// [`RegistryError::NameRefused`].
    fn repository(&self, name: &RepositoryName, caller: &Caller) -> Result<Box<dyn Repository>, RegistryError>;

    /// The names of the repositories that hold something, in the order of [`RepositoryName`].
    async fn catalog(&self, page: &PageRequest) -> Result<Page<RepositoryName>, RegistryError>;
}

/// One repository's services.
pub trait Repository: Send + Sync {
    /// Its name.
    fn name(&self) -> &RepositoryName;
    /// Its blobs.
    fn blobs(&self) -> &dyn Blobs;
    /// Blobs on their way in.
    fn uploads(&self) -> &dyn Uploads;
    /// Its manifests.
    fn manifests(&self) -> &dyn Manifests;
    /// Its tags.
    fn tags(&self) -> &dyn Tags;
}

/// The blobs that a repository links.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// The size of a blob.
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`].
    async fn stat(&self, digest: &Digest) -> Result<u64, RegistryError>;

    /// A blob's bytes, all or a range of them (cut at the end).
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`].
    async fn fetch(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<BlobContent, RegistryError>;

    /// Links a blob that `from` (or, with `None`, any repository) has into this one. `None` is the answer when it
    /// is not known there, or mounting is not allowed: then upload it.
    async fn mount(&self, digest: &Digest, from: Option<&RepositoryName>) -> Result<Option<u64>, RegistryError>;

    /// Takes the repository's link away.
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`].
    async fn delete(&self, digest: &Digest) -> Result<(), RegistryError>;
}

/// A blob opened for reading.
pub struct BlobContent {
    /// The size of the whole blob.
    pub size_bytes: u64,
    /// The part that is streamed.
    pub range: Range<u64>,
    /// When the blob came to be, where known.
    pub modified: Option<SystemTime>,
    /// The bytes, in bounded pieces; an error ends it.
    pub stream: BoxStream<'static, Result<Bytes, RegistryError>>,
}

/// Uploads of a repository.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// Starts one. `algorithm` is what the final digest will probably be of.
    async fn start(&self, algorithm: Algorithm) -> Result<Box<dyn Upload>, RegistryError>;

    /// Finds one again: open, being written, or from before a restart. It may be told only at the first use that there
    /// is none.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`], also when it belongs to another repository.
    async fn resume(&self, id: UploadId) -> Result<Box<dyn Upload>, RegistryError>;
}

/// One upload in progress.
#[async_trait]
pub trait Upload: Send + Sync {
    /// Its id.
    fn id(&self) -> UploadId;

    /// Where it stands. Answers at once, also while a body is being received.
    async fn status(&self) -> Result<UploadStatus, RegistryError>;

    /// Takes the right to write, for one body. Waits a bounded time for a writer that is there.
    ///
    /// # Errors
    /// [`RegistryError::RangeNotSatisfiable`], [`RegistryError::Busy`], [`RegistryError::UploadUnknown`].
    async fn write(&self, request: WriteRequest) -> Result<Box<dyn UploadWriter>, RegistryError>;

    /// Verifies and publishes what was written as the blob `digest`; gives its size. It goes on to its end when the
    /// caller leaves; asked again with the same digest, it gives the same answer.
    ///
    /// # Errors
    /// [`RegistryError::DigestMismatch`] (the upload stays), [`RegistryError::Busy`].
    async fn commit(&self, digest: &Digest) -> Result<u64, RegistryError>;

    /// Ends it and removes everything of it.
    async fn cancel(&self) -> Result<(), RegistryError>;
}

/// Where an upload stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    /// Its id.
    pub id: UploadId,
    /// How many bytes it holds.
    pub offset: u64,
    /// When it was started, where that is known.
    pub started_at: Option<SystemTime>,
}

/// How a body wants to be written.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// Where its first byte goes.
    pub start: StartPoint,
    /// How many bytes it says it has (`Content-Length`, `Content-Range`).
    pub length: Option<u64>,
    /// The digest that the body is to be committed as, when it is the last one. While the same digest is being
    /// committed by another request, this one follows it and gets its answer.
    pub digest: Option<Digest>,
    /// What happens when the body is cut: `false` keeps what arrived, `true` (a single POST, whose session was
    /// never told to anybody) removes the whole upload.
    pub discard_on_cut: bool,
}

/// Where a body's first byte goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPoint {
    /// Where the upload stands.
    Current,
    /// By `Content-Range`: exactly there, or not at all.
    Exactly(u64),
    /// By the offset a `Location` was issued for: what overlaps with what is kept must be equal to it.
    Replay(u64),
}

/// The right to write one body to an upload. Dropping it is a cut: see [`WriteRequest::discard_on_cut`].
#[async_trait]
pub trait UploadWriter: Send {
    /// Takes the next piece of the body; waits when the registry cannot keep up.
    ///
    /// # Errors
    /// [`RegistryError::Superseded`] when a newer request took over; [`RegistryError::RangeNotSatisfiable`] when a
    /// replayed body differs from what is kept.
    async fn send(&mut self, piece: Bytes) -> Result<(), RegistryError>;

    /// Resolves when the right to write ends before its time (taken over, cancelled, a fault), with the cause. Whoever
    /// waits for the body's next piece waits for this, too.
    async fn lost(&mut self) -> RegistryError;

    /// The body is there whole: makes it last, gives how many bytes the upload holds, ends the right to write.
    async fn finish(self: Box<Self>) -> Result<u64, RegistryError>;

    /// The body broke off: keeps what arrived, as said at the start.
    async fn cut(self: Box<Self>) -> Result<u64, RegistryError>;

    /// The body is there whole and was the last one: as [`Upload::commit`].
    async fn commit(self: Box<Self>, digest: &Digest) -> Result<u64, RegistryError>;
}

/// The manifests that a repository links.
#[async_trait]
pub trait Manifests: Send + Sync {
    /// A manifest by tag or digest, byte for byte.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`], [`RegistryError::NameUnknown`].
    async fn get(&self, reference: &Reference) -> Result<ManifestContent, RegistryError>;

    /// Stores a manifest under a digest, a tag, or both.
    async fn put(&self, request: PutManifest) -> Result<ManifestPut, RegistryError>;

    /// By digest: the manifest and every tag that points at it. By tag: the tag only.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`].
    async fn delete(&self, reference: &Reference) -> Result<(), RegistryError>;

    /// The manifests whose `subject` is `digest`, known or not, as image-index descriptors (JSON objects), sorted by
    /// digest.
    async fn referrers(&self, request: &ReferrersRequest) -> Result<Referrers, RegistryError>;
}

/// What is wanted of the referrers of a digest.
#[derive(Clone, Debug)]
pub struct ReferrersRequest {
    /// The subject.
    pub subject: Digest,
    /// Only those of this type.
    pub artifact_type: Option<String>,
    /// Which part; `last` is a digest.
    pub page: PageRequest,
}

/// A page of referrers.
pub type Referrers = Page<serde_json::Map<String, serde_json::Value>>;

/// A stored manifest.
#[derive(Clone, Debug)]
pub struct ManifestContent {
    /// Its digest.
    pub digest: Digest,
    /// Its media type, without parameters.
    pub media_type: String,
    /// Its bytes as they were pushed.
    pub data: Bytes,
}

/// A manifest to store.
#[derive(Clone, Debug)]
pub struct PutManifest {
    /// The tag or digest of the request's path.
    pub reference: Reference,
    /// Further tags (`?tag=`), with a digest in the path only.
    pub tags: Vec<Tag>,
    /// The request's `Content-Type`, without parameters.
    pub media_type: Option<String>,
    /// The bytes.
    pub data: Bytes,
    /// On the tag of the path, if one is there.
    pub precondition: Precondition,
}

/// What must hold of a tag before it moves (`If-Match`, `If-None-Match: *`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// It points at one of these.
    PointsAt(Vec<Digest>),
    /// It exists.
    Exists,
    /// It does not exist.
    IsNew,
}

/// What became of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestPut {
    /// Its digest, in the algorithm that was asked for.
    pub digest: Digest,
    /// Its subject, if it names one (`OCI-Subject`).
    pub subject: Option<Digest>,
    /// The tags of the request that now point at it.
    pub tags: Vec<Tag>,
}

/// The tags of a repository.
#[async_trait]
pub trait Tags: Send + Sync {
    /// The tags in byte order.
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`] when the repository holds nothing.
    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>, RegistryError>;
}

impl fmt::Debug for BlobContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobContent")
            .field("size_bytes", &self.size_bytes)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}
