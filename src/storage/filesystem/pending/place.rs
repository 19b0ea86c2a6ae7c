//! How what is pending gets on disk.

use std::io;
use std::sync::MutexGuard;

use super::journal::Journal;
use super::touching;
use crate::storage::filesystem::folders;
use crate::storage::filesystem::store::Store;
use crate::storage::{Key, PutMode};

/// Places what is here of `key`, of what is below it and of the folders above.
pub(in crate::storage::filesystem) fn place(store: &Store, key: &Key) -> io::Result<()> {
    if store.pending.is_empty() {
        return Ok(());
    }
    let found = touching(&store.pending.folders(), key.as_str());
    found.iter().try_for_each(|path| place_one(store, path))
}

/// Places all that is here, or as much as can be.
pub(in crate::storage::filesystem) fn place_all(store: &Store) -> io::Result<()> {
    let found: Vec<_> = store.pending.folders().keys().cloned().collect();
    let mut result = Ok(());
    for path in found {
        let placed = place_one(store, &path);
        result = result.and(placed);
    }
    result
}

/// Places what a process that was killed has left, and begins the journal again. What cannot be placed, because the disk
/// is full for instance, stays here.
pub(in crate::storage::filesystem) fn recover(store: &Store) -> io::Result<()> {
    place_all(store)?;
    store.pending.journal().map_or(Ok(()), |mut journal| journal.begin_again())
}

/// The journal, with room for so much, and for saying of all folders that they are gone.
pub(super) fn with_room(store: &Store, entry_bytes: usize) -> Option<MutexGuard<'_, Journal>> {
    let pending = &store.pending;
    let journal = pending.journal()?;
    if journal.has_room(entry_bytes, pending.kept_free_bytes()) {
        return Some(journal);
    }
    drop(journal);
    // Nothing new comes in meanwhile: there is no room for it.
    if let Err(error) = place_all(store) {
        log::warn!(error:%; "the journal is full, and what is in it cannot be written as files");
        return None;
    }
    let mut journal = pending.journal()?;
    if pending.is_empty() && !journal.has_room(entry_bytes, 0) {
        journal.begin_again().ok()?;
    }
    journal.has_room(entry_bytes, pending.kept_free_bytes()).then_some(journal)
}

pub(super) fn place_one(store: &Store, path: &str) -> io::Result<()> {
    let pending = &store.pending;
    let Some(journal) = pending.journal() else { return Ok(()) };
    let (journal, mut found) = pending.settled(journal, |_| vec![path.into()]);
    let Some(folder) = found.pop() else { return Ok(()) };
    let being_placed = |is_being_placed| {
        if let Some(folder) = pending.folders().get_mut(path) {
            folder.is_being_placed = is_being_placed;
        }
    };
    being_placed(true);
    drop(journal);
    let mode = if folder.is_left_over { PutMode::Create } else { PutMode::Overwrite };
    let placed = folders::place(store, &folder.key, &folder.objects, &mode);
    let Some(mut journal) = pending.journal() else { return Ok(()) };
    let noted = placed.and_then(|()| pending.remove(&mut journal, &folder.key));
    being_placed(false);
    drop(journal);
    pending.settled.notify_all();
    noted
}
