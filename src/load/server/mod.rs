//! Servers on this machine: those that a run starts for itself, and what any of them uses of the machine.

mod embedded;
mod error;
pub mod figures;
mod folder;
mod machine;
mod process;
mod raw;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

pub use embedded::{Embedded, EmbeddedOptions};
pub use error::ServerError;
pub use folder::OwnFolder;
pub use machine::machine;
pub use raw::{Control, ControlOptions};

/// The program to run.
fn program(wanted: Option<&PathBuf>) -> Result<OsString, ServerError> {
    match wanted {
        Some(path) => Ok(path.clone().into_os_string()),
        None => std::env::current_exe()
            .map(PathBuf::into_os_string)
            .map_err(|source| ServerError::Program { path: PathBuf::from("longshore"), source }),
    }
}

/// Keeps what configures this process away from another.
fn forget_configuration(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"LONGSHORE") {
            command.env_remove(name);
        }
    }
}
