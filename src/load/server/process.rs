//! A server in a process of its own.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{OwnFolder, ServerError};

/// How long a server may take to serve; a slow disk takes seconds.
const START_WITHIN: Duration = Duration::from_secs(30);

/// How long a server may take to end before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How often is looked whether it has started or ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How much of the end of a log is shown.
const TAIL_BYTES: u64 = 4096;

/// How much of a log is searched for the line that tells the address.
const HEAD_BYTES: u64 = 1 << 20;

/// A server of the run's own, and the folder of its data. However it is dropped, the process ends and the folder goes.
///
/// The process notices that this one is gone (killed, too) by its standard input, which ends then. Its process group is
/// its own, so that a Ctrl-C in the terminal reaches the load tester alone, which then ends it in good order.
#[derive(Debug)]
pub(super) struct OwnProcess {
    server: &'static str,
    child: Child,
    /// It ends the server when it is closed.
    stdin: Option<ChildStdin>,
    folder: OwnFolder,
    pub(super) serves: Serves,
}

/// The log line in which a server tells that it serves.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Serves {
    message: String,
    pub(super) addr: SocketAddr,
    pub(super) admin_addr: Option<SocketAddr>,
}

impl OwnProcess {
    /// Runs `command`, which logs JSON lines, until one of them says `<server's name> serves`.
    pub(super) async fn start(
        server: &'static str,
        mut command: Command,
        folder: OwnFolder,
    ) -> Result<OwnProcess, ServerError> {
        let log_path = log_path(&folder);
        let log = File::create(&log_path).map_err(|source| ServerError::Folder { path: log_path.clone(), source })?;
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).process_group(0);
        let program = PathBuf::from(command.get_program());
        let mut child = command.spawn().map_err(|source| ServerError::Program { path: program, source })?;
        let stdin = child.stdin.take();
        // From here on it is ended with the guard, also when the caller stops waiting.
        let mut starting = Guard { child: Some(child) };
        let ready = format!("{server} serves");
        let began = Instant::now();
        let serves = loop {
            if let Some(serves) = find_line(&log_path, &ready) {
                break serves;
            }
            if let Some(status) = starting.ended().map_err(|source| ServerError::Unknown { server, source })? {
                return Err(ServerError::Ended { server, status, log_tail: tail(&log_path) });
            }
            if began.elapsed() > START_WITHIN {
                return Err(ServerError::Silent { server, waited: START_WITHIN, log_tail: tail(&log_path) });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let child = starting.child.take().expect("the guard had it until now");
        Ok(OwnProcess { server, child, stdin, folder, serves })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn log_tail(&self) -> String {
        tail(&log_path(&self.folder))
    }

    /// Fails when the server is not alive any more.
    pub(super) fn check(&mut self) -> Result<(), ServerError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(ServerError::Ended { server: self.server, status, log_tail: self.log_tail() }),
            Err(source) => Err(ServerError::Unknown { server: self.server, source }),
        }
    }

    /// Ends the server, kills it when it does not within some seconds, and removes its folder.
    pub(super) async fn stop(mut self) -> Result<(), ServerError> {
        let before = self.check();
        drop(self.stdin.take());
        let ends_at = Instant::now() + STOP_WITHIN;
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if Instant::now() > ends_at {
                log::warn!(server = self.server, pid = self.pid(); "server does not end and is killed");
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // To remove many files takes a while.
        if let Err(error) = tokio::task::spawn_blocking(move || drop(self)).await {
            log::warn!(error:% = error; "server of the load tester could not be cleared away");
        }
        before
    }
}

impl Drop for OwnProcess {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a process that has not told yet that it serves.
struct Guard {
    child: Option<Child>,
}

impl Guard {
    fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), Child::try_wait)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
    }
}

fn end(child: &mut Child) {
    // Both fail only when it has ended and was waited for.
    let _ = child.kill();
    let _ = child.wait();
}

fn log_path(folder: &OwnFolder) -> PathBuf {
    folder.path().join("log")
}

fn find_line(log_path: &Path, message: &str) -> Option<Serves> {
    let mut head = String::new();
    File::open(log_path).ok()?.take(HEAD_BYTES).read_to_string(&mut head).ok()?;
    // A line counts when it is complete.
    let complete = &head[..head.rfind('\n')?];
    complete.lines().filter_map(|line| serde_json::from_str::<Serves>(line).ok()).find(|line| line.message == message)
}

/// The last lines of a log; empty when there are none.
fn tail(log_path: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let length = fs::metadata(log_path)?.len();
        let mut file = File::open(log_path)?;
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).trim_end().to_owned()
}
