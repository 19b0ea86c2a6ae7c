//! Objects in the memory of this process: for tests, for caches that may be lost, and for trying things out.
//!
//! It is bounded: past [`MemoryOptions::max_bytes`] a call is `Full`. What is deleted or replaced while it is being
//! read is counted no more, but stays until its reader is gone. Nothing survives the process.
//!
//! It tells no free space: that is there so that a registry leaves room on a disk for others, and nobody else uses the
//! bound up. A store that is smaller than what is to stay free would take nothing at all.

mod partial;
mod pieces;
mod state;
mod tree;

use std::fmt;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use self::pieces::Pieces;
use self::state::{State, version};
use self::tree::{Node, Stored};
use super::{
    Checkpoint, Driver, Durability, Entry, EntryKind, Key, ListPage, Object, ObjectReader, PartialWriter, PutMode,
    Stat, StorageError, StorageErrorKind, Version,
};

/// The driver that keeps objects in memory. Clones share them.
#[derive(Clone)]
pub struct Memory {
    state: Arc<Mutex<State>>,
}

/// How a [`Memory`] is made.
#[derive(Clone, Debug)]
pub struct MemoryOptions {
    /// How much it may hold: bytes of objects and partials, their keys, and about 0.5 KiB for each.
    pub max_bytes: u64,
}

impl Memory {
    /// An empty store.
    pub fn new(options: MemoryOptions) -> Self {
        Memory { state: Arc::new(Mutex::new(State::new(options.max_bytes))) }
    }

    /// How much of the bound is used. An empty store uses nothing.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    /// Held for moves of pointers only, never over an await.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stored(&self, operation: &'static str, key: &Key) -> Result<Stored, StorageError> {
        let state = self.lock();
        let stored = state.root.object(key.as_str());
        stored.cloned().ok_or_else(|| StorageError::new(StorageErrorKind::NotFound, operation, key))
    }
}

#[async_trait]
impl Driver for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn get(&self, key: &Key, limit_bytes: u64) -> Result<Object, StorageError> {
        let stored = self.stored("get", key)?;
        if stored.pieces.size_bytes() > limit_bytes {
            return Err(StorageError::new(StorageErrorKind::WrongSize, "get", key));
        }
        Ok(Object { data: stored.pieces.to_bytes(), version: version(&stored) })
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<ObjectReader, StorageError> {
        let stored = self.stored("read", key)?;
        let stat = stored.stat();
        let range = range.unwrap_or(0..stat.size_bytes);
        let end = range.end.min(stat.size_bytes);
        let range = range.start.min(end)..end;
        Ok(ObjectReader { stat, range: range.clone(), stream: stored.pieces.stream(range), sender: None })
    }

    async fn put(
        &self,
        key: &Key,
        data: Bytes,
        mode: PutMode,
        _durability: Durability,
    ) -> Result<Version, StorageError> {
        self.lock().put(key, Pieces::of(data), &mode)
    }

    async fn stat(&self, key: &Key) -> Result<Stat, StorageError> {
        if let Some(partial) = self.lock().partials.get(key.as_str()) {
            return Ok(Stat { size_bytes: partial.pieces.size_bytes(), modified: partial.modified });
        }
        Ok(self.stored("stat", key)?.stat())
    }

    async fn delete(&self, key: &Key) -> Result<(), StorageError> {
        let mut state = self.lock();
        let had_partial = state.remove_partial(key.as_str());
        let had_object = state.root.object(key.as_str()).is_some() && state.remove(key);
        if !had_partial && !had_object {
            return Err(StorageError::new(StorageErrorKind::NotFound, "delete", key));
        }
        Ok(())
    }

    /// All at once, so that `last` makes no difference.
    async fn delete_all(&self, folder: &Key, _last: Option<&str>) -> Result<(), StorageError> {
        let mut state = self.lock();
        state.remove_partials_within(folder);
        state.remove(folder);
        Ok(())
    }

