//! One digest on its way, between its hasher, which adds pieces, and the pool's threads, which hash them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{HashError, RunningDigest};

pub(super) struct Stream {
    state: Mutex<StreamState>,
    /// Rung whenever `digest` went on or `ended` was set.
    progress: Notify,
}

struct StreamState {
    /// As far as it is hashed.
    digest: RunningDigest,
    /// What comes next, in order.
    pending: VecDeque<Bytes>,
    /// Whether the stream is in the ready queue or in the hands of a thread.
    scheduled: bool,
    /// Why it never goes on, if so.
    ended: Option<HashError>,
}

/// What a thread takes from a stream.
pub(super) struct Work {
    pub(super) digest: RunningDigest,
    pub(super) pieces: Vec<Bytes>,
}

impl Stream {
    pub(super) fn new(digest: RunningDigest) -> Self {
        let state = StreamState { digest, pending: VecDeque::new(), scheduled: false, ended: None };
        Stream { state: Mutex::new(state), progress: Notify::new() }
    }

    /// Adds pieces. Tells whether the caller has to put the stream into the ready queue.
    pub(super) fn add(&self, pieces: Vec<Bytes>) -> Result<bool, HashError> {
        let mut state = self.lock();
        if let Some(error) = state.ended {
            return Err(error);
        }
        state.pending.extend(pieces.into_iter().filter(|piece| !piece.is_empty()));
        let must_schedule = !state.scheduled && !state.pending.is_empty();
        state.scheduled |= must_schedule;
        Ok(must_schedule)
    }

    /// Hashes pieces on this thread, if nothing stands before them; gives them back otherwise.
    pub(super) fn hash_inline(&self, pieces: Vec<Bytes>) -> Result<(), Vec<Bytes>> {
        let mut state = self.lock();
        if state.scheduled || state.ended.is_some() {
            return Err(pieces);
        }
        for piece in pieces {
            state.digest.update(&piece);
        }
        Ok(())
    }

    /// Takes pieces of `quantum_bytes` at most; with nothing left to do the stream is no longer scheduled.
    pub(super) fn take(&self, quantum_bytes: usize) -> Option<Work> {
        let mut state = self.lock();
        let mut pieces = Vec::new();
        let mut room_bytes = quantum_bytes;
        while room_bytes > 0 {
            let Some(mut piece) = state.pending.pop_front() else {
                break;
            };
            if piece.len() > room_bytes {
                let rest = piece.split_off(room_bytes);
                state.pending.push_front(rest);
            }
            room_bytes -= piece.len();
            pieces.push(piece);
        }
        if pieces.is_empty() {
            state.scheduled = false;
            return None;
        }
        Some(Work { digest: state.digest.clone(), pieces })
    }

    /// Puts the digest back after work. Tells whether there is more to do; if not, the stream is no longer scheduled.
    pub(super) fn put_back(&self, digest: RunningDigest) -> bool {
        let mut state = self.lock();
        state.digest = digest;
        state.scheduled = !state.pending.is_empty();
        let has_more = state.scheduled;
        drop(state);
        self.progress.notify_waiters();
        has_more
    }

    /// Gives the stream up: drops what is not hashed yet, and tells whoever waits.
    pub(super) fn end(&self, error: HashError) {
        let mut state = self.lock();
        state.ended.get_or_insert(error);
        let pending = std::mem::take(&mut state.pending);
        drop(state);
        drop(pending);
        self.progress.notify_waiters();
    }

    /// The state as far as it is hashed, or why it never goes on.
    pub(super) fn newest(&self) -> Result<RunningDigest, HashError> {
        let state = self.lock();
        match state.ended {
            Some(error) => Err(error),
            None => Ok(state.digest.clone()),
        }
    }

    pub(super) fn hashed_to(&self) -> u64 {
        self.lock().digest.offset()
    }

    /// Waits until everything before `offset` is hashed; gives the state then.
    pub(super) async fn wait_until(&self, offset: u64) -> Result<RunningDigest, HashError> {
        loop {
            // Made before the look at the state, so that progress in between is not missed.
            let progress = self.progress.notified();
            let newest = self.newest()?;
            if newest.offset() >= offset {
                return Ok(newest);
            }
            progress.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
