//! What is remembered of uploads until they are done, for a run after this one.

mod record;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::warn;

use self::record::Record;
use crate::hashing::RunningDigest;
use crate::layout::{blocking, open_locked};
use crate::oci::{Algorithm, Descriptor, RepositoryName};

/// Registries forget uploads that nobody writes to, most of them sooner.
const KEPT_FOR: Duration = Duration::from_secs(14 * 24 * 3600);

const RECORD: &str = "json";
const LOCK: &str = "lock";

/// A folder with a small file for each upload that is not done: to which registry and repository, of which blob, and
/// the ticket by which the registry finds it again. Cheap to clone.
///
/// Tickets can be all that it takes to write, so that the folder and its files are the user's own (0700 and 0600). Each
/// file is locked by the process that pushes the blob; another one that pushes the same does so without the journal. No
/// record is trusted: the registry is asked how far the upload is, and its digest decides in the end.
#[derive(Clone, Debug)]
pub struct Journal {
    folder: PathBuf,
}

/// One blob's place in the journal, locked as long as this lives.
#[derive(Debug)]
pub(super) struct Claim {
    /// Without an end; each file has its own.
    path: PathBuf,
    kept: Option<Record>,
    blank: Record,
    _lock: File,
}

impl Journal {
    /// Opens a journal, which is made if need be, and removes what is two weeks old.
    ///
    /// # Errors
    /// When the folder cannot be made or listed.
    pub async fn open(folder: &Path) -> io::Result<Journal> {
        let folder = folder.to_owned();
        blocking(move || {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            tidy(&folder)?;
            Ok(Journal { folder })
        })
        .await
    }

    /// Where a user's journal is: `$XDG_CACHE_HOME/longshore/uploads`, or the same in `~/.cache`; `None` when neither
    /// variable is set.
    pub fn usual_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(cache.join("longshore/uploads"))
    }

    /// The place of a blob on its way to a repository; `None` when another process has it, or the disk does not let us.
    pub(super) async fn claim(&self, registry: &str, repository: &RepositoryName, blob: &Descriptor) -> Option<Claim> {
        let blank = Record {
            version: Record::VERSION,
            registry: registry.to_owned(),
            repository: repository.to_string(),
            digest: blob.digest.to_string(),
            size_bytes: blob.size,
            started_at: seconds_now(),
            ticket: String::new(),
        };
        let path = self.folder.join(file_name(&blank));
        let claimed = blocking(move || {
            let Some(lock) = open_locked(&with_end(&path, LOCK), 0o600)? else { return Ok(None) };
            let kept = Record::read(&with_end(&path, RECORD))?.filter(|kept| kept.is_of_the_same(&blank));
            Ok(Some(Claim { path, kept, blank, _lock: lock }))
        });
        claimed.await.unwrap_or_else(|error: io::Error| {
            warn!(folder = self.folder.display().to_string(), error = error.to_string(); "journal cannot be used");
            None
        })
    }
}

impl Claim {
    /// By which an earlier run's upload is found again.
    pub(super) fn ticket(&self) -> Option<String> {
        self.kept.as_ref().map(|kept| kept.ticket.clone())
    }

    /// Keeps a ticket in place of the one before. A push does not fail because it cannot be resumed.
    pub(super) async fn record(&mut self, ticket: String) {
        if self.kept.as_ref().is_some_and(|kept| kept.ticket == ticket) {
            return;
        }
        let started_at = self.kept.as_ref().map_or(self.blank.started_at, |kept| kept.started_at);
        let record = Record { ticket, started_at, ..self.blank.clone() };
        self.kept = Some(record.clone());
        let path = with_end(&self.path, RECORD);
        let written = blocking(move || record.write(&path)).await;
        self.warn_of(written);
    }

    /// The upload is done, or there is none.
    pub(super) async fn forget(&mut self) {
        self.kept = None;
        let path = self.path.clone();
        let removed = blocking(move || remove(&with_end(&path, RECORD))).await;
        self.warn_of(removed);
    }

    fn warn_of(&self, result: io::Result<()>) {
        if let Err(error) = result {
            warn!(file = self.path.display().to_string(), error = error.to_string(); "journal cannot be written");
        }
    }
}

impl Drop for Claim {
    /// The lock's file goes while it is locked; whoever waits for it finds that out.
    fn drop(&mut self) {
        if self.kept.is_none() {
            let _ = remove(&with_end(&self.path, LOCK));
        }
    }
}

/// Fixed in length, and without what others may have put into names.
fn file_name(record: &Record) -> String {
    let mut running = RunningDigest::new(Algorithm::Sha256);
    for part in [&record.registry, &record.repository, &record.digest] {
        running.update(part.as_bytes());
        running.update(b"\n");
    }
    running.finish().hex().to_owned()
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    path.with_extension(end)
}

/// Removes what is old and nobody uses.
fn tidy(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > KEPT_FOR));
        let path = entry.path();
        if !is_old || !is_of_a_journal(&path) {
            continue;
        }
        if let Some(_lock) = open_locked(&with_end(&path, LOCK), 0o600)? {
            remove(&with_end(&path, RECORD))?;
            remove(&with_end(&path, LOCK))?;
            // A temporary one of a process that was killed.
            remove(&path)?;
        }
    }
    Ok(())
}

fn is_of_a_journal(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem.len() == Algorithm::Sha256.hex_len() && stem.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
