//! Floor 0: the vocabulary of the OCI distribution API, with no I/O and no clock.
//!
//! Everything here is a value that has been checked when it exists: a [`Digest`] is well formed,
//! a [`RepositoryName`] follows the grammar, an [`UploadId`] is a UUID. The floors above never
//! check a string twice.

mod algorithm;
mod descriptor;
mod digest;
mod error_code;
mod hex;
mod json_object;
mod manifest;
mod manifest_type;
mod name;
mod reference;
mod upload_id;

pub use algorithm::Algorithm;
pub use descriptor::Descriptor;
pub use digest::{Digest, DigestError};
pub use error_code::{ErrorCode, ErrorCodeError};
pub use hex::to_hex;
pub use manifest::{Manifest, ManifestError};
pub use manifest_type::{ManifestType, stored_media_type};
pub use name::{NameError, RepositoryName};
pub use reference::{Reference, ReferenceError, Tag};
pub use upload_id::{UploadId, UploadIdError};
