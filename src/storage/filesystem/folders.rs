//! Small folders that appear whole, such as those of uploads.
//!
//! A folder is written among the temporary files and renamed into place: its files need no names of their own there, and
//! nobody finds some of them without the others. Most are never written: see `pending`.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;

use bytes::Bytes;
use rustix::fs::{Mode, mkdirat, renameat};
use rustix::io::Errno;

use super::blocking::Cancelled;
use super::delete_all::remove_tree;
use super::redo::{Note, Survives};
use super::store::{Store, change_failed};
use super::{object, pending};
use crate::storage::{Durability, Key, PutMode, StorageError, StorageErrorKind};

/// Puts objects directly below a folder: all at once when it is new, and nothing has to survive a loss of power.
pub(super) fn put_folder(
    store: &Store,
    folder: &Key,
    objects: &[(Key, Bytes)],
    durability: Durability,
    cancelled: &Cancelled,
) -> Result<(), StorageError> {
    let fail = |error| change_failed("put_folder", folder, error);
    if !store.syncs(durability) && pending::put_folder(store, folder, objects, cancelled).map_err(fail)? {
        return Ok(());
    }
    pending::place(store, folder).map_err(fail)?;
    if !store.syncs(durability) && place_new(store, folder, objects, cancelled).map_err(fail)? {
        return Ok(());
    }
    let mut notes = note_all(store, objects, durability).map_err(fail)?;
    for (key, data) in objects {
        object::overwrite(store, key, std::slice::from_ref(data), durability, cancelled, notes.pop_front())?;
    }
    Ok(())
}

/// One sync for all where they have to survive a loss of power. None when each has to be looked at by itself.
fn note_all(store: &Store, objects: &[(Key, Bytes)], durability: Durability) -> io::Result<VecDeque<Note>> {
    if !store.syncs(durability) || !store.redo.is_ready() {
        return Ok(VecDeque::new());
    }
    let objects: Vec<_> = objects.iter().map(|(key, data)| (key, std::slice::from_ref(data))).collect();
    Ok(store.redo.note(&objects)?.unwrap_or_default().into())
}

/// Writes a folder that was pending. Where there is such a folder already, the objects are put into it as `mode` says.
pub(super) fn place(store: &Store, folder: &Key, objects: &[(Key, Bytes)], mode: &PutMode) -> io::Result<()> {
    let nobody_leaves = Cancelled::default();
    if place_new(store, folder, objects, &nobody_leaves)? {
        return Ok(());
    }
    for (key, data) in objects {
        match object::place_file(store, key, std::slice::from_ref(data), mode, Survives::AKill, &nobody_leaves) {
            Err(error) if error.kind() == StorageErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == StorageErrorKind::Full => {
                return Err(io::Error::new(io::ErrorKind::StorageFull, error));
            }
            placed => placed.map_err(io::Error::other)?,
        }
    }
    Ok(())
}

/// `false` when there is such a folder already.
fn place_new(store: &Store, folder: &Key, objects: &[(Key, Bytes)], cancelled: &Cancelled) -> io::Result<bool> {
    let name = store.temporary_name();
    let placed = write_temporary(store, &name, objects).and_then(|()| {
        store.in_folder(folder, |parent| {
            let _alone = store.lock(folder.as_str());
            cancelled.check()?;
            match renameat(&store.temporary, name.as_str(), &parent, folder.name()) {
                Ok(()) => Ok(true),
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
    });
    if !matches!(placed, Ok(true)) {
        remove_temporary(store, &name);
    }
    placed
}

fn write_temporary(store: &Store, name: &str, objects: &[(Key, Bytes)]) -> io::Result<()> {
    mkdirat(&store.temporary, name, Mode::from_raw_mode(0o777))?;
    for (key, data) in objects {
        let path = format!("{name}/{}", key.name());
        object::write_new(&store.temporary, &path, std::slice::from_ref(data))?;
    }
    Ok(())
}

/// What stays is removed when the root is next opened.
fn remove_temporary(store: &Store, name: &str) {
    match remove_tree(store, store.temporary.as_fd(), name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!(name, error = error.to_string(); "cannot remove a temporary folder");
        }
        _ => {}
    }
}
