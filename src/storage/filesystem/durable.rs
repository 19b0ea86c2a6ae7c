use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many folders are remembered; past it all are forgotten, which costs a sync for each that is used again.
const MOST_FOLDERS: usize = 65_536;

/// Folders whose own names are known to survive a power cut.
///
/// A new file survives only when each folder above it does. Folders that this process made without a sync, or found
/// there (who knows who made them, and when), are synced once, at the first durable write below them.
#[derive(Debug, Default)]
pub(super) struct DurableFolders {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: HashSet<Box<str>>,
    removals: u64,
}

/// How many folders had been removed at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Removals(u64);

impl DurableFolders {
    /// To be asked before the folders are looked at that [`DurableFolders::learn`] is then told of.
    pub(super) fn removals(&self) -> Removals {
        Removals(self.lock().removals)
    }

    pub(super) fn knows(&self, path: &str) -> bool {
        self.lock().known.contains(path)
    }

    /// Remembers folders that were synced, unless one was removed since `before`: it may have been made anew.
    pub(super) fn learn(&self, paths: Vec<&str>, before: Removals) {
        let mut state = self.lock();
        if Removals(state.removals) != before {
            return;
        }
        if state.known.len() + paths.len() > MOST_FOLDERS {
            state.known.clear();
        }
        state.known.extend(paths.into_iter().map(Box::from));
    }

    /// Removes an empty folder, and forgets it in the same moment.
    pub(super) fn remove(&self, path: &str, remove: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.lock();
        remove()?;
        state.known.remove(path);
        state.removals += 1;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_removed_meanwhile_is_not_learned() {
        let folders = DurableFolders::default();
        let before = folders.removals();
        folders.learn(vec!["a", "a/b"], before);
        assert!(folders.knows("a/b"));
        folders.remove("a/c", || Err(io::ErrorKind::DirectoryNotEmpty.into())).unwrap_err();
        assert_eq!(folders.removals(), before);
        folders.remove("a/b", || Ok(())).unwrap();
        assert!(folders.knows("a") && !folders.knows("a/b"));
        folders.learn(vec!["a/b"], before);
        assert!(!folders.knows("a/b"));
    }

    #[test]
    fn it_is_bounded() {
        let folders = DurableFolders::default();
        for number in 0..=MOST_FOLDERS {
            folders.learn(vec![&number.to_string()], folders.removals());
        }
        assert!(folders.lock().known.len() < MOST_FOLDERS);
        assert!(folders.knows(&MOST_FOLDERS.to_string()));
    }
}
