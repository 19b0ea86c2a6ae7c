use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use super::process::OwnProcess;
use super::{OwnFolder, ServerError};

/// Where a control is to be.
#[derive(Clone, Debug, Default)]
pub struct ControlOptions {
    /// The longshore to run; `None`: the program that runs now.
    pub program: Option<PathBuf>,
    /// The folder in which a temporary one is made for what it writes; `None`: where temporary files are.
    pub parent: Option<PathBuf>,
}

/// The raw control ([`crate::load::control`]) in a process and a temporary folder of its own.
///
/// It ends, and its folder goes, when this is dropped; when this process is killed it ends, what it received goes, and its
/// folder stays with its log until the next [`OwnFolder`] is made beside it.
#[derive(Debug)]
pub struct Control {
    process: OwnProcess,
}

impl Control {
    /// Starts it on a free port of the loopback address, and waits until it serves.
    ///
    /// # Errors
    /// [`ServerError`], with the end of its log when it has written any; nothing is left then.
    pub async fn start(options: &ControlOptions) -> Result<Control, ServerError> {
        let folder = OwnFolder::create(options.parent.as_deref())?;
        let mut command = Command::new(super::program(options.program.as_ref())?);
        command.args(["load", "control", "--until-stdin-ends", "--addr", "127.0.0.1:0", "--folder"]).arg(folder.path());
        super::forget_configuration(&mut command);
        let process = OwnProcess::start("control", command, folder).await?;
        Ok(Control { process })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.process.serves.addr
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Looks whether it is alive.
    ///
    /// # Errors
    /// [`ServerError::Ended`] with the end of its log when it is not.
    pub fn check(&mut self) -> Result<(), ServerError> {
        self.process.check()
    }

    /// Ends it and removes its folder.
    ///
    /// # Errors
    /// [`ServerError::Ended`] when it had ended by itself.
    pub async fn stop(self) -> Result<(), ServerError> {
        self.process.stop().await
    }
}
