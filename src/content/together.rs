//! Looks at several links at once: two driver calls for all of them, in place of two for each.

use super::cache::{Known, LinkKind, Subject};
use super::link;
use super::store::Store;
use crate::oci::{Digest, RepositoryName};
use crate::storage::{Key, StorageError, StorageErrorKind, keys};

/// What a first look at a link shows.
enum Looked {
    /// Nothing is there.
    Absent,
    /// It leads to bytes.
    Whole(Known),
    /// It is broken, or its bytes are gone, or come and go.
    Unclear,
}

impl Store {
    /// Which of the digests the repository does not link, or links to no bytes, in their order. No driver call for what is
    /// known, two for all the others, and two more for each that leads nowhere.
    ///
    /// # Errors
    /// Faults of the storage.
    pub(super) async fn missing<'a>(
        &self,
        repository: &RepositoryName,
        kind: LinkKind,
        digests: impl IntoIterator<Item = &'a Digest>,
    ) -> Result<Vec<&'a Digest>, StorageError> {
        let subject = |digest| Subject { link: Some((repository, kind)), digest };
        let unknown = digests.into_iter().filter(|digest| self.descriptors.get(subject(digest)).is_none());
        let unknown: Vec<&Digest> = unknown.collect();
        let loads: Vec<_> = unknown.iter().map(|digest| self.descriptors.begin(subject(digest))).collect();
        let mut looked = match self.look_at(repository, kind, &unknown).await {
            // One is too long to be a link: each is looked at alone.
            Err(error) if error.kind() == StorageErrorKind::WrongSize => Vec::new().into_iter(),
            looked => looked?.into_iter(),
        };
        let mut missing = Vec::new();
        for (digest, load) in unknown.into_iter().zip(loads) {
            match looked.next() {
                Some(Looked::Absent) => missing.push(digest),
                Some(Looked::Whole(known)) => self.descriptors.keep(load, subject(digest), known),
                Some(Looked::Unclear) | None => {
                    if self.find(repository, kind, digest).await?.is_none() {
                        missing.push(digest);
                    }
                }
            }
        }
        Ok(missing)
    }

    async fn look_at(
        &self,
        repository: &RepositoryName,
        kind: LinkKind,
        digests: &[&Digest],
    ) -> Result<Vec<Looked>, StorageError> {
        let link_of = |digest: &&Digest| match kind {
            LinkKind::Layer => keys::layer_link(repository, digest),
            LinkKind::Revision => keys::revision_link(repository, digest),
        };
        let links: Vec<Key> = digests.iter().map(link_of).collect();
        let links = self.driver.get_each(&links, link::LONGEST_LINK_BYTES).await?;
        let targets = links.iter().map(|link| link::parse(&link.as_ref()?.data));
        let targets: Vec<Option<Digest>> = targets.collect();
        let blobs: Vec<Key> = targets.iter().flatten().map(keys::blob_data).collect();
        let mut blobs = self.driver.stat_each(&blobs).await?.into_iter();
        let looked = links.iter().zip(targets).zip(digests).map(|((link, target), digest)| match (link, target) {
            (None, _) => Looked::Absent,
            (Some(_), None) => Looked::Unclear,
            (Some(_), Some(target)) => match blobs.next().flatten() {
                Some(stat) => Looked::Whole(Known::of(stat.size_bytes, digest, target)),
                None => Looked::Unclear,
            },
        });
        Ok(looked.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::testing::{Fixture, digest_of, repository};

    #[tokio::test]
    async fn what_is_absent_broken_or_without_bytes_is_missing_and_the_rest_is_remembered() {
        let fixture = Fixture::new();
        let name = repository("a");
        let mut digests = Vec::new();
        for number in 0..8_u8 {
            digests.push(fixture.push_blob(&name, &[number]).await);
        }
        let absent = digest_of(b"absent");
        digests.insert(3, absent.clone());
        let (malformed, no_bytes) = (&digests[4], &digests[8]);
        fixture.probe.write(&keys::layer_link(&name, malformed), "sha256:").await;
        fixture.probe.remove(&keys::blob_data(no_bytes)).await;
        let restarted = fixture.restarted();
        let store = &restarted.content.blobs().store;
        assert_eq!(store.missing(&name, LinkKind::Layer, &digests).await.unwrap(), [&absent, malformed, no_bytes]);
        fixture.probe.take_calls();
        let whole = digests.iter().filter(|digest| ![&absent, malformed, no_bytes].contains(digest));
        assert!(store.missing(&name, LinkKind::Layer, whole).await.unwrap().is_empty());
        assert!(fixture.probe.take_calls().is_empty());
        assert_eq!(store.missing(&name, LinkKind::Revision, &digests).await.unwrap().len(), digests.len());
    }

    #[tokio::test]
    async fn a_link_that_is_too_long_hides_no_other() {
        let fixture = Fixture::new();
        let name = repository("a");
        let (long, whole) = (fixture.push_blob(&name, b"1").await, fixture.push_blob(&name, b"2").await);
        fixture.probe.write(&keys::layer_link(&name, &long), vec![b'x'; 2000]).await;
        let restarted = fixture.restarted();
        let store = &restarted.content.blobs().store;
        assert_eq!(store.missing(&name, LinkKind::Layer, [&whole, &long]).await.unwrap(), [&long]);
    }
}
