use std::sync::Arc;

use bytes::Bytes;

use super::digests::digest_of;
use super::{Manifests, QUICK_BYTES, StoredManifest};
use crate::content::cache::{Known, LinkKind, Subject};
use crate::content::store::Store;
use crate::content::task::{off_the_workers, to_its_end};
use crate::content::{ContentError, TagCondition};
use crate::oci::{Algorithm, Digest, Manifest, Reference, RepositoryName, Tag};
use crate::storage::{PutMode, keys};

/// A manifest to store.
#[derive(Clone, Debug)]
pub struct NewManifest {
    /// Where it goes.
    pub repository: RepositoryName,
    /// The tag that shall point at it, or the digest that it has.
    pub reference: Reference,
    /// Further tags that shall point at it.
    pub tags: Vec<Tag>,
    /// What the client calls it, without parameters.
    pub media_type: Option<String>,
    /// Its bytes.
    pub data: Bytes,
    /// What must hold of the tag of `reference`.
    pub condition: TagCondition,
}

/// What was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutOutcome {
    /// The manifest's digest, in the algorithm that was asked for.
    pub digest: Digest,
    /// What it is about, when it says so.
    pub subject: Option<Digest>,
    /// The tags that now point at it.
    pub tags: Vec<Tag>,
}

impl Manifests {
    /// Checks a manifest and stores it byte for byte. It goes on to its end when the caller leaves.
    ///
    /// The order is: the bytes, the revision link, the referrers index, then for each tag its current link and its
    /// index. A tag's current link comes before its index, since a list of tags shows whatever has either. One driver
    /// call for each, and none for references that are known.
    ///
    /// # Errors
    /// Those of [`ContentError`]. After [`ContentError::ConditionFailed`] the manifest may be stored; the tag is
    /// untouched.
    pub async fn put(&self, new: NewManifest) -> Result<PutOutcome, ContentError> {
        let limit_bytes = self.store.options.manifest_max_bytes;
        if new.data.len() as u64 > limit_bytes {
            return Err(ContentError::ManifestTooLarge { limit_bytes });
        }
        let room = self.store.manifest_room.take(new.data.len()).await?;
        let (digest, manifest) = read(&new).await?;
        if !self.store.options.allow_sparse_manifests {
            self.store.check_references(&new.repository, &manifest).await?;
        }
        if let Reference::Tag(tag) = &new.reference {
            self.store.check_condition(&new.repository, tag, &digest, &new.condition).await?;
        }
        let store = self.store.clone();
        to_its_end(async move {
            let _room = room;
            store.write_manifest(new, digest, manifest).await
        })
        .await?
    }
}

/// The digest and the meaning of the bytes.
async fn read(new: &NewManifest) -> Result<(Digest, Manifest), ContentError> {
    if new.data.len() <= QUICK_BYTES {
        return read_now(&new.reference, new.media_type.as_deref(), &new.data);
    }
    let (reference, media_type, data) = (new.reference.clone(), new.media_type.clone(), new.data.clone());
    off_the_workers(move || read_now(&reference, media_type.as_deref(), &data)).await?
}

fn read_now(reference: &Reference, media_type: Option<&str>, data: &[u8]) -> Result<(Digest, Manifest), ContentError> {
    let digest = match reference {
        Reference::Tag(_) => digest_of(Algorithm::Sha256, data),
        Reference::Digest(expected) => {
            let actual = digest_of(expected.algorithm(), data);
            if actual != *expected {
                return Err(ContentError::DigestMismatch { expected: expected.clone(), actual });
            }
            actual
        }
    };
    Ok((digest, Manifest::parse(data, media_type)?))
}

impl Store {
    async fn write_manifest(
        self: Arc<Self>,
        new: NewManifest,
        digest: Digest,
        manifest: Manifest,
    ) -> Result<PutOutcome, ContentError> {
        let NewManifest { repository, reference, tags: further_tags, data, condition, .. } = new;
        let _not_removed_meanwhile = self.revision_locks.of(&(&repository, &digest)).read().await;
        let size_bytes = data.len() as u64;
        let subject = Subject { link: Some((&repository, LinkKind::Revision)), digest: &digest };
        let load = self.descriptors.begin(subject);

        let durability = self.options.durability;
        self.driver.put(&keys::blob_data(&digest), data.clone(), PutMode::Overwrite, durability).await?;
        self.remember_size(&digest, size_bytes);
        self.write_link(&keys::revision_link(&repository, &digest), &digest, PutMode::Overwrite).await?;
        self.descriptors.keep(load, subject, Known { size_bytes, kept_under: None });
        let stored = StoredManifest { media_type: manifest.manifest_type.as_str().into(), data };
        self.manifest_bytes.keep(&digest, &stored);
        self.index_referrer(&repository, &digest, size_bytes, &manifest).await?;

        let mut tags = Vec::with_capacity(1 + further_tags.len());
        if let Reference::Tag(tag) = reference {
            self.point_tag(&repository, &tag, &digest, &condition).await?;
            tags.push(tag);
        }
        for tag in further_tags {
            if !tags.contains(&tag) {
                self.point_tag(&repository, &tag, &digest, &TagCondition::Any).await?;
                tags.push(tag);
            }
        }
        Ok(PutOutcome { digest, subject: manifest.subject, tags })
    }
}
