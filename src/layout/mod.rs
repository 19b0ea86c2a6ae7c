//! Floor 2: OCI image layouts in folders and tarballs, and single files as artifacts.
//!
//! A [`Layout`] is read: a folder, a tarball (also gzipped), or one file that is made an artifact of. What others wrote
//! is not trusted: links, entries that stand twice, wrong sizes and documents beyond all measure are refused, and
//! [`Layout::document`] verifies digests. A [`LayoutWriter`] adds to a folder: each blob grows in a file of its own,
//! which can be taken up again, and gets its name when its digest was verified. [`ArchiveWriter`] does the same for a
//! tarball, which appears whole or not at all.
//!
//! Source: image-spec, `image-layout.md`.

mod archive;
mod artifact;
mod error;
mod extent;
mod folder;
mod gzip;
mod index;
mod lock;
mod pack;
mod partial;
mod read;
mod writer;

pub use artifact::ArtifactOptions;
pub use error::LayoutError;
pub use extent::LayoutBlob;
pub use index::IndexEntry;
pub(crate) use lock::open_locked;
pub use pack::ArchiveWriter;
pub use partial::PartialBlob;
pub use read::{Layout, PathKind};
pub use writer::LayoutWriter;

use tokio::task::JoinError;

/// The file that says that a folder is a layout.
const MARKER: &str = "oci-layout";
/// The list of manifests.
const INDEX: &str = "index.json";
/// What the marker says of itself.
const MARKER_CONTENT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// The longest index or marker that is read: some ten thousand manifests.
const MAX_INDEX_BYTES: u64 = 16 << 20;

/// Where a blob is in a layout.
fn blob_path(digest: &crate::oci::Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// Runs file calls off the async threads. They go on to their end when the caller leaves.
pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(value) => value,
        Err(error) => went_down(error).await,
    }
}

/// A panic goes on in the caller. Without one, the runtime is going down, and whoever waits will be dropped.
async fn went_down<T>(error: JoinError) -> T {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
