//! Floor 0: the vocabulary of the OCI distribution API, with no I/O and no clock.
//!
//! Everything here is a value that has been checked when it exists: a [`Digest`] is well formed,
//! a [`RepositoryName`] follows the grammar, an [`UploadId`] is a UUID. The floors above never
//! check a string twice.

mod algorithm;
mod digest;
mod error_code;
mod name;
mod reference;
mod upload_id;

pub use algorithm::Algorithm;
pub use digest::{Digest, DigestError};
pub use error_code::ErrorCode;
pub use name::{NameError, RepositoryName};
pub use reference::{Reference, ReferenceError, Tag};
pub use upload_id::{UploadId, UploadIdError};
