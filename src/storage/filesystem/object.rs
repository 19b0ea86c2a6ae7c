use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::SystemTime;

use bytes::Bytes;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, linkat, openat, renameat, renameat_with, unlinkat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::blocking::Cancelled;
use super::pending;
use super::redo::{Note, Placing, Survives};
use super::root::parent_of;
use super::store::{Store, change_failed};
use crate::oci::to_hex;
use crate::storage::{Durability, Key, Object, PutMode, Stat, StorageError, StorageErrorKind, Version};

/// Up to this length an object is its own version: every link is shorter.
const OWN_VERSION_BYTES: u64 = 128;

/// Opens an object, and refuses everything else.
pub(super) fn open(
    store: &Store,
    operation: &'static str,
    key: &Key,
    flags: OFlags,
) -> Result<(File, Metadata), StorageError> {
    let fail = |error| StorageError::from_io(operation, key, error);
    let file = store.root.open_file(key, flags).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if metadata.is_dir() {
        return Err(StorageError::new(StorageErrorKind::NotFound, operation, key));
    }
    if !metadata.is_file() {
        let cause = "it is neither a file nor a folder";
        return Err(StorageError::with_source(StorageErrorKind::Fault, operation, key, cause));
    }
    Ok((file, metadata))
}

pub(super) fn stat_of(metadata: &Metadata) -> io::Result<Stat> {
    Ok(Stat { size_bytes: metadata.len(), modified: metadata.modified()? })
}

pub(super) fn get(store: &Store, key: &Key, limit_bytes: u64) -> Result<Object, StorageError> {
    if let Some((data, _)) = store.pending.object(key) {
        return get_pending(key, data, limit_bytes);
    }
    let fail = |error| StorageError::from_io("get", key, error);
    let too_large = || StorageError::new(StorageErrorKind::WrongSize, "get", key);
    let (file, metadata) = open(store, "get", key, OFlags::RDONLY)?;
    if metadata.len() > limit_bytes {
        return Err(too_large());
    }
    let mut data = Vec::with_capacity(metadata.len() as usize + 1);
    // A partial may grow meanwhile.
    file.take(limit_bytes.saturating_add(1)).read_to_end(&mut data).map_err(fail)?;
    if data.len() as u64 > limit_bytes {
        return Err(too_large());
    }
    let version = version_of(&mut data.as_slice(), data.len() as u64).map_err(fail)?;
    Ok(Object { data: data.into(), version })
}

/// The same with bytes that are in memory.
pub(super) fn get_pending(key: &Key, data: Bytes, limit_bytes: u64) -> Result<Object, StorageError> {
    let size_bytes = data.len() as u64;
    if size_bytes > limit_bytes {
        return Err(StorageError::new(StorageErrorKind::WrongSize, "get", key));
    }
    let version = version_of(&mut data.as_ref(), size_bytes);
    let version = version.map_err(|error| StorageError::from_io("get", key, error))?;
    Ok(Object { data, version })
}

pub(super) fn stat(store: &Store, key: &Key) -> Result<Stat, StorageError> {
    if let Some((_, stat)) = store.pending.object(key) {
        return Ok(stat);
    }
    let (_, metadata) = open(store, "stat", key, OFlags::PATH)?;
    stat_of(&metadata).map_err(|error| StorageError::from_io("stat", key, error))
}

pub(super) fn delete(store: &Store, key: &Key, cancelled: &Cancelled) -> Result<(), StorageError> {
    let fail = |error: io::Error| match error.kind() {
        io::ErrorKind::IsADirectory => StorageError::new(StorageErrorKind::NotFound, "delete", key),
        _ => StorageError::from_io("delete", key, error),
    };
    if pending::delete(store, key, cancelled).map_err(|error| change_failed("delete", key, error))? {
        return Ok(());
    }
    let folder = store.root.open_parent(key).map_err(fail)?;
    let room = store.redo.slot(key).map_err(fail)?;
    let said = {
        let _alone = store.lock(key.as_str());
        cancelled.check().map_err(fail)?;
        unlinkat(&folder, key.name(), AtFlags::empty()).map_err(|error| fail(error.into()))?;
        store.redo.gone(key, room.as_ref())
    };
    store.root.prune(parent_of(key.as_str()));
    store.redo.wait(said).map_err(fail)
}

pub(super) fn put(
    store: &Store,
    key: &Key,
    data: &Bytes,
    mode: &PutMode,
    durability: Durability,
    cancelled: &Cancelled,
) -> Result<Version, StorageError> {
    place(store, key, std::slice::from_ref(data), mode, durability, cancelled, None)?;
    version_of(&mut data.as_ref(), data.len() as u64).map_err(|error| change_failed("put", key, error))
}

/// Puts an object in pieces over whatever stands there. It may have been noted before.
pub(super) fn overwrite(
    store: &Store,
    key: &Key,
    data: &[Bytes],
    durability: Durability,
    cancelled: &Cancelled,
    note: Option<Note>,
) -> Result<(), StorageError> {
    place(store, key, data, &PutMode::Overwrite, durability, cancelled, note)
}

fn place(
    store: &Store,
    key: &Key,
    data: &[Bytes],
    mode: &PutMode,
    durability: Durability,
    cancelled: &Cancelled,
    note: Option<Note>,
) -> Result<(), StorageError> {
    let fail = |error| change_failed("put", key, error);
    let is_overwrite = *mode == PutMode::Overwrite;
    if !store.syncs(durability) {
        if is_overwrite && pending::put(store, key, data, cancelled).map_err(fail)? {
            return Ok(());
        }
        pending::place(store, key).map_err(fail)?;
        return place_file(store, key, data, mode, Survives::AKill, cancelled);
    }
    pending::place(store, key).map_err(fail)?;
    let data_bytes = data.iter().map(|piece| piece.len() as u64).sum();
    let note = match note {
        None if is_overwrite && store.redo.is_ready_for(data_bytes) => {
            store.redo.note(&[(key, data)]).map_err(fail)?.and_then(|mut notes| notes.pop())
        }
        note => note,
    };
    let survives = note.map_or(Survives::LossOfPower, Survives::Noted);
    place_file(store, key, data, mode, survives, cancelled)
}

