use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::oci::Digest;

/// Why a layout cannot be read or written.
#[derive(Debug)]
pub enum LayoutError {
    /// There is something else at the path; the text says what is missing.
    NotALayout {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Something in it is no plain file or folder, or stands there twice: it could lead elsewhere.
    Unsafe {
        /// The file, or the entry of the tarball.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// A document in it cannot be read.
    Invalid {
        /// The file, or the entry of the tarball.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// It has nothing of that name, or several things and none was named.
    Ambiguous {
        /// What was asked for.
        asked: Option<String>,
        /// The names that there are, not more than a few.
        known: Vec<String>,
        /// How many manifests its index lists.
        manifests: usize,
    },
    /// It has no such blob.
    BlobUnknown(Digest),
    /// A blob has not the length that was said.
    WrongSize {
        /// The blob.
        digest: Digest,
        /// What was said.
        expected_bytes: u64,
        /// What there is.
        actual_bytes: u64,
    },
    /// A blob's content has another digest.
    DigestMismatch {
        /// Under which digest it stands.
        expected: Digest,
        /// What it has.
        actual: Digest,
    },
    /// Another process is writing it.
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// There is something at the path already.
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The file system said no.
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl LayoutError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> LayoutError {
        let path = path.to_owned();
        move |source| LayoutError::Io { action, path: path.clone(), source }
    }

    pub(super) fn not_a_layout(path: &Path, cause: impl Into<String>) -> LayoutError {
        LayoutError::NotALayout { path: path.to_owned(), cause: cause.into() }
    }

    pub(super) fn not_safe(path: &Path, cause: impl Into<String>) -> LayoutError {
        LayoutError::Unsafe { path: path.to_owned(), cause: cause.into() }
    }

    pub(super) fn invalid(path: &Path, cause: impl Into<String>) -> LayoutError {
        LayoutError::Invalid { path: path.to_owned(), cause: cause.into() }
    }
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayoutError::NotALayout { path, cause } => {
                write!(f, "{} is no OCI image layout: {cause}", path.display())
            }
            LayoutError::Unsafe { path, cause } | LayoutError::Invalid { path, cause } => {
                write!(f, "{}: {cause}", path.display())
            }
            LayoutError::Ambiguous { asked: Some(asked), known, .. } => {
                write!(f, "layout has no {asked}; it has {}", listed(known))
            }
            LayoutError::Ambiguous { asked: None, manifests: 0, .. } => f.write_str("layout lists no manifest"),
            LayoutError::Ambiguous { asked: None, known, manifests } => {
                write!(f, "layout lists {manifests} manifests, say which one; it has {}", listed(known))
            }
            LayoutError::BlobUnknown(digest) => write!(f, "layout has no blob {digest}"),
            LayoutError::WrongSize { digest, expected_bytes, actual_bytes } => {
                write!(f, "blob {digest} has {actual_bytes} bytes, not {expected_bytes}")
            }
            LayoutError::DigestMismatch { expected, actual } => {
                write!(f, "content of blob {expected} has digest {actual}")
            }
            LayoutError::Busy { path } => write!(f, "{} is being written by another process", path.display()),
            LayoutError::Exists { path } => write!(f, "{} exists already", path.display()),
            LayoutError::Io { action, path, source } => write!(f, "cannot {action} {}: {source}", path.display()),
        }
    }
}

impl Error for LayoutError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            LayoutError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "no named ones".to_owned(),
        names => names.join(", "),
    }
}
