use std::ffi::OsStr;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::direct::DirectWrites;
use super::fence::Fences;
use super::list::ListCache;
use super::lock::{LOCK_FILE, RootLock};
use super::pending::{self, JOURNAL_FILE, Pending};
use super::pool::Pool;
use super::redo::{self, REDO_FILES, RedoLog};
use super::root::{Root, parent_of};
use super::{FilesystemOptions, TEMPORARY_FOLDER};
use crate::storage::{Durability, Key, StorageError, StorageErrorKind};

/// How many keys can be changed at once, about.
const STRIPES: usize = 64;

/// How often a change is tried whose folder others remove at the same moment. Each time it fails, one of them got on.
const ATTEMPTS: usize = 1_000;

/// What all calls share.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) root: Root,
    pub(super) temporary: OwnedFd,
    pub(super) fences: Arc<Fences>,
    pub(super) lists: ListCache,
    pub(super) pending: Pending,
    pub(super) redo: RedoLog,
    pub(super) pool: Pool,
    /// `None` when everything goes through the page cache.
    pub(super) direct: Option<DirectWrites>,
    sync: bool,
    last_temporary: AtomicU64,
    stripes: [Mutex<()>; STRIPES],
    stripe_of: RandomState,
    _lock: RootLock,
}

impl Store {
    pub(super) fn open(options: &FilesystemOptions) -> Result<Self, StorageError> {
        let fail = |error: io::Error| StorageError::from_io("open", options.root.display(), error);
        make_root(options).map_err(fail)?;
        let lock = RootLock::take(&options.root)?;
        let temporary = open_temporary(options).map_err(fail)?;
        let redo_bytes = if options.sync { options.redo_log_bytes } else { 0 };
        let store = Store {
            root: Root::open(&options.root, options.sync).map_err(fail)?,
            temporary,
            fences: Arc::default(),
            lists: ListCache::new(options.list_cache_bytes),
            pending: Pending::open(&options.root),
            redo: RedoLog::new(&options.root, redo_bytes).map_err(fail)?,
            pool: Pool::new(),
            direct: DirectWrites::new(options.direct_io),
            sync: options.sync,
            last_temporary: AtomicU64::new(0),
            stripes: [const { Mutex::new(()) }; STRIPES],
            stripe_of: RandomState::new(),
            _lock: lock,
        };
        redo::recover(&store, &options.root).map_err(fail)?;
        if let Err(error) = pending::recover(&store) {
            // A full disk must not keep an operator from opening it to delete things.
            log::warn!(root:% = options.root.display(), error:%; "what is in the journal cannot be written as files yet");
        }
        Ok(store)
    }

    /// Whether the call has to survive a loss of power.
    pub(super) fn syncs(&self, durability: Durability) -> bool {
        self.sync && durability == Durability::Power
    }

    /// Whether any call ever has to.
    pub(super) fn ever_syncs(&self) -> bool {
        self.sync
    }

    /// Excludes other changes of the same key. Held over a rename, an unlink, or the comparison before it, in a thread
    /// that may block; never over a sync.
    pub(super) fn lock(&self, key: &str) -> MutexGuard<'_, ()> {
        let stripe = self.stripe_of.hash_one(key) as usize % STRIPES;
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn temporary_name(&self) -> String {
        self.last_temporary.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Does `change` with the folder that `key` stands in, which is made if it is missing; again when it is removed
    /// meanwhile. A folder that a failed change leaves empty goes.
    pub(super) fn in_folder<T>(&self, key: &Key, mut change: impl FnMut(OwnedFd) -> io::Result<T>) -> io::Result<T> {
        let mut result = self.root.make_parent(key).and_then(&mut change);
        for _ in 1..ATTEMPTS {
            match &result {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => break,
            }
            result = self.root.make_parent(key).and_then(&mut change);
        }
        if result.is_err() {
            self.root.prune(parent_of(key.as_str()));
        }
        result
    }
}

impl Drop for Store {
    /// Whoever serves the folder next finds files.
    fn drop(&mut self) {
        if let Err(error) = pending::place_all(self) {
            log::warn!(error:%; "what is in the journal cannot be written as files; it is kept there");
        }
        self.redo.close();
    }
}

/// Refuses keys that would be the driver's own files.
pub(super) fn check_key(operation: &'static str, key: &Key) -> Result<(), StorageError> {
    let first = key.as_str().split('/').next().unwrap_or_default();
    if [TEMPORARY_FOLDER, LOCK_FILE, JOURNAL_FILE].contains(&first) || REDO_FILES.contains(&first) {
        let cause = "the name is the driver's own";
        return Err(StorageError::with_source(StorageErrorKind::Fault, operation, key, cause));
    }
    Ok(())
}

/// A failed change: that something was missing says nothing about the object.
pub(super) fn change_failed(operation: &'static str, key: &Key, error: io::Error) -> StorageError {
    let failure = StorageError::from_io(operation, key, error);
    match failure.kind() {
        StorageErrorKind::NotFound | StorageErrorKind::AlreadyExists => {
            StorageError::with_source(StorageErrorKind::Fault, operation, key, failure)
        }
        _ => failure,
    }
}

/// Makes the root if it is missing, so that it survives a loss of power before anything that is put there.
fn make_root(options: &FilesystemOptions) -> io::Result<()> {
    let missing: Vec<&Path> = options.root.ancestors().take_while(|path| !path.exists()).collect();
    std::fs::create_dir_all(&options.root)?;
    if !options.sync {
        return Ok(());
    }
    for made in missing.into_iter().filter_map(Path::parent) {
        // The parent of a relative path of one name is the empty path.
        let parent = if made.as_os_str().is_empty() { Path::new(".") } else { made };
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Makes the folder of temporary files, or empties it: what is there is from puts that a crash cut short.
fn open_temporary(options: &FilesystemOptions) -> io::Result<OwnedFd> {
    let path = options.root.join(TEMPORARY_FOLDER);
    match std::fs::create_dir(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(&path, flags, Mode::empty())?;
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            std::fs::remove_dir_all(path.join(OsStr::from_bytes(entry.file_name().to_bytes())))?;
        } else {
            rustix::fs::unlinkat(&folder, entry.file_name(), AtFlags::empty())?;
        }
    }
    Ok(folder)
}
