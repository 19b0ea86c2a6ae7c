//! What is changed without a file.

use std::io;
use std::time::SystemTime;

use bytes::Bytes;

use super::place::{place_one, with_room};
use super::{Folder, MOST_ENTRY_BYTES, MOST_FOLDERS, journal, touching, within};
use crate::storage::Key;
use crate::storage::filesystem::blocking::Cancelled;
use crate::storage::filesystem::root::parent_of;
use crate::storage::filesystem::store::Store;

/// Puts a new folder here. `false` when it has to go to disk.
pub(in crate::storage::filesystem) fn put_folder(
    store: &Store,
    folder: &Key,
    objects: &[(Key, Bytes)],
    cancelled: &Cancelled,
) -> io::Result<bool> {
    let pending = &store.pending;
    let Some(entry) = journal::entry_of_folder(folder.as_str(), objects) else { return Ok(false) };
    if pending.journal.is_none() || entry.len() > MOST_ENTRY_BYTES || objects.is_empty() || store.root.is_there(folder)
    {
        return Ok(false);
    }
    let Some(mut journal) = with_room(store, entry.len() + journal::MOST_GONE_BYTES) else {
        return Ok(false);
    };
    cancelled.check()?;
    {
        let folders = pending.folders();
        if folders.len() >= MOST_FOLDERS || !touching(&folders, folder.as_str()).is_empty() {
            return Ok(false);
        }
    }
    match pending.insert(&mut journal, Folder::new(folder.clone(), objects.to_vec()), entry) {
        Ok(()) => Ok(true),
        Err(error) => {
            log::warn!(error:%; "the journal cannot be written; an upload is kept in files");
            Ok(false)
        }
    }
}

/// Puts an object into a folder that is here, over whatever stands there. `false` when it has to go to disk.
pub(in crate::storage::filesystem) fn put(
    store: &Store,
    key: &Key,
    data: &[Bytes],
    cancelled: &Cancelled,
) -> io::Result<bool> {
    let pending = &store.pending;
    let Some(folder) = parent_of(key.as_str()) else { return Ok(false) };
    if pending.is_empty() || !pending.folders().contains_key(folder) {
        return Ok(false);
    }
    let data_bytes: usize = data.iter().map(Bytes::len).sum();
    if data_bytes > MOST_ENTRY_BYTES {
        return Ok(false);
    }
    // More than the entry takes in any case.
    let Some(journal) = with_room(store, 2 * MOST_ENTRY_BYTES) else { return Ok(false) };
    let (mut journal, mut found) = pending.settled(journal, |_| vec![folder.into()]);
    let Some(mut folder) = found.pop().filter(|folder| !folder.is_left_over) else { return Ok(false) };
    let data: Bytes = data.concat().into();
    match folder.objects.iter_mut().find(|(object, _)| object == key) {
        Some((_, old)) => *old = data,
        None => folder.objects.push((key.clone(), data)),
    }
    folder.modified = SystemTime::now();
    let entry = journal::entry_of_folder(folder.key.as_str(), &folder.objects);
    let Some(entry) = entry.filter(|entry| entry.len() <= MOST_ENTRY_BYTES) else { return Ok(false) };
    // Others may have taken the room while this waited.
    if !journal.has_room(entry.len(), pending.kept_free_bytes()) {
        return Ok(false);
    }
    cancelled.check()?;
    pending.insert(&mut journal, folder, entry)?;
    Ok(true)
}

/// Deletes an object of a folder that is here. `false` when there is none.
pub(in crate::storage::filesystem) fn delete(store: &Store, key: &Key, cancelled: &Cancelled) -> io::Result<bool> {
    let pending = &store.pending;
    let Some(folder) = parent_of(key.as_str()) else { return Ok(false) };
    if pending.object(key).is_none() {
        return Ok(false);
    }
    let Some(journal) = pending.journal() else { return Ok(false) };
    let (mut journal, mut found) = pending.settled(journal, |_| vec![folder.into()]);
    let Some(mut folder) = found.pop().filter(|folder| folder.objects.iter().any(|(object, _)| object == key)) else {
        return Ok(false);
    };
    cancelled.check()?;
    folder.objects.retain(|(object, _)| object != key);
    if folder.objects.is_empty() {
        pending.remove(&mut journal, &folder.key)?;
        return Ok(true);
    }
    match journal::entry_of_folder(folder.key.as_str(), &folder.objects) {
        Some(entry) if journal.has_room(entry.len(), pending.kept_free_bytes()) => {
            pending.insert(&mut journal, folder, entry)?;
            Ok(true)
        }
        _ => {
            drop(journal);
            place_one(store, folder.key.as_str())?;
            Ok(false)
        }
    }
}

/// Deletes what is here of `folder` and below. `true` when it was a folder of this place.
pub(in crate::storage::filesystem) fn delete_all(
    store: &Store,
    folder: &Key,
    cancelled: &Cancelled,
) -> io::Result<bool> {
    let pending = &store.pending;
    if pending.is_empty() {
        return Ok(false);
    }
    // It may be an object.
    delete(store, folder, cancelled)?;
    let Some(journal) = pending.journal() else { return Ok(false) };
    let (mut journal, found) = pending.settled(journal, |folders| within(folders, folder.as_str()));
    for found in &found {
        cancelled.check()?;
        pending.remove(&mut journal, &found.key)?;
    }
    Ok(found.iter().any(|found| found.key == *folder))
}
