use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256, Sha512};

use super::Subject;
use crate::oci::{Algorithm, Digest, RepositoryName, UploadId};
use crate::services::{
    Caller, PageRequest, Registry, RegistryError, Repository, StartPoint, Upload, UploadWriter, WriteRequest,
};

/// Nothing here takes that long unless it is stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often that is looked at which comes about without an answer.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A piece of a stream that is longer is not bounded.
const LONGEST_PIECE_BYTES: usize = 4 << 20;

/// A registry, and repositories in it that are one case's own.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) registry: Arc<dyn Registry>,
    elsewhere: Arc<dyn Registry>,
    folder: String,
}

impl Bench {
    pub(super) fn new(subject: &Subject) -> Self {
        let folder = format!("suite/{}", UploadId::random());
        Bench { registry: subject.registry.clone(), elsewhere: subject.elsewhere.clone(), folder }
    }

    /// What the names of the case's repositories begin with, before a slash.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    pub(super) fn name(&self, name: &str) -> RepositoryName {
        format!("{}/{name}", self.folder).parse().expect("the suite's names are allowed")
    }

    pub(super) fn repository(&self, name: &str) -> Box<dyn Repository> {
        self.registry.repository(&self.name(name), &Caller::default()).expect("the repository is given")
    }

    /// A repository as the other process sees it.
    pub(super) fn repository_elsewhere(&self, name: &str) -> Box<dyn Repository> {
        self.elsewhere.repository(&self.name(name), &Caller::default()).expect("the repository is given")
    }
}

/// `size` bytes that differ by place and by `seed`.
pub(super) fn pattern(seed: u8, size: usize) -> Bytes {
    (0..size).map(|at| (at / 251) as u8 ^ (at % 251) as u8 ^ seed).collect()
}

pub(super) fn digest_of(data: &[u8]) -> Digest {
    digest_by(Algorithm::Sha256, data)
}

pub(super) fn digest_by(algorithm: Algorithm, data: &[u8]) -> Digest {
    let digest = match algorithm {
        Algorithm::Sha256 => Digest::from_bytes(algorithm, &Sha256::digest(data)),
        Algorithm::Sha512 => Digest::from_bytes(algorithm, &Sha512::digest(data)),
    };
    digest.expect("a hash has the length of its algorithm")
}

pub(super) fn page(limit: Option<usize>, last: Option<&str>) -> PageRequest {
    PageRequest { limit, last: last.map(str::to_owned) }
}

pub(super) async fn start(repository: &dyn Repository) -> Box<dyn Upload> {
    repository.uploads().start(Algorithm::Sha256).await.expect("the upload is started")
}

/// A body that is not the last one, of a length that is not said.
pub(super) fn body_at(start: StartPoint) -> WriteRequest {
    WriteRequest { start, length: None, digest: None, discard_on_cut: false }
}

/// Where an upload stands.
pub(super) async fn stands_at(upload: &dyn Upload) -> u64 {
    upload.status().await.expect("the upload is there").offset
}

/// Takes the right to write, and writes pieces. A registry may say only then that it does not give the right.
pub(super) async fn begin(
    upload: &dyn Upload,
    request: WriteRequest,
    pieces: &[Bytes],
) -> Result<Box<dyn UploadWriter>, RegistryError> {
    let mut writer = upload.write(request).await?;
    for piece in pieces {
        writer.send(piece.clone()).await?;
    }
    Ok(writer)
}

/// A whole body that is not the last one.
pub(super) async fn write(upload: &dyn Upload, request: WriteRequest, data: &Bytes) -> Result<u64, RegistryError> {
    begin(upload, request, std::slice::from_ref(data)).await?.finish().await
}

/// Pushes a blob.
pub(super) async fn push(repository: &dyn Repository, data: &Bytes) -> Digest {
    let digest = digest_of(data);
    let upload = start(repository).await;
    let request = WriteRequest {
        start: StartPoint::Current,
        length: Some(data.len() as u64),
        digest: Some(digest.clone()),
        discard_on_cut: true,
    };
    let writer = begin(&*upload, request, std::slice::from_ref(data)).await.expect("the blob is written");
    assert_eq!(writer.commit(&digest).await.expect("the blob is committed"), data.len() as u64);
    digest
}

/// A blob's size, the range that was given, and its bytes.
pub(super) async fn fetch(
    repository: &dyn Repository,
    digest: &Digest,
    range: Option<Range<u64>>,
) -> (u64, Range<u64>, Bytes) {
    let mut content = repository.blobs().fetch(digest, range).await.expect("the blob is there");
    let mut data = Vec::new();
    while let Some(piece) = content.stream.next().await {
        let piece = piece.expect("the blob is read to its end");
        assert!(piece.len() <= LONGEST_PIECE_BYTES, "a piece of {} bytes", piece.len());
        data.extend_from_slice(&piece);
    }
    (content.size_bytes, content.range, data.into())
}

/// The blob is there, and its bytes are these.
pub(super) async fn assert_blob(repository: &dyn Repository, digest: &Digest, data: &Bytes) {
    let size_bytes = data.len() as u64;
    assert_eq!(repository.blobs().stat(digest).await.expect("the blob is there"), size_bytes);
    let (told_bytes, range, fetched) = fetch(repository, digest, None).await;
    assert_eq!((told_bytes, range), (size_bytes, 0..size_bytes));
    assert!(fetched == *data, "the blob {digest} has other bytes");
}

/// Ends what is bounded; a registry that is stuck fails the case.
pub(super) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} did not come about"))
}

/// Looks again until `condition` holds: for what happens without an answer.
pub(super) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let ends_at = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < ends_at, "{what} did not come about");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
