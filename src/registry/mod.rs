//! Floor 5: the registry as services, without HTTP.
//!
//! [`Registry`] gives a [`Repository`], which gives its [`Blobs`], [`Uploads`], [`Manifests`] and
//! [`Tags`]. They are small traits and cheap to make for each request. The server's own
//! implementation stands on the upload engine and the content stores; a client of the HTTP API can
//! implement the same traits, so that a copy or a test runs against either.

mod error;
mod local;
mod page;
mod services;

pub use error::RegistryError;
pub use local::{LocalRegistry, LocalRegistryOptions};
pub use page::{Page, PageRequest};
pub use services::{
    BlobContent, Blobs, Caller, ManifestContent, ManifestPut, Manifests, Precondition, PutManifest, Referrers,
    ReferrersRequest, Registry, Repository, StartPoint, Tags, Upload, UploadStatus, UploadWriter, Uploads,
    WriteRequest,
};
