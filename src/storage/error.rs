use std::error::Error;
use std::fmt;
use std::io;

/// What failed in a driver, doing what, to which key.
///
/// Only [`StorageErrorKind::NotFound`] says that something is absent. Every other kind is a fault:
/// whoever sees one must not conclude that the object is not there.
#[derive(Debug)]
pub struct StorageError {
    kind: StorageErrorKind,
    operation: &'static str,
    subject: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds that a caller may act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageErrorKind {
    /// There is no object, folder or partial under the key.
    NotFound,
    /// A create-only put found an object there.
    AlreadyExists,
    /// A compare-and-set put found another version, or none.
    VersionMismatch,
    /// There is no space left, or the driver's configured bound is reached.
    Full,
    /// The call's deadline passed; what it began may still happen.
    TimedOut,
    /// The object is larger than the caller allowed, or shorter than it should be.
    WrongSize,
    /// The driver does not offer the operation.
    Unsupported,
    /// Any other fault of the store.
    Fault,
}

impl StorageError {
    /// A fault of `kind` in `operation` on `subject`, with no deeper cause.
    pub fn new(kind: StorageErrorKind, operation: &'static str, subject: impl fmt::Display) -> Self {
        StorageError { kind, operation, subject: subject.to_string(), source: None }
    }

    /// The same with the cause.
    pub fn with_source(
        kind: StorageErrorKind,
        operation: &'static str,
        subject: impl fmt::Display,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        StorageError { kind, operation, subject: subject.to_string(), source: Some(source.into()) }
    }

    /// An error of the operating system; the kind follows from its number.
    pub fn from_io(operation: &'static str, subject: impl fmt::Display, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StorageErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => StorageErrorKind::AlreadyExists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageErrorKind::Full,
            io::ErrorKind::TimedOut => StorageErrorKind::TimedOut,
            _ => StorageErrorKind::Fault,
        };
        StorageError::with_source(kind, operation, subject, source)
    }

    /// What a caller may act on.
    pub fn kind(&self) -> StorageErrorKind {
        self.kind
    }

    /// Whether this says that the object is absent.
    pub fn is_not_found(&self) -> bool {
        self.kind == StorageErrorKind::NotFound
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            StorageErrorKind::NotFound => "not found",
            StorageErrorKind::AlreadyExists => "already exists",
            StorageErrorKind::VersionMismatch => "changed meanwhile",
            StorageErrorKind::Full => "no space left",
            StorageErrorKind::TimedOut => "timed out",
            StorageErrorKind::WrongSize => "has a wrong size",
            StorageErrorKind::Unsupported => "not supported by this driver",
            StorageErrorKind::Fault => "failed",
        };
        write!(f, "storage: {} {}: {what}", self.operation, self.subject)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Error for StorageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
