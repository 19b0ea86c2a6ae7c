use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use moka::sync::Cache;

use crate::content::store::Store;
use crate::oci::{Algorithm, Digest, Manifest, RepositoryName};
use crate::storage::{PutMode, StorageError, StorageErrorKind, keys};

/// How many unknown manifests are read at once.
const READS_AT_ONCE: usize = 8;
/// How many names are held of a long list.
const NAMES_AT_ONCE: usize = 10_000;
/// The record of a sixteenth of a repository's manifests; one that is larger is written anew.
const LARGEST_RECORD_BYTES: u64 = 64 << 20;

/// Of which state of their revisions' folders the index knows all manifests, by repository.
#[derive(Debug)]
pub(in crate::content) struct ScanMarks {
    known: Cache<RepositoryName, Marks>,
}

type Marks = [FolderMark; Algorithm::ALL.len()];

/// The state of a folder, as far as the store tells.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FolderMark {
    Absent,
    /// The store has no marks: it is compared once in this process, since what comes later goes through the index.
    Untold,
    Mark(String),
}

impl ScanMarks {
    const MAX_REPOSITORIES: u64 = 10_000;

    pub(in crate::content) fn new() -> Self {
        ScanMarks { known: Cache::new(Self::MAX_REPOSITORIES) }
    }
}

impl Store {
    /// Enters the manifests into the index that it does not know. Two driver calls when nothing changed.
    pub(super) async fn index_unknown_revisions(&self, repository: &RepositoryName) -> Result<(), StorageError> {
        // Marks before names: what is added meanwhile changes them.
        let marks = self.revision_marks(repository).await?;
        if self.scan_marks.known.get(repository).as_ref() == Some(&marks) {
            return Ok(());
        }
        for (algorithm, mark) in Algorithm::ALL.into_iter().zip(&marks) {
            if *mark != FolderMark::Absent {
                self.index_unknown_of(repository, algorithm).await?;
            }
        }
        self.scan_marks.known.insert(repository.clone(), marks);
        Ok(())
    }

    /// Takes a manifest that is gone out of the record of those that the index knows, so that it is read again should
    /// it come back unseen.
    pub(in crate::content) async fn forget_scanned(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), StorageError> {
        let part = Part::of(repository, digest);
        let _one_at_a_time = self.scan_locks.of(&part).write().await;
        let mut known = self.read_part(&part).await?;
        if known.remove(digest.hex()) { self.write_part(&part, &known).await } else { Ok(()) }
    }

    async fn revision_marks(&self, repository: &RepositoryName) -> Result<Marks, StorageError> {
        let mut marks = [FolderMark::Absent, FolderMark::Absent];
        for (mark, algorithm) in marks.iter_mut().zip(Algorithm::ALL) {
            *mark = match self.driver.list_mark(&keys::revisions(repository, algorithm)).await {
                Ok(Some(text)) => FolderMark::Mark(text),
                Ok(None) => FolderMark::Untold,
                Err(error) if error.is_not_found() => FolderMark::Absent,
                Err(error) => return Err(error),
            };
        }
        Ok(marks)
    }

    async fn index_unknown_of(&self, repository: &RepositoryName, algorithm: Algorithm) -> Result<(), StorageError> {
        let folder = keys::revisions(repository, algorithm);
        let mut after: Option<String> = None;
        let mut gathered: Vec<Digest> = Vec::new();
        loop {
            let page = match self.driver.list(&folder, after.as_deref(), NAMES_AT_ONCE).await {
                Ok(page) => page,
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(error),
            };
            after = page.entries.last().map(|entry| entry.name.clone());
            // Names come in order, and so part by part.
            for digest in page.entries.iter().filter_map(|entry| Digest::from_hex(algorithm, &entry.name).ok()) {
                if gathered.first().is_some_and(|first| first_digit(first) != first_digit(&digest)) {
                    self.index_unknown_of_part(repository, std::mem::take(&mut gathered)).await?;
                }
                gathered.push(digest);
            }
            if !page.more {
                break;
            }
        }
        self.index_unknown_of_part(repository, gathered).await
    }

    async fn index_unknown_of_part(
        &self,
        repository: &RepositoryName,
        present: Vec<Digest>,
    ) -> Result<(), StorageError> {
        let Some(first) = present.first() else { return Ok(()) };
        let part = Part::of(repository, first);
        let _one_at_a_time = self.scan_locks.of(&part).write().await;
        let known_before = self.read_part(&part).await?;
        let (mut known, mut unknown) = (BTreeSet::new(), Vec::new());
        for digest in present {
            if known_before.contains(digest.hex()) {
                known.insert(digest.hex().to_owned());
            } else {
                unknown.push(digest);
            }
        }
        let mut read = stream::iter(unknown.into_iter().map(|digest| async move {
            Ok::<_, StorageError>((self.index_revision(repository, &digest).await?, digest))
        }))
        .buffer_unordered(READS_AT_ONCE);
        while let Some((is_there, digest)) = read.try_next().await? {
            if is_there {
                known.insert(digest.hex().to_owned());
            }
        }
        if known == known_before { Ok(()) } else { self.write_part(&part, &known).await }
    }

    /// Reads one manifest and enters it if it has a subject; `false` when there is none.
    async fn index_revision(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, StorageError> {
        let _not_removed_meanwhile = self.revision_locks.of(&(repository, digest)).read().await;
        let Some(stored) = self.manifest(repository, digest).await? else { return Ok(false) };
        // What is stored and would not be accepted today is listed nowhere.
        if let Ok(manifest) = Manifest::parse(&stored.data, None) {
            self.index_referrer(repository, digest, stored.data.len() as u64, &manifest).await?;
        }
        Ok(true)
    }

    async fn read_part(&self, part: &Part<'_>) -> Result<BTreeSet<String>, StorageError> {
        match self.driver.get(&part.key(), LARGEST_RECORD_BYTES).await {
            Ok(object) => Ok(String::from_utf8_lossy(&object.data).lines().map(str::to_owned).collect()),
            Err(error) if error.is_not_found() || error.kind() == StorageErrorKind::WrongSize => Ok(BTreeSet::new()),
            Err(error) => Err(error),
        }
    }

    async fn write_part(&self, part: &Part<'_>, known: &BTreeSet<String>) -> Result<(), StorageError> {
        if known.is_empty() {
            return self.delete_if_present(&part.key()).await.map(|_| ());
        }
        let mut text = String::new();
        for hex in known {
            text.push_str(hex);
            text.push('\n');
        }
        let durability = self.options.durability;
        match self.driver.put(&part.key(), Bytes::from(text), PutMode::Overwrite, durability).await {
            // Deleting works on a full store, and so do lists: without the record, its part is read again.
            Err(error) if error.kind() == StorageErrorKind::Full => {
                self.delete_if_present(&part.key()).await.map(|_| ())
            }
            written => written.map(|_| ()),
        }
    }
}

/// The record is kept in parts, by the first digit of the digests, so that none gets too large to be written whole.
#[derive(Hash)]
struct Part<'a> {
    repository: &'a RepositoryName,
    algorithm: Algorithm,
    first_digit: char,
}

impl<'a> Part<'a> {
    fn of(repository: &'a RepositoryName, digest: &Digest) -> Self {
        Part { repository, algorithm: digest.algorithm(), first_digit: first_digit(digest) }
    }

    fn key(&self) -> crate::storage::Key {
        keys::scanned_revisions(self.repository, self.algorithm, self.first_digit)
    }
}

fn first_digit(digest: &Digest) -> char {
    digest.hex().chars().next().expect("a digest has hexadecimal digits")
}
