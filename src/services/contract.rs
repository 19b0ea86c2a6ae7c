use std::fmt;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
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

    /// The names of the repositories that hold a blob or a manifest, in the order of [`RepositoryName`].
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
    /// [`RegistryError::BlobUnknown`], also when the repository holds nothing at all: a HEAD does not tell the two apart.
    async fn stat(&self, digest: &Digest) -> Result<u64, RegistryError>;

    /// A blob's bytes, all or a range of them. What is behind the end is cut off, so that a range may come to nothing.
    ///
    /// # Errors
    /// As [`Blobs::stat`].
    async fn fetch(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<BlobContent, RegistryError>;

    /// Links a blob that `from` (or, with `None`, any repository) has into this one. `None` is the answer when it
    /// is not known there, or mounting is not allowed: then upload it. No upload is left of a mount.
    async fn mount(&self, digest: &Digest, from: Option<&RepositoryName>) -> Result<Option<u64>, RegistryError>;

    /// Takes the repository's link away, which every request after it sees.
    ///
    /// # Errors
    /// As [`Blobs::stat`].
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
    /// The same bytes for a socket, where there is a way that is cheaper than the stream; use one of the two.
    pub sender: Option<Box<dyn BlobSender>>,
}

/// A socket that a call may hold on to after its caller has left.
pub type SharedSocket = Arc<dyn AsFd + Send + Sync>;

/// Sends an opened blob into a socket without its bytes passing through this process.
#[async_trait]
pub trait BlobSender: Send {
    /// Sends the next bytes, at most `limit_bytes` (a few MiB) and not past the end of the opened range.
    ///
    /// `socket` is a non-blocking stream socket; it is never waited for. The inner result is the socket's: how many
    /// bytes it took (fewer than could be sent when it takes no more now), or why it takes none any more. After an
    /// error, or when this was cancelled, nothing can be made of the socket but to close it.
    ///
    /// # Errors
    /// Faults of whatever keeps the blob, among them that it is shorter than its size said.
    async fn send(&mut self, socket: SharedSocket, limit_bytes: u64) -> Result<io::Result<u64>, RegistryError>;
}

/// Uploads of a repository.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// Starts one. `algorithm` is what the final digest will probably be of; it may be of any other.
    ///
    /// # Errors
    /// [`RegistryError::OverLimit`], [`RegistryError::StorageLow`].
    async fn start(&self, algorithm: Algorithm) -> Result<Box<dyn Upload>, RegistryError>;

    /// Finds one again: open, being written, or from before a restart. It may be told only at the first use that there
    /// is none.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`], also when it belongs to another repository.
    async fn resume(&self, id: UploadId) -> Result<Box<dyn Upload>, RegistryError>;

    /// Finds one again by its [`Upload::ticket`], also in another process than the one that asked for the ticket. The
    /// other process goes by [`Upload::status`]; the ticket does not say where the upload stands.
    ///
    /// # Errors
    /// As [`Uploads::resume`]; [`RegistryError::UploadUnknown`] when it is no ticket of this repository.
    async fn reopen(&self, ticket: &str) -> Result<Box<dyn Upload>, RegistryError>;
}

/// One upload in progress.
#[async_trait]
pub trait Upload: Send + Sync {
    /// Its id. A registry that names its uploads otherwise has a random one here, which finds nothing again.
    fn id(&self) -> UploadId;

    /// What finds it again ([`Uploads::reopen`]) after whoever holds this was restarted. It may change with each
    /// answer of the registry, and may be all that it takes to write: treat it as a secret.
    fn ticket(&self) -> String;

    /// Where it stands. Answers at once, also while a body is being received.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`], also when it was committed.
    async fn status(&self) -> Result<UploadStatus, RegistryError>;

    /// Takes the right to write, for one body. Waits a bounded time for a writer that is there. By HTTP that a request
    /// has not the right may come out only when its body is sent: then the writer gives the error, at any use.
    ///
    /// # Errors
    /// [`RegistryError::RangeNotSatisfiable`], [`RegistryError::Busy`], [`RegistryError::UploadUnknown`].
    async fn write(&self, request: WriteRequest) -> Result<Box<dyn UploadWriter>, RegistryError>;

    /// Verifies and publishes what was written as the blob `digest`; gives its size. It goes on to its end when the
    /// caller leaves; asked again with the same digest, it gives the same answer: where there is no such upload (any
    /// more) and the repository has the blob, that is the answer.
    ///
    /// # Errors
    /// [`RegistryError::DigestMismatch`] (the upload stays), [`RegistryError::Busy`],
    /// [`RegistryError::UploadUnknown`].
    async fn commit(&self, digest: &Digest) -> Result<u64, RegistryError>;

    /// Ends it and removes everything of it. Whoever writes to it loses the right to.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`].
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
    /// committed by another request, this one follows it and gets its answer. Such a body ends with
    /// [`UploadWriter::commit`] of this digest, not with [`UploadWriter::finish`].
    pub digest: Option<Digest>,
    /// What happens when the body is cut, has another length than it said, or is not what its digest says: `false`
    /// keeps what arrived, `true` (a single POST, whose session was never told to anybody) removes the whole upload. One
    /// that a newer request took over is left to that.
    pub discard_on_cut: bool,
}

