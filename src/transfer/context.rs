use std::sync::Arc;

use super::copy::CopyOptions;
use super::ends::{Destination, RepositoryEnd, Source};
use super::progress::{Event, Progress};
use crate::oci::{Descriptor, Digest};

/// What all tasks of one copy share.
pub(super) struct Context {
    pub(super) source: Source,
    pub(super) destination: Destination,
    pub(super) options: CopyOptions,
    pub(super) progress: Arc<dyn Progress>,
}

impl Context {
    pub(super) fn tell(&self, event: Event<'_>) {
        self.progress.event(&event);
    }

    pub(super) fn begun(&self, blob: &Descriptor, offset_bytes: u64) {
        self.tell(Event::BlobBegun { digest: &blob.digest, size_bytes: blob.size, offset_bytes });
    }

    pub(super) fn advanced(&self, digest: &Digest, offset_bytes: u64) {
        self.tell(Event::BlobAdvanced { digest, offset_bytes });
    }

    /// The other repository, when both are of one registry.
    pub(super) fn sibling(&self, destination: &RepositoryEnd) -> Option<&RepositoryEnd> {
        match &self.source {
            Source::Repository { end, .. } if end.address == destination.address => Some(end),
            _ => None,
        }
    }
}
