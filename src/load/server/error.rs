use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// A server of the run's own could not be started, or did not live.
#[derive(Debug)]
pub enum ServerError {
    /// Its folder cannot be made.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key of its configuration is not for others to set.
    Setting {
        /// The key.
        key: String,
    },
    /// Its program cannot be run.
    Program {
        /// The program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended by itself.
    Ended {
        /// Which server.
        server: &'static str,
        /// How.
        status: ExitStatus,
        /// What it wrote last.
        log_tail: String,
    },
    /// It never told that it serves.
    Silent {
        /// Which server.
        server: &'static str,
        /// How long it was waited for.
        waited: Duration,
        /// What it wrote last.
        log_tail: String,
    },
    /// The system does not tell how it is.
    Unknown {
        /// Which server.
        server: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Folder { path, source } => write!(f, "folder {} cannot be made: {source}", path.display()),
            ServerError::Setting { key } => write!(f, "{key} of an embedded registry is the load tester's own to set"),
            ServerError::Program { path, source } => write!(f, "{} cannot be run: {source}", path.display()),
            ServerError::Ended { server, status, log_tail } => {
                write!(f, "the {server} server ended by itself ({status})")?;
                write_tail(f, log_tail)
            }
            ServerError::Silent { server, waited, log_tail } => {
                write!(f, "the {server} server did not start within {} s", waited.as_secs())?;
                write_tail(f, log_tail)
            }
            ServerError::Unknown { server, source } => write!(f, "the {server} server cannot be waited for: {source}"),
        }
    }
}

fn write_tail(f: &mut fmt::Formatter<'_>, log_tail: &str) -> fmt::Result {
    match log_tail {
        "" => f.write_str("; it wrote nothing"),
        _ => write!(f, "; it wrote at last:\n{log_tail}"),
    }
}

impl std::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServerError::Folder { source, .. }
            | ServerError::Program { source, .. }
            | ServerError::Unknown { source, .. } => Some(source),
            ServerError::Setting { .. } | ServerError::Ended { .. } | ServerError::Silent { .. } => None,
        }
    }
}
