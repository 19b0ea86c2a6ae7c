//! Floor 5: the registry in this process, without HTTP: the [services](crate::services) on the upload engine and the
//! content stores.

mod local;

pub use crate::services::{
    BlobContent, BlobSender, Blobs, Caller, ManifestContent, ManifestPut, Manifests, Page, PageRequest, Precondition,
    PutManifest, Referrers, ReferrersRequest, Registry, RegistryError, Repository, SharedSocket, StartPoint, Tags,
    Upload, UploadStatus, UploadWriter, Uploads, WriteRequest,
};
pub use local::{LocalRegistry, LocalRegistryOptions};
