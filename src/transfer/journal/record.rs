use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

/// Tickets are URLs, which registries keep short.
const MAX_BYTES: u64 = 64 << 10;

/// One upload that is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    pub(super) registry: String,
    pub(super) repository: String,
    pub(super) digest: String,
    pub(super) size_bytes: u64,
    /// Seconds since 1970.
    pub(super) started_at: u64,
    /// A secret: with some registries it is all that it takes to write.
    pub(super) ticket: String,
}

impl Record {
    pub(super) const VERSION: u32 = 1;

    /// What is kept; `None` when there is nothing that can be used: it is not there, broken, of another version, or
    /// not this user's own file.
    pub(super) fn read(path: &Path) -> io::Result<Option<Record>> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let file = match File::options().read(true).custom_flags(flags).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let is_own = metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw();
        let mut data = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut data)?;
        let record: Option<Record> = serde_json::from_slice(&data).ok();
        Ok(record.filter(|record| is_own && record.version == Record::VERSION))
    }

    /// Whole or not at all. It need not outlive a loss of power: then the upload is begun anew.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        // The lock lets only one process write it.
        let temporary = path.with_extension("new");
        let _ = fs::remove_file(&temporary);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let written = file.write_all(&serde_json::to_vec(self)?).and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    pub(super) fn is_of_the_same(&self, other: &Record) -> bool {
        self.registry == other.registry
            && self.repository == other.repository
            && self.digest == other.digest
            && self.size_bytes == other.size_bytes
    }
}
