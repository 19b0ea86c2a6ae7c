use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::append::Target;
use super::blocking::Cancelled;
use super::direct::KeptFile;
use super::fence::Fence;
use super::pool::Kind;
use super::redo::{Note, Placing, Survives};
use super::root::parent_of;
use super::store::{Store, change_failed};
use super::{append, blocking, object, pending, read};
use crate::storage::{ByteStream, Checkpoint, Durability, Key, PartialWriter, Stat, StorageError, StorageErrorKind};

/// The writer of a partial, which is a file under its key.
#[derive(Debug)]
pub(super) struct FilesystemPartial {
    store: Arc<Store>,
    key: Key,
    file: Arc<File>,
    /// The same open a second time, while a large upload is written.
    second: Arc<KeptFile>,
    fence: Arc<Fence>,
    offset: u64,
    /// Up to where write-back has been begun.
    written_back: u64,
    /// Whether the file's name would survive a loss of power.
    name_is_durable: bool,
    /// A call failed or was cancelled, so that `offset` may be wrong.
    is_broken: bool,
}

/// Blocks.
pub(super) fn create(store: &Arc<Store>, key: &Key) -> Result<FilesystemPartial, StorageError> {
    let fail = |error| change_failed("create_partial", key, error);
    pending::place(store, key).map_err(fail)?;
    let room = store.redo.slot(key).map_err(fail)?;
    let fence = store.fences.hand_over(key);
    let file = {
        let _mine = fence.enter().map_err(fail)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        store.in_folder(key, |folder| {
            // An object that stands here may be being read: it is not cut, but replaced.
            match unlinkat(&folder, key.name(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(openat(&folder, key.name(), flags, Mode::from_raw_mode(0o666))?)
        })
    };
    let file = file.map_err(fail)?.into();
    let said = store.redo.newest(key).and_then(|before| store.redo.on_disk(key, before, room.as_ref()));
    store.redo.wait(said).map_err(fail)?;
    Ok(FilesystemPartial::new(store, key, file, fence, 0))
}

/// Blocks.
pub(super) fn open(store: &Arc<Store>, key: &Key, at: &Checkpoint) -> Result<FilesystemPartial, StorageError> {
    // Whoever only looks whether there is one needs no room on the disk.
    if store.pending.object(key).is_some() || store.root.is_there(key) {
        pending::place(store, key).map_err(|error| change_failed("open_partial", key, error))?;
    }
    let fence = store.fences.hand_over(key);
    let (file, metadata) = {
        let _mine = fence.enter().map_err(|error| StorageError::from_io("open_partial", key, error))?;
        match object::open(store, "open_partial", key, OFlags::RDWR) {
            // A folder cannot be opened for writing.
            Err(error) if is_a_folder(&error) => {
                return Err(StorageError::new(StorageErrorKind::NotFound, "open_partial", key));
            }
            opened => opened?,
        }
    };
    if metadata.len() < at.offset {
        let cause = format!("it holds {} bytes, and the checkpoint stands at {}", metadata.len(), at.offset);
        return Err(StorageError::with_source(StorageErrorKind::WrongSize, "open_partial", key, cause));
    }
    Ok(FilesystemPartial::new(store, key, file, fence, metadata.len()))
}

fn is_a_folder(error: &StorageError) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::IsADirectory)
}

impl FilesystemPartial {
    fn new(store: &Arc<Store>, key: &Key, file: File, fence: Arc<Fence>, offset: u64) -> Self {
        let (store, key, file) = (store.clone(), key.clone(), Arc::new(file));
        FilesystemPartial {
            store,
            key,
            file,
            second: Arc::default(),
            fence,
            offset,
            written_back: offset,
            name_is_durable: false,
            is_broken: false,
        }
    }

    /// Does `work` on a thread that may block, unless another writer has the partial now: one of the pool's, or its own
    /// where it may take long.
    async fn run<T: Send + 'static>(
        &mut self,
        operation: &'static str,
        kind: Option<Kind>,
        work: impl FnOnce(&Store, &File, &Key) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        if self.is_broken {
            let cause = "a call before it failed or was cancelled; the partial has to be opened again";
            return Err(StorageError::with_source(StorageErrorKind::Fault, operation, &self.key, cause));
        }
        self.is_broken = true;
        let (store, file, fence, key) = (self.store.clone(), self.file.clone(), self.fence.clone(), self.key.clone());
        let work = move |_: &Cancelled| {
            let entered = fence.enter();
            let done = entered.and_then(|_mine| work(&store, &file, &key));
            done.map_err(|error| change_failed(operation, &key, error))
        };
        let done = match kind {
            Some(kind) => blocking::start_in(&self.store.pool, kind, operation, &self.key, work).await?,
            None => blocking::start(operation, &self.key, work).await?,
        };
        self.is_broken = false;
        Ok(done)
    }

    fn newest_checkpoint(&self) -> Checkpoint {
        Checkpoint { offset: self.offset, token: String::new() }
    }

    fn outside(&self, operation: &'static str, offset: u64) -> StorageError {
        let cause = format!("offset {offset} is past its end at {}", self.offset);
        StorageError::with_source(StorageErrorKind::WrongSize, operation, &self.key, cause)
    }
}

