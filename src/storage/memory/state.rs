use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::pieces::Pieces;
use super::tree::{Folder, Stored};
use crate::storage::{Key, PutMode, StorageError, StorageErrorKind, Version};

/// What an object or a partial costs beside its bytes and its key: nodes of its folders, its stat, its allocations.
const ENTRY_OVERHEAD_BYTES: u64 = 512;

#[derive(Debug)]
pub(super) struct State {
    pub(super) root: Folder,
    pub(super) partials: BTreeMap<Box<str>, Partial>,
    max_bytes: u64,
    used_bytes: u64,
    last_change: u64,
}

#[derive(Debug)]
pub(super) struct Partial {
    pub(super) pieces: Arc<Pieces>,
    /// When bytes came last.
    pub(super) modified: SystemTime,
    /// The number of the writer that owns it.
    pub(super) writer: u64,
}

impl State {
    pub(super) fn new(max_bytes: u64) -> Self {
        State { root: Folder::default(), partials: BTreeMap::new(), max_bytes, used_bytes: 0, last_change: 0 }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    pub(super) fn next_change(&mut self) -> u64 {
        self.last_change += 1;
        self.last_change
    }

    /// Replaces a cost by another, unless that passes the bound.
    pub(super) fn charge(
        &mut self,
        operation: &'static str,
        key: &Key,
        old_bytes: u64,
        new_bytes: u64,
    ) -> Result<(), StorageError> {
        let used_bytes = self.used_bytes - old_bytes + new_bytes;
        if used_bytes > self.max_bytes {
            let bound = format!("{used_bytes} bytes wanted of {} allowed", self.max_bytes);
            return Err(StorageError::with_source(StorageErrorKind::Full, operation, key, bound));
        }
        self.used_bytes = used_bytes;
        Ok(())
    }

    /// Replaces a cost by one that is smaller, or larger by no more than the difference of two keys.
    pub(super) fn settle(&mut self, old_bytes: u64, new_bytes: u64) {
        self.used_bytes = self.used_bytes - old_bytes + new_bytes;
    }

    pub(super) fn put(&mut self, key: &Key, pieces: Pieces, mode: &PutMode) -> Result<Version, StorageError> {
        let fail = |kind| Err(StorageError::new(kind, "put", key));
        let old = self.root.object(key.as_str());
        match mode {
            PutMode::Create if old.is_some() => return fail(StorageErrorKind::AlreadyExists),
            PutMode::Update(expected) if old.map(version).as_ref() != Some(expected) => {
                return fail(StorageErrorKind::VersionMismatch);
            }
            _ => {}
        }
        let old_bytes = old.map_or(0, |stored| cost_bytes(key.as_str().len(), &stored.pieces));
        self.check_place("put", key)?;
        self.charge("put", key, old_bytes, cost_bytes(key.as_str().len(), &pieces))?;
        Ok(version(&self.insert(key, Arc::new(pieces))))
    }

    /// Whether `key` may be an object; a key below an object, or one that is a folder, may not.
    pub(super) fn check_place(&self, operation: &'static str, key: &Key) -> Result<(), StorageError> {
        if self.root.accepts(key.as_str()) {
            return Ok(());
        }
        let cause = "an object cannot stand where a folder does, nor below an object";
        Err(StorageError::with_source(StorageErrorKind::Fault, operation, key, cause))
    }

    pub(super) fn insert(&mut self, key: &Key, pieces: Arc<Pieces>) -> Stored {
        let change = self.next_change();
        let stored = Stored { pieces, modified: SystemTime::now(), version: change };
        self.root.insert(key.as_str(), stored.clone(), change);
        stored
    }

    /// Removes the object or folder at `key`; whether there was one.
    pub(super) fn remove(&mut self, key: &Key) -> bool {
        let change = self.next_change();
        let Some(node) = self.root.remove(key.as_str(), change) else { return false };
        let mut freed_bytes = 0;
        node.each_object(key.as_str().len(), &mut |length, stored| freed_bytes += cost_bytes(length, &stored.pieces));
        self.used_bytes -= freed_bytes;
        true
    }

    /// Removes the partial at `key`; whether there was one.
    pub(super) fn remove_partial(&mut self, key: &str) -> bool {
        let Some(partial) = self.partials.remove(key) else { return false };
        self.used_bytes -= cost_bytes(key.len(), &partial.pieces);
        true
    }

    /// Removes the partial at `folder` and those below it.
    pub(super) fn remove_partials_within(&mut self, folder: &Key) {
        let below = format!("{folder}/");
        let keys: Vec<Box<str>> = self
            .partials
            .range(Box::from(below.as_str())..)
            .map(|(key, _)| key.clone())
            .take_while(|key| key.starts_with(&below))
            .collect();
        for key in keys {
            self.remove_partial(&key);
        }
        self.remove_partial(folder.as_str());
    }
}

/// What an object or a partial under a key of this length costs.
pub(super) fn cost_bytes(key_length: usize, pieces: &Pieces) -> u64 {
    ENTRY_OVERHEAD_BYTES + key_length as u64 + pieces.cost_bytes()
}

pub(super) fn version(stored: &Stored) -> Version {
    Version(stored.version.to_string())
}
