//! What the log knows of itself.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use super::entry::{Encoded, Says};
use super::mount::Mount;

#[derive(Debug)]
pub(super) struct State {
    pub(super) stage: Stage,
    pub(super) files: Option<Arc<[File; 2]>>,
    /// Makes the log, and empties halves.
    pub(super) keeper: Option<JoinHandle<()>>,
    pub(super) halves: [Half; 2],
    /// The half that is written to.
    pub(super) current: Option<usize>,
    pub(super) epoch: u64,
    /// Of the last entry, and of the last one that is synced.
    pub(super) last: u64,
    pub(super) synced: u64,
    #[cfg(test)]
    pub(super) syncs: usize,
    /// Entries that are not written yet.
    pub(super) queue: Vec<Queued>,
    pub(super) is_syncing: bool,
    /// What the log last said of a key, by the key's hash.
    pub(super) newest: HashMap<u64, Newest>,
    /// How many entries without data there is room for, whatever else comes.
    pub(super) slots: usize,
    pub(super) is_closing: bool,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Not begun, for want of objects; so many were put.
    Cold(usize),
    /// Being made.
    Making,
    Ready,
    /// It is not wanted, cannot be made, or failed: everything is synced by itself.
    Off,
}

#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) phase: Phase,
    pub(super) end: u64,
    /// The last entry in it.
    pub(super) last: u64,
    pub(super) keys: usize,
    /// How many objects are noted in it that may not have their place yet.
    pub(super) in_flight: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Empty,
    Current,
    /// It is to be emptied.
    Full,
    /// The same, and it was tried in vain. It is tried again.
    Stuck,
    /// What is noted in it may be lost as files, since a sync failed. It is kept for the next start.
    Lost,
}

#[derive(Debug)]
pub(super) struct Queued {
    pub(super) half: usize,
    pub(super) at: u64,
    pub(super) entry: Encoded,
}

/// What the log said last of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::storage::filesystem) struct Newest {
    pub(super) number: u64,
    /// The last entry that was about a change, and not about one that may be made or was not.
    pub(super) changed: u64,
}

impl State {
    pub(super) fn begin(&mut self, half: usize, mount: &Mount) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        self.epoch = now.max(self.epoch + 1);
        self.halves[half] = Half { phase: Phase::Current, ..Half::default() };
        self.current = Some(half);
        self.append(Says::Begun { mount: mount.name() });
    }

    /// What comes next is not for this half.
    pub(super) fn end_current(&mut self) {
        if let Some(current) = self.current.take() {
            self.halves[current].phase = Phase::Full;
        }
    }

    /// The older one of those that are full: what it says must not stay behind what comes after it.
    pub(super) fn next_to_empty(&self) -> Option<usize> {
        if self.halves.iter().any(|half| half.phase == Phase::Lost) {
            return None;
        }
        let is_full = |half: &usize| matches!(self.halves[*half].phase, Phase::Full | Phase::Stuck);
        (0..self.halves.len()).filter(is_full).min_by_key(|half| self.halves[*half].last)
    }

    /// Appends to the current half, which has room for it. Gives the entry's number.
    pub(super) fn append(&mut self, says: Says) -> u64 {
        self.last += 1;
        let number = self.last;
        let Some(half) = self.current else { return number };
        let entry = says.encode(self.epoch, number);
        let at = self.halves[half].end;
        self.halves[half].end += entry.len();
        self.halves[half].last = number;
        self.queue.push(Queued { half, at, entry });
        number
    }
}
