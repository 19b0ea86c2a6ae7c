use std::collections::HashMap;
use std::time::Instant;

use super::FiguresError;
use super::files::{self, Io, Stat, Status, Switches};

/// All figures of a process at one moment.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) at: Instant,
    pub(super) stat: Stat,
    pub(super) status: Status,
    pub(super) io: Io,
    pub(super) switches: HashMap<u32, Switches>,
}

impl Reading {
    pub(super) fn of(pid: u32) -> Result<Reading, FiguresError> {
        Ok(Reading {
            at: Instant::now(),
            stat: stat(pid)?,
            status: status(pid)?,
            io: files::io(pid).map_err(|source| FiguresError::of(pid, "reads and writes", source))?,
            switches: switches(pid)?,
        })
    }
}

pub(super) fn stat(pid: u32) -> Result<Stat, FiguresError> {
    files::stat(pid).map_err(|source| FiguresError::of(pid, "processor time", source))
}

pub(super) fn status(pid: u32) -> Result<Status, FiguresError> {
    files::status(pid).map_err(|source| FiguresError::of(pid, "memory", source))
}

pub(super) fn switches(pid: u32) -> Result<HashMap<u32, Switches>, FiguresError> {
    files::switches(pid).map_err(|source| FiguresError::of(pid, "context switches", source))
}