/// Writes a file, whatever is pending.
pub(super) fn place_file(
    store: &Store,
    key: &Key,
    data: &[Bytes],
    mode: &PutMode,
    survives: Survives,
    cancelled: &Cancelled,
) -> Result<(), StorageError> {
    let fail = |error| change_failed("put", key, error);
    if *mode == PutMode::Create && store.root.open_file(key, OFlags::PATH).is_ok() {
        return Err(StorageError::new(StorageErrorKind::AlreadyExists, "put", key));
    }
    let is_synced = matches!(survives, Survives::LossOfPower);
    let before = store.root.removals();
    let modified = if let Survives::AKillAsOf(time) = survives { Some(time) } else { None };
    let mut temporary = Temporary::write(store, data, modified, is_synced).map_err(fail)?;
    let mut placing = Placing::new(store, key, survives).map_err(fail)?;
    let create_only = *mode == PutMode::Create;
    let mut is_other_version = false;
    let placed = store.in_folder(key, |folder| {
        let _alone = store.lock(key.as_str());
        cancelled.check()?;
        if let PutMode::Update(expected) = mode {
            is_other_version = current_version(&folder, key.name())?.as_ref() != Some(expected);
            if is_other_version {
                return Err(io::Error::other("the object has another version, or there is none"));
            }
        }
        temporary.place(&folder, key.name(), create_only)?;
        placing.placed();
        Ok(folder)
    });
    let folder = placed.map_err(|error| match error.kind() {
        _ if is_other_version => StorageError::with_source(StorageErrorKind::VersionMismatch, "put", key, error),
        io::ErrorKind::AlreadyExists if create_only => StorageError::from_io("put", key, error),
        _ => fail(error),
    })?;
    if is_synced {
        store.root.sync_name(key, &folder, before).map_err(fail)?;
    }
    placing.finish().map_err(fail)
}

/// A file that is not an object yet. It goes when this is dropped, unless it has been placed.
struct Temporary<'a> {
    store: &'a Store,
    name: String,
    placed: bool,
}

impl<'a> Temporary<'a> {
    fn write(store: &'a Store, data: &[Bytes], modified: Option<SystemTime>, sync: bool) -> io::Result<Self> {
        let temporary = Temporary { store, name: store.temporary_name(), placed: false };
        let file = write_new(&store.temporary, &temporary.name, data)?;
        if let Some(time) = modified {
            file.set_modified(time)?;
        }
        if sync {
            file.sync_data()?;
        }
        Ok(temporary)
    }

    /// Makes it the object `name` of `folder`.
    fn place(&mut self, folder: &OwnedFd, name: &str, create_only: bool) -> io::Result<()> {
        let from = (&self.store.temporary, self.name.as_str());
        if !create_only {
            renameat(from.0, from.1, folder, name)?;
            self.placed = true;
            return Ok(());
        }
        match renameat_with(from.0, from.1, folder, name, RenameFlags::NOREPLACE) {
            Ok(()) => self.placed = true,
            // Some filesystems do not have it; a second link is refused just as well, and the first goes with `self`.
            Err(Errno::INVAL | Errno::NOSYS) => linkat(from.0, from.1, folder, name, AtFlags::empty())?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if self.placed {
            return;
        }
        match unlinkat(&self.store.temporary, self.name.as_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => log::warn!(name = self.name, error = error.to_string(); "cannot remove a temporary file"),
        }
    }
}

/// Writes a file that is not there yet.
pub(super) fn write_new(folder: &OwnedFd, path: &str, data: &[Bytes]) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = File::from(openat(folder, path, flags, Mode::from_raw_mode(0o666))?);
    for piece in data {
        file.write_all(piece)?;
    }
    Ok(file)
}

/// The content itself, made text.
fn own_version(content: &[u8]) -> Version {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !b"\\'\"".contains(byte);
    match std::str::from_utf8(content) {
        // Links are; it is what the other way gives, too.
        Ok(text) if content.iter().all(is_plain) => Version(["bytes:", text].concat()),
        _ => Version(format!("bytes:{}", content.escape_ascii())),
    }
}

fn current_version(folder: &OwnedFd, name: &str) -> io::Result<Option<Version>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = match openat(folder, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let size_bytes = file.metadata()?.len();
    version_of(&mut file, size_bytes).map(Some)
}

/// A fingerprint of the content: the same bytes have the same version, whoever wrote them and when.
pub(super) fn version_of(content: &mut dyn io::Read, size_bytes: u64) -> io::Result<Version> {
    if size_bytes <= OWN_VERSION_BYTES {
        let mut whole = Vec::with_capacity(size_bytes as usize + 1);
        content.take(OWN_VERSION_BYTES).read_to_end(&mut whole)?;
        return Ok(own_version(&whole));
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = content.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        hash.update(&buffer[..length]);
    }
    Ok(Version(format!("sha256:{}", to_hex(&hash.finalize()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_same_whichever_way_it_is_made() {
        for byte in 0..=255_u8 {
            let content = [b'a', byte, b'z'];
            assert_eq!(own_version(&content), Version(format!("bytes:{}", content.escape_ascii())), "{byte:#x}");
        }
        assert_ne!(own_version(b"\n"), own_version(br"\n"));
        assert_eq!(own_version(b"sha256:ab"), Version("bytes:sha256:ab".to_owned()));
    }
}
