use std::collections::VecDeque;
use std::sync::Arc;

use super::ContentPage;
use super::store::Store;
use crate::oci::RepositoryName;
use crate::storage::{Entry, EntryKind, Key, StorageError, keys};

/// The repositories that hold something. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalog {
    store: Arc<Store>,
}

/// How many names of a folder are held at once.
const NAMES_AT_ONCE: usize = 256;

impl Catalog {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Catalog { store }
    }

    /// At most `limit` names of repositories after `last` (which need not exist), in the order of [`RepositoryName`].
    ///
    /// A repository counts when it links a manifest or a blob. The walk starts at `last` and ends with the page: it
    /// costs about three driver calls for each repository on the page, and one for each folder between.
    ///
    /// # Errors
    /// Faults of the storage.
    pub async fn page(&self, last: Option<&str>, limit: usize) -> Result<ContentPage<RepositoryName>, StorageError> {
        let mut page = ContentPage::empty();
        if limit == 0 {
            return Ok(page);
        }
        let mut walk = Walk::after(&self.store, last);
        while let Some(name) = walk.next().await? {
            if page.items.len() == limit {
                page.more = true;
                break;
            }
            page.items.push(name);
        }
        Ok(page)
    }

    /// Whether a repository holds anything. A few driver calls.
    ///
    /// # Errors
    /// Faults of the storage.
    pub async fn contains(&self, repository: &RepositoryName) -> Result<bool, StorageError> {
        self.store.holds_content(repository).await
    }
}

/// A walk through the tree of folders, in the order of names by component: a folder before what is inside it, and
/// siblings by their bytes.
struct Walk<'a> {
    store: &'a Store,
    /// The folders that the walk is in, the innermost last.
    open: Vec<OpenFolder>,
}

struct OpenFolder {
    key: Key,
    /// The names between the slashes up to here; empty for the root.
    path: String,
    /// Names that were read and not walked yet.
    ahead: VecDeque<Entry>,
    /// The last name that was read.
    after: Option<String>,
    /// Whether all names were read.
    is_read: bool,
}

impl OpenFolder {
    fn new(key: Key, path: String, after: Option<&str>) -> Self {
        OpenFolder { key, path, ahead: VecDeque::new(), after: after.map(str::to_owned), is_read: false }
    }

    async fn read_on(&mut self, store: &Store) -> Result<(), StorageError> {
        let page = match store.driver.list(&self.key, self.after.as_deref(), NAMES_AT_ONCE).await {
            Ok(page) => page,
            Err(error) if error.is_not_found() => Default::default(),
            Err(error) => return Err(error),
        };
        self.is_read = !page.more;
        self.after = page.entries.last().map(|entry| entry.name.clone()).or(self.after.take());
        self.ahead.extend(page.entries);
        Ok(())
    }

    async fn next(&mut self, store: &Store) -> Result<Option<String>, StorageError> {
        loop {
            while let Some(entry) = self.ahead.pop_front() {
                if entry.kind == EntryKind::Folder && !entry.name.starts_with('_') {
                    return Ok(Some(entry.name));
                }
            }
            if self.is_read {
                return Ok(None);
            }
            self.read_on(store).await?;
        }
    }

    /// Whether what was read rules out that this is a repository: its own folders would be there.
    fn is_surely_no_repository(&self) -> bool {
        let is_own = |entry: &Entry| matches!(entry.name.as_str(), "_layers" | "_manifests");
        self.is_read && !self.ahead.iter().any(is_own)
    }
}

impl<'a> Walk<'a> {
    /// A walk that begins after `last`: behind each of its components in the folder that holds it, the innermost
    /// folder first.
    fn after(store: &'a Store, last: Option<&str>) -> Self {
        let root = keys::repositories();
        let mut open = Vec::new();
        let mut inside = Some(OpenFolder::new(root, String::new(), None));
        for component in last.into_iter().flat_map(|last| last.split('/')) {
            let Some(folder) = inside.take() else { break };
            let path = joined(&folder.path, component);
            // What is no name has nothing inside. So `last` is followed no deeper than names go, however long it is.
            let is_name = path.parse::<RepositoryName>().is_ok();
            let key = folder.key.child(component).ok().filter(|_| is_name);
            inside = key.map(|key| OpenFolder::new(key, path, None));
            open.push(OpenFolder { after: Some(component.to_owned()), ..folder });
        }
        open.extend(inside);
        Walk { store, open }
    }

    async fn next(&mut self) -> Result<Option<RepositoryName>, StorageError> {
        while let Some(folder) = self.open.last_mut() {
            let Some(component) = folder.next(self.store).await? else {
                self.open.pop();
                continue;
            };
            // What is not a name by the grammar, or too long, is nobody's repository, and nothing inside it is.
            let path = joined(&folder.path, &component);
            let (Ok(name), Ok(key)) = (path.parse::<RepositoryName>(), folder.key.child(&component)) else { continue };
            let mut inside = OpenFolder::new(key, path, None);
            inside.read_on(self.store).await?;
            let may_be_repository = !inside.is_surely_no_repository();
            self.open.push(inside);
            if may_be_repository && self.store.holds_content(&name).await? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

fn joined(path: &str, component: &str) -> String {
    if path.is_empty() { component.to_owned() } else { format!("{path}/{component}") }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
