//! Objects as files below a folder, laid out as distribution lays them out: a key is a path.
//!
//! # How it keeps the contract
//! - A small object is written to a file of [`TEMPORARY_FOLDER`], synced, renamed into place, and its folder is synced,
//!   with each folder above whose own name might not be on disk yet. A partial is a file under its key, and published
//!   by a rename. With [`FilesystemOptions::sync`] off, nothing is synced.
//! - Several changes are made by one thread, one after the other. A small folder that is put whole (an upload's) is
//!   kept in a journal, `longshore.journal`, until something needs its files, and then written in [`TEMPORARY_FOLDER`]
//!   and moved into place: see `pending` and `folders`.
//! - Create-only is a rename that does not replace. Compare-and-set compares under a lock of this process, which owns the
//!   root ([`RootLock`]). A version is a fingerprint of the content.
//! - A change that was cancelled never comes after one that was made later: it is given up before it takes the key's
//!   lock, or the later one waits for it.
//! - A file that is open for reading stays what it was, whatever becomes of its name.
//! - Deletes are not synced: after a loss of power, what was deleted may be there again. They work on a full disk.
//! - Every call is one piece of work on a thread that may block; a stream is one for each piece. What takes little is done
//!   by few threads (`pool`), what syncs or may read much by a thread of its own.
//!
//! It needs Linux 5.6 or newer (`openat2`). Symbolic links that lead out of the root are refused.

mod append;
mod blocking;
mod cached;
mod delete_all;
mod direct;
mod durable;
mod fence;
mod folders;
mod in_place;
mod list;
mod lock;
mod object;
mod pace;
mod partial;
mod pending;
mod pool;
mod read;
mod redo;
mod root;
mod send;
mod store;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use self::blocking::Cancelled;
pub use self::direct::DirectIo;
pub use self::lock::RootLock;
use self::pool::Kind;
use self::redo::Note;
use self::store::Store;
use super::each::present;
use super::{
    Change, Checkpoint, Driver, Durability, Interrupted, Key, ListPage, Object, ObjectReader, PartialWriter, PutMode,
    Stat, StorageError, Version, keys,
};

/// The folder, directly below the root, of files that are not objects yet. It is emptied when the root is opened.
pub const TEMPORARY_FOLDER: &str = "longshore-tmp";

/// The driver that keeps objects in files. Clones share what they know of the root.
#[derive(Clone, Debug)]
pub struct Filesystem {
    store: Arc<Store>,
}

/// How a [`Filesystem`] is opened.
#[derive(Clone, Debug)]
pub struct FilesystemOptions {
    /// Below which everything is kept; it is made if it is missing.
    pub root: PathBuf,
    /// Whether [`Durability::Power`] syncs; otherwise it is taken for [`Durability::Process`].
    pub sync: bool,
    /// Which partials are written past the page cache, where the filesystem can.
    pub direct_io: DirectIo,
    /// How much of the disk the log takes in which small objects survive a loss of power, instead of being synced one by
    /// one as files. Zero for none.
    pub redo_log_bytes: u64,
    /// How much memory sorted names of listed folders may take, about.
    pub list_cache_bytes: u64,
}

impl FilesystemOptions {
    /// The usual ones: synced, past the page cache, a log of 64 MiB, and 32 MiB of names (a folder of 100,000 tags takes
    /// about 6).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        FilesystemOptions {
            root: root.into(),
            sync: true,
            direct_io: DirectIo::On,
            redo_log_bytes: 64 * 1024 * 1024,
            list_cache_bytes: 32 * 1024 * 1024,
        }
    }
}

impl Filesystem {
    /// Locks the root, and empties its folder of temporary files. Blocks; meant for the start of a process.
    ///
    /// # Errors
    /// Faults, among them that another process has the root.
    pub fn open(options: FilesystemOptions) -> Result<Self, StorageError> {
        Ok(Filesystem { store: Arc::new(Store::open(&options)?) })
    }

