use std::sync::Arc;

use super::cache::DescriptorCache;
use super::locks::Stripes;
use super::manifests::{ManifestBytes, Room};
use super::referrers::ScanMarks;
use super::{Blobs, Catalog, Manifests, Referrers, Tags};
use crate::storage::{Durability, SharedDriver};
use crate::telemetry::Metrics;

/// What a registry stores. Cheap to clone; clones share caches and locks.
///
/// One process at a time writes to a storage root, with one `Content` in it: caches and locks rely on it.
#[derive(Clone, Debug)]
pub struct Content {
    store: Arc<Store>,
}

/// How content is kept.
#[derive(Clone, Debug)]
pub struct ContentOptions {
    /// What a write that was answered must survive.
    pub durability: Durability,
    /// How many descriptors are cached at most; 0 turns the caches of descriptors and manifests off.
    pub cache_max_entries: u64,
    /// Whether a manifest may refer to content that the repository does not have.
    pub allow_sparse_manifests: bool,
    /// The largest manifest that is taken.
    pub manifest_max_bytes: u64,
}

impl Default for ContentOptions {
    fn default() -> Self {
        ContentOptions {
            durability: Durability::Power,
            cache_max_entries: 100_000,
            allow_sparse_manifests: false,
            manifest_max_bytes: 4 << 20,
        }
    }
}

impl Content {
    /// The content that `driver` keeps.
    pub fn new(driver: SharedDriver, options: ContentOptions, metrics: Metrics) -> Self {
        let store = Store {
            descriptors: DescriptorCache::new(options.cache_max_entries, metrics),
            manifest_bytes: ManifestBytes::new(options.cache_max_entries > 0),
            manifest_room: Room::new(),
            scan_marks: ScanMarks::new(),
            tag_locks: Stripes::new(),
            revision_locks: Stripes::new(),
            scan_locks: Stripes::new(),
            driver,
            options,
        };
        Content { store: Arc::new(store) }
    }

    /// The blobs.
    pub fn blobs(&self) -> Blobs {
        Blobs::new(self.store.clone())
    }

    /// The manifests.
    pub fn manifests(&self) -> Manifests {
        Manifests::new(self.store.clone())
    }

    /// The tags.
    pub fn tags(&self) -> Tags {
        Tags::new(self.store.clone())
    }

    /// What refers to manifests.
    pub fn referrers(&self) -> Referrers {
        Referrers::new(self.store.clone())
    }

    /// The repositories.
    pub fn catalog(&self) -> Catalog {
        Catalog::new(self.store.clone())
    }
}

/// What the stores share.
///
/// Locks are taken in this order: revision, then tag; scan, then revision. None of the others are nested.
#[derive(Debug)]
pub(super) struct Store {
    pub driver: SharedDriver,
    pub options: ContentOptions,
    pub descriptors: DescriptorCache,
    pub manifest_bytes: ManifestBytes,
    pub manifest_room: Room,
    pub scan_marks: ScanMarks,
    /// By repository and tag: a tag is not removed while it is moved.
    pub tag_locks: Stripes,
    /// By repository and digest: a manifest is not removed while it is put (many puts at a time).
    pub revision_locks: Stripes,
    /// By a part of the record of what the referrers index knows.
    pub scan_locks: Stripes,
}
