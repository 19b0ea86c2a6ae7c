use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::client::{RepositoryClient, Url};

/// The uploads that tasks of a turn began and that have not ended, so that whoever breaks the tasks off can cancel
/// them.
#[derive(Default)]
pub(super) struct OpenUploads(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    open: BTreeMap<u64, (RepositoryClient, Url)>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl OpenUploads {
    pub(super) fn began(&self, repository: &RepositoryClient, location: &Url) -> Ticket {
        let mut state = self.lock();
        let ticket = state.next;
        state.next += 1;
        state.open.insert(ticket, (repository.clone(), location.clone()));
        Ticket(ticket)
    }

    /// It goes on at another address.
    pub(super) fn moved(&self, ticket: Ticket, location: &Url) {
        if let Some((_, known)) = self.lock().open.get_mut(&ticket.0) {
            *known = location.clone();
        }
    }

    pub(super) fn ended(&self, ticket: Ticket) {
        self.lock().open.remove(&ticket.0);
    }

    pub(super) fn take_all(&self) -> Vec<(RepositoryClient, Url)> {
        std::mem::take(&mut self.lock().open).into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
