//! Uploads that have expired and are kept for a look: the oldest go first.

use std::collections::BTreeSet;

use super::Name;
use crate::upload::Policy;

/// How many are kept at most: a listing of more would help nobody.
pub(super) const MAX_KEPT: usize = 10_000;

/// One that is kept.
#[derive(Clone, Copy, Debug)]
pub(in crate::upload) struct Kept {
    pub policy: Policy,
    /// When it expired.
    pub at: u64,
    /// How many bytes of data are kept.
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct KeptUploads {
    by_age: BTreeSet<(u64, Name)>,
    /// Those of them that have data.
    with_data: BTreeSet<(u64, Name)>,
    bytes: u64,
}

impl KeptUploads {
    pub fn add(&mut self, name: &Name, kept: &Kept) {
        self.by_age.insert((kept.at, name.clone()));
        if kept.bytes > 0 {
            self.with_data.insert((kept.at, name.clone()));
            self.bytes += kept.bytes;
        }
    }

    pub fn remove(&mut self, name: &Name, kept: &Kept) {
        let key = (kept.at, name.clone());
        self.by_age.remove(&key);
        if self.with_data.remove(&key) {
            self.bytes = self.bytes.saturating_sub(kept.bytes);
        }
    }

    /// Its data goes.
    pub fn strip(&mut self, name: &Name, kept: &mut Kept) {
        if self.with_data.remove(&(kept.at, name.clone())) {
            self.bytes = self.bytes.saturating_sub(kept.bytes);
        }
        kept.bytes = 0;
    }

    /// Whose data has to go next: the oldest while there is more than `max_bytes` (0: any number), or all of it.
    pub fn next_to_strip(&self, max_bytes: u64, is_space_low: bool) -> Option<Name> {
        let is_too_much = is_space_low || max_bytes > 0 && self.bytes > max_bytes;
        self.with_data.first().filter(|_| is_too_much).map(|(_, name)| name.clone())
    }

    /// Takes the oldest one out while there are too many, so that one that cannot be removed is not taken again at once.
    pub fn take_one_too_many(&mut self) -> Option<Name> {
        if self.by_age.len() <= MAX_KEPT {
            return None;
        }
        self.by_age.pop_first().map(|(_, name)| name)
    }

    pub fn len(&self) -> u64 {
        self.by_age.len() as u64
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
