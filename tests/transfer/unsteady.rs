//! A registry that fails when it is told to, and counts what goes through it.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use longshore::oci::{Algorithm, Digest, Reference, RepositoryName, UploadId};
use longshore::services::{
    BlobContent, Blobs, Caller, ManifestContent, ManifestPut, Manifests, Page, PageRequest, PutManifest, Referrers,
    ReferrersRequest, Registry, RegistryError, Repository, Tags, Upload, UploadStatus, UploadWriter, Uploads,
    WriteRequest,
};
use tokio::sync::Notify;

/// What goes wrong, and what was counted.
#[derive(Default)]
pub struct Faults {
    /// The body in which the upload would come past this breaks off there, once.
    pub cut_upload_at: Option<u64>,
    /// The same, and nobody ever answers.
    pub hang_upload_at: Option<u64>,
    /// A blob that is read breaks off after so many bytes, once.
    pub cut_fetch_after: Option<usize>,
    /// The first byte of what is read from here on is another one.
    pub corrupts_fetches: bool,
    /// No upload is found again.
    pub loses_uploads: bool,
    /// Every upload is lost at once.
    pub loses_all: bool,
    /// The commit is done and its answer lost, once.
    pub loses_commit_answer: bool,
    pub never_takes_a_blob: bool,
    pub received_bytes: u64,
    pub fetched_ranges: Vec<Option<Range<u64>>>,
    pub started_uploads: usize,
    pub reopened_uploads: usize,
    pub put: Vec<String>,
}

#[derive(Clone)]
pub struct Unsteady {
    inner: Arc<dyn Registry>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    faults: Mutex<Faults>,
    hanging: Notify,
}

struct UnsteadyRepository {
    inner: Box<dyn Repository>,
    shared: Arc<Shared>,
}

struct UnsteadyUpload {
    inner: Box<dyn Upload>,
    shared: Arc<Shared>,
}

struct UnsteadyWriter {
    inner: Option<Box<dyn UploadWriter>>,
    offset: u64,
    shared: Arc<Shared>,
}

impl Unsteady {
    pub fn new(inner: impl Registry + 'static) -> Unsteady {
        Unsteady { inner: Arc::new(inner), shared: Arc::default() }
    }

    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.shared.faults.lock().unwrap()
    }

    /// Waits until somebody hangs.
    pub async fn hangs(&self) {
        self.shared.hanging.notified().await;
    }
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }
}

fn gone() -> RegistryError {
    RegistryError::Unavailable("the connection broke".to_owned())
}

#[async_trait]
impl Registry for Unsteady {
    fn repository(&self, name: &RepositoryName, caller: &Caller) -> Result<Box<dyn Repository>, RegistryError> {
        let inner = self.inner.repository(name, caller)?;
        Ok(Box::new(UnsteadyRepository { inner, shared: self.shared.clone() }))
    }

    async fn catalog(&self, page: &PageRequest) -> Result<Page<RepositoryName>, RegistryError> {
        self.inner.catalog(page).await
    }
}

impl Repository for UnsteadyRepository {
    fn name(&self) -> &RepositoryName {
        self.inner.name()
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
        self.inner.tags()
    }
}

#[async_trait]
impl Blobs for UnsteadyRepository {
    async fn stat(&self, digest: &Digest) -> Result<u64, RegistryError> {
        self.inner.blobs().stat(digest).await
    }

    async fn fetch(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<BlobContent, RegistryError> {
        let mut content = self.inner.blobs().fetch(digest, range.clone()).await?;
        let (cut_after, corrupts) = {
            let mut faults = self.shared.faults();
            faults.fetched_ranges.push(range);
            (faults.cut_fetch_after.take_if(|most| content.size_bytes > *most as u64), faults.corrupts_fetches)
        };
        if let Some(most) = cut_after {
            let first = content.stream.next().await.unwrap()?;
            let pieces = [Ok(first.slice(..most.min(first.len()))), Err(gone())];
            content.stream = stream::iter(pieces).boxed();
        } else if corrupts {
            let mut is_first = true;
            let corrupt = move |piece: Result<Bytes, RegistryError>| {
                let mut piece = piece?.to_vec();
                if std::mem::take(&mut is_first) {
                    piece[0] ^= 1;
                }
                Ok(piece.into())
            };
            content.stream = content.stream.map(corrupt).boxed();
        }
        Ok(content)
    }

    async fn mount(&self, digest: &Digest, from: Option<&RepositoryName>) -> Result<Option<u64>, RegistryError> {
        self.inner.blobs().mount(digest, from).await
    }

    async fn delete(&self, digest: &Digest) -> Result<(), RegistryError> {
        self.inner.blobs().delete(digest).await
    }
}

#[async_trait]
impl Manifests for UnsteadyRepository {
    async fn get(&self, reference: &Reference) -> Result<ManifestContent, RegistryError> {
        self.inner.manifests().get(reference).await
    }

