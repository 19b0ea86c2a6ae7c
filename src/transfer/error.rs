use std::error::Error;
use std::fmt;

use super::platform::Platform;
use crate::layout::LayoutError;
use crate::oci::Digest;
use crate::services::RegistryError;

/// How many platforms an error tells.
const MOST_PLATFORMS_TOLD: usize = 20;

/// Why a copy did not come to its end. What it had come to is kept, and the next one goes on there.
#[derive(Debug)]
pub enum TransferError {
    /// One of the ends said no.
    Failed {
        /// Which.
        end: End,
        /// What was asked of it.
        subject: String,
        /// Why.
        cause: Cause,
    },
    /// The source has something that cannot be copied.
    Invalid {
        /// What.
        subject: String,
        /// Why.
        cause: String,
    },
    /// The source's content is not what its digest says.
    DigestMismatch {
        /// What it should be.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
    /// The source has nothing for a platform that was asked for.
    NoSuchPlatform {
        /// Which.
        platform: Platform,
        /// Those that there are.
        known: Vec<Platform>,
    },
}

/// One side of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// What an end said.
#[derive(Debug)]
pub enum Cause {
    /// A registry.
    Registry(RegistryError),
    /// A layout.
    Layout(LayoutError),
}

impl TransferError {
    pub(super) fn invalid(subject: impl fmt::Display, cause: impl Into<String>) -> TransferError {
        TransferError::Invalid { subject: subject.to_string(), cause: cause.into() }
    }
}

impl End {
    /// Says which end it was, and what was asked of it.
    pub(super) fn failed<C: Into<Cause>>(self, subject: impl fmt::Display) -> impl FnOnce(C) -> TransferError {
        let subject = subject.to_string();
        move |cause| TransferError::Failed { end: self, subject, cause: cause.into() }
    }
}

impl From<RegistryError> for Cause {
    fn from(error: RegistryError) -> Self {
        Cause::Registry(error)
    }
}

impl From<LayoutError> for Cause {
    fn from(error: LayoutError) -> Self {
        Cause::Layout(error)
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransferError::Failed { end, subject, cause } => write!(f, "{end}: {subject}: {cause}"),
            TransferError::Invalid { subject, cause } => write!(f, "source: {subject}: {cause}"),
            TransferError::DigestMismatch { expected, actual } => {
                write!(f, "source: content of blob {expected} has digest {actual}")
            }
            TransferError::NoSuchPlatform { platform, known } => {
                let known: Vec<String> = known.iter().take(MOST_PLATFORMS_TOLD).map(Platform::to_string).collect();
                write!(f, "source: there is nothing for {platform}, only for {}", known.join(", "))
            }
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Source => "source",
            End::Destination => "destination",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Registry(error) => error.fmt(f),
            Cause::Layout(error) => error.fmt(f),
        }
    }
}

impl Error for TransferError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            TransferError::Failed { cause: Cause::Registry(error), .. } => Some(error),
            TransferError::Failed { cause: Cause::Layout(error), .. } => Some(error),
            _ => None,
        }
    }
}
