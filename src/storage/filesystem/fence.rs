use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::storage::Key;

/// The newest writer of each partial that is open.
#[derive(Debug, Default)]
pub(super) struct Fences {
    newest: Mutex<HashMap<Key, Weak<Fence>>>,
}

/// A writer's right to touch its partial; a newer writer takes it away.
///
/// A call that was cancelled may still be at work on its thread: whoever opens the partial next waits for that, and
/// finds nothing that moves.
#[derive(Debug)]
pub(super) struct Fence {
    fences: Arc<Fences>,
    key: Key,
    taken_away: Mutex<bool>,
}

impl Fences {
    /// Gives the right to a new writer. Waits for the call that the one before is in; may block.
    pub(super) fn hand_over(self: &Arc<Self>, key: &Key) -> Arc<Fence> {
        let fence = Arc::new(Fence { fences: self.clone(), key: key.clone(), taken_away: Mutex::new(false) });
        // Held while it waits, so that whoever comes next waits for the same call, and not only for this one.
        let not_mine_yet = fence.lock();
        let before = self.lock().insert(key.clone(), Arc::downgrade(&fence));
        if let Some(before) = before.and_then(|before| before.upgrade()) {
            *before.lock() = true;
        }
        drop(not_mine_yet);
        fence
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Weak<Fence>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn open_count(&self) -> usize {
        self.lock().len()
    }
}

impl Fence {
    /// Held while the partial is worked on.
    pub(super) fn enter(&self) -> io::Result<MutexGuard<'_, bool>> {
        let guard = self.lock();
        if *guard {
            return Err(io::Error::other("another writer has opened it"));
        }
        Ok(guard)
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.taken_away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        let mut newest = self.fences.lock();
        if newest.get(&self.key).is_some_and(|fence| std::ptr::eq(fence.as_ptr(), self)) {
            newest.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn newest(fences: &Fences, key: &Key) -> *const Fence {
        fences.lock().get(key).map_or(std::ptr::null(), Weak::as_ptr)
    }

    #[test]
    fn nobody_gets_past_a_call_that_hangs_however_many_wait_for_it() {
        let fences: Arc<Fences> = Arc::default();
        let key: Key = "data".parse().unwrap();
        let first = fences.hand_over(&key);
        let hanging = first.enter().unwrap();
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let before = newest(&fences, &key);
            let (fences_of_thread, key_of_thread) = (fences.clone(), key.clone());
            waiting.push(thread::spawn(move || fences_of_thread.hand_over(&key_of_thread)));
            while newest(&fences, &key) == before {
                thread::yield_now();
            }
        }
        for _ in 0..10_000 {
            assert!(waiting.iter().all(|thread| !thread.is_finished()), "one got the right while a call hangs");
            thread::yield_now();
        }
        drop(hanging);
        let given: Vec<_> = waiting.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(given.iter().filter(|fence| fence.enter().is_ok()).count(), 1);
        assert!(given[2].enter().is_ok() && first.enter().is_err());
        drop((given, first));
        assert_eq!(fences.open_count(), 0);
    }
}