    /// Looks at something, or does something else that takes little.
    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &Key,
        work: impl FnOnce(&Arc<Store>, &Key) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.change(operation, key, Takes::Little, |store, key, _| work(store, key)).await
    }

    /// Looks at each: at what the kernel has in its caches here, at all the rest in one piece of work.
    async fn each<T: Send + 'static>(
        &self,
        operation: &'static str,
        keys: &[Key],
        cached: impl Fn(&Store, &Key) -> Option<Result<T, StorageError>>,
        look: impl Fn(&Store, &Key) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<Vec<Option<T>>, StorageError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut rest = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            store::check_key(operation, key)?;
            let here = cached(&self.store, key);
            if here.is_none() {
                rest.push((at, key.clone()));
            }
            found.push(here.map(present).transpose()?.flatten());
        }
        let Some(first) = rest.first().map(|(_, key)| key.clone()) else { return Ok(found) };
        let looked = self.run(operation, &first, move |store, _| {
            rest.into_iter().map(|(at, key)| Ok((at, present(look(store, &key))?))).collect::<Result<Vec<_>, _>>()
        });
        for (at, here) in looked.await? {
            found[at] = here;
        }
        Ok(found)
    }

    /// For what changes a key: see [`Cancelled`].
    async fn change<T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &Key,
        takes: Takes,
        work: impl FnOnce(&Arc<Store>, &Key, &Cancelled) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        store::check_key(operation, key)?;
        let (store, of) = (self.store.clone(), key.clone());
        let work = move |cancelled: &Cancelled| work(&store, &of, cancelled);
        match takes {
            Takes::Little => blocking::start_in(&self.store.pool, Kind::Small, operation, key, work).await,
            Takes::Long => blocking::start(operation, key, work).await,
        }
    }

    /// What a change takes that is to survive so much.
    fn takes(&self, durability: Durability) -> Takes {
        if self.store.syncs(durability) { Takes::Long } else { Takes::Little }
    }
}

/// How much time a piece of work takes where nothing is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Some calls of the kernel, which looks at its caches or at few blocks of the disk.
    Little,
    /// It waits for the disk, or goes through much.
    Long,
}

/// Makes all changes in one piece of work. Blocks.
fn apply(store: &Store, changes: &[Change], cancelled: &Cancelled) -> Result<(), Interrupted> {
    let mut notes = VecDeque::new();
    for (done, change) in changes.iter().enumerate() {
        if notes.is_empty() {
            notes = note_next(store, &changes[done..]).map_err(|cause| Interrupted { done, cause })?;
        }
        let made = match change {
            Change::Put { key, data, durability } => {
                object::overwrite(store, key, data, *durability, cancelled, notes.pop_front())
            }
            Change::PutFolder { folder, objects, durability } => {
                folders::put_folder(store, folder, objects, *durability, cancelled)
            }
            Change::DeleteAll { folder, last } => delete_all::delete_all(store, folder, *last, cancelled),
        };
        made.map_err(|cause| Interrupted { done, cause })?;
    }
    Ok(())
}

/// Notes the objects at the front of `changes` that have to survive a loss of power; one sync does for all of them. None
/// when each has to be looked at by itself.
fn note_next(store: &Store, changes: &[Change]) -> Result<VecDeque<Note>, StorageError> {
    if !store.redo.is_ready() {
        return Ok(VecDeque::new());
    }
    let mut objects: Vec<(&Key, &[Bytes])> = Vec::new();
    for change in changes {
        match change {
            Change::Put { key, data, durability } if store.syncs(*durability) => objects.push((key, data)),
            _ => break,
        }
    }
    if objects.len() < 2 {
        return Ok(VecDeque::new());
    }
    let noted = store.redo.note(&objects).map_err(|error| store::change_failed("put", objects[0].0, error))?;
    Ok(noted.unwrap_or_default().into())
}

