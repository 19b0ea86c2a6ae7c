//! Writing past the page cache (`O_DIRECT`): large uploads are not copied into pages that have to be found, filled,
//! written back and given up again.
//!
//! Raw writes of 1 GiB on a virtual machine (ext4, virtio): 0.09 s of system time in steps of 512 KiB, against 0.25 to 0.5 s
//! through the page cache in steps of 64 KiB; and up to 3 s where the memory of the pages has to be got from the host
//! first. Bytes that do not lie in memory as a disk can take them are copied into buffers that are used again: 0.06 to
//! 0.2 s for a GiB.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::append::{Target, Unwritten};
use super::in_place::{ALIGNMENT, Layout};
use super::pace::Pace;

/// With less than this in a batch it is not worth its calls: 64 KiB at once took 0.45 s for each GiB, 256 KiB 0.14 s. Many
/// uploads at once have batches as small as that: 1,000 of 4 MiB, in batches of 128 KiB, took 2.4 s in all for each GiB, and
/// through the page cache 4 s.
pub(super) const LEAST_BYTES: usize = 64 * 1024;

/// How much is copied for one write at most.
const BUFFER_BYTES: usize = 512 * 1024;

/// How many such writes there are at once. When the disk has more to do than that, the page cache takes what comes.
const MOST_BUFFERS: usize = 16;

/// Which uploads are written past the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectIo {
    /// None.
    Off,
    /// The large ones, as long as the disk takes them faster than 128 MiB a second: the page cache takes what a slow one
    /// would hold up.
    WhileFast,
    /// The large ones.
    On,
}

/// How many files stay open for the next batch, where descriptors are plenty: of so many uploads at once none opens its
/// file for each.
const MOST_FILES: u64 = 64;

/// Where a partial keeps its file that is open a second time, if it does.
pub(super) type KeptFile = Mutex<Option<SecondFile>>;

/// A partial's file, open a second time. A description of its own, so that whoever reads the partial by the other one may do
/// so at any address.
#[derive(Debug)]
pub(super) struct SecondFile {
    file: File,
    /// With one it stays open for the next batch.
    place: Option<OwnedSemaphorePermit>,
}

/// The buffers of all partials of a root.
#[derive(Debug)]
pub(super) struct DirectWrites {
    /// Where a disk that is slow is left to the page cache.
    pace: Option<Pace>,
    /// The last one used comes first: it is still in the processor's cache.
    free: Mutex<Vec<Buffer>>,
    in_use: AtomicUsize,
    /// Places for files that are kept open.
    files: Arc<Semaphore>,
    /// The filesystem cannot.
    is_refused: AtomicBool,
}

/// Memory that begins at a multiple of [`ALIGNMENT`].
struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

/// A batch on its way past the page cache.
pub(super) struct DirectWriting<'a> {
    writes: &'a DirectWrites,
    kept: &'a KeptFile,
    /// `None` only once this is dropped.
    lent: Option<(SecondFile, Buffer)>,
}

impl DirectWrites {
    /// `None` where there are to be none.
    pub(super) fn new(direct_io: DirectIo) -> Option<DirectWrites> {
        let pace = match direct_io {
            DirectIo::Off => return None,
            DirectIo::WhileFast => Some(Pace::new()),
            DirectIo::On => None,
        };
        Some(DirectWrites {
            pace,
            free: Mutex::default(),
            in_use: AtomicUsize::new(0),
            files: Arc::new(Semaphore::new(most_files())),
            is_refused: AtomicBool::new(false),
        })
    }

    /// Begins to write a batch. `None` when it has to go through the page cache: the filesystem cannot do without, the disk
    /// has enough to do or is slow, or there is no descriptor.
    pub(super) fn begin<'a>(&'a self, target: Target<'a>) -> Option<DirectWriting<'a>> {
        if self.is_refused.load(Ordering::Relaxed) || self.in_use.load(Ordering::Relaxed) >= MOST_BUFFERS {
            return None;
        }
        if self.pace.as_ref().is_some_and(|pace| !pace.is_fast(Instant::now())) {
            return None;
        }
        let opened_before = lock(target.second).take();
        let second = opened_before.or_else(|| self.open(target))?;
        // Some more than allowed do no harm.
        self.in_use.fetch_add(1, Ordering::Relaxed);
        let buffer = lock(&self.free).pop().unwrap_or_else(Buffer::new);
        Some(DirectWriting { writes: self, kept: target.second, lent: Some((second, buffer)) })
    }

    fn open(&self, target: Target<'_>) -> Option<SecondFile> {
        let second = match target.store.root.open_file(target.key, OFlags::WRONLY | OFlags::DIRECT) {
            Ok(second) => second,
            Err(error) => {
                self.note_refusal(&error);
                return None;
            }
        };
        // The name may have been given to another file meanwhile.
        if !is_same(&second, target.file) {
            return None;
        }
        Some(SecondFile { file: second, place: self.files.clone().try_acquire_owned().ok() })
    }

