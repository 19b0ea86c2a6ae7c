//! Floor 3: content on its way from one registry or layout to another.
//!
//! [`copy`] takes an image, an index or an artifact from a [`Source`] to a [`Destination`]: blobs first, several at
//! once, then their manifests, the tag last. What is there already is not sent. What breaks off goes on where it was:
//! within a run by itself, and in the next one by the [`Journal`] of uploads or the partial files of a layout.
//! [`Progress`] is told of everything on the way.

mod context;
mod copy;
mod cutter;
mod download;
mod ends;
mod error;
mod journal;
mod patience;
mod platform;
mod progress;
mod selection;
mod survey;
mod upload;

pub use copy::{Copied, CopyOptions, copy};
pub use ends::{Destination, RepositoryEnd, Source};
pub use error::{Cause, End, TransferError};
pub use journal::Journal;
pub use platform::{Platform, PlatformError};
pub use progress::{BlobOutcome, Event, NoProgress, Progress};
