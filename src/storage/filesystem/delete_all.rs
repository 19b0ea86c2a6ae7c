use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::blocking::Cancelled;
use super::pending;
use super::root::parent_of;
use super::store::Store;
use crate::storage::{Key, StorageError};

/// Deletes what is at `folder` and below, then the folders above that this empties.
pub(super) fn delete_all(
    store: &Store,
    folder: &Key,
    last: Option<&str>,
    cancelled: &Cancelled,
) -> Result<(), StorageError> {
    let fail = |error| StorageError::from_io("delete_all", folder, error);
    let was_pending = pending::delete_all(store, folder, cancelled).map_err(fail)?;
    if was_pending && !store.root.is_there(folder) {
        return Ok(());
    }
    let deletion = Deletion { store, cancelled, said: Cell::new(None) };
    let parent = match store.root.open_parent(folder) {
        Ok(parent) => parent,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(fail(error)),
    };
    let removed = deletion.remove(parent.as_fd(), folder.name().as_bytes(), folder.as_str(), last);
    removed.map_err(fail)?;
    store.root.prune(parent_of(folder.as_str()));
    store.redo.wait(deletion.said.get()).map_err(fail)
}

/// Removes a file, or a folder with all that is in it, which is no object's.
pub(super) fn remove_tree(store: &Store, parent: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let deletion = Deletion { store, cancelled: &Cancelled::default(), said: Cell::new(None) };
    deletion.remove(parent, name.as_bytes(), name, None)
}

struct Deletion<'a> {
    store: &'a Store,
    cancelled: &'a Cancelled,
    /// What was said last to the redo log.
    said: Cell<Option<u64>>,
}

impl Deletion<'_> {
    /// Removes the file or folder `name` of `parent`, whose whole path is `path`. What is not there is removed already.
    fn remove(&self, parent: BorrowedFd<'_>, name: &[u8], path: &str, last: Option<&str>) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match openat(parent, name, flags, Mode::empty()) {
            Ok(folder) => folder,
            // A file, or a link that is in the way: it goes itself, and nothing that it points to.
            Err(Errno::NOTDIR | Errno::LOOP) => return self.remove_file(parent, name, path),
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let (names, last_is_there) = names_but(&folder, last)?;
        for (name, is_folder) in names {
            let path = format!("{path}/{}", String::from_utf8_lossy(&name));
            match is_folder {
                true => self.remove(folder.as_fd(), &name, &path, None)?,
                false => self.remove_file(folder.as_fd(), &name, &path)?,
            }
        }
        if let Some(last) = last.filter(|_| last_is_there) {
            self.remove(folder.as_fd(), last.as_bytes(), &format!("{path}/{last}"), None)?;
        }
        match self.store.root.remove_folder_in(parent, name, path) {
            // Another put something there at this moment: it came after.
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => Ok(()),
            result => result,
        }
    }

    fn remove_file(&self, folder: BorrowedFd<'_>, name: &[u8], path: &str) -> io::Result<()> {
        // What is no key was not put here.
        let key: Option<Key> = path.parse().ok();
        let room = key.as_ref().map(|key| self.store.redo.slot(key)).transpose()?.flatten();
        let _alone = self.store.lock(path);
        self.cancelled.check()?;
        match unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let said = key.and_then(|key| self.store.redo.gone(&key, room.as_ref()));
        self.said.set(said.or(self.said.get()));
        Ok(())
    }
}

/// A name, and whether it may be a folder's.
type Name = (Vec<u8>, bool);

/// The names in a folder without `last`; and whether `last` was among them.
fn names_but(folder: &OwnedFd, last: Option<&str>) -> io::Result<(Vec<Name>, bool)> {
    let mut names = Vec::new();
    let mut last_is_there = false;
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        if last.is_some_and(|last| last.as_bytes() == name) {
            last_is_there = true;
            continue;
        }
        // Where the filesystem does not tell the kind, opening it as a folder does.
        let is_folder = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
        names.push((name.to_vec(), is_folder));
    }
    Ok((names, last_is_there))
}
