use std::error::Error;
use std::fmt;
use std::io;

use crate::load::measure::Failure;
use crate::load::server::ServerError;
use crate::load::server::figures::FiguresError;

/// A run that could not be begun, or not be gone on with.
#[derive(Debug)]
pub enum RunError {
    /// The target is on another machine, and nobody said whose it is.
    NotOurs {
        /// The target's name in the plan.
        target: String,
        /// Its host.
        host: String,
    },
    /// The host's name cannot be resolved.
    Unresolved {
        /// The target's name in the plan.
        target: String,
        /// Its host.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// A server of the run's own failed.
    Server(ServerError),
    /// The process that the plan names as a target's server cannot be watched.
    Process {
        /// The target's name in the plan.
        target: String,
        /// Why.
        source: FiguresError,
    },
    /// A target cannot be used at all.
    Target {
        /// The target's name in the plan.
        target: String,
        /// What was tried.
        doing: &'static str,
        /// Why.
        source: Failure,
    },
}

impl From<ServerError> for RunError {
    fn from(error: ServerError) -> Self {
        RunError::Server(error)
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::NotOurs { target, host } => write!(
                f,
                "target {target}: {host} is not on this machine; load is put on it only with --i-am-in-charge-of {host}"
            ),
            RunError::Unresolved { target, host, source } => {
                write!(f, "target {target}: {host} cannot be resolved: {source}")
            }
            RunError::Server(error) => error.fmt(f),
            RunError::Process { target, source } => write!(f, "target {target}: its process: {source}"),
            RunError::Target { target, doing, source } => write!(f, "target {target}: {doing}: {source}"),
        }
    }
}

impl Error for RunError {}