#[async_trait]
impl PartialWriter for FilesystemPartial {
    fn offset(&self) -> u64 {
        self.offset
    }

    async fn append(&mut self, batch: Vec<Bytes>) -> Result<(), StorageError> {
        let (offset, written_back, second) = (self.offset, self.written_back, self.second.clone());
        let work = move |store: &Store, file: &File, key: &Key| {
            let end = append::write_all(Target { store, key, file, second: &second }, &batch, offset)?;
            let written_back = if store.ever_syncs() { append::write_back(file, written_back..end) } else { end };
            Ok((end, written_back))
        };
        (self.offset, self.written_back) = self.run("append", Some(Kind::Append), work).await?;
        Ok(())
    }

    async fn checkpoint(&mut self, durability: Durability) -> Result<Checkpoint, StorageError> {
        if self.store.syncs(durability) {
            let name_is_durable = self.name_is_durable;
            let work = move |store: &Store, file: &File, key: &Key| {
                file.sync_data()?;
                if name_is_durable {
                    return Ok(());
                }
                let before = store.root.removals();
                store.root.sync_name(key, &store.root.open_parent(key)?, before)
            };
            self.run("checkpoint", None, work).await?;
            self.name_is_durable = true;
        }
        Ok(self.newest_checkpoint())
    }

    fn standing_checkpoint(&self, durability: Durability) -> Option<Checkpoint> {
        let stands = !self.is_broken && !self.store.syncs(durability);
        stands.then(|| self.newest_checkpoint())
    }

    async fn rewind(&mut self, offset: u64) -> Result<(), StorageError> {
        if offset > self.offset {
            return Err(self.outside("rewind", offset));
        }
        self.run("rewind", Some(Kind::Small), move |_, file, _| file.set_len(offset)).await?;
        self.offset = offset;
        self.written_back = self.written_back.min(offset);
        Ok(())
    }

    async fn read(&mut self, range: Range<u64>) -> Result<ByteStream, StorageError> {
        if range.end > self.offset {
            return Err(self.outside("read", range.end));
        }
        Ok(read::stream(self.file.clone(), self.key.clone(), range))
    }

    async fn publish(mut self: Box<Self>, key: &Key, durability: Durability) -> Result<Stat, StorageError> {
        let target = key.clone();
        let work = move |store: &Store, file: &File, key: &Key| {
            pending::place(store, &target)?;
            // An object's time is that of its publication, not of its last byte.
            rustix::fs::futimens(file, &now())?;
            let survives = if store.syncs(durability) { note_or_sync(store, file, &target)? } else { Survives::AKill };
            let is_synced = matches!(survives, Survives::LossOfPower);
            let before = store.root.removals();
            let mut placing = Placing::new(store, &target, survives)?;
            let Some(folder) = move_to(store, key, &target, &mut placing)? else {
                store.root.prune(parent_of(target.as_str()));
                return Ok(None);
            };
            if is_synced {
                store.root.sync_name(&target, &folder, before)?;
            }
            placing.finish()?;
            store.root.prune(parent_of(key.as_str()));
            object::stat_of(&file.metadata()?).map(Some)
        };
        let kind = (!self.store.syncs(durability)).then_some(Kind::Small);
        let published = self.run("publish", kind, work).await?;
        published.ok_or_else(|| StorageError::new(StorageErrorKind::NotFound, "publish", &self.key))
    }
}

/// Makes the content survive a loss of power under the name it is about to get.
fn note_or_sync(store: &Store, file: &File, target: &Key) -> io::Result<Survives> {
    if let Some(note) = note(store, file, target)? {
        return Ok(Survives::Noted(note));
    }
    file.sync_data()?;
    Ok(Survives::LossOfPower)
}

/// `None` when it is too large, or has to be synced for another reason.
fn note(store: &Store, file: &File, target: &Key) -> io::Result<Option<Note>> {
    let size_bytes = file.metadata()?.len();
    if !store.redo.is_ready_for(size_bytes) {
        return Ok(None);
    }
    let mut content = vec![0; size_bytes as usize];
    file.read_exact_at(&mut content, 0)?;
    let notes = store.redo.note(&[(target, &[content.into()])])?;
    Ok(notes.and_then(|mut notes| notes.pop()))
}

/// Gives the partial another name, in a folder that is returned. `None` when there is no partial.
fn move_to(store: &Store, key: &Key, target: &Key, placing: &mut Placing<'_>) -> io::Result<Option<OwnedFd>> {
    let from = match store.root.open_parent(key) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    store.in_folder(target, |folder| {
        let _alone = store.lock(target.as_str());
        match renameat(&from, key.name(), &folder, target.name()) {
            Ok(()) => {
                placing.placed();
                Ok(Some(folder))
            }
            // Either end may be missing: only the partial's absence is final.
            Err(Errno::NOENT) if is_absent(&from, key.name()) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
}

fn is_absent(folder: &OwnedFd, name: &str) -> bool {
    matches!(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT))
}

/// Both times: then the right to write is enough, and no ownership is needed.
fn now() -> Timestamps {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Timestamps { last_access: now, last_modification: now }
}
