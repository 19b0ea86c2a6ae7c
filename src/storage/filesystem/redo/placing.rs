//! What is said to the log while a file gets its name.

use std::io;
use std::time::SystemTime;

use super::{Newest, Note, RedoLog, Slot};
use crate::storage::Key;
use crate::storage::filesystem::store::Store;

/// What a file survives that is placed.
pub(in crate::storage::filesystem) enum Survives {
    AKill,
    /// The same; it was written at this time.
    AKillAsOf(SystemTime),
    /// A loss of power, too, since it is synced.
    LossOfPower,
    /// The same, since the log has it.
    Noted(Note),
}

/// A file that gets its name.
pub(in crate::storage::filesystem) struct Placing<'a> {
    log: &'a RedoLog,
    key: &'a Key,
    is_synced: bool,
    note: Option<Note>,
    room: Option<Slot>,
    /// What to wait for.
    said: Option<u64>,
    /// What the log said of the key when a synced file came over it.
    before: Option<Newest>,
}

impl<'a> Placing<'a> {
    /// May wait for room in the log: no lock of a key may be held.
    pub(in crate::storage::filesystem) fn new(store: &'a Store, key: &'a Key, survives: Survives) -> io::Result<Self> {
        let log = &store.redo;
        let is_synced = matches!(survives, Survives::LossOfPower);
        let (note, room) = match survives {
            // After a loss of power there is what survived before it.
            Survives::AKill | Survives::AKillAsOf(_) => (None, None),
            Survives::LossOfPower => (None, log.slot(key)?),
            Survives::Noted(note) => (Some(note), None),
        };
        Ok(Placing { log, key, is_synced, note, room, said: None, before: None })
    }

    /// It has its name. Under the lock of the key.
    pub(in crate::storage::filesystem) fn placed(&mut self) {
        self.said = self.note.as_mut().and_then(Note::placed);
        self.before = if self.is_synced { self.log.newest(self.key) } else { None };
    }

    /// It survives, as far as it was synced for that.
    pub(in crate::storage::filesystem) fn finish(self) -> io::Result<()> {
        let on_disk = self.before.and_then(|before| self.log.on_disk(self.key, before, self.room.as_ref()));
        self.log.wait(self.said.or(on_disk))
    }
}
