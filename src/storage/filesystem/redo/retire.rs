//! The thread that makes the log and empties what is full of it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, StatxFlags, statx};

use super::{Half, Phase, RedoLog, Shared, Stage, State, file};

/// After this time it is tried again to empty a half.
const RETRY: Duration = Duration::from_secs(1);

/// Kernels before 5.8 do not tell of a sync of the whole filesystem that it failed; they do not know the number of a mount
/// either.
const MOUNT_NUMBER: StatxFlags = StatxFlags::MNT_ID;

/// Of these it is known that a sync of the whole filesystem is one: ext4 and its elders, XFS, Btrfs, F2FS.
const KNOWN_FILESYSTEMS: [u32; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010];

pub(super) fn can_sync_all(root: &OwnedFd) -> io::Result<bool> {
    let kind = rustix::fs::fstatfs(root)?.f_type;
    let found = statx(root, "", AtFlags::EMPTY_PATH, MOUNT_NUMBER)?;
    let tells_of_failures = found.stx_mask & MOUNT_NUMBER.bits() != 0;
    Ok(tells_of_failures && KNOWN_FILESYSTEMS.contains(&(kind as u32)))
}

impl RedoLog {
    /// Empties the log, so that whoever serves the folder next needs none. It notes nothing any more.
    pub(in crate::storage::filesystem) fn close(&self) {
        let mut state = self.0.lock();
        state.is_closing = true;
        let keeper = state.keeper.take();
        drop(state);
        self.0.changed.notify_all();
        // A thread that panicked has said so itself.
        let _ = keeper.map(thread::JoinHandle::join);
    }
}

impl Shared {
    pub(super) fn begin_to_keep(self: &Arc<Self>, state: &mut State) {
        let shared = self.clone();
        let keeper = thread::Builder::new().name("redo".to_owned()).spawn(move || shared.keep());
        state.stage = if keeper.is_ok() { Stage::Making } else { Stage::Off };
        state.keeper = keeper.ok();
    }

    fn keep(self: &Arc<Self>) {
        if let Err(error) = self.make() {
            let root = self.path.display();
            log::warn!(root:%, error:%; "no redo log can be kept; small objects take longer");
            self.lock().stage = Stage::Off;
            return;
        }
        loop {
            let mut state = self.lock();
            if state.is_closing {
                state.stage = Stage::Off;
                state.end_current();
            }
            let Some(full) = state.next_to_empty() else {
                if state.is_closing {
                    return;
                }
                drop(self.changed.wait(state).unwrap_or_else(PoisonError::into_inner));
                continue;
            };
            drop(state);
            if let Err(error) = self.retire(full) {
                log::error!(root:% = self.path.display(), error:%; "the redo log cannot be emptied");
                let mut state = self.lock();
                if state.halves[full].phase != Phase::Lost {
                    state.halves[full].phase = Phase::Stuck;
                }
                self.changed.notify_all();
                let waited = self.changed.wait_timeout_while(state, RETRY, |state| !state.is_closing);
                if waited.unwrap_or_else(PoisonError::into_inner).0.is_closing {
                    return;
                }
            }
        }
    }

    fn make(&self) -> io::Result<()> {
        let files = self.lock().files.clone();
        let files = match files {
            Some(files) => files,
            None => {
                let found = rustix::fs::fstatvfs(&self.root)?;
                let free_bytes = found.f_bavail.saturating_mul(found.f_frsize);
                Arc::new(file::make(&self.path, self.half_bytes, free_bytes)?)
            }
        };
        let mut state = self.lock();
        (state.files, state.stage) = (Some(files), Stage::Ready);
        Ok(())
    }

    /// A sync failed. The next one would not: the kernel tells of what it could not write once, and forgets it. So the halves
    /// are what the objects are written from when the root is opened again, wherever that is.
    pub(super) fn keep_for_the_next_start(&self, full: usize, files: &[File; 2]) -> io::Result<()> {
        let mut state = self.lock();
        state.stage = Stage::Off;
        state.end_current();
        state.halves[full].phase = Phase::Lost;
        drop(state);
        files.iter().try_for_each(file::mark_as_lost)
    }

    /// Empties a half that is full, when all that is noted in it is placed and has survived.
    fn retire(self: &Arc<Self>, full: usize) -> io::Result<()> {
        let mut state = self.lock();
        while state.halves[full].in_flight > 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let last = state.halves[full].last;
        let (is_off, files) = (matches!(state.stage, Stage::Off), state.files.clone());
        drop(state);
        // Nothing of it may come into the file later.
        match self.wait(last) {
            Err(error) if !is_off => return Err(error),
            _ => {}
        }
        let Some(files) = files else { return Ok(()) };
        if let Err(error) = rustix::fs::syncfs(&self.root) {
            self.keep_for_the_next_start(full, &files)?;
            return Err(error.into());
        }
        file::empty(&files[full])?;
        let mut state = self.lock();
        state.halves[full] = Half::default();
        state.newest.retain(|_, newest| newest.number > last);
        if state.halves.iter().all(|half| half.phase == Phase::Empty) {
            state.newest.clear();
        }
        self.known.store(state.newest.len(), Ordering::Release);
        self.changed.notify_all();
        Ok(())
    }
}
