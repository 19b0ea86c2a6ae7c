use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use super::process::OwnProcess;
use super::{OwnFolder, ServerError};
use crate::config::{DurabilityPolicy, StorageDriver};

/// What an embedded registry is to be like.
#[derive(Clone, Debug, Default)]
pub struct EmbeddedOptions {
    /// The longshore to run; `None`: the program that runs now.
    pub program: Option<PathBuf>,
    /// The folder in which a temporary one is made for its data; `None`: where temporary files are.
    pub parent: Option<PathBuf>,
    /// Where it keeps its bytes.
    pub storage: StorageDriver,
    /// What survives a loss of power.
    pub durability: DurabilityPolicy,
    /// Other keys of its configuration and their values, as in `("uploads.idle_timeout", "2s")`. Those of `http`, `log` and
    /// `storage` that the load tester says itself are refused.
    pub settings: Vec<(String, String)>,
}

/// What is the load tester's own to say, or has a field here.
const SAID_HERE: [&str; 7] = [
    "http.addr",
    "http.admin_addr",
    "log.format",
    "log.level",
    "storage.driver",
    "storage.durability",
    "storage.filesystem.root",
];

/// A longshore that was started for a run, in a process and a temporary folder of its own. It is as it comes, but that it
/// logs no requests and ends within two seconds; nothing of this process's environment configures it.
///
/// It ends, and its folder goes, when this is dropped; when this process is killed it ends, and its folder stays until the
/// next [`OwnFolder`] is made beside it.
#[derive(Debug)]
pub struct Embedded {
    process: OwnProcess,
}

impl Embedded {
    /// Starts one, on free ports of the loopback address, and waits until it serves.
    ///
    /// # Errors
    /// [`ServerError`], with the end of its log when it has written any; nothing is left then.
    pub async fn start(options: &EmbeddedOptions) -> Result<Embedded, ServerError> {
        if let Some((key, _)) = options.settings.iter().find(|(key, _)| SAID_HERE.contains(&key.as_str())) {
            return Err(ServerError::Setting { key: key.clone() });
        }
        let folder = OwnFolder::create(options.parent.as_deref())?;
        let mut command = Command::new(super::program(options.program.as_ref())?);
        command.args(["serve", "--until-stdin-ends", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"]);
        super::forget_configuration(&mut command);
        let own = [
            ("log.format", "json"),
            ("log.level", "warn,longshore::app=info"),
            ("http.shutdown_grace", "2s"),
            ("storage.driver", storage_name(options.storage)),
            ("storage.durability", durability_name(options.durability)),
        ];
        for (key, value) in own {
            command.env(variable(key), value);
        }
        command.env(variable("storage.filesystem.root"), folder.path().join("data"));
        for (key, value) in &options.settings {
            command.env(variable(key), value);
        }
        let process = OwnProcess::start("longshore", command, folder).await?;
        Ok(Embedded { process })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.process.serves.addr
    }

    /// Where its health and metrics are.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.process.serves.admin_addr
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

    /// Ends it in good order, which takes seconds at most, and removes its folder.
    ///
    /// # Errors
    /// [`ServerError::Ended`] when it had ended by itself.
    pub async fn stop(self) -> Result<(), ServerError> {
        self.process.stop().await
    }
}

/// The environment variable of a key of the configuration.
fn variable(key: &str) -> String {
    format!("LONGSHORE__{}", key.replace('.', "__").to_uppercase())
}

fn storage_name(storage: StorageDriver) -> &'static str {
    match storage {
        StorageDriver::Filesystem => "filesystem",
        StorageDriver::Memory => "memory",
    }
}

fn durability_name(durability: DurabilityPolicy) -> &'static str {
    match durability {
        DurabilityPolicy::Process => "process",
        DurabilityPolicy::Commit => "commit",
        DurabilityPolicy::Ack => "ack",
    }
}