/// Where a body's first byte goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPoint {
    /// Where the upload stands. By HTTP that is where it stood by the last answer; when somebody else has written since,
    /// the body is refused as [`StartPoint::Replay`] of other bytes.
    Current,
    /// By `Content-Range`: exactly there, or not at all.
    Exactly(u64),
    /// By the offset a `Location` was issued for, or one before it: what overlaps with what is kept must be equal to it.
    /// It is never written again. Where it is not compared (by HTTP it need not be sent), a difference is told by the
    /// digest at the end, as [`RegistryError::DigestMismatch`].
    Replay(u64),
}

/// The right to write one body to an upload. Dropping it is a cut: see [`WriteRequest::discard_on_cut`].
#[async_trait]
pub trait UploadWriter: Send {
    /// Takes the next piece of the body; waits when the registry cannot keep up. That it took it does not say that it
    /// arrived: the end of the body does.
    ///
    /// # Errors
    /// [`RegistryError::Superseded`] when a newer request took over; [`RegistryError::RangeNotSatisfiable`] when a
    /// replayed body differs from what is kept; [`RegistryError::SizeInvalid`] when the body is longer than it said.
    /// Those of [`Upload::write`].
    async fn send(&mut self, piece: Bytes) -> Result<(), RegistryError>;

    /// Whether there are so many bodies that each is to wait for its turn before it receives.
    fn takes_turns(&self) -> bool {
        false
    }

    /// Waits for the turn to receive, where bodies take turns; gives how many bytes it is for. Whoever waits for it should
    /// have something to receive, and then end it.
    ///
    /// # Errors
    /// Those of [`UploadWriter::send`].
    async fn turn(&mut self) -> Result<usize, RegistryError> {
        Ok(usize::MAX)
    }

    /// Ends the turn with the pieces that were received in it, if any; as [`UploadWriter::send`] of each.
    ///
    /// # Errors
    /// Those of [`UploadWriter::send`].
    async fn end_turn(&mut self, pieces: Vec<Bytes>) -> Result<(), RegistryError> {
        for piece in pieces {
            self.send(piece).await?;
        }
        Ok(())
    }

    /// Resolves when the right to write ends before its time (taken over, a fault), with the cause; that the upload was
    /// cancelled is [`RegistryError::Superseded`] or [`RegistryError::UploadUnknown`]. Whoever waits for the body's next
    /// piece waits for this, too.
    async fn lost(&mut self) -> RegistryError;

    /// The body is there whole: makes it last, gives how many bytes the upload holds, ends the right to write.
    ///
    /// # Errors
    /// [`RegistryError::SizeInvalid`] when the body is shorter than it said. Those of [`UploadWriter::send`].
    async fn finish(self: Box<Self>) -> Result<u64, RegistryError>;

    /// The body broke off: keeps what arrived, as said at the start, and gives how many bytes the upload holds. Of a
    /// body whose length was not said everything arrives that was taken. Of another one less may: by HTTP it has to
    /// break its connection, and what was under way may still come in after the answer; so go on with
    /// [`StartPoint::Replay`].
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`] when the upload was to be discarded, and is.
    async fn cut(self: Box<Self>) -> Result<u64, RegistryError>;

    /// The body is there whole and was the last one: as [`Upload::commit`].
    ///
    /// # Errors
    /// Those of [`Upload::commit`] and of [`UploadWriter::finish`].
    async fn commit(self: Box<Self>, digest: &Digest) -> Result<u64, RegistryError>;
}

/// The manifests that a repository links.
#[async_trait]
pub trait Manifests: Send + Sync {
    /// A manifest by tag or digest, byte for byte.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`]; [`RegistryError::NameUnknown`] when the repository holds nothing.
    async fn get(&self, reference: &Reference) -> Result<ManifestContent, RegistryError>;

    /// Stores a manifest under a digest, a tag, or both.
    ///
    /// # Errors
    /// [`RegistryError::ManifestInvalid`], [`RegistryError::ManifestTooLarge`],
    /// [`RegistryError::ManifestBlobUnknown`] with all digests that are missing; [`RegistryError::DigestMismatch`] when
    /// it has another digest than that of the reference; [`RegistryError::PreconditionFailed`] with where the tag is.
    async fn put(&self, request: PutManifest) -> Result<ManifestPut, RegistryError>;

    /// By digest: the manifest and every tag that points at it. By tag: the tag only.
    ///
    /// # Errors
    /// As [`Manifests::get`].
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
    /// The request's `Content-Type`, without parameters; `None`: what the bytes say.
    pub media_type: Option<String>,
    /// The bytes.
    pub data: Bytes,
    /// On the tag of the path; without one it does not matter.
    pub precondition: Precondition,
}

/// What must hold of a tag before it moves (`If-Match`, `If-None-Match: *`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// It points at one of these, or already at the manifest that is put.
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
    /// The tags of the request that now point at it, that of the reference among them.
    pub tags: Vec<Tag>,
}

/// The tags of a repository.
#[async_trait]
pub trait Tags: Send + Sync {
    /// The tags in byte order; none where the repository has manifests or blobs only.
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
