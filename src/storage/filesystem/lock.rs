use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::storage::{StorageError, StorageErrorKind};

/// The file that is locked. Other registries that serve the folder do not look at it.
pub(super) const LOCK_FILE: &str = "longshore.lock";

/// The right to be the only process that works on a root; it ends with the value, or with the process.
///
/// The driver takes it when it is opened; a tool that works on the folder takes it too. The kernel holds the lock (it is
/// no file that could be left over); what the file says is for people.
#[derive(Debug)]
pub struct RootLock {
    _file: File,
}

impl RootLock {
    /// Locks `root`, which must exist.
    ///
    /// # Errors
    /// A fault that names the holder when another process (or another part of this one) has it.
    pub fn take(root: &Path) -> Result<Self, StorageError> {
        let path = root.join(LOCK_FILE);
        let fail = |error| StorageError::from_io("lock", path.display(), error);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(&mut file, root)),
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        if let Err(error) = write_holder(&mut file) {
            // The lock itself stands. A full disk must not keep an operator from opening it to delete things.
            log::warn!(path = path.display().to_string(), error = error.to_string(); "cannot write who holds the lock");
        }
        Ok(RootLock { _file: file })
    }
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    let since = OffsetDateTime::now_utc().replace_nanosecond(0).ok().and_then(|now| now.format(&Rfc3339).ok());
    let holder = format!("pid {} since {}\n", std::process::id(), since.as_deref().unwrap_or("an unknown time"));
    file.rewind()?;
    file.write_all(holder.as_bytes())?;
    file.set_len(holder.len() as u64)
}

fn in_use(file: &mut File, root: &Path) -> StorageError {
    let mut holder = String::new();
    let known = file.take(200).read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
    let holder = if known { holder.trim() } else { "another process" };
    let cause = format!("it is in use by {holder}; one process owns a root at a time");
    StorageError::with_source(StorageErrorKind::Fault, "lock", root.display(), cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_and_told_the_holder() {
        let root = tempfile::tempdir().unwrap();
        let first = RootLock::take(root.path()).unwrap();
        let refusal = RootLock::take(root.path()).unwrap_err().to_string();
        assert!(refusal.contains(&format!("in use by pid {} since 20", std::process::id())), "{refusal}");
        drop(first);
        RootLock::take(root.path()).unwrap();
    }

    #[test]
    fn what_an_earlier_holder_wrote_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(LOCK_FILE), "pid 999999999999 since a much longer time ago than that\n")
            .unwrap();
        let lock = RootLock::take(root.path()).unwrap();
        let text = std::fs::read_to_string(root.path().join(LOCK_FILE)).unwrap();
        assert!(text.starts_with(&format!("pid {} since ", std::process::id())) && text.ends_with("Z\n"), "{text:?}");
        drop(lock);
    }
}
