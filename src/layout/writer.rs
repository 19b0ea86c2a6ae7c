use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustix::fs::FlockOperation;
use uuid::Uuid;

use super::index::{Index, IndexEntry};
use super::partial::{self, PartialBlob};
use super::{INDEX, LayoutError, MARKER, MARKER_CONTENT, MAX_INDEX_BYTES, blob_path, blocking, folder, read};
use crate::hashing::RunningDigest;
use crate::oci::Digest;

/// What this program's own files in a layout begin with; other programs pass over them.
pub(super) const OWN_PREFIX: &str = ".longshore-";

/// A layout in a folder that is added to, by several tasks and processes at once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LayoutWriter {
    root: PathBuf,
    /// The blobs that were asked for or written through it.
    used: Arc<Mutex<BTreeSet<Digest>>>,
}

impl LayoutWriter {
    /// Opens a folder, which is a layout, or is empty or missing and becomes one.
    ///
    /// # Errors
    /// [`LayoutError::NotALayout`] when something else is in it.
    pub async fn open(root: &Path) -> Result<LayoutWriter, LayoutError> {
        let root = root.to_owned();
        blocking(move || {
            make_layout(&root)?;
            Ok(LayoutWriter { root, used: Arc::default() })
        })
        .await
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The size of a blob that is there whole.
    ///
    /// # Errors
    /// [`LayoutError::Unsafe`] when it is a link.
    pub async fn stat(&self, digest: &Digest) -> Result<Option<u64>, LayoutError> {
        let (root, relative) = (self.root.clone(), blob_path(digest));
        let found = blocking(move || {
            let Some(file) = folder::open_file(&root, &relative)? else { return Ok(None) };
            let metadata = file.metadata().map_err(LayoutError::io("look at", &root.join(&relative)))?;
            Ok(Some(metadata.len()))
        })
        .await?;
        if found.is_some() {
            self.use_of(digest);
        }
        Ok(found)
    }

    /// Begins a blob, or takes up what an earlier run left of it.
    ///
    /// # Errors
    /// [`LayoutError::Busy`] when another process writes it.
    pub async fn begin(&self, digest: &Digest, size_bytes: u64) -> Result<PartialBlob, LayoutError> {
        let begun = PartialBlob::open(&self.root, digest, size_bytes).await?;
        self.use_of(digest);
        Ok(begun)
    }

    /// Writes a short blob, such as a manifest.
    ///
    /// # Errors
    /// [`LayoutError::DigestMismatch`].
    pub async fn put(&self, digest: &Digest, data: Bytes) -> Result<(), LayoutError> {
        let mut running = RunningDigest::new(digest.algorithm());
        running.update(&data);
        let actual = running.finish();
        if actual != *digest {
            return Err(LayoutError::DigestMismatch { expected: digest.clone(), actual });
        }
        self.use_of(digest);
        let place = self.root.join(blob_path(digest));
        blocking(move || {
            make_folders_of_blob(&place)?;
            replace(&place, &data)
        })
        .await
    }

    /// Lists a manifest in the index. A name moves to it from the manifest that had it.
    ///
    /// # Errors
    /// [`LayoutError::Io`], [`LayoutError::Invalid`] when the index there cannot be read.
    pub async fn list(&self, entry: IndexEntry) -> Result<(), LayoutError> {
        let root = self.root.clone();
        blocking(move || {
            let _lock = lock_folder(&root)?;
            let path = root.join(INDEX);
            let mut index = match folder::read_file(&root, INDEX, MAX_INDEX_BYTES)? {
                Some(data) => Index::parse(&path, &data)?,
                None => Index::empty(),
            };
            index.add(&entry);
            replace(&path, &index.to_bytes())?;
            partial::tidy(&root);
            Ok(())
        })
        .await
    }

    /// Makes the index empty; blobs stay.
    pub(super) async fn forget_all(&self) -> Result<(), LayoutError> {
        let root = self.root.clone();
        blocking(move || {
            let _lock = lock_folder(&root)?;
            replace(&root.join(INDEX), &Index::empty().to_bytes())
        })
        .await
    }

    /// The blobs that were asked for or written, in order.
    pub(super) fn used(&self) -> Vec<Digest> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn use_of(&self, digest: &Digest) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone());
    }
}

fn make_layout(root: &Path) -> Result<(), LayoutError> {
    fs::create_dir_all(root).map_err(LayoutError::io("make", root))?;
    let _lock = lock_folder(root)?;
    let marker = root.join(MARKER);
    if let Some(content) = folder::read_file(root, MARKER, MAX_INDEX_BYTES)? {
        return read::check_marker(&marker, &content);
    }
    for entry in fs::read_dir(root).map_err(LayoutError::io("list", root))? {
        let name = entry.map_err(LayoutError::io("list", root))?.file_name();
        if !name.to_string_lossy().starts_with(OWN_PREFIX) {
            return Err(LayoutError::not_a_layout(root, "the folder is not empty, and there is no file oci-layout"));
        }
    }
    // A marker without an index, after a crash between the two, is a layout that lists nothing yet.
    replace(&marker, MARKER_CONTENT.as_bytes())?;
    replace(&root.join(INDEX), &Index::empty().to_bytes())
}

/// Held as long as the file is open; other processes wait.
fn lock_folder(root: &Path) -> Result<File, LayoutError> {
    let failed = LayoutError::io("lock", root);
    let folder = File::open(root).map_err(&failed)?;
    rustix::fs::flock(&folder, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
    Ok(folder)
}

/// Writes a file whole or not at all; it is there after a loss of power.
pub(super) fn replace(path: &Path, data: &[u8]) -> Result<(), LayoutError> {
    let failed = LayoutError::io("write", path);
    let folder = path.parent().expect("it is a file in a layout's folder");
    let temporary = folder.join(format!("{OWN_PREFIX}{}", Uuid::new_v4()));
    let written = File::create_new(&temporary).and_then(|mut file| {
        file.write_all(data)?;
        file.sync_all()
    });
    match written.and_then(|()| fs::rename(&temporary, path)) {
        Ok(()) => sync_folder(folder).map_err(failed),
        Err(error) => {
            // It may not even be there.
            let _ = fs::remove_file(&temporary);
            Err(failed(error))
        }
    }
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes `blobs` and the algorithm's folder, neither of which may be a link that leads elsewhere.
pub(super) fn make_folders_of_blob(blob: &Path) -> Result<(), LayoutError> {
    let algorithm = blob.parent().expect("a blob is in a folder");
    let blobs = algorithm.parent().expect("a folder of blobs is in another");
    for folder in [blobs, algorithm] {
        make_folder(folder)?;
    }
    Ok(())
}

pub(super) fn make_folder(folder: &Path) -> Result<(), LayoutError> {
    match fs::create_dir(folder) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(LayoutError::io("make", folder)(error)),
    }
    match fs::symlink_metadata(folder).map_err(LayoutError::io("look at", folder))?.is_dir() {
        true => Ok(()),
        false => Err(LayoutError::not_safe(folder, "it is no folder")),
    }
}