    fn note_pace(&self, written: usize, begun: Instant) {
        if let Some(pace) = &self.pace {
            let now = Instant::now();
            pace.note(written, self.in_use.load(Ordering::Relaxed), now.saturating_duration_since(begun), now);
        }
    }

    fn note_refusal(&self, error: &io::Error) {
        let is_inability = matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS));
        if is_inability && !self.is_refused.swap(true, Ordering::Relaxed) {
            log::info!(error = error.to_string(); "the filesystem does not write past the page cache");
        }
    }
}

/// A small part of the descriptors that there may be.
fn most_files() -> usize {
    let part = getrlimit(Resource::Nofile).current.map_or(MOST_FILES, |limit| limit / 16);
    part.min(MOST_FILES) as usize
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DirectWriting<'_> {
    /// Writes the front of what is left, which goes to `offset`; how much it was. `None` when it has to go through the page
    /// cache.
    pub(super) fn write(&mut self, unwritten: &Unwritten<'_>, offset: u64) -> io::Result<Option<usize>> {
        let Some((second, buffer)) = &mut self.lent else { return Ok(None) };
        let room = &mut buffer.memory[buffer.start..buffer.start + BUFFER_BYTES];
        let layout = Layout::of(unwritten.pieces(), room);
        if layout.len() == 0 {
            return Ok(None);
        }
        let slices = layout.slices(room);
        let begun = Instant::now();
        loop {
            match rustix::io::pwritev(&second.file, &slices, offset) {
                Ok(0) => return Ok(None),
                Ok(written) => {
                    self.writes.note_pace(written, begun);
                    return Ok(Some(written));
                }
                Err(Errno::INTR) => {}
                Err(error @ (Errno::INVAL | Errno::OPNOTSUPP)) => {
                    self.writes.note_refusal(&error.into());
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for DirectWriting<'_> {
    fn drop(&mut self) {
        self.writes.in_use.fetch_sub(1, Ordering::Relaxed);
        if let Some((second, buffer)) = self.lent.take() {
            lock(&self.writes.free).push(buffer);
            *lock(self.kept) = Some(second).filter(|second| second.place.is_some());
        }
    }
}

impl Buffer {
    fn new() -> Buffer {
        let memory = vec![0; BUFFER_BYTES + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Buffer { memory, start }
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").finish_non_exhaustive()
    }
}

fn is_same(one: &File, other: &File) -> bool {
    match (rustix::fs::fstat(one.as_fd()), rustix::fs::fstat(other.as_fd())) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::storage::Key;
    use crate::storage::filesystem::store::Store;
    use crate::storage::filesystem::{FilesystemOptions, append, partial};

    /// A store and a partial in it that is empty at first.
    struct Partial {
        store: Arc<Store>,
        key: Key,
        file: File,
        second: KeptFile,
    }

    impl Partial {
        fn new(root: &Path) -> Partial {
            Partial::of(&FilesystemOptions::new(root))
        }

        fn of(options: &FilesystemOptions) -> Partial {
            Partial::in_store(Arc::new(Store::open(options).unwrap()), &options.root, "folder/data")
        }

        fn in_store(store: Arc<Store>, root: &Path, key: &str) -> Partial {
            let path = root.join(key);
            let key: Key = key.parse().unwrap();
            drop(partial::create(&store, &key).unwrap());
            let file = File::options().read(true).write(true).open(path).unwrap();
            Partial { store, key, file, second: KeptFile::default() }
        }

        fn append(&self, batch: &[Bytes], offset: u64) -> u64 {
            let Partial { store, key, file, second } = self;
            append::write_all(Target { store, key, file, second }, batch, offset).unwrap()
        }

        fn direct(&self) -> &DirectWrites {
            self.store.direct.as_ref().unwrap()
        }

        /// How many buffers there are; none means that nothing was written past the page cache.
        fn buffers(&self) -> usize {
            lock(&self.direct().free).len()
        }

        fn is_open_twice(&self) -> bool {
            lock(&self.second).is_some()
        }
    }

    fn content(len: usize, seed: usize) -> Bytes {
        (seed..seed + len).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    /// The same bytes, in memory in whose pages they lie as in those of their file.
    fn placed(content: &Bytes, offset: usize) -> Bytes {
        let mut memory = vec![0; content.len() + 2 * ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT) + offset % ALIGNMENT;
        memory[start..start + content.len()].copy_from_slice(content);
        Bytes::from(memory).slice(start..start + content.len())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn batches_of_any_lengths_are_appended_as_they_are(
            batches in proptest::collection::vec(
                proptest::collection::vec(
                    (prop_oneof![0_usize..5000, 4096_usize..4097, 60_000_usize..700_000], any::<bool>()),
                    1..4,
                ),
                1..6,
            ),
        ) {
            let root = tempfile::tempdir().unwrap();
            let partial = Partial::new(root.path());
            let mut expected: Vec<u8> = Vec::new();
            for pieces in &batches {
                let before = expected.len() as u64;
                let mut batch = Vec::new();
                for (len, is_placed) in pieces {
                    let piece = content(*len, expected.len() + len);
                    batch.push(if *is_placed { placed(&piece, expected.len()) } else { piece.clone() });
                    expected.extend(piece);
                }
                let end = partial.append(&batch, before);
                prop_assert_eq!(end, expected.len() as u64);
                let written = fs::read(root.path().join("folder/data")).unwrap();
                prop_assert!(written == expected, "a file of {} bytes in place of {end}", written.len());
            }
        }
    }

    #[test]
    fn large_batches_go_past_the_page_cache_and_small_ones_do_not() {
        let root = tempfile::tempdir().unwrap();
        let partial = Partial::new(root.path());
        partial.append(&[content(LEAST_BYTES - 1, 0)], 0);
        assert_eq!(partial.buffers(), 0);
        partial.append(&[content(2 * LEAST_BYTES, 0)], LEAST_BYTES as u64 - 1);
        let direct = partial.direct();
        let is_refused = direct.is_refused.load(Ordering::Relaxed);
        assert_eq!(partial.buffers(), usize::from(!is_refused));
        assert_eq!(direct.in_use.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn when_all_buffers_are_in_use_the_page_cache_takes_it() {
        let root = tempfile::tempdir().unwrap();
        let partial = Partial::new(root.path());
        let direct = partial.direct();
        direct.in_use.store(MOST_BUFFERS, Ordering::Relaxed);
        let batch = [content(2 * LEAST_BYTES, 0)];
        partial.append(&batch, 0);
        assert_eq!(partial.buffers(), 0);
        assert_eq!(fs::read(root.path().join("folder/data")).unwrap(), batch[0]);
    }

    #[test]
    fn while_the_disk_is_slow_the_page_cache_takes_it() {
        let root = tempfile::tempdir().unwrap();
        let options = FilesystemOptions { direct_io: DirectIo::WhileFast, ..FilesystemOptions::new(root.path()) };
        let partial = Partial::of(&options);
        let direct = partial.direct();
        let (now, hour) = (Instant::now(), std::time::Duration::from_secs(3600));
        for _ in 0..100 {
            direct.pace.as_ref().unwrap().note(1, 1, hour, now);
        }
        let batch = [content(2 * LEAST_BYTES, 0)];
        partial.append(&batch, 0);
        assert_eq!(partial.buffers(), 0);
        assert_eq!(fs::read(root.path().join("folder/data")).unwrap(), batch[0]);
    }

    #[test]
    fn a_file_that_has_taken_its_name_is_not_written_to() {
        let root = tempfile::tempdir().unwrap();
        let mut partial = Partial::new(root.path());
        let path = root.path().join("folder/data");
        fs::rename(&path, root.path().join("elsewhere")).unwrap();
        fs::write(&path, "another").unwrap();
        let batch = [content(2 * LEAST_BYTES, 0)];
        partial.append(&batch, 0);
        assert_eq!(fs::read(&path).unwrap(), b"another");
        let mut written = Vec::new();
        io::Read::read_to_end(&mut partial.file, &mut written).unwrap();
        assert_eq!(written, batch[0]);
        fs::remove_file(&path).unwrap();
        partial.append(&batch, 0);
        assert!(!path.exists());
    }

    #[test]
    fn some_files_stay_open_for_the_next_batch() {
        let root = tempfile::tempdir().unwrap();
        let first = Partial::new(root.path());
        let batch = [content(2 * LEAST_BYTES, 0)];
        first.append(&batch, 0);
        if first.direct().is_refused.load(Ordering::Relaxed) {
            return;
        }
        let places = first.direct().files.available_permits();
        assert!(first.is_open_twice());
        assert_eq!(first.append(&batch, 2 * LEAST_BYTES as u64), 4 * LEAST_BYTES as u64);
        assert_eq!(first.direct().files.available_permits(), places, "it is still the same");
        let taken = first.direct().files.clone().try_acquire_many_owned(places as u32).unwrap();
        let second = Partial::in_store(first.store.clone(), root.path(), "folder/other");
        second.append(&batch, 0);
        assert_eq!((second.is_open_twice(), second.buffers()), (false, 1), "it does without");
        let store = first.store.clone();
        drop(first);
        assert_eq!(store.direct.as_ref().unwrap().files.available_permits(), 1, "a file gives its place back");
        drop(taken);
    }
}