    async fn list(&self, folder: &Key, start_after: Option<&str>, limit: usize) -> Result<ListPage, StorageError> {
        let state = self.lock();
        let Some(found) = state.root.folder(folder.as_str()) else {
            return Err(StorageError::new(StorageErrorKind::NotFound, "list", folder));
        };
        let after = start_after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = found.nodes.range::<str, _>((after, Bound::Unbounded));
        let entries = rest.by_ref().take(limit).map(|(name, node)| entry(name, node)).collect();
        Ok(ListPage { entries, more: rest.next().is_some() })
    }

    async fn list_mark(&self, folder: &Key) -> Result<Option<String>, StorageError> {
        let state = self.lock();
        let Some(found) = state.root.folder(folder.as_str()) else {
            return Err(StorageError::new(StorageErrorKind::NotFound, "list_mark", folder));
        };
        Ok(Some(found.mark.to_string()))
    }

    async fn create_partial(&self, key: &Key) -> Result<Box<dyn PartialWriter>, StorageError> {
        Ok(Box::new(partial::create(self, key)?))
    }

    async fn open_partial(&self, key: &Key, at: &Checkpoint) -> Result<Box<dyn PartialWriter>, StorageError> {
        Ok(Box::new(partial::open(self, key, at)?))
    }
}

fn entry(name: &str, node: &Node) -> Entry {
    let kind = match node {
        Node::Folder(_) => EntryKind::Folder,
        Node::Object(_) => EntryKind::Object,
    };
    Entry { name: name.to_owned(), kind }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("used_bytes", &self.used_bytes()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::suite::{self, Subject};

    #[tokio::test(flavor = "multi_thread")]
    async fn the_suite_passes() {
        suite::run(|| {
            let memory = Memory::new(MemoryOptions { max_bytes: 64 << 20 });
            let counted = memory.clone();
            Subject::with_leftovers(Arc::new(memory), move || {
                let used_bytes = counted.used_bytes();
                (used_bytes > 0).then(|| format!("{used_bytes} bytes")).into_iter().collect()
            })
        })
        .await;
    }

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn past_its_bound_it_is_full_until_something_is_deleted() {
        let memory = Memory::new(MemoryOptions { max_bytes: 10_000 });
        let put = |name: &'static str, size: usize| {
            let memory = memory.clone();
            let data = Bytes::from(vec![1; size]);
            async move { memory.put(&key(name), data, PutMode::Overwrite, Durability::Process).await }
        };
        put("a", 5_000).await.unwrap();
        assert_eq!(put("b", 5_000).await.unwrap_err().kind(), StorageErrorKind::Full);
        put("a", 6_000).await.expect("the old object makes room for the new one");
        let mut partial = memory.create_partial(&key("p")).await.unwrap();
        partial.append(vec![Bytes::from(vec![2; 2_000])]).await.unwrap();
        let full = partial.append(vec![Bytes::from(vec![2; 2_000])]).await.unwrap_err();
        assert_eq!(full.kind(), StorageErrorKind::Full);
        assert_eq!(full.to_string(), "storage: append p: no space left: 11218 bytes wanted of 10000 allowed");
        memory.delete(&key("a")).await.unwrap();
        put("b", 5_000).await.unwrap();
        memory.delete(&key("b")).await.unwrap();
        memory.delete(&key("p")).await.unwrap();
        assert_eq!(memory.used_bytes(), 0);
    }

    #[tokio::test]
    async fn publishing_moves_the_pieces() {
        let memory = Memory::new(MemoryOptions { max_bytes: 1 << 20 });
        let data = Bytes::from(vec![3; 100_000]);
        let mut partial = memory.create_partial(&key("uploads/1/data")).await.unwrap();
        partial.append(vec![data.clone()]).await.unwrap();
        partial.publish(&key("blobs/1"), Durability::Process).await.unwrap();
        let object = memory.get(&key("blobs/1"), u64::MAX).await.unwrap();
        assert_eq!(object.data.as_ptr(), data.as_ptr());
        memory.delete(&key("blobs/1")).await.unwrap();
        assert_eq!(memory.used_bytes(), 0);
    }
}
