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
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::append::Unwritten;
use super::in_place::{ALIGNMENT, Layout};
use super::pace::Pace;
use super::store::Store;
use crate::storage::Key;

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

/// The buffers of all partials of a root.
#[derive(Debug, Default)]
pub(super) struct DirectWrites {
    /// Where a disk that is slow is left to the page cache.
    pace: Option<Pace>,
    /// The last one used comes first: it is still in the processor's cache.
    free: Mutex<Vec<Buffer>>,
    in_use: AtomicUsize,
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
    file: File,
    /// `None` only once this is dropped.
    buffer: Option<Buffer>,
}

impl DirectWrites {
    /// `None` where there are to be none.
    pub(super) fn new(direct_io: DirectIo) -> Option<DirectWrites> {
        let pace = match direct_io {
            DirectIo::Off => return None,
            DirectIo::WhileFast => Some(Pace::new()),
            DirectIo::On => None,
        };
        Some(DirectWrites { pace, ..DirectWrites::default() })
    }

    /// Opens the partial `key`, which is open as `file`, a second time. `None` when its batch has to go through the page
    /// cache: the filesystem cannot do without, the disk has enough to do or is slow, or there is no descriptor.
    pub(super) fn begin(&self, store: &Store, key: &Key, file: &File) -> Option<DirectWriting<'_>> {
        if self.is_refused.load(Ordering::Relaxed) || self.in_use.load(Ordering::Relaxed) >= MOST_BUFFERS {
            return None;
        }
        if self.pace.as_ref().is_some_and(|pace| !pace.is_fast(Instant::now())) {
            return None;
        }
        // Its own description, so that whoever reads the partial by the other one may do so at any address.
        let direct = match store.root.open_file(key, OFlags::WRONLY | OFlags::DIRECT) {
            Ok(direct) => direct,
            Err(error) => {
                self.note_refusal(&error);
                return None;
            }
        };
        // The name may have been given to another file meanwhile.
        if !is_same(&direct, file) {
            return None;
        }
        // Some more than allowed do no harm.
        self.in_use.fetch_add(1, Ordering::Relaxed);
        let buffer = self.lock().pop().unwrap_or_else(Buffer::new);
        Some(DirectWriting { writes: self, file: direct, buffer: Some(buffer) })
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

    fn lock(&self) -> MutexGuard<'_, Vec<Buffer>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DirectWriting<'_> {
    /// Writes the front of what is left, which goes to `offset`; how much it was. `None` when it has to go through the page
    /// cache.
    pub(super) fn write(&mut self, unwritten: &Unwritten<'_>, offset: u64) -> io::Result<Option<usize>> {
        let Some(buffer) = &mut self.buffer else { return Ok(None) };
        let room = &mut buffer.memory[buffer.start..buffer.start + BUFFER_BYTES];
        let layout = Layout::of(unwritten.pieces(), room);
        if layout.len() == 0 {
            return Ok(None);
        }
        let slices = layout.slices(room);
        let begun = Instant::now();
        loop {
            match rustix::io::pwritev(&self.file, &slices, offset) {
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
        self.writes.lock().extend(self.buffer.take());
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
    use crate::storage::filesystem::{FilesystemOptions, append, partial};

    /// A store and an empty partial in it.
    fn store_with_partial(root: &Path) -> (Arc<Store>, Key, File) {
        store_with_partial_of(&FilesystemOptions::new(root))
    }

    fn store_with_partial_of(options: &FilesystemOptions) -> (Arc<Store>, Key, File) {
        let store = Arc::new(Store::open(options).unwrap());
        let key: Key = "folder/data".parse().unwrap();
        drop(partial::create(&store, &key).unwrap());
        let file = File::options().read(true).write(true).open(options.root.join("folder/data")).unwrap();
        (store, key, file)
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

    /// How many buffers there are; none means that nothing was written past the page cache.
    fn buffers(store: &Store) -> usize {
        store.direct.as_ref().unwrap().lock().len()
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
            let (store, key, file) = store_with_partial(root.path());
            let mut expected: Vec<u8> = Vec::new();
            for pieces in &batches {
                let before = expected.len() as u64;
                let mut batch = Vec::new();
                for (len, is_placed) in pieces {
                    let piece = content(*len, expected.len() + len);
                    batch.push(if *is_placed { placed(&piece, expected.len()) } else { piece.clone() });
                    expected.extend(piece);
                }
                let end = append::write_all(&store, &key, &file, &batch, before).unwrap();
                prop_assert_eq!(end, expected.len() as u64);
                let written = fs::read(root.path().join("folder/data")).unwrap();
                prop_assert!(written == expected, "a file of {} bytes in place of {end}", written.len());
            }
        }
    }

    #[test]
    fn large_batches_go_past_the_page_cache_and_small_ones_do_not() {
        let root = tempfile::tempdir().unwrap();
        let (store, key, file) = store_with_partial(root.path());
        append::write_all(&store, &key, &file, &[content(LEAST_BYTES - 1, 0)], 0).unwrap();
        assert_eq!(buffers(&store), 0);
        append::write_all(&store, &key, &file, &[content(2 * LEAST_BYTES, 0)], LEAST_BYTES as u64 - 1).unwrap();
        let direct = store.direct.as_ref().unwrap();
        let is_refused = direct.is_refused.load(Ordering::Relaxed);
        assert_eq!(buffers(&store), usize::from(!is_refused));
        assert_eq!(direct.in_use.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn when_all_buffers_are_in_use_the_page_cache_takes_it() {
        let root = tempfile::tempdir().unwrap();
        let (store, key, file) = store_with_partial(root.path());
        let direct = store.direct.as_ref().unwrap();
        direct.in_use.store(MOST_BUFFERS, Ordering::Relaxed);
        let batch = [content(2 * LEAST_BYTES, 0)];
        append::write_all(&store, &key, &file, &batch, 0).unwrap();
        assert_eq!(buffers(&store), 0);
        assert_eq!(fs::read(root.path().join("folder/data")).unwrap(), batch[0]);
    }

    #[test]
    fn while_the_disk_is_slow_the_page_cache_takes_it() {
        let root = tempfile::tempdir().unwrap();
        let options = FilesystemOptions { direct_io: DirectIo::WhileFast, ..FilesystemOptions::new(root.path()) };
        let (store, key, file) = store_with_partial_of(&options);
        let direct = store.direct.as_ref().unwrap();
        let (now, hour) = (Instant::now(), std::time::Duration::from_secs(3600));
        for _ in 0..100 {
            direct.pace.as_ref().unwrap().note(1, 1, hour, now);
        }
        let batch = [content(2 * LEAST_BYTES, 0)];
        append::write_all(&store, &key, &file, &batch, 0).unwrap();
        assert_eq!(buffers(&store), 0);
        assert_eq!(fs::read(root.path().join("folder/data")).unwrap(), batch[0]);
    }

    #[test]
    fn a_file_that_has_taken_its_name_is_not_written_to() {
        let root = tempfile::tempdir().unwrap();
        let (store, key, mut file) = store_with_partial(root.path());
        let path = root.path().join("folder/data");
        fs::rename(&path, root.path().join("elsewhere")).unwrap();
        fs::write(&path, "another").unwrap();
        let batch = [content(2 * LEAST_BYTES, 0)];
        append::write_all(&store, &key, &file, &batch, 0).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"another");
        let mut written = Vec::new();
        io::Read::read_to_end(&mut file, &mut written).unwrap();
        assert_eq!(written, batch[0]);
        fs::remove_file(&path).unwrap();
        append::write_all(&store, &key, &file, &batch, 0).unwrap();
        assert!(!path.exists());
    }
}
