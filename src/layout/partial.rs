//! Blobs that grow in files of their own until their digest is verified.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::lock::open_locked;
use super::writer::{make_folder, make_folders_of_blob, sync_folder};
use super::{LayoutError, blob_path, blocking};
use crate::hashing::RunningDigest;
use crate::oci::Digest;

/// The folder of those that are not whole.
const FOLDER: &str = ".longshore-partial";

/// What is gathered before it is written, so that small pieces cost no call each.
const BATCH_BYTES: usize = 1 << 20;

/// What nobody took up for so long is not taken up any more.
const KEPT_FOR: Duration = Duration::from_secs(14 * 24 * 3600);

/// A blob that is being written. Dropped, it stays on the disk as far as it has come, and can be taken up again.
#[derive(Debug)]
pub struct PartialBlob {
    /// Locked against other processes.
    file: Arc<File>,
    path: PathBuf,
    target: PathBuf,
    digest: Digest,
    size_bytes: u64,
    /// Of what is in the file.
    running: RunningDigest,
    resumed_from: u64,
    batch: Vec<Bytes>,
    batch_bytes: usize,
}

impl PartialBlob {
    pub(super) async fn open(root: &Path, digest: &Digest, size_bytes: u64) -> Result<PartialBlob, LayoutError> {
        let folder = root.join(FOLDER);
        let path = folder.join(format!("{}-{}", digest.algorithm(), digest.hex()));
        let target = root.join(blob_path(digest));
        let digest = digest.clone();
        blocking(move || {
            make_folders_of_blob(&target)?;
            let file = open_partial(&folder, &path)?;
            let running = hash_kept(&file, &digest, size_bytes).map_err(LayoutError::io("read", &path))?;
            let resumed_from = running.offset();
            let file = Arc::new(file);
            let (batch, batch_bytes) = (Vec::new(), 0);
            Ok(PartialBlob { file, path, target, digest, size_bytes, running, resumed_from, batch, batch_bytes })
        })
        .await
    }

    /// How many bytes are there: where to go on.
    pub fn offset(&self) -> u64 {
        self.running.offset() + self.batch_bytes as u64
    }

    /// How many of them an earlier run had left.
    pub fn resumed_from(&self) -> u64 {
        self.resumed_from
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`LayoutError::WrongSize`] when they go past the blob's end; [`LayoutError::Io`].
    pub async fn write(&mut self, piece: Bytes) -> Result<(), LayoutError> {
        let end = self.offset() + piece.len() as u64;
        if end > self.size_bytes {
            return Err(self.wrong_size(end));
        }
        self.batch_bytes += piece.len();
        self.batch.push(piece);
        match self.batch_bytes >= BATCH_BYTES {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    /// Verifies the digest and gives the blob its name.
    ///
    /// # Errors
    /// [`LayoutError::WrongSize`] when bytes are missing, which leaves it as it is; [`LayoutError::DigestMismatch`],
    /// after which there is nothing left of it.
    pub async fn finish(mut self) -> Result<(), LayoutError> {
        self.flush().await?;
        if self.offset() != self.size_bytes {
            return Err(self.wrong_size(self.offset()));
        }
        let actual = self.running.finish();
        blocking(move || {
            if actual != self.digest {
                fs::remove_file(&self.path).map_err(LayoutError::io("remove", &self.path))?;
                return Err(LayoutError::DigestMismatch { expected: self.digest.clone(), actual });
            }
            let folder = self.target.parent().expect("a blob is in a folder");
            let published = self.file.sync_all().and_then(|()| fs::rename(&self.path, &self.target));
            published.and_then(|()| sync_folder(folder)).map_err(LayoutError::io("write", &self.target))
        })
        .await
    }

    /// Throws away what is there, to begin anew.
    ///
    /// # Errors
    /// [`LayoutError::Io`].
    pub async fn restart(&mut self) -> Result<(), LayoutError> {
        (self.batch, self.batch_bytes, self.resumed_from) = (Vec::new(), 0, 0);
        self.running = RunningDigest::new(self.digest.algorithm());
        let (file, path) = (self.file.clone(), self.path.clone());
        blocking(move || file.set_len(0).map_err(LayoutError::io("cut", &path))).await
    }

    /// Writes and hashes what was gathered. By offset, so that it can be done again when the caller left in between.
    pub(super) async fn flush(&mut self) -> Result<(), LayoutError> {
        let batch = self.batch.clone();
        let (file, path, mut running) = (self.file.clone(), self.path.clone(), self.running.clone());
        self.running = blocking(move || {
            for piece in batch {
                file.write_all_at(&piece, running.offset()).map_err(LayoutError::io("write", &path))?;
                running.update(&piece);
            }
            Ok(running)
        })
        .await?;
        self.batch.clear();
        self.batch_bytes = 0;
        Ok(())
    }

    fn wrong_size(&self, actual_bytes: u64) -> LayoutError {
        LayoutError::WrongSize { digest: self.digest.clone(), expected_bytes: self.size_bytes, actual_bytes }
    }
}

/// Removes what is old, and the folder when nothing is in it. What fails is tried again the next time.
pub(super) fn tidy(root: &Path) {
    let folder = root.join(FOLDER);
    let Ok(entries) = fs::read_dir(&folder) else { return };
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > KEPT_FOR));
        if is_old && let Ok(Some(_lock)) = open_locked(&entry.path(), 0o666) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let _ = fs::remove_dir(&folder);
}

/// Opens the file and keeps others away from it, until it is closed.
fn open_partial(folder: &Path, path: &Path) -> Result<File, LayoutError> {
    loop {
        make_folder(folder)?;
        match open_locked(path, 0o666) {
            Ok(Some(file)) => return Ok(file),
            Ok(None) => return Err(LayoutError::Busy { path: path.to_owned() }),
            // The folder was removed in between, by another process that found it empty.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(LayoutError::io("open", path)(error)),
        }
    }
}

/// The digest of what is there. More than there can be is none of this blob's.
fn hash_kept(file: &File, digest: &Digest, size_bytes: u64) -> io::Result<RunningDigest> {
    let mut running = RunningDigest::new(digest.algorithm());
    if file.metadata()?.len() > size_bytes {
        file.set_len(0)?;
        return Ok(running);
    }
    let mut buffer = vec![0; BATCH_BYTES];
    loop {
        let read = file.read_at(&mut buffer, running.offset())?;
        if read == 0 {
            return Ok(running);
        }
        running.update(&buffer[..read]);
    }
}
