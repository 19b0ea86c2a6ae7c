//! What is done with the log that another process has left.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::OFlags;

use super::entry::{Entry, Says};
use super::mount::Mount;
use super::{Survives, entry, file};
use crate::storage::filesystem::blocking::Cancelled;
use crate::storage::filesystem::object;
use crate::storage::filesystem::store::Store;
use crate::storage::{Key, PutMode, StorageError, StorageErrorKind};

/// A file that is so much newer than its entry was written by another registry, since.
const NEWER: Duration = Duration::from_secs(60);

/// What an object has to be.
enum Last {
    There(Bytes, SystemTime),
    Absent(SystemTime),
}

/// Makes the files what the log says, where the filesystem is mounted anew since, as after a loss of power, and empties the
/// log.
///
/// # Errors
/// Then the files are not what they were, and nobody may be served.
pub(in crate::storage::filesystem) fn recover(store: &Store, path: &Path) -> io::Result<()> {
    let Some(files) = file::open(path)? else { return file::remove(path) };
    let mut halves = Vec::new();
    let (mut is_of_this_mount, mut is_lost) = (true, false);
    for mut file in &files {
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let entries = entry::read(content.into())?;
        if let Some(Entry { says: Says::Begun { mount }, .. }) = entries.first() {
            is_of_this_mount &= store.redo.0.mount.is(mount);
            is_lost |= *mount == Mount::lost();
            halves.push((entries, file));
        }
    }
    // The older one is replayed first, and emptied first.
    halves.sort_by_key(|(entries, _)| entries.first().map(|entry| entry.epoch));
    if !is_of_this_mount {
        let restored = replay(store, halves.iter().flat_map(|(entries, _)| entries), is_lost)?;
        let root = path.display();
        log::warn!(root:%, restored; "power was lost, or it is mounted anew; what had not been written yet was put again");
    }
    if !halves.is_empty() {
        if let Err(error) = rustix::fs::syncfs(File::open(path)?) {
            // The next start must not believe the next sync.
            files.iter().try_for_each(file::mark_as_lost)?;
            return Err(error.into());
        }
        halves.iter().try_for_each(|(_, file)| file::empty(file))?;
    }
    let mut state = store.redo.0.lock();
    if !matches!(state.stage, super::Stage::Cold(_)) || files_differ(&files, store.redo.0.half_bytes)? {
        return file::remove(path);
    }
    state.files = Some(Arc::new(files));
    Ok(())
}

fn files_differ(files: &[File; 2], half_bytes: u64) -> io::Result<bool> {
    Ok(files[0].metadata()?.len() != half_bytes || files[1].metadata()?.len() != half_bytes)
}

/// How many objects were not what the log says.
fn replay<'a>(store: &Store, entries: impl Iterator<Item = &'a Entry> + Clone, is_lost: bool) -> io::Result<usize> {
    let mut restored = 0;
    let (there, absent): (Vec<_>, Vec<_>) =
        last_of_each(entries).into_iter().partition(|(_, last)| matches!(last, Last::There(..)));
    // The disk may be full.
    for (key, last) in absent.into_iter().chain(there) {
        restored += usize::from(restore(store, &key, last, is_lost)?);
    }
    Ok(restored)
}

fn last_of_each<'a>(entries: impl Iterator<Item = &'a Entry> + Clone) -> HashMap<Key, Last> {
    let revoked: HashSet<u64> = entries.clone().filter_map(revoked_by).collect();
    let mut puts = HashMap::new();
    let mut last = HashMap::new();
    for entry in entries.filter(|entry| !revoked.contains(&entry.number)) {
        let (key, is) = match &entry.says {
            Says::Begun { .. } | Says::Revoked { .. } => continue,
            Says::Put { key, data } => {
                let data: Bytes = data.first().cloned().unwrap_or_default();
                puts.insert(entry.number, data.clone());
                (key, Some(Last::There(data, entry.written)))
            }
            // Of a half that is empty again: it is on disk since.
            Says::Again { key, number } => (key, puts.get(number).map(|data| Last::There(data.clone(), entry.written))),
            Says::Gone { key } => (key, Some(Last::Absent(entry.written))),
            Says::OnDisk { key } => (key, None),
        };
        match is {
            Some(is) => drop(last.insert(key.clone(), is)),
            None => drop(last.remove(key)),
        }
    }
    last
}

fn revoked_by(entry: &Entry) -> Option<u64> {
    match entry.says {
        Says::Revoked { number, .. } => Some(number),
        _ => None,
    }
}

/// Whether it was not what it has to be. What is lost may look right: it stands in the cache, and is not on the disk.
fn restore(store: &Store, key: &Key, last: Last, is_lost: bool) -> io::Result<bool> {
    let (data, written) = match last {
        Last::There(data, written) => (Some(data), written),
        Last::Absent(written) => (None, written),
    };
    let found = match object::open(store, "recover", key, OFlags::RDONLY) {
        Ok((file, metadata)) => Some((file, metadata)),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(io_error(error)),
    };
    if let Some((_, metadata)) = &found
        && metadata.modified()?.duration_since(written).is_ok_and(|since| since > NEWER)
    {
        return Ok(false);
    }
    let nobody_leaves = Cancelled::default();
    match (found, data) {
        (None, None) => Ok(false),
        (Some(_), None) => object::delete(store, key, &nobody_leaves).map(|()| true).map_err(io_error),
        (found, Some(data)) => {
            if !is_lost && found.is_some_and(|(file, _)| has_content(file, &data)) {
                return Ok(false);
            }
            // With the time of its entry: should the power be lost again, it is not taken for newer.
            let survives = if is_lost { Survives::LossOfPower } else { Survives::AKillAsOf(written) };
            let pieces = std::slice::from_ref(&data);
            let put = object::place_file(store, key, pieces, &PutMode::Overwrite, survives, &nobody_leaves);
            put.map(|()| true).map_err(io_error)
        }
    }
}

fn has_content(file: File, data: &Bytes) -> bool {
    let mut content = Vec::with_capacity(data.len() + 1);
    file.take(data.len() as u64 + 1).read_to_end(&mut content).is_ok() && content == *data
}

fn io_error(error: StorageError) -> io::Error {
    match error.kind() {
        StorageErrorKind::Full => io::Error::new(io::ErrorKind::StorageFull, error),
        _ => io::Error::other(error),
    }
}
