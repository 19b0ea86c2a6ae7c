//! Small objects that survive a loss of power without a sync of their own: they stand in a log, too, which is synced.
//!
//! An object that has to survive takes four steps as a file: its data is synced, it gets its name, the folder is synced, and
//! perhaps the folders above. For what is small, that is nearly all of the work. So a small object is noted in the log
//! first, with its bytes ([`RedoLog::note`]); one sync serves all that are noted at the same moment, and changes nothing but
//! data. Then the file gets its name, unsynced. After a loss of power the files are compared with the log when the root is
//! opened ([`replay`]), and put again where they differ.
//!
//! The log has two halves. When one is full, the other goes on; meanwhile the whole filesystem is synced, and the full one
//! is empty again ([`retire`]). When neither has room, and for what is too large for the log, the four steps are taken.
//!
//! What the log says last of a key is what stood there last:
//!
//! * Whoever puts, deletes or replaces an object says so under the lock of the key, right behind the change
//!   ([`Note::placed`], [`RedoLog::gone`], [`RedoLog::on_disk`]), and then waits until that is synced.
//! * A note is older than the placing of its file. When something else was said of the key in between, it is said again.
//! * So that this can always be said, room for it is set aside before ([`Slot`]). Who waits for room holds no lock of a key,
//!   and no note.
//!
//! A process that is killed loses no file: where the same boot of the machine has the filesystem still mounted, the log is
//! emptied, not replayed.

mod entry;
mod file;
mod mount;
mod note;
mod placing;
mod replay;
mod retire;
mod state;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use self::entry::{MOST_KEY_BYTES, SMALL_BYTES, Says};
pub(super) use self::file::REDO_FILES;
use self::mount::Mount;
pub(super) use self::note::{Note, Slot};
pub(super) use self::placing::{Placing, Survives};
pub(super) use self::replay::recover;
use self::state::{Half, Newest, Phase, Stage, State};
use crate::storage::Key;

/// The longest object that is noted.
pub(super) const MOST_BYTES: u64 = 128 * 1024;

/// More keys than this do not stand in a half, which bounds the memory they take.
const MOST_KEYS: usize = 16_384;

/// How many objects are put before the log is made. Who pushes one image needs none.
const OBJECTS_WITHOUT: usize = 128;

/// The log. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct RedoLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    root: OwnedFd,
    path: PathBuf,
    mount: Mount,
    half_bytes: u64,
    hashes: RandomState,
    /// How many keys `newest` has.
    known: AtomicUsize,
    state: Mutex<State>,
    /// An entry is synced, a half retired, or a note dropped.
    changed: Condvar,
}

impl RedoLog {
    /// The log of the root at `path`, in two halves of `size_bytes` together. It is off where that is zero, and where the
    /// filesystem is not known to keep what it is told to.
    pub(super) fn new(path: &Path, size_bytes: u64) -> io::Result<Self> {
        let root: OwnedFd = File::open(path)?.into();
        let is_wanted = size_bytes > 0 && (cfg!(test) || retire::can_sync_all(&root)?);
        let mount = Mount::of(&root)?;
        let state = State {
            stage: if is_wanted { Stage::Cold(0) } else { Stage::Off },
            files: None,
            keeper: None,
            halves: Default::default(),
            current: None,
            epoch: 0,
            last: 0,
            synced: 0,
            #[cfg(test)]
            syncs: 0,
            queue: Vec::new(),
            is_syncing: false,
            newest: HashMap::new(),
            slots: 0,
            is_closing: false,
        };
        Ok(RedoLog(Arc::new(Shared {
            root,
            path: path.to_owned(),
            mount,
            half_bytes: size_bytes / 2,
            hashes: RandomState::new(),
            known: AtomicUsize::new(0),
            state: Mutex::new(state),
            changed: Condvar::new(),
        })))
    }

