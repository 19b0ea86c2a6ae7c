//! A registry in memory for this module's tests: one blob map, uploads that fail as they are told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use sha2::Digest as _;
use tokio::sync::{Notify, Semaphore};

use self::sender::FakeSender;
use self::writer::FakeWriter;
use crate::oci::{Algorithm, Digest, Reference, RepositoryName, Tag, UploadId};
use crate::registry::*;

mod sender;
mod writer;

type ErrorMaker = Box<dyn Fn() -> RegistryError + Send>;

/// The registry. Clones share everything.
#[derive(Clone)]
pub(super) struct FakeRegistry(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Bytes that uploads were sent.
    received: AtomicU64,
    /// Commits wait for a permit.
    commits: Semaphore,
    takeover: Notify,
    /// Bytes that senders of blobs sent.
    sent_directly: AtomicU64,
}

#[derive(Default)]
struct State {
    blobs: HashMap<Digest, Bytes>,
    uploads: HashMap<UploadId, BytesMut>,
    manifests: HashMap<String, ManifestContent>,
    fail_repository: Option<ErrorMaker>,
    fail_send_after: Option<(u64, ErrorMaker)>,
    fail_start: Option<ErrorMaker>,
    fail_write: Option<ErrorMaker>,
    loss: Option<ErrorMaker>,
    /// How often somebody asked where an upload stands.
    status_calls: u64,
    cut_streams: bool,
    offer_senders: bool,
    /// How many bytes came in memory in whose pages they lie as in those of their file.
    placed: u64,
    /// Whether bodies take turns; how many they took.
    turns: Option<u64>,
}

