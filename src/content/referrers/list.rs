use futures_util::{StreamExt, TryStreamExt, stream};
use log::warn;
use serde_json::{Map, Value};

use super::{Referrers, descriptor};
use crate::content::ContentPage;
use crate::content::cache::LinkKind;
use crate::content::store::Store;
use crate::oci::{Digest, Manifest, RepositoryName};
use crate::storage::{StorageError, StorageErrorKind, keys};

/// What is wanted of the referrers of a digest.
#[derive(Clone, Debug)]
pub struct ReferrersQuery {
    /// The repository.
    pub repository: RepositoryName,
    /// The subject, which need not exist.
    pub subject: Digest,
    /// Only those of this type.
    pub artifact_type: Option<String>,
    /// Only those after this digest, which need not exist.
    pub last: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// How many descriptors are read at once.
const READS_AT_ONCE: usize = 8;
/// How many names are held of a long list.
const NAMES_AT_ONCE: usize = 1000;
/// A page ends before it gets longer than this, a manifest's usual limit, since clients read it as one.
const LONGEST_PAGE_BYTES: usize = 4 << 20;
/// What a descriptor may have beside the annotations of its manifest.
const DESCRIPTOR_BYTES: u64 = 64 << 10;

struct Entry {
    descriptor: Map<String, Value>,
    size_bytes: usize,
}

impl Referrers {
    /// The descriptors of the manifests whose subject is a digest, sorted by digest. Nothing is an empty page.
    ///
    /// The first time after the folder of revisions changed, their names are compared with what the index knows, and
    /// manifests that it does not know are read. A page costs one driver call for each referrer on it, and at most two
    /// more for each that is not known to the descriptor cache.
    ///
    /// # Errors
    /// Faults of the storage.
    pub async fn list(&self, query: &ReferrersQuery) -> Result<ContentPage<Map<String, Value>>, StorageError> {
        let mut page = ContentPage::empty();
        if query.limit == 0 {
            return Ok(page);
        }
        self.store.index_unknown_revisions(&query.repository).await?;
        let folder = keys::subject_referrers(&query.repository, &query.subject);
        // Names have a dash where digests have a colon, which does not change their order.
        let mut after = query.last.as_ref().map(|last| last.replacen(':', "-", 1));
        let mut page_bytes = 0;
        loop {
            let names = match self.store.driver.list(&folder, after.as_deref(), NAMES_AT_ONCE).await {
                Ok(names) => names,
                Err(error) if error.is_not_found() => return Ok(page),
                Err(error) => return Err(error),
            };
            after = names.entries.last().map(|entry| entry.name.clone());
            let digests: Vec<Digest> = names.entries.iter().filter_map(|entry| digest_named(&entry.name)).collect();
            let mut entries = stream::iter(digests.into_iter().map(|digest| self.store.referrer(query, digest)))
                .buffered(READS_AT_ONCE);
            while let Some(entry) = entries.try_next().await? {
                let Some(entry) = entry else { continue };
                page_bytes += entry.size_bytes;
                let is_full = page.items.len() == query.limit || page_bytes > LONGEST_PAGE_BYTES;
                if is_full && !page.items.is_empty() {
                    page.more = true;
                    return Ok(page);
                }
                page.items.push(entry.descriptor);
            }
            if !names.more {
                return Ok(page);
            }
        }
    }
}

impl Store {
    /// The descriptor of one referrer; `None` when the manifest is gone or of another type.
    async fn referrer(&self, query: &ReferrersQuery, digest: Digest) -> Result<Option<Entry>, StorageError> {
        if self.find(&query.repository, LinkKind::Revision, &digest).await?.is_none() {
            return Ok(None);
        }
        let key = keys::referrer(&query.repository, &query.subject, &digest);
        let entry = match self.driver.get(&key, self.largest_stored_bytes() + DESCRIPTOR_BYTES).await {
            Ok(object) => descriptor::parse(&object.data, &digest)
                .map(|descriptor| Entry { descriptor, size_bytes: object.data.len() }),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if error.kind() == StorageErrorKind::WrongSize => None,
            Err(error) => return Err(error),
        };
        let entry = match entry {
            Some(entry) => Some(entry),
            None => {
                warn!(key:% = key; "entry of the referrers index is malformed, the manifest is read instead");
                self.referrer_by_manifest(query, &digest).await?
            }
        };
        Ok(entry.filter(|entry| entry.is_of(query.artifact_type.as_deref())))
    }

    async fn referrer_by_manifest(
        &self,
        query: &ReferrersQuery,
        digest: &Digest,
    ) -> Result<Option<Entry>, StorageError> {
        let Some(stored) = self.manifest(&query.repository, digest).await? else { return Ok(None) };
        let Ok(manifest) = Manifest::parse(&stored.data, None) else { return Ok(None) };
        if manifest.subject.as_ref() != Some(&query.subject) {
            return Ok(None);
        }
        self.index_referrer(&query.repository, digest, stored.data.len() as u64, &manifest).await?;
        let descriptor = descriptor::descriptor(digest, stored.data.len() as u64, &manifest);
        Ok(Some(Entry { descriptor, size_bytes: stored.data.len() }))
    }
}

impl Entry {
    fn is_of(&self, artifact_type: Option<&str>) -> bool {
        artifact_type.is_none_or(|wanted| self.descriptor.get("artifactType").and_then(Value::as_str) == Some(wanted))
    }
}

/// The digest that a name of the index stands for.
fn digest_named(name: &str) -> Option<Digest> {
    name.replacen('-', ":", 1).parse().ok()
}