    /// Whether there is a log.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.0.lock().stage, Stage::Ready)
    }

    /// The same for an object that has to survive. The log is begun when there have been enough that are small.
    pub(super) fn is_ready_for(&self, object_bytes: u64) -> bool {
        if object_bytes > MOST_BYTES {
            return false;
        }
        let mut state = self.0.lock();
        match &mut state.stage {
            Stage::Ready => return true,
            Stage::Cold(count) if *count + 1 < OBJECTS_WITHOUT => *count += 1,
            Stage::Cold(_) => self.0.begin_to_keep(&mut state),
            Stage::Making | Stage::Off => {}
        }
        false
    }

    /// Notes objects that are about to be placed, and syncs that. `None` when they have to be synced as files.
    ///
    /// No lock of a key and no other note may be held.
    pub(super) fn note(&self, objects: &[(&Key, &[Bytes])]) -> io::Result<Option<Vec<Note>>> {
        let sizes = objects.iter().map(|(key, data)| {
            let data_bytes: usize = data.iter().map(Bytes::len).sum();
            let fits = key.as_str().len() <= MOST_KEY_BYTES && data_bytes as u64 <= MOST_BYTES;
            fits.then(|| entry::put_bytes(key, data) + SMALL_BYTES)
        });
        let Some(needed) = sizes.sum::<Option<u64>>() else { return Ok(None) };
        let mut state = self.0.lock();
        if !self.0.make_room(&mut state, needed, objects.len()) {
            return Ok(None);
        }
        let Some(half) = state.current else { return Ok(None) };
        let mut notes = Vec::with_capacity(objects.len());
        for (key, data) in objects {
            let hash = self.0.hash(key);
            let number = state.append(Says::Put { key: (*key).clone(), data: data.to_vec() });
            let changed = state.newest.get(&hash).map_or(0, |newest| newest.changed);
            state.newest.insert(hash, Newest { number, changed });
            state.halves[half].keys += 1;
            state.halves[half].in_flight += 1;
            state.slots += 1;
            notes.push(Note { log: self.clone(), key: (*key).clone(), hash, half, number, is_settled: false });
        }
        self.0.known.store(state.newest.len(), Ordering::Release);
        let last = state.last;
        drop(state);
        self.0.wait(last)?;
        Ok(Some(notes))
    }

    /// Sets room aside for saying something of `key`. `None` where the log knows none, or is full and does not know this one.
    /// Blocks where it is full and does.
    ///
    /// No lock of a key and no note may be held.
    pub(super) fn slot(&self, key: &Key) -> io::Result<Option<Slot>> {
        if self.0.known.load(Ordering::Acquire) == 0 {
            return Ok(None);
        }
        let hash = self.0.hash(key);
        let mut state = self.0.lock();
        while !self.0.make_room(&mut state, SMALL_BYTES, 0) {
            if !state.newest.contains_key(&hash) {
                return Ok(None);
            }
            if state.halves.iter().any(|half| matches!(half.phase, Phase::Stuck | Phase::Lost)) {
                return Err(io::Error::other("the redo log cannot be emptied"));
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.slots += 1;
        Ok(Some(Slot(self.clone())))
    }

    /// What the log said last of `key`.
    pub(super) fn newest(&self, key: &Key) -> Option<Newest> {
        if self.0.known.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.0.lock().newest.get(&self.0.hash(key)).copied()
    }

    /// Says that `key` was deleted, if the log knows it; gives what to wait for. Under the lock of the key.
    pub(super) fn gone(&self, key: &Key, _room: Option<&Slot>) -> Option<u64> {
        self.say_of(key, |_| true, |key| Says::Gone { key })
    }

    /// Says that what stands under `key` survives by itself, unless another change was made since the log said `before`;
    /// that is then to be waited for.
    pub(super) fn on_disk(&self, key: &Key, before: Newest, _room: Option<&Slot>) -> Option<u64> {
        self.say_of(key, |newest| newest.changed == before.changed, |key| Says::OnDisk { key })
    }

    fn say_of(&self, key: &Key, is_due: impl Fn(Newest) -> bool, says: impl Fn(Key) -> Says) -> Option<u64> {
        if self.0.known.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut state = self.0.lock();
        let hash = self.0.hash(key);
        let newest = *state.newest.get(&hash)?;
        if !is_due(newest) || key.as_str().len() > MOST_KEY_BYTES {
            return Some(newest.changed);
        }
        let number = state.append(says(key.clone()));
        state.newest.insert(hash, Newest { number, changed: number });
        Some(number)
    }

    /// Waits until the entry with this number is synced.
    pub(super) fn wait(&self, number: Option<u64>) -> io::Result<()> {
        number.map_or(Ok(()), |number| self.0.wait(number))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self, key: &Key) -> u64 {
        self.hashes.hash_one(key.as_str())
    }

    /// Whether so many bytes, and more keys, have room in the current half, or in the other one, which is then begun.
    fn make_room(self: &Arc<Self>, state: &mut State, bytes: u64, keys: usize) -> bool {
        let has_room = |state: &State, half: &Half| {
            let set_aside = state.slots as u64 * SMALL_BYTES;
            half.end + bytes + set_aside <= self.half_bytes && half.keys + keys <= MOST_KEYS
        };
        if state.current.is_some_and(|current| has_room(state, &state.halves[current])) {
            return true;
        }
        let Some(next) = state.halves.iter().position(|half| half.phase == Phase::Empty) else { return false };
        if !matches!(state.stage, Stage::Ready) {
            return false;
        }
        state.end_current();
        self.changed.notify_all();
        state.begin(next, &self.mount);
        has_room(state, &state.halves[next])
    }
}