#[async_trait]
impl Driver for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    async fn get(&self, key: &Key, limit_bytes: u64) -> Result<Object, StorageError> {
        store::check_key("get", key)?;
        match cached::get(&self.store, key, limit_bytes) {
            Some(result) => result,
            None => self.run("get", key, move |store, key| object::get(store, key, limit_bytes)).await,
        }
    }

    async fn get_each(&self, keys: &[Key], limit_bytes: u64) -> Result<Vec<Option<Object>>, StorageError> {
        let cached = |store: &Store, key: &Key| cached::get(store, key, limit_bytes);
        self.each("get", keys, cached, move |store, key| object::get(store, key, limit_bytes)).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<ObjectReader, StorageError> {
        self.change("read", key, Takes::Long, move |store, key, _| read::open(store, key, range)).await
    }

    async fn put(
        &self,
        key: &Key,
        data: Bytes,
        mode: PutMode,
        durability: Durability,
    ) -> Result<Version, StorageError> {
        self.change("put", key, self.takes(durability), move |store, key, cancelled| {
            object::put(store, key, &data, &mode, durability, cancelled)
        })
        .await
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<(), Interrupted> {
        let Some(first) = changes.first().map(Change::key).cloned() else { return Ok(()) };
        for change in &changes {
            store::check_key("apply", change.key()).map_err(|cause| Interrupted { done: 0, cause })?;
        }
        let syncs = |change: &Change| change.durability().is_some_and(|durability| self.store.syncs(durability));
        let takes = if changes.iter().any(syncs) { Takes::Long } else { Takes::Little };
        let applied =
            self.change("apply", &first, takes, move |store, _, cancelled| Ok(apply(store, &changes, cancelled)));
        applied.await.unwrap_or_else(|cause| Err(Interrupted { done: 0, cause }))
    }

    async fn stat(&self, key: &Key) -> Result<Stat, StorageError> {
        store::check_key("stat", key)?;
        match cached::stat(&self.store, key) {
            Some(result) => result,
            None => self.run("stat", key, |store, key| object::stat(store, key)).await,
        }
    }

    async fn stat_each(&self, keys: &[Key]) -> Result<Vec<Option<Stat>>, StorageError> {
        self.each("stat", keys, cached::stat, object::stat).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StorageError> {
        self.change("delete", key, Takes::Little, |store, key, cancelled| object::delete(store, key, cancelled)).await
    }

    async fn delete_all(&self, folder: &Key, last: Option<&str>) -> Result<(), StorageError> {
        let last = last.map(str::to_owned);
        self.change("delete_all", folder, Takes::Long, move |store, folder, cancelled| {
            delete_all::delete_all(store, folder, last.as_deref(), cancelled)
        })
        .await
    }

    async fn list(&self, folder: &Key, start_after: Option<&str>, limit: usize) -> Result<ListPage, StorageError> {
        let start_after = start_after.map(str::to_owned);
        let list = move |store: &Arc<Store>, folder: &Key, _: &Cancelled| {
            list::list(store, folder, start_after.as_deref(), limit)
        };
        self.change("list", folder, Takes::Long, list).await
    }

    async fn list_mark(&self, folder: &Key) -> Result<Option<String>, StorageError> {
        self.run("list_mark", folder, |store, folder| list::mark(store, folder).map(Some)).await
    }

    async fn create_partial(&self, key: &Key) -> Result<Box<dyn PartialWriter>, StorageError> {
        Ok(Box::new(self.run("create_partial", key, partial::create).await?))
    }

    async fn open_partial(&self, key: &Key, at: &Checkpoint) -> Result<Box<dyn PartialWriter>, StorageError> {
        let at = at.clone();
        Ok(Box::new(self.run("open_partial", key, move |store, key| partial::open(store, key, &at)).await?))
    }

    /// What the filesystem lets an ordinary user write: blocks kept back for the superuser do not count.
    async fn free_space(&self) -> Result<Option<u64>, StorageError> {
        self.run("free_space", &keys::root(), |store, key| {
            let free = store.root.free_space();
            free.map(Some).map_err(|error| StorageError::from_io("free_space", key, error))
        })
        .await
    }
}
