//! Finding out what is to be copied.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Source;
use super::error::{End, TransferError};
use super::platform::Platform;
use super::selection::select;
use crate::hashing::RunningDigest;
use crate::layout::Layout;
use crate::oci::{Descriptor, Digest, Manifest, ManifestType, Reference};
use crate::services::{PageRequest, ReferrersRequest, RegistryError};

/// Registries take 4 MiB.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;
/// All of them are held in memory until the blobs are there.
const MAX_MANIFESTS: usize = 20_000;
const MAX_MANIFESTS_BYTES: u64 = 512 << 20;

/// A manifest as it is, and what it says.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) digest: Digest,
    pub(super) data: Bytes,
    pub(super) manifest: Manifest,
}

/// What is to be copied.
#[derive(Debug)]
pub(super) struct Survey {
    /// Those that others list before those, the wanted one last.
    pub(super) manifests: Vec<Document>,
    /// Those of them that nothing lists: they refer to others.
    pub(super) referrers: HashSet<Digest>,
    /// Each once, in the order of their manifests.
    pub(super) blobs: Vec<Descriptor>,
    /// Those that are not to be copied.
    pub(super) kept_elsewhere: Vec<Descriptor>,
}

impl Document {
    pub(super) fn parse(digest: Digest, data: Bytes) -> Result<Document, TransferError> {
        let mut running = RunningDigest::new(digest.algorithm());
        running.update(&data);
        let actual = running.finish();
        if actual != digest {
            return Err(TransferError::DigestMismatch { expected: digest, actual });
        }
        match Manifest::parse(&data, None) {
            Ok(manifest) => Ok(Document { digest, data, manifest }),
            Err(cause) => Err(TransferError::invalid(manifest_named(&digest), cause.to_string())),
        }
    }

    /// What the source is asked for.
    async fn wanted(source: &Source) -> Result<Document, TransferError> {
        match source {
            Source::Repository { end, reference } => {
                let subject = format!("{end} {reference}");
                let got = end.repository.manifests().get(reference).await.map_err(End::Source.failed(&subject))?;
                if matches!(reference, Reference::Digest(asked) if *asked != got.digest) {
                    return Err(TransferError::invalid(subject, format!("manifest {} came", got.digest)));
                }
                check_length(&got.digest, got.data.len())?;
                Document::parse(got.digest, got.data)
            }
            Source::Layout { layout, name } => {
                let entry = layout.resolve(name.as_deref()).map_err(End::Source.failed("index.json"))?;
                let (media_type, digest, size) = (entry.media_type, entry.digest, entry.size_bytes);
                Document::of(source, &Descriptor { media_type, digest, size, urls: None }).await
            }
        }
    }

    /// One that something lists.
    pub(super) async fn of(source: &Source, descriptor: &Descriptor) -> Result<Document, TransferError> {
        let digest = &descriptor.digest;
        let data = match source {
            Source::Repository { end, .. } => {
                let reference = Reference::Digest(digest.clone());
                let got = end.repository.manifests().get(&reference).await;
                got.map_err(End::Source.failed(manifest_named(digest)))?.data
            }
            Source::Layout { layout, .. } => {
                let document = layout.document(digest, MAX_MANIFEST_BYTES).await;
                document.map_err(End::Source.failed(manifest_named(digest)))?
            }
        };
        check_length(digest, data.len())?;
        if data.len() as u64 != descriptor.size {
            let cause = format!("it has {} bytes, its descriptor says {}", data.len(), descriptor.size);
            return Err(TransferError::invalid(manifest_named(digest), cause));
        }
        Document::parse(digest.clone(), data)
    }

    /// What it lists, blobs that an index lists left out.
    fn children(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifest.manifests.iter().filter(|child| is_manifest(child))
    }
}

/// Walks from what is wanted through all that it lists, `jobs` manifests at a time, and if asked for, through what
/// refers to any of it.
pub(super) async fn survey(
    source: &Source,
    platforms: &[Platform],
    with_referrers: bool,
    jobs: usize,
) -> Result<Survey, TransferError> {
    let root = select(source, Document::wanted(source).await?, platforms).await?;
    let root_digest = root.digest.clone();
    let layout_referrers = match source {
        Source::Layout { layout, .. } if with_referrers => referrers_in(layout).await?,
        _ => HashMap::new(),
    };
    let mut found: HashMap<Digest, Document> = HashMap::new();
    let mut referrers: Vec<Digest> = Vec::new();
    let mut held_bytes = 0;
    let mut level = vec![root];
    while !level.is_empty() {
        let mut next: HashMap<Digest, Descriptor> = HashMap::new();
        for document in level {
            held_bytes += document.data.len() as u64;
            if with_referrers {
                for referrer in referrers_of(source, &layout_referrers, &document.digest).await? {
                    if !referrers.contains(&referrer.digest) && referrer.digest != root_digest {
                        referrers.push(referrer.digest.clone());
                    }
                    next.insert(referrer.digest.clone(), referrer);
                }
            }
            next.extend(document.children().map(|child| (child.digest.clone(), child.clone())));
            found.insert(document.digest.clone(), document);
            if found.len() + next.len() > MAX_MANIFESTS {
                return Err(too_much(&root_digest));
            }
        }
        let new: Vec<Descriptor> = next.into_values().filter(|child| !found.contains_key(&child.digest)).collect();
        // Before they are asked for: all of them are in memory then, and none may have another size.
        let to_hold = new.iter().fold(held_bytes, |sum: u64, child| sum.saturating_add(child.size));
        if to_hold > MAX_MANIFESTS_BYTES {
            return Err(too_much(&root_digest));
        }
        level =
            stream::iter(&new).map(|child| Document::of(source, child)).buffer_unordered(jobs).try_collect().await?;
    }
    Ok(arrange(found, &root_digest, referrers))
}

