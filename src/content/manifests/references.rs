use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::content::ContentError;
use crate::content::cache::LinkKind;
use crate::content::store::Store;
use crate::oci::{Digest, Manifest, ManifestType, RepositoryName};
use crate::storage::StorageError;

/// How many references are found to be unknown before the rest is not looked at. A manifest may have tens of thousands,
/// and a few tell the client as much.
const MOST_UNKNOWN: usize = 100;
/// How many references are looked up at once when they are not known.
const LOOKUPS_AT_ONCE: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Needed {
    Blob,
    Manifest,
    /// An index may list what is no manifest.
    Either,
}

impl Store {
    /// Checks that the repository has what a manifest refers to: blobs as blobs, an index's manifests as manifests.
    /// What is kept elsewhere, and the subject, need not be there. No driver call for what is known.
    ///
    /// # Errors
    /// [`ContentError::ReferencesUnknown`] with those that are not there, in the manifest's order, the first hundred.
    pub(super) async fn check_references(
        &self,
        repository: &RepositoryName,
        manifest: &Manifest,
    ) -> Result<(), ContentError> {
        let needed = needed(manifest);
        let mut found = stream::iter(needed.into_iter().map(|(need, digest)| async move {
            Ok::<_, StorageError>((self.has(repository, need, &digest).await?, digest))
        }))
        .buffered(LOOKUPS_AT_ONCE);
        let mut unknown = Vec::new();
        while let Some((is_there, digest)) = found.try_next().await? {
            if !is_there {
                unknown.push(digest);
                if unknown.len() == MOST_UNKNOWN {
                    break;
                }
            }
        }
        if unknown.is_empty() { Ok(()) } else { Err(ContentError::ReferencesUnknown(unknown)) }
    }

    async fn has(&self, repository: &RepositoryName, need: Needed, digest: &Digest) -> Result<bool, StorageError> {
        let kinds: &[LinkKind] = match need {
            Needed::Blob => &[LinkKind::Layer],
            Needed::Manifest => &[LinkKind::Revision],
            Needed::Either => &[LinkKind::Revision, LinkKind::Layer],
        };
        for kind in kinds {
            if self.find(repository, *kind, digest).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
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
