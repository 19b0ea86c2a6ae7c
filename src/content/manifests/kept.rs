use std::sync::Arc;

use bytes::Bytes;
use moka::sync::Cache;

use super::StoredManifest;
use crate::oci::Digest;

/// Bytes of small manifests, by the digest that they are kept under. Such bytes never change, and having them gives
/// access to nobody: that is decided by a repository's link each time.
#[derive(Debug)]
pub(in crate::content) struct ManifestBytes {
    /// `None` when the cache is off.
    kept: Option<Cache<Digest, Arc<StoredManifest>>>,
}

impl ManifestBytes {
    /// What all of them may take together.
    const MAX_BYTES: u64 = 32 << 20;
    /// Larger ones are rare, and one alone would drive many others out.
    const LARGEST_KEPT_BYTES: usize = 128 << 10;
    /// About what an entry takes beside its bytes.
    const ENTRY_BYTES: usize = 400;

    pub(in crate::content) fn new(is_on: bool) -> Self {
        let kept = is_on.then(|| {
            Cache::builder()
                .max_capacity(Self::MAX_BYTES)
                .weigher(|_, stored: &Arc<StoredManifest>| {
                    u32::try_from(stored.data.len() + Self::ENTRY_BYTES).unwrap_or(u32::MAX)
                })
                .build()
        });
        ManifestBytes { kept }
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<StoredManifest> {
        self.kept.as_ref()?.get(digest).map(|stored| StoredManifest::clone(&stored))
    }

    pub(super) fn keep(&self, digest: &Digest, stored: &StoredManifest) {
        let Some(kept) = &self.kept else { return };
        if stored.data.len() > Self::LARGEST_KEPT_BYTES {
            return;
        }
        // A copy, so that a few bytes do not hold a request's whole buffer.
        let data = Bytes::copy_from_slice(&stored.data);
        kept.insert(digest.clone(), Arc::new(StoredManifest { media_type: stored.media_type.clone(), data }));
    }
}
