//! Floor 1: what a registry offers, as small services without HTTP.
//!
//! A [`Registry`] gives a [`Repository`], which gives its [`Blobs`], [`Uploads`], [`Manifests`] and [`Tags`]. They are
//! traits, cheap to make for each request. The server's own implementation (`registry`) stands on the upload engine and
//! the content stores, the other one (`client`) speaks to any registry over HTTP, so that a copy or a test takes
//! either. [`suite`] is what each has to pass.

mod contract;
mod error;
mod page;
pub mod suite;

pub use contract::{
    BlobContent, BlobSender, Blobs, Caller, ManifestContent, ManifestPut, Manifests, Precondition, PutManifest,
    Referrers, ReferrersRequest, Registry, Repository, SharedSocket, StartPoint, Tags, Upload, UploadStatus,
    UploadWriter, Uploads, WriteRequest,
};
pub use error::RegistryError;
pub use page::{Page, PageRequest};
