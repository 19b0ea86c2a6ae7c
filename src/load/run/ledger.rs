use std::sync::{Mutex, MutexGuard};

use rand::{Rng, RngExt};

use crate::load::content::Blob;
use crate::oci::{Digest, RepositoryName};

/// How many of each kind are remembered whole, for pulls, mounts, duplicates and checks.
const REMEMBERED: usize = 1 << 16;

/// What this run pushed to one target. It remembers a fair sample whole; with `clean`, it remembers of all what is needed
/// to delete them.
pub struct Ledger {
    keep_all: bool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    blobs: Sampled<PushedBlob>,
    manifests: Sampled<PushedManifest>,
}

struct Sampled<T> {
    seen: u64,
    items: Vec<T>,
}

/// A blob whose push was acknowledged, or that was mounted.
#[derive(Clone, Debug)]
pub struct PushedBlob {
    /// Where.
    pub repository: RepositoryName,
    /// What.
    pub blob: Blob,
}

/// A manifest whose push was acknowledged.
#[derive(Clone, Debug)]
pub struct PushedManifest {
    /// Where.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// Its tag, where it has one.
    pub tag: Option<String>,
    /// Its size.
    pub size: u64,
    /// The blobs that it names: layers and configuration.
    pub blobs: Vec<Blob>,
}

impl Ledger {
    /// An empty one. `keep_all`: everything is to be deleted at the end.
    pub fn new(keep_all: bool) -> Self {
        Ledger { keep_all, inner: Mutex::default() }
    }

    /// A push or a mount was acknowledged.
    pub fn blob(&self, pushed: PushedBlob, random: &mut impl Rng) {
        self.lock().blobs.add(pushed, self.keep_all, random);
    }

    /// A manifest was acknowledged.
    pub fn manifest(&self, pushed: PushedManifest, random: &mut impl Rng) {
        self.lock().manifests.add(pushed, self.keep_all, random);
    }

    /// One of the blobs that were pushed; `None` while there is none.
    pub fn any_blob(&self, random: &mut impl Rng) -> Option<PushedBlob> {
        self.lock().blobs.any(random)
    }

    /// One of the manifests that were pushed; `None` while there is none.
    pub fn any_manifest(&self, random: &mut impl Rng) -> Option<PushedManifest> {
        self.lock().manifests.any(random)
    }

    /// The blobs that are remembered.
    pub fn blobs(&self) -> Vec<PushedBlob> {
        self.lock().blobs.items.clone()
    }

    /// The manifests that are remembered.
    pub fn manifests(&self) -> Vec<PushedManifest> {
        self.lock().manifests.items.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Lists are whole at any time.
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T: Clone> Sampled<T> {
    /// Once full, each that was ever seen is kept with the same chance.
    fn add(&mut self, item: T, keep_all: bool, random: &mut impl Rng) {
        self.seen += 1;
        if keep_all || self.items.len() < REMEMBERED {
            self.items.push(item);
            return;
        }
        let place = random.random_range(0..self.seen);
        if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.items.get_mut(place)) {
            *kept = item;
        }
    }

    fn any(&self, random: &mut impl Rng) -> Option<T> {
        match self.items.len() {
            0 => None,
            length => self.items.get(random.random_range(0..length)).cloned(),
        }
    }
}

impl<T> Default for Sampled<T> {
    fn default() -> Self {
        Sampled { seen: 0, items: Vec::new() }
    }
}