/// Puts what is listed before what lists it. The root comes last: its tag must not point at what is not whole.
fn arrange(mut found: HashMap<Digest, Document>, root: &Digest, referrers: Vec<Digest>) -> Survey {
    let mut order: Vec<Digest> = Vec::new();
    let mut seen: HashSet<Digest> = HashSet::new();
    for start in referrers.iter().chain([root]) {
        // Each is met twice: first to look at what it lists, then, when that is through, to take its place.
        let mut stack = vec![(start.clone(), false)];
        while let Some((digest, is_through)) = stack.pop() {
            if is_through {
                order.push(digest);
            } else if seen.insert(digest.clone()) {
                stack.push((digest.clone(), true));
                let children = found.get(&digest).into_iter().flat_map(Document::children);
                let children: Vec<Digest> = children.map(|child| child.digest.clone()).collect();
                stack.extend(children.into_iter().rev().map(|child| (child, false)));
            }
        }
    }
    // Something that refers to the root may be what the root is listed in.
    if let Some(position) = order.iter().position(|digest| digest == root) {
        let root = order.remove(position);
        order.push(root);
    }
    let manifests: Vec<Document> = order.iter().filter_map(|digest| found.remove(digest)).collect();
    let (blobs, kept_elsewhere) = blobs_of(&manifests);
    Survey { manifests, referrers: referrers.into_iter().collect(), blobs, kept_elsewhere }
}

fn blobs_of(manifests: &[Document]) -> (Vec<Descriptor>, Vec<Descriptor>) {
    let mut seen = HashSet::new();
    let listed = manifests.iter().flat_map(|document| {
        let by_index = document.manifest.manifests.iter().filter(|child| !is_manifest(child));
        document.manifest.blobs.iter().chain(by_index)
    });
    let each_once = listed.filter(|blob| seen.insert(&blob.digest)).cloned();
    each_once.partition(|blob| !blob.is_kept_elsewhere())
}

/// An index may list other things, such as the layers of a build cache.
fn is_manifest(descriptor: &Descriptor) -> bool {
    ManifestType::from_media_type(&descriptor.media_type).is_some()
}

async fn referrers_of(
    source: &Source,
    in_layout: &HashMap<Digest, Vec<Descriptor>>,
    subject: &Digest,
) -> Result<Vec<Descriptor>, TransferError> {
    let Source::Repository { end, .. } = source else {
        return Ok(in_layout.get(subject).cloned().unwrap_or_default());
    };
    let what = format!("referrers of {subject}");
    let mut page = PageRequest::default();
    let mut found: Vec<Descriptor> = Vec::new();
    loop {
        let request = ReferrersRequest { subject: subject.clone(), artifact_type: None, page: page.clone() };
        let got = match end.repository.manifests().referrers(&request).await {
            // A registry without referrers has none.
            Err(RegistryError::Unsupported(_) | RegistryError::NameUnknown) => return Ok(found),
            got => got.map_err(End::Source.failed(&what))?,
        };
        let before = found.len();
        for item in got.items {
            let descriptor = serde_json::from_value(item.into());
            found.push(descriptor.map_err(|cause| TransferError::invalid(&what, cause.to_string()))?);
        }
        let Some(last) = found[before..].last() else { return Ok(found) };
        page.last = Some(last.digest.to_string());
        if !got.more || found.len() > MAX_MANIFESTS {
            return Ok(found);
        }
    }
}

/// What refers to what among the manifests that a layout's index lists.
async fn referrers_in(layout: &Layout) -> Result<HashMap<Digest, Vec<Descriptor>>, TransferError> {
    let mut found: HashMap<Digest, Vec<Descriptor>> = HashMap::new();
    for entry in layout.entries().iter().take(MAX_MANIFESTS) {
        // What cannot be read is no referrer; if it is wanted for another reason, it is told there.
        let Ok(data) = layout.document(&entry.digest, MAX_MANIFEST_BYTES).await else { continue };
        let Ok(manifest) = Manifest::parse(&data, None) else { continue };
        let Some(subject) = manifest.subject else { continue };
        let (media_type, digest, size) = (entry.media_type.clone(), entry.digest.clone(), entry.size_bytes);
        found.entry(subject).or_default().push(Descriptor { media_type, digest, size, urls: None });
    }
    Ok(found)
}

fn too_much(root: &Digest) -> TransferError {
    let cause = format!("it leads to more than {MAX_MANIFESTS} manifests or {MAX_MANIFESTS_BYTES} bytes of them");
    TransferError::invalid(manifest_named(root), cause)
}

fn check_length(digest: &Digest, length: usize) -> Result<(), TransferError> {
    match length as u64 <= MAX_MANIFEST_BYTES {
        true => Ok(()),
        false => Err(TransferError::invalid(manifest_named(digest), format!("it has {length} bytes"))),
    }
}

pub(super) fn manifest_named(digest: &Digest) -> String {
    format!("manifest {digest}")
}
