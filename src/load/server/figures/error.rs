use std::fmt;
use std::io;

/// What a process uses cannot be told.
#[derive(Debug)]
pub enum FiguresError {
    /// This system does not tell it; Linux does.
    Unsupported,
    /// There is no such process, or another one got its id.
    Gone {
        /// Its id.
        pid: u32,
    },
    /// The system keeps it from us: it belongs to somebody else.
    Forbidden {
        /// Its id.
        pid: u32,
        /// Which figures.
        what: &'static str,
    },
    /// It cannot be read.
    Unreadable {
        /// Its id.
        pid: u32,
        /// Which figures.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl FiguresError {
    pub(super) fn of(pid: u32, what: &'static str, source: io::Error) -> FiguresError {
        // What reading tells of a process that ends in this moment.
        const NO_SUCH_PROCESS: i32 = rustix::io::Errno::SRCH.raw_os_error();
        match source.kind() {
            io::ErrorKind::NotFound => FiguresError::Gone { pid },
            _ if source.raw_os_error() == Some(NO_SUCH_PROCESS) => FiguresError::Gone { pid },
            io::ErrorKind::PermissionDenied => FiguresError::Forbidden { pid, what },
            _ => FiguresError::Unreadable { pid, what, source },
        }
    }
}

impl fmt::Display for FiguresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FiguresError::Unsupported => f.write_str("this system does not tell what a process uses"),
            FiguresError::Gone { pid } => write!(f, "process {pid} is not there"),
            FiguresError::Forbidden { pid, what } => {
                write!(f, "{what} of process {pid} may be read by its own user only")
            }
            FiguresError::Unreadable { pid, what, source } => {
                write!(f, "{what} of process {pid} cannot be read: {source}")
            }
        }
    }
}

impl std::error::Error for FiguresError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FiguresError::Unreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}