    async fn put(&self, request: PutManifest) -> Result<ManifestPut, RegistryError> {
        self.shared.faults().put.push(request.reference.to_string());
        self.inner.manifests().put(request).await
    }

    async fn delete(&self, reference: &Reference) -> Result<(), RegistryError> {
        self.inner.manifests().delete(reference).await
    }

    async fn referrers(&self, request: &ReferrersRequest) -> Result<Referrers, RegistryError> {
        self.inner.manifests().referrers(request).await
    }
}

#[async_trait]
impl Uploads for UnsteadyRepository {
    async fn start(&self, algorithm: Algorithm) -> Result<Box<dyn Upload>, RegistryError> {
        if self.shared.faults().never_takes_a_blob {
            return Err(RegistryError::StorageFull);
        }
        let inner = self.inner.uploads().start(algorithm).await?;
        self.shared.faults().started_uploads += 1;
        Ok(Box::new(UnsteadyUpload { inner, shared: self.shared.clone() }))
    }

    async fn resume(&self, id: UploadId) -> Result<Box<dyn Upload>, RegistryError> {
        self.reopen(&id.to_string()).await
    }

    async fn reopen(&self, ticket: &str) -> Result<Box<dyn Upload>, RegistryError> {
        self.shared.faults().reopened_uploads += 1;
        if self.shared.faults().loses_uploads {
            return Err(RegistryError::UploadUnknown);
        }
        let inner = self.inner.uploads().reopen(ticket).await?;
        Ok(Box::new(UnsteadyUpload { inner, shared: self.shared.clone() }))
    }
}

#[async_trait]
impl Upload for UnsteadyUpload {
    fn id(&self) -> UploadId {
        self.inner.id()
    }

    fn ticket(&self) -> String {
        self.inner.ticket()
    }

    async fn status(&self) -> Result<UploadStatus, RegistryError> {
        if self.shared.faults().loses_all {
            return Err(RegistryError::UploadUnknown);
        }
        self.inner.status().await
    }

    async fn write(&self, request: WriteRequest) -> Result<Box<dyn UploadWriter>, RegistryError> {
        if self.shared.faults().loses_all {
            return Err(RegistryError::UploadUnknown);
        }
        let offset = self.inner.status().await?.offset;
        let inner = Some(self.inner.write(request).await?);
        Ok(Box::new(UnsteadyWriter { inner, offset, shared: self.shared.clone() }))
    }

    async fn commit(&self, digest: &Digest) -> Result<u64, RegistryError> {
        let size = self.inner.commit(digest).await?;
        let is_lost = std::mem::take(&mut self.shared.faults().loses_commit_answer);
        if is_lost { Err(gone()) } else { Ok(size) }
    }

    async fn cancel(&self) -> Result<(), RegistryError> {
        self.inner.cancel().await
    }
}

#[async_trait]
impl UploadWriter for UnsteadyWriter {
    async fn send(&mut self, mut piece: Bytes) -> Result<(), RegistryError> {
        let end = self.offset + piece.len() as u64;
        let cut = self.shared.faults().cut_upload_at.take_if(|at| end > *at);
        let hang = self.shared.faults().hang_upload_at.filter(|at| end > *at);
        if let Some(at) = cut.or(hang) {
            piece.truncate(at.saturating_sub(self.offset) as usize);
        }
        self.shared.faults().received_bytes += piece.len() as u64;
        self.offset += piece.len() as u64;
        let mut inner = self.inner.take().expect("it has not broken off");
        inner.send(piece).await?;
        if cut.is_some() || hang.is_some() {
            inner.cut().await?;
        } else {
            self.inner = Some(inner);
        }
        if hang.is_some() {
            self.shared.hanging.notify_one();
            std::future::pending::<()>().await;
        }
        if cut.is_some() { Err(gone()) } else { Ok(()) }
    }

    async fn lost(&mut self) -> RegistryError {
        match &mut self.inner {
            Some(inner) => inner.lost().await,
            None => std::future::pending().await,
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, RegistryError> {
        self.inner.take().expect("it has not broken off").finish().await
    }

    async fn cut(mut self: Box<Self>) -> Result<u64, RegistryError> {
        self.inner.take().expect("it has not broken off").cut().await
    }

    async fn commit(mut self: Box<Self>, digest: &Digest) -> Result<u64, RegistryError> {
        self.inner.take().expect("it has not broken off").commit(digest).await
    }
}
