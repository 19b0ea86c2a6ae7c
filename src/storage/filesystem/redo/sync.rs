//! How entries get on disk: whoever waits first writes and syncs what all wait for.

use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::{Arc, PoisonError};

use super::state::Queued;
use super::{Shared, Stage, file};

impl Shared {
    /// Waits until the entry with this number is synced.
    pub(super) fn wait(self: &Arc<Self>, number: u64) -> io::Result<()> {
        let mut state = self.lock();
        loop {
            if state.synced >= number {
                return Ok(());
            }
            let (Stage::Ready, Some(files)) = (&state.stage, &state.files) else {
                return Err(io::Error::other("the redo log cannot be written"));
            };
            if state.is_syncing {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let files = files.clone();
            state.is_syncing = true;
            let (queue, last) = (std::mem::take(&mut state.queue), state.last);
            drop(state);
            let written = write(&files, &queue);
            drop(queue);
            state = self.lock();
            state.is_syncing = false;
            #[cfg(test)]
            {
                state.syncs += 1;
            }
            match written {
                Ok(()) => state.synced = last,
                Err(error) => {
                    log::error!(root:% = self.path.display(), error:%; "the redo log cannot be written; it is not used any more");
                    state.stage = Stage::Off;
                    state.end_current();
                    state.queue.clear();
                }
            }
            self.changed.notify_all();
        }
    }
}

fn write(files: &[File; 2], queue: &[Queued]) -> io::Result<()> {
    for (half, file) in files.iter().enumerate() {
        let mut of_half = queue.iter().filter(|queued| queued.half == half).peekable();
        let Some(at) = of_half.peek().map(|first| first.at) else { continue };
        let mut pieces: Vec<IoSlice<'_>> = of_half.flat_map(|queued| queued.entry.pieces()).map(IoSlice::new).collect();
        file::write_all(file, &mut pieces, at)?;
        file.sync_data()?;
    }
    Ok(())
}
