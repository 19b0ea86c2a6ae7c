//! A walk through all repositories' uploads, page by page, in memory that does not depend on how many there are.

use std::collections::VecDeque;

use crate::oci::RepositoryName;
use crate::storage::{Entry, EntryKind, Key, SharedDriver, StorageError, keys};

/// How many names of a folder are held at once.
const NAMES_AT_ONCE: usize = 256;

/// The name of the folder of a repository's uploads.
const UPLOADS: &str = "_uploads";

/// What a step of the walk came upon.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A folder, or more of its names.
    Folder,
    /// A repository with uploads.
    Repository,
    /// A name among a repository's uploads.
    Upload(RepositoryName, String),
}

pub(super) struct Walk {
    driver: SharedDriver,
    /// The folders that the walk is in, the innermost last.
    open: Vec<Folder>,
}

struct Folder {
    key: Key,
    /// The names between the slashes up to here; empty for the root.
    path: String,
    /// The repository whose uploads these are, in such a folder.
    uploads_of: Option<RepositoryName>,
    ahead: VecDeque<Entry>,
    after: Option<String>,
    is_read: bool,
}

impl Folder {
    fn new(key: Key, path: String, uploads_of: Option<RepositoryName>) -> Self {
        Folder { key, path, uploads_of, ahead: VecDeque::new(), after: None, is_read: false }
    }
}

impl Walk {
    pub fn new(driver: SharedDriver) -> Self {
        Walk { driver, open: vec![Folder::new(keys::repositories(), String::new(), None)] }
    }

    /// Goes one step, which is one driver call at most; `None` at the end. After an error it goes on behind the folder
    /// that could not be read.
    pub async fn next(&mut self) -> Result<Option<Step>, StorageError> {
        let Some(folder) = self.open.last_mut() else { return Ok(None) };
        if folder.ahead.is_empty() && !folder.is_read {
            if let Err(error) = read_on(&self.driver, folder).await {
                self.open.pop();
                return Err(error);
            }
            return Ok(Some(Step::Folder));
        }
        let Some(entry) = folder.ahead.pop_front() else {
            self.open.pop();
            return Ok(Some(Step::Folder));
        };
        if let Some(repository) = &folder.uploads_of {
            return Ok(Some(Step::Upload(repository.clone(), entry.name)));
        }
        let Ok(key) = folder.key.child(&entry.name) else { return Ok(Some(Step::Folder)) };
        if entry.name == UPLOADS {
            // Above it stands a name by the grammar, or it is nobody's.
            let Ok(repository) = folder.path.parse::<RepositoryName>() else { return Ok(Some(Step::Folder)) };
            let path = folder.path.clone();
            self.open.push(Folder::new(key, path, Some(repository)));
            return Ok(Some(Step::Repository));
        }
        if entry.kind == EntryKind::Folder && !entry.name.starts_with('_') {
            let path = match folder.path.as_str() {
                "" => entry.name,
                above => format!("{above}/{}", entry.name),
            };
            self.open.push(Folder::new(key, path, None));
        }
        Ok(Some(Step::Folder))
    }
}

async fn read_on(driver: &SharedDriver, folder: &mut Folder) -> Result<(), StorageError> {
    let page = match driver.list(&folder.key, folder.after.as_deref(), NAMES_AT_ONCE).await {
        Ok(page) => page,
        // It went meanwhile.
        Err(error) if error.is_not_found() => Default::default(),
        Err(error) => return Err(error),
    };
    folder.is_read = !page.more;
    folder.after = page.entries.last().map(|entry| entry.name.clone()).or(folder.after.take());
    folder.ahead.extend(page.entries);
    Ok(())
}