impl FakeRegistry {
    pub(super) fn new() -> Self {
        let commits = Semaphore::new(Semaphore::MAX_PERMITS / 2);
        FakeRegistry(Arc::new(Shared {
            state: Mutex::default(),
            received: AtomicU64::new(0),
            commits,
            takeover: Notify::new(),
            sent_directly: AtomicU64::new(0),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no test panics with it held")
    }

    pub(super) fn add_blob(&self, data: Bytes) -> Digest {
        let digest = digest_of(&data);
        self.state().blobs.insert(digest.clone(), data);
        digest
    }

    /// Every call on a repository fails from now on.
    pub(super) fn fail_with(&self, error: impl Fn() -> RegistryError + Send + 'static) {
        self.state().fail_repository = Some(Box::new(error));
    }

    /// Uploads fail when they have been sent so many bytes.
    pub(super) fn fail_send_after(&self, bytes: u64, error: impl Fn() -> RegistryError + Send + 'static) {
        self.state().fail_send_after = Some((bytes, Box::new(error)));
    }

    /// No upload can be started.
    pub(super) fn fail_start(&self, error: impl Fn() -> RegistryError + Send + 'static) {
        self.state().fail_start = Some(Box::new(error));
    }

    /// How many bytes came in memory in whose pages of 4096 bytes they lie as in those of their file.
    pub(super) fn placed(&self) -> u64 {
        self.state().placed
    }

    /// Bodies take turns from now on.
    pub(super) fn take_turns(&self) {
        self.state().turns = Some(0);
    }

    /// How many turns they took.
    pub(super) fn turns_taken(&self) -> u64 {
        self.state().turns.unwrap_or(0)
    }

    /// Nobody gets the right to write.
    pub(super) fn fail_write(&self, error: impl Fn() -> RegistryError + Send + 'static) {
        self.state().fail_write = Some(Box::new(error));
    }

    /// Whoever writes loses its right by this error.
    pub(super) fn end_writer(&self, error: impl Fn() -> RegistryError + Send + 'static) {
        self.state().loss = Some(Box::new(error));
        self.0.takeover.notify_one();
    }

    pub(super) fn status_calls(&self) -> u64 {
        self.state().status_calls
    }

    /// Blobs end before their length.
    pub(super) fn cut_streams(&self) {
        self.state().cut_streams = true;
    }

    /// Blobs come with a sender, too.
    pub(super) fn offer_senders(&self) {
        self.state().offer_senders = true;
    }

    /// How many bytes senders sent.
    pub(super) fn sent_directly(&self) -> u64 {
        self.0.sent_directly.load(Ordering::SeqCst)
    }

    /// How many hold on to the registry: its own handles, uploads and senders.
    pub(super) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Commits stand still until [`FakeRegistry::release_commits`].
    pub(super) async fn hold_commits(&self) {
        let held = self.0.commits.forget_permits(usize::MAX);
        assert!(held > 0);
    }

    pub(super) fn release_commits(&self) {
        self.0.commits.add_permits(1000);
    }

    /// Whoever writes loses its right to somebody else.
    pub(super) fn take_over(&self) {
        self.end_writer(|| RegistryError::Superseded);
    }

    pub(super) fn received(&self) -> u64 {
        self.0.received.load(Ordering::SeqCst)
    }

    pub(super) fn upload_offsets(&self) -> Vec<usize> {
        self.state().uploads.values().map(|data| data.len()).collect()
    }
}

pub(super) fn digest_of(data: &[u8]) -> Digest {
    Digest::from_bytes(Algorithm::Sha256, &sha2::Sha256::digest(data)).expect("32 bytes are a sha256")
}

#[async_trait]
impl Registry for FakeRegistry {
    fn repository(&self, name: &RepositoryName, _: &Caller) -> Result<Box<dyn Repository>, RegistryError> {
        if let Some(error) = &self.state().fail_repository {
            return Err(error());
        }
        Ok(Box::new(FakeRepository { registry: self.clone(), name: name.clone() }))
    }

    async fn catalog(&self, page: &PageRequest) -> Result<Page<RepositoryName>, RegistryError> {
        let names = ["a", "a/b", "b"].map(|name| name.parse::<RepositoryName>().expect("it is a name"));
        Ok(paged(names.to_vec(), page, |name| name.to_string()))
    }
}

fn paged<T>(items: Vec<T>, page: &PageRequest, key: impl Fn(&T) -> String) -> Page<T> {
    let after = page.last.clone().unwrap_or_default();
    let rest: Vec<T> = items.into_iter().filter(|item| key(item) > after).collect();
    let limit = page.limit.unwrap_or(usize::MAX);
    let more = limit > 0 && rest.len() > limit;
    Page { items: rest.into_iter().take(limit).collect(), more }
}

struct FakeRepository {
    registry: FakeRegistry,
    name: RepositoryName,
}

impl Repository for FakeRepository {
    fn name(&self) -> &RepositoryName {
        &self.name
    }

    fn blobs(&self) -> &dyn Blobs {
        self
    }

    fn uploads(&self) -> &dyn Uploads {
        self
    }

    fn manifests(&self) -> &dyn Manifests {
        self
    }

    fn tags(&self) -> &dyn Tags {
        self
    }
}

#[async_trait]
impl Blobs for FakeRepository {
    async fn stat(&self, digest: &Digest) -> Result<u64, RegistryError> {
        let state = self.registry.state();
        let blob = state.blobs.get(digest).ok_or_else(|| RegistryError::BlobUnknown(digest.clone()))?;
        Ok(blob.len() as u64)
    }

    async fn fetch(&self, digest: &Digest, range: Option<std::ops::Range<u64>>) -> Result<BlobContent, RegistryError> {
        let state = self.registry.state();
        let blob = state.blobs.get(digest).ok_or_else(|| RegistryError::BlobUnknown(digest.clone()))?.clone();
        let size_bytes = blob.len() as u64;
        let range = range.unwrap_or(0..size_bytes);
        let sent = if state.cut_streams { range.start..range.end / 2 } else { range.clone() };
        let piece = blob.slice(sent.start as usize..sent.end as usize);
        let modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let sender = state.offer_senders.then(|| {
            let length = range.end - range.start;
            Box::new(FakeSender { registry: self.registry.clone(), rest: piece.clone(), length }) as Box<dyn BlobSender>
        });
        Ok(BlobContent { size_bytes, range, modified, stream: Box::pin(stream::iter([Ok(piece)])), sender })
    }

    async fn mount(&self, digest: &Digest, _from: Option<&RepositoryName>) -> Result<Option<u64>, RegistryError> {
        Ok(self.stat(digest).await.ok())
    }

    async fn delete(&self, digest: &Digest) -> Result<(), RegistryError> {
        let removed = self.registry.state().blobs.remove(digest);
        removed.map(|_| ()).ok_or_else(|| RegistryError::BlobUnknown(digest.clone()))
    }
}

#[async_trait]
impl Uploads for FakeRepository {
    async fn start(&self, _algorithm: Algorithm) -> Result<Box<dyn Upload>, RegistryError> {
        let id = UploadId::random();
        let mut state = self.registry.state();
        if let Some(error) = &state.fail_start {
            return Err(error());
        }
        state.uploads.insert(id, BytesMut::new());
        Ok(Box::new(FakeUpload { registry: self.registry.clone(), id }))
    }

    async fn resume(&self, id: UploadId) -> Result<Box<dyn Upload>, RegistryError> {
        if !self.registry.state().uploads.contains_key(&id) {
            return Err(RegistryError::UploadUnknown);
        }
        Ok(Box::new(FakeUpload { registry: self.registry.clone(), id }))
    }

    async fn reopen(&self, ticket: &str) -> Result<Box<dyn Upload>, RegistryError> {
        self.resume(ticket.parse().map_err(|_| RegistryError::UploadUnknown)?).await
    }
}

struct FakeUpload {
    registry: FakeRegistry,
    id: UploadId,
}

impl FakeUpload {
    fn status_now(&self) -> Result<UploadStatus, RegistryError> {
        let state = self.registry.state();
        let data = state.uploads.get(&self.id).ok_or(RegistryError::UploadUnknown)?;
        Ok(UploadStatus { id: self.id, offset: data.len() as u64, started_at: None })
    }

    async fn commit_now(&self, digest: &Digest) -> Result<u64, RegistryError> {
        let _permit = self.registry.0.commits.acquire().await.expect("nobody closes it");
        let mut state = self.registry.state();
        let data = state.uploads.get(&self.id).ok_or(RegistryError::UploadUnknown)?.clone().freeze();
        let actual = digest_of(&data);
        if actual != *digest {
            return Err(RegistryError::DigestMismatch { expected: digest.clone(), actual });
        }
        state.uploads.remove(&self.id);
        let size_bytes = data.len() as u64;
        state.blobs.insert(actual, data);
        Ok(size_bytes)
    }
}

#[async_trait]
impl Upload for FakeUpload {
    fn id(&self) -> UploadId {
        self.id
    }

    fn ticket(&self) -> String {
        self.id.to_string()
    }

    async fn status(&self) -> Result<UploadStatus, RegistryError> {
        self.registry.state().status_calls += 1;
        self.status_now()
    }

    async fn write(&self, request: WriteRequest) -> Result<Box<dyn UploadWriter>, RegistryError> {
        let offset = self.status_now()?.offset;
        if let Some(error) = &self.registry.state().fail_write {
            return Err(error());
        }
        match request.start {
            StartPoint::Exactly(start) | StartPoint::Replay(start) if start != offset => {
                return Err(RegistryError::RangeNotSatisfiable { offset });
            }
            _ => {}
        }
        let upload = FakeUpload { registry: self.registry.clone(), id: self.id };
        let discard_on_cut = request.discard_on_cut;
        Ok(Box::new(FakeWriter { upload, length: request.length, received: 0, discard_on_cut }))
    }

    async fn commit(&self, digest: &Digest) -> Result<u64, RegistryError> {
        self.commit_now(digest).await
    }

    async fn cancel(&self) -> Result<(), RegistryError> {
        let removed = self.registry.state().uploads.remove(&self.id);
        removed.map(|_| ()).ok_or(RegistryError::UploadUnknown)
    }
}

#[async_trait]
impl Manifests for FakeRepository {
    async fn get(&self, reference: &Reference) -> Result<ManifestContent, RegistryError> {
        let key = reference.to_string();
        self.registry.state().manifests.get(&key).cloned().ok_or(RegistryError::ManifestUnknown(key))
    }

    async fn put(&self, request: PutManifest) -> Result<ManifestPut, RegistryError> {
        let digest = digest_of(&request.data);
        let media_type = request.media_type.unwrap_or_default();
        let content = ManifestContent { digest: digest.clone(), media_type, data: request.data };
        let mut state = self.registry.state();
        for key in [request.reference.to_string(), digest.to_string()] {
            state.manifests.insert(key, content.clone());
        }
        Ok(ManifestPut { digest: digest.clone(), subject: Some(digest), tags: request.tags })
    }

    async fn delete(&self, reference: &Reference) -> Result<(), RegistryError> {
        let key = reference.to_string();
        let removed = self.registry.state().manifests.remove(&key);
        removed.map(|_| ()).ok_or(RegistryError::ManifestUnknown(key))
    }

    async fn referrers(&self, request: &ReferrersRequest) -> Result<Referrers, RegistryError> {
        let descriptors = (1..=3).map(|n| {
            let digest = format!("sha256:{}", n.to_string().repeat(64));
            let descriptor = serde_json::json!({"digest": digest, "size": 1});
            descriptor.as_object().expect("it was made as one").clone()
        });
        Ok(paged(descriptors.collect(), &request.page, |entry| {
            entry["digest"].as_str().expect("each has one").to_string()
        }))
    }
}

#[async_trait]
impl Tags for FakeRepository {
    async fn list(&self, page: &PageRequest) -> Result<Page<Tag>, RegistryError> {
        let tags = ["a", "b", "c"].map(|tag| tag.parse::<Tag>().expect("it is a tag"));
        Ok(paged(tags.to_vec(), page, |tag| tag.to_string()))
    }
}
