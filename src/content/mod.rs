//! Floor 3: what a registry stores: blobs, links, manifests, tags, referrers, the catalog.
//!
//! Bytes are kept once for the whole registry, by digest. A repository has access to those that it links; deleting
//! takes the link away, and the bytes are freed by garbage collection. [`Content`] gives the stores; all of them are
//! cheap to clone and share one descriptor cache.
//!
//! # Links
//! A link that is absent, empty, malformed, or that leads to no bytes is an absence (the latter three with a warning
//! in the log); pushing again repairs it. A fault of the storage is never an absence: it is a [`StorageError`].
//!
//! # Writes
//! They go in an order that a crash between any two of them shows nothing half: bytes before the link that gives
//! access to them, the link before a tag. Writes of manifests and tags run to their end when the caller leaves.
//!
//! [`StorageError`]: crate::storage::StorageError

mod blobs;
mod cache;
mod catalog;
mod error;
pub(crate) mod fuzzing;
mod link;
mod links;
mod locks;
mod manifests;
mod mounts;
mod page;
mod referrers;
mod repositories;
mod store;
mod tags;
mod task;
mod together;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod filesystem_tests;
#[cfg(test)]
mod testing;

pub use blobs::{Blobs, PendingLink};
pub use catalog::Catalog;
pub use error::ContentError;
pub use manifests::{Manifests, NewManifest, PutOutcome, StoredManifest};
pub use page::ContentPage;
pub use referrers::{Referrers, ReferrersQuery};
pub use store::{Content, ContentOptions};
pub use tags::{TagCondition, Tags};
