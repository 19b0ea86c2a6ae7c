//! Where the live uploads are: a concurrent map, so that finding one costs no mailbox hop.
//!
//! An upload is named by its repository and its id. So an id works in its own repository only, and an actor that looks
//! for one where it is not stands in nobody's way.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use actix::Addr;
use dashmap::{DashMap, Entry};

use super::actor::UploadActor;
use super::roster::{LiveUpload, Name, Roster};

#[derive(Default)]
pub(super) struct Index {
    live: DashMap<Name, Addr<UploadActor>>,
    /// Whether nobody is admitted any more. Held while somebody is, until his actor is entered.
    draining: RwLock<bool>,
}

impl Index {
    pub fn get(&self, name: &Name) -> Option<Addr<UploadActor>> {
        self.live.get(name).map(|entry| entry.value().clone())
    }

    pub fn contains(&self, name: &Name) -> bool {
        self.live.contains_key(name)
    }

    /// Starts an actor and enters it in one step: an actor that ends at once finds its entry to give up.
    pub fn insert_with(&self, name: Name, start: impl FnOnce() -> Addr<UploadActor>) -> Addr<UploadActor> {
        match self.live.entry(name) {
            Entry::Occupied(mut entry) => {
                let address = start();
                entry.insert(address.clone());
                address
            }
            Entry::Vacant(entry) => entry.insert(start()).value().clone(),
        }
    }

    pub fn len(&self) -> usize {
        self.live.len()
    }

    pub fn addresses(&self) -> Vec<Addr<UploadActor>> {
        self.live.iter().map(|entry| entry.value().clone()).collect()
    }

    pub fn set_draining(&self) {
        *self.draining.write().unwrap_or_else(PoisonError::into_inner) = true;
    }

    pub fn is_draining(&self) -> bool {
        *self.draining.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while an upload is admitted, until its actor is entered; `None` when the process ends.
    pub fn admitting(&self) -> Option<RwLockReadGuard<'_, bool>> {
        Some(self.draining.read().unwrap_or_else(PoisonError::into_inner)).filter(|is_draining| !**is_draining)
    }
}

/// An actor's place in the index. It is given up once, by the actor when it ends or by its drop when it panics, so that
/// the place of a later actor of the same upload is never taken away.
pub(super) struct Registration {
    index: Arc<Index>,
    roster: Arc<Roster>,
    name: Name,
    /// What others see of the upload, once there is one.
    live: Option<Arc<LiveUpload>>,
    held: bool,
}

impl Registration {
    pub fn new(index: Arc<Index>, roster: Arc<Roster>, name: Name, live: Option<Arc<LiveUpload>>) -> Self {
        Registration { index, roster, name, live, held: true }
    }

    pub fn set_live(&mut self, live: Arc<LiveUpload>) {
        self.live = Some(live);
    }

    pub fn live(&self) -> Option<&Arc<LiveUpload>> {
        self.live.as_ref()
    }

    pub fn give_up(&mut self) {
        if std::mem::take(&mut self.held) {
            self.index.live.remove(&self.name);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.held {
            if let Some(live) = &self.live {
                self.roster.lose(&self.name, live);
            }
            self.give_up();
        }
    }
}
