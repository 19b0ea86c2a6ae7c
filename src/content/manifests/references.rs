use std::collections::BTreeSet;

use crate::content::ContentError;
use crate::content::cache::LinkKind;
use crate::content::store::Store;
use crate::oci::{Digest, Manifest, ManifestType, RepositoryName};
use crate::storage::StorageError;

/// How many references are found to be unknown before the rest is not looked at. A manifest may have tens of thousands,
/// and a few tell the client as much.
const MOST_UNKNOWN: usize = 100;
/// How many references are looked up together when they are not known.
const TOGETHER: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Needed {
    Blob,
    Manifest,
    /// An index may list what is no manifest.
    Either,
}

impl Store {
    /// Checks that the repository has what a manifest refers to: blobs as blobs, an index's manifests as manifests.
    /// What is kept elsewhere, and the subject, need not be there. No driver call for what is known, and of what is not, two
    /// for some dozens that are there.
    ///
    /// # Errors
    /// [`ContentError::ReferencesUnknown`] with those that are not there, in the manifest's order, the first hundred.
    pub(super) async fn check_references(
        &self,
        repository: &RepositoryName,
        manifest: &Manifest,
    ) -> Result<(), ContentError> {
        let mut unknown = Vec::new();
        for some in needed(manifest).chunks(TOGETHER) {
            let missing = self.missing_of(repository, some).await?;
            let missing = some.iter().filter(|(need, digest)| missing.contains(&(*need, digest)));
            unknown.extend(missing.map(|(_, digest)| digest.clone()));
            if unknown.len() >= MOST_UNKNOWN {
                unknown.truncate(MOST_UNKNOWN);
                break;
            }
        }
        if unknown.is_empty() { Ok(()) } else { Err(ContentError::ReferencesUnknown(unknown)) }
    }

    async fn missing_of<'a>(
        &self,
        repository: &RepositoryName,
        references: &'a [(Needed, Digest)],
    ) -> Result<BTreeSet<(Needed, &'a Digest)>, StorageError> {
        let of = |need| references.iter().filter(move |(needed, _)| *needed == need).map(|(_, digest)| digest);
        let blobs = self.missing(repository, LinkKind::Layer, of(Needed::Blob)).await?;
        let manifests = self.missing(repository, LinkKind::Revision, of(Needed::Manifest)).await?;
        let no_manifests = self.missing(repository, LinkKind::Revision, of(Needed::Either)).await?;
        let neither = self.missing(repository, LinkKind::Layer, no_manifests).await?;
        let missing = [(Needed::Blob, blobs), (Needed::Manifest, manifests), (Needed::Either, neither)];
        Ok(missing
            .into_iter()
            .flat_map(|(need, digests)| digests.into_iter().map(move |digest| (need, digest)))
            .collect())
    }
}

fn needed(manifest: &Manifest) -> Vec<(Needed, Digest)> {
    let blobs = manifest.blobs.iter().filter(|blob| !blob.is_kept_elsewhere());
    let blobs = blobs.map(|blob| (Needed::Blob, blob.digest.clone()));
    let children = manifest.manifests.iter().map(|child| {
        let is_manifest = ManifestType::from_media_type(&child.media_type).is_some();
        (if is_manifest { Needed::Manifest } else { Needed::Either }, child.digest.clone())
    });
    let mut seen = BTreeSet::new();
    blobs.chain(children).filter(|reference| seen.insert(reference.clone())).collect()
}
