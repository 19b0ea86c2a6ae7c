use std::fmt;

use longshore::client::{AddressError, ImageReferenceError};
use longshore::layout::LayoutError;
use longshore::services::RegistryError;
use longshore::transfer::{Copied, TransferError};
use serde_json::{Value, json};

use crate::cli::text::size;

/// One thing that was copied.
pub(in crate::cli) struct Done {
    /// How it is called where it is now.
    pub(in crate::cli) name: String,
    pub(in crate::cli) copied: Copied,
}

/// Why a command was not done.
pub(in crate::cli) enum Problem {
    /// What was typed cannot be done.
    Usage(String),
    /// It could not be done.
    Failed(String),
}

impl Done {
    pub(super) fn digest(&self) -> String {
        self.copied.digest.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    pub(super) fn to_json(&self) -> Value {
        let copied = &self.copied;
        json!({
            "event": "done",
            "name": self.name,
            "digest": copied.digest,
            "manifests": copied.manifests,
            "blobs_copied": copied.blobs_copied,
            "blobs_already_there": copied.blobs_already_there,
            "blobs_mounted": copied.blobs_mounted,
            "blobs_kept_elsewhere": copied.blobs_kept_elsewhere,
            "sent_bytes": copied.sent_bytes,
            "resumed_bytes": copied.resumed_bytes,
        })
    }
}

/// `registry.example/app:v1 sha256:… (1 manifest; 2 blobs copied, 1 already there; 3.0 MiB sent, 1.0 MiB before)`
impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let copied = &self.copied;
        let plural = if copied.manifests == 1 { "" } else { "s" };
        write!(f, "{} {} ({} manifest{plural}; blobs:", self.name, self.digest(), copied.manifests)?;
        write!(f, " {} copied, {} already there", copied.blobs_copied, copied.blobs_already_there)?;
        for (number, what) in [(copied.blobs_mounted, "mounted"), (copied.blobs_kept_elsewhere, "left elsewhere")] {
            if number > 0 {
                write!(f, ", {number} {what}")?;
            }
        }
        write!(f, "; {} sent", size(copied.sent_bytes))?;
        if copied.resumed_bytes > 0 {
            write!(f, ", {} by an earlier run", size(copied.resumed_bytes))?;
        }
        f.write_str(")")
    }
}

impl From<TransferError> for Problem {
    fn from(error: TransferError) -> Self {
        Problem::Failed(error.to_string())
    }
}

impl From<LayoutError> for Problem {
    fn from(error: LayoutError) -> Self {
        Problem::Failed(error.to_string())
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        Problem::Failed(error.to_string())
    }
}

impl From<ImageReferenceError> for Problem {
    fn from(error: ImageReferenceError) -> Self {
        Problem::Usage(error.to_string())
    }
}

impl From<AddressError> for Problem {
    fn from(error: AddressError) -> Self {
        Problem::Usage(error.to_string())
    }
}
