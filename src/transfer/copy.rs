use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::context::Context;
use super::download::download;
use super::ends::{Destination, Source};
use super::error::{End, TransferError};
use super::platform::Platform;
use super::progress::{BlobOutcome, Event, Progress};
use super::survey::{Document, Survey, manifest_named, survey};
use super::upload::upload;
use crate::layout::IndexEntry;
use crate::oci::{Descriptor, Digest, Reference};
use crate::services::{Precondition, PutManifest};

/// How a copy is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// How many blobs are on their way at once; at least one.
    pub jobs: usize,
    /// How long the body of one request to a registry is at most; `None`: a blob is sent in one.
    pub chunk_size_bytes: Option<u64>,
    /// Only these of an index; none are all. One makes the image itself what is copied, several a new index of them.
    pub platforms: Vec<Platform>,
    /// Whether to copy what refers to what is copied: signatures, bills of materials.
    pub with_referrers: bool,
}

impl Default for CopyOptions {
    fn default() -> Self {
        CopyOptions { jobs: 4, chunk_size_bytes: None, platforms: Vec::new(), with_referrers: false }
    }
}

/// What a copy came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The manifest that was copied. It is another one than the source's when some platforms of it were left out.
    pub digest: Option<Digest>,
    /// How many manifests are there now.
    pub manifests: usize,
    /// How many blobs were sent.
    pub blobs_copied: usize,
    /// How many were there.
    pub blobs_already_there: usize,
    /// How many the registry linked from another repository.
    pub blobs_mounted: usize,
    /// How many are not to be copied.
    pub blobs_kept_elsewhere: usize,
    /// How many bytes of blobs were sent.
    pub sent_bytes: u64,
    /// How many bytes of blobs an earlier run had sent.
    pub resumed_bytes: u64,
}

/// Copies what the source names. A tag at the destination is put last, so that it never points at something that is not
/// whole.
///
/// Dropped on its way, it leaves what the next one takes up: uploads in the journal, partial files in the layout.
///
/// # Errors
/// [`TransferError`]: the first one; everything else has ended by then.
pub async fn copy(
    source: Source,
    destination: Destination,
    options: CopyOptions,
    progress: Arc<dyn Progress>,
) -> Result<Copied, TransferError> {
    let jobs = options.jobs.max(1);
    let found = survey(&source, &options.platforms, options.with_referrers, jobs).await?;
    let context = Arc::new(Context { source, destination, options, progress });
    context.tell(Event::Surveyed {
        manifests: found.manifests.len(),
        blobs: found.blobs.len() + found.kept_elsewhere.len(),
        // Anybody can say any size.
        blob_bytes: found.blobs.iter().chain(&found.kept_elsewhere).fold(0, |sum, blob| sum.saturating_add(blob.size)),
    });
    let mut copied = Copied { manifests: found.manifests.len(), ..Copied::default() };
    for blob in &found.kept_elsewhere {
        copied.count(&context, blob, BlobOutcome::KeptElsewhere);
    }
    copy_blobs(&context, &found.blobs, jobs, &mut copied).await?;
    copied.digest = Some(put_manifests(&context, &found).await?);
    Ok(copied)
}

async fn copy_blobs(
    context: &Arc<Context>,
    blobs: &[Descriptor],
    jobs: usize,
    copied: &mut Copied,
) -> Result<(), TransferError> {
    // When this is dropped, or an error ends it, all tasks of it end.
    let mut running: JoinSet<Result<(Descriptor, BlobOutcome), TransferError>> = JoinSet::new();
    let mut waiting = blobs.iter();
    loop {
        while running.len() < jobs
            && let Some(blob) = waiting.next()
        {
            running.spawn(copy_blob(context.clone(), blob.clone()));
        }
        match running.join_next().await {
            None => return Ok(()),
            Some(Ok(Ok((blob, outcome)))) => copied.count(context, &blob, outcome),
            Some(Ok(Err(error))) => {
                running.shutdown().await;
                return Err(error);
            }
            Some(Err(error)) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => std::future::pending().await,
            },
        }
    }
}

async fn copy_blob(context: Arc<Context>, blob: Descriptor) -> Result<(Descriptor, BlobOutcome), TransferError> {
    let outcome = match &context.destination {
        Destination::Repository { end, journal, .. } => upload(&context, end, journal.as_ref(), &blob).await?,
        Destination::Layout { writer, .. } => download(&context, writer, &blob).await?,
    };
    Ok((blob, outcome))
}

async fn put_manifests(context: &Context, found: &Survey) -> Result<Digest, TransferError> {
    let (root, others) = found.manifests.split_last().expect("what was asked for is among what was found");
    for document in others {
        put(context, document, found.referrers.contains(&document.digest), false).await?;
    }
    put(context, root, false, true).await?;
    Ok(root.digest.clone())
}

async fn put(context: &Context, document: &Document, is_referrer: bool, is_root: bool) -> Result<(), TransferError> {
    let digest = &document.digest;
    let subject = manifest_named(digest);
    let media_type = document.manifest.manifest_type.as_str().to_owned();
    let tag = match &context.destination {
        Destination::Repository { end, tag, .. } => {
            let tag = tag.as_ref().filter(|_| is_root);
            let reference = tag.map_or(Reference::Digest(digest.clone()), |tag| Reference::Tag(tag.clone()));
            let (tags, media_type, precondition) = (Vec::new(), Some(media_type), Precondition::None);
            let request = PutManifest { reference, tags, media_type, data: document.data.clone(), precondition };
            end.repository.manifests().put(request).await.map_err(End::Destination.failed(subject))?;
            tag
        }
        Destination::Layout { writer, tag } => {
            let put = writer.put(digest, document.data.clone()).await;
            put.map_err(End::Destination.failed(&subject))?;
            let tag = tag.as_ref().filter(|_| is_root);
            // What refers to others is found in the index only.
            if is_root || is_referrer {
                let (size_bytes, name) = (document.data.len() as u64, tag.map(|tag| tag.to_string()));
                let entry = IndexEntry { media_type, digest: digest.clone(), size_bytes, name };
                writer.list(entry).await.map_err(End::Destination.failed("index.json"))?;
            }
            tag
        }
    };
    context.tell(Event::ManifestDone { digest });
    if let Some(tag) = tag {
        context.tell(Event::Tagged { tag, digest });
    }
    Ok(())
}

impl Copied {
    fn count(&mut self, context: &Context, blob: &Descriptor, outcome: BlobOutcome) {
        match outcome {
            BlobOutcome::Copied { sent_bytes, resumed_from } => {
                self.blobs_copied += 1;
                self.sent_bytes += sent_bytes;
                self.resumed_bytes += resumed_from;
            }
            BlobOutcome::AlreadyThere => self.blobs_already_there += 1,
            BlobOutcome::Mounted => self.blobs_mounted += 1,
            BlobOutcome::KeptElsewhere => self.blobs_kept_elsewhere += 1,
        }
        context.tell(Event::BlobDone { digest: &blob.digest, size_bytes: blob.size, outcome });
    }

    /// Adds what another copy came to, such as that of another tag.
    pub fn add(&mut self, other: &Copied) {
        self.digest = other.digest.clone();
        self.manifests += other.manifests;
        self.blobs_copied += other.blobs_copied;
        self.blobs_already_there += other.blobs_already_there;
        self.blobs_mounted += other.blobs_mounted;
        self.blobs_kept_elsewhere += other.blobs_kept_elsewhere;
        self.sent_bytes += other.sent_bytes;
        self.resumed_bytes += other.resumed_bytes;
    }
}
