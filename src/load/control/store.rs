use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::hashing::RunningDigest;
use crate::oci::{Algorithm, Digest};

/// What was received: a file for each upload, and in memory what is known of them.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    next_id: AtomicU64,
    uploads: Mutex<HashMap<u64, Arc<Mutex<Upload>>>>,
    blobs: Mutex<HashMap<Digest, Blob>>,
}

/// An upload that is not committed yet.
pub(super) struct Upload {
    path: PathBuf,
    /// Made when the first byte comes.
    file: Option<File>,
    digest: RunningDigest,
}

/// What was committed.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) path: PathBuf,
    pub(super) size_bytes: u64,
}

impl Store {
    /// Keeps its files in a folder that is there.
    pub(super) fn new(folder: PathBuf) -> Store {
        Store { folder, next_id: AtomicU64::new(1), uploads: Mutex::default(), blobs: Mutex::default() }
    }

    /// Begins an upload; gives its id.
    pub(super) fn begin(&self) -> u64 {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let upload = Upload { path: self.path(id), file: None, digest: RunningDigest::new(Algorithm::Sha256) };
        lock(&self.uploads).insert(id, Arc::new(Mutex::new(upload)));
        id
    }

    pub(super) fn upload(&self, id: u64) -> Option<Arc<Mutex<Upload>>> {
        lock(&self.uploads).get(&id).cloned()
    }

    /// Makes a blob of an upload whose digest was found to be right. Of two of one digest the older stays.
    pub(super) fn commit(&self, id: u64, upload: &mut Upload, digest: &Digest) -> io::Result<()> {
        upload.open()?;
        upload.file = None;
        if lock(&self.uploads).remove(&id).is_none() {
            return Err(io::Error::other("it was cancelled meanwhile"));
        }
        let is_known = match lock(&self.blobs).entry(digest.clone()) {
            Entry::Occupied(_) => true,
            Entry::Vacant(vacant) => {
                vacant.insert(Blob { path: upload.path.clone(), size_bytes: upload.size_bytes() });
                false
            }
        };
        if is_known { fs::remove_file(&upload.path) } else { Ok(()) }
    }

    /// Forgets an upload; its file goes. `false` when there is none.
    pub(super) fn cancel(&self, id: u64) -> bool {
        if lock(&self.uploads).remove(&id).is_none() {
            return false;
        }
        match fs::remove_file(self.path(id)) {
            // It had not begun.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => log::warn!(upload = id, error:% = error; "file of an upload could not be removed"),
            Ok(()) => {}
        }
        true
    }

    fn path(&self, id: u64) -> PathBuf {
        self.folder.join(id.to_string())
    }

    pub(super) fn blob(&self, digest: &Digest) -> Option<Blob> {
        lock(&self.blobs).get(digest).cloned()
    }
}

impl Upload {
    pub(super) fn size_bytes(&self) -> u64 {
        self.digest.offset()
    }

    pub(super) fn digest(&self) -> Digest {
        self.digest.finish()
    }

    /// What its next bytes go to.
    pub(super) fn open(&mut self) -> io::Result<(&mut File, &mut RunningDigest)> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::create_new(&self.path)?,
        };
        Ok((self.file.insert(file), &mut self.digest))
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("path", &self.path).field("size_bytes", &self.size_bytes()).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked left whole values: each change is one insertion or removal.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
