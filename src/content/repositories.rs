use super::store::Store;
use crate::oci::{Algorithm, RepositoryName};
use crate::storage::{EntryKind, Key, StorageError, keys};

/// How many names of a folder are looked at at once for one that has a link. distribution leaves empty folders
/// behind when it deletes, so that the first may have none.
const NAMES_AT_ONCE: usize = 100;

impl Store {
    /// Whether a repository holds anything: a manifest or a blob that it links. Uploads do not count. Two driver calls
    /// for one with a manifest, and a few more for others.
    ///
    /// # Errors
    /// Faults of the storage.
    pub(super) async fn holds_content(&self, repository: &RepositoryName) -> Result<bool, StorageError> {
        for algorithm in Algorithm::ALL {
            for folder in [keys::revisions(repository, algorithm), keys::layer_links(repository, algorithm)] {
                if self.has_a_link(&folder).await? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn has_a_link(&self, folder: &Key) -> Result<bool, StorageError> {
        let mut after: Option<String> = None;
        let mut limit = 1;
        loop {
            let page = match self.driver.list(folder, after.as_deref(), limit).await {
                Ok(page) => page,
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) => return Err(error),
            };
            for entry in page.entries.iter().filter(|entry| entry.kind == EntryKind::Folder) {
                let Ok(link) = folder.child(&entry.name).and_then(|digest| digest.child("link")) else { continue };
                match self.driver.stat(&link).await {
                    Ok(_) => return Ok(true),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            after = page.entries.last().map(|entry| entry.name.clone());
            limit = NAMES_AT_ONCE;
            if !page.more {
                return Ok(false);
            }
        }
    }
}
