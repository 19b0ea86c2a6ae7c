use super::RedoLog;
use super::entry::Says;
use super::state::{Newest, Phase};
use crate::storage::Key;

/// An object that is noted and about to be placed. When it is dropped before that, it is revoked.
#[derive(Debug)]
pub(in crate::storage::filesystem) struct Note {
    pub(super) log: RedoLog,
    pub(super) key: Key,
    pub(super) hash: u64,
    pub(super) half: usize,
    pub(super) number: u64,
    pub(super) is_settled: bool,
}

impl Note {
    /// The file has its name. Gives what to wait for. Under the lock of the key.
    pub(super) fn placed(&mut self) -> Option<u64> {
        self.is_settled = true;
        let mut state = self.log.0.lock();
        let stands = state.newest.get(&self.hash).is_some_and(|newest| newest.number == self.number);
        let number = match stands {
            true => self.number,
            false => state.append(Says::Again { key: self.key.clone(), number: self.number }),
        };
        state.newest.insert(self.hash, Newest { number, changed: number });
        (!stands).then_some(number)
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let mut state = self.log.0.lock();
        if !self.is_settled {
            let number = state.append(Says::Revoked { key: self.key.clone(), number: self.number });
            let changed = state.newest.get(&self.hash).map_or(0, |newest| newest.changed);
            state.newest.insert(self.hash, Newest { number, changed });
        }
        state.slots -= 1;
        state.halves[self.half].in_flight -= 1;
        if state.halves[self.half].phase != Phase::Current {
            self.log.0.changed.notify_all();
        }
    }
}

/// Room for an entry without data.
#[derive(Debug)]
pub(in crate::storage::filesystem) struct Slot(pub(super) RedoLog);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.0.lock().slots -= 1;
    }
}
