use crate::oci::{Digest, Tag};

/// Something that happened on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It is known what is to be copied.
    Surveyed {
        /// How many manifests.
        manifests: usize,
        /// How many different blobs.
        blobs: usize,
        /// The length of all of them, in bytes.
        blob_bytes: u64,
    },
    /// A blob is on its way.
    BlobBegun {
        /// Which.
        digest: &'a Digest,
        /// Its length.
        size_bytes: u64,
        /// How much of it was there already.
        offset_bytes: u64,
    },
    /// A blob has come so far. It may go back, when the other side has less than was sent.
    BlobAdvanced {
        /// Which.
        digest: &'a Digest,
        /// How far.
        offset_bytes: u64,
    },
    /// Something broke off and is tried again.
    BlobInterrupted {
        /// Which.
        digest: &'a Digest,
        /// Why.
        cause: &'a str,
    },
    /// A blob is there.
    BlobDone {
        /// Which.
        digest: &'a Digest,
        /// Its length.
        size_bytes: u64,
        /// How it came there.
        outcome: BlobOutcome,
    },
    /// A manifest is there.
    ManifestDone {
        /// Its digest.
        digest: &'a Digest,
    },
    /// A tag points at what was copied.
    Tagged {
        /// The tag.
        tag: &'a Tag,
        /// The manifest.
        digest: &'a Digest,
    },
}

/// How a blob came to be at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobOutcome {
    /// It was sent.
    Copied {
        /// How many bytes were sent, those that were sent twice counted twice.
        sent_bytes: u64,
        /// How many an earlier run had sent.
        resumed_from: u64,
    },
    /// It was there.
    AlreadyThere,
    /// The registry linked it from another of its repositories.
    Mounted,
    /// It is not to be copied: its descriptor says where else it is.
    KeptElsewhere,
}

/// Who is told what happens. It is called often, and must not block.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn event(&self, _: &Event<'_>) {}
}
