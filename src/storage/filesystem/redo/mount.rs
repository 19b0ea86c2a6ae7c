use std::io;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::fs::{AtFlags, StatxFlags, statx};

/// The number of a mount that no other one has, until the machine is started anew (Linux 6.8).
const UNIQUE_NUMBER: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// All names are so long, so that one can be written over another.
const NAME_BYTES: usize = 64;

/// How long a filesystem has been mounted: what was written to it is lost with its caches at the end.
#[derive(Debug)]
pub(super) struct Mount(Option<String>);

impl Mount {
    pub(super) fn of(root: &OwnedFd) -> io::Result<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let found = statx(root, "", AtFlags::EMPTY_PATH, UNIQUE_NUMBER)?;
        let has_number = found.stx_mask & UNIQUE_NUMBER.bits() != 0;
        Ok(Mount(boot.filter(|_| has_number).map(|boot| format!("{} {}", boot.trim(), found.stx_mnt_id))))
    }

    pub(super) fn name(&self) -> Bytes {
        padded(self.0.as_deref().unwrap_or("not known"))
    }

    /// Whether `name` is this one's. Where that cannot be told, it is not.
    pub(super) fn is(&self, name: &Bytes) -> bool {
        self.0.is_some() && *name == self.name()
    }

    /// The name in place of the true one where something was not written though there was no other mount.
    pub(super) fn lost() -> Bytes {
        padded("lost")
    }
}

fn padded(name: &str) -> Bytes {
    format!("{name:NAME_BYTES$}").into()
}
