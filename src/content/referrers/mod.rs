//! Referrers: the manifests whose `subject` is a given digest.
//!
//! An index under names of our own holds each referrer's descriptor below its subject. Putting and deleting a manifest
//! keep it. Manifests that came into the folder some other way (distribution knows no referrers) are found when a
//! repository's referrers are asked for: the names of its revisions are compared with a record of those that the index
//! knows, and the ones it does not know are read once ([`scan`]). As long as the store's marks of the revisions'
//! folders stay the same, nothing is compared.
//!
//! This covers what clients listed under a subject's fallback tag (`sha256-…`) while there was no such index: the spec
//! takes from there the manifests of the repository that have the `subject`, and those are revisions like any other.
//!
//! The index gives access to nothing: a referrer is listed only while its revision link leads to it.

mod descriptor;
pub(super) mod fuzzing;
mod list;
mod scan;

use std::sync::Arc;

pub use self::list::ReferrersQuery;
pub(super) use self::scan::ScanMarks;
use super::store::Store;

/// The referrers of repositories. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Referrers {
    store: Arc<Store>,
}

impl Referrers {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Referrers { store }
    }
}

#[cfg(test)]
mod tests;
