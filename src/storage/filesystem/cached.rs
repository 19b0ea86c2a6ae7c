//! Reads of small objects that wait for no disk, so that they need no thread that may block.
//!
//! The kernel is asked to open by what it has in its caches only (`RESOLVE_CACHED`, Linux 5.12), and to copy only pages
//! that are in memory (`RWF_NOWAIT`). Where it would have to wait, or anything is unusual, nothing is known here
//! (`None`), and a thread that may block does it over.

use std::fs::File;
use std::io::IoSliceMut;

use rustix::fs::OFlags;
use rustix::io::{ReadWriteFlags, preadv2};

use super::object;
use super::store::Store;
use crate::storage::{Key, Object, Stat, StorageError};

/// The largest object that is copied here: it takes a few microseconds.
const MOST_BYTES: u64 = 16 * 1024;

/// As [`object::get`].
pub(super) fn get(store: &Store, key: &Key, limit_bytes: u64) -> Option<Result<Object, StorageError>> {
    if let Some((data, _)) = store.pending.object(key) {
        return Some(object::get_pending(key, data, limit_bytes));
    }
    let file = match open(store, "get", key, OFlags::RDONLY)? {
        Ok(file) => file,
        Err(absent) => return Some(Err(absent)),
    };
    let metadata = file.metadata().ok().filter(|metadata| metadata.is_file())?;
    let size_bytes = metadata.len();
    if size_bytes > MOST_BYTES.min(limit_bytes) {
        return None;
    }
    // One byte more shows that it grows.
    let mut data = vec![0; size_bytes as usize + 1];
    let read_bytes = preadv2(&file, &mut [IoSliceMut::new(&mut data)], 0, ReadWriteFlags::NOWAIT).ok()?;
    if read_bytes as u64 != size_bytes {
        return None;
    }
    data.truncate(read_bytes);
    let version = object::version_of(&mut data.as_slice(), size_bytes).ok()?;
    Some(Ok(Object { data: data.into(), version }))
}

/// As [`object::stat`].
pub(super) fn stat(store: &Store, key: &Key) -> Option<Result<Stat, StorageError>> {
    if let Some((_, stat)) = store.pending.object(key) {
        return Some(Ok(stat));
    }
    let file = match open(store, "stat", key, OFlags::PATH)? {
        Ok(file) => file,
        Err(absent) => return Some(Err(absent)),
    };
    let metadata = file.metadata().ok().filter(|metadata| metadata.is_file())?;
    object::stat_of(&metadata).ok().map(Ok)
}

/// What is there under a key, a file or not; that nothing is there is known, too.
fn open(store: &Store, operation: &'static str, key: &Key, flags: OFlags) -> Option<Result<File, StorageError>> {
    // What is no file at all does not hold the thread up either.
    match store.root.open_cached(key, flags | OFlags::NONBLOCK) {
        Ok(file) => Some(Ok(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some(Err(StorageError::from_io(operation, key, error)))
        }
        Err(_) => None,
    }
}
