//! The program as a process of its own, to be killed.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::PATIENCE;
use crate::harness::seeded::Random;

/// How much of the log is shown when a test fails.
const LOG_LINES: usize = 60;

/// A registry on a folder and an address. However it is dropped, no process stays.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    admin_address: String,
}

impl Process {
    /// Starts it with these keys of `uploads` and waits until it serves.
    pub fn start(root: &Path, address: SocketAddr, uploads: &Settings) -> Process {
        let mut child = command(root, uploads)
            .args(["serve", "--admin-addr", "127.0.0.1:0", "--addr", &address.to_string()])
            .env("LONGSHORE__HTTP__WORKERS", "2")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("it is piped");
        let log = Arc::<Mutex<Vec<String>>>::default();
        let mut process = Process { child, log: log.clone(), admin_address: String::new() };
        let serves = follow(BufReader::new(stderr), log);
        match serves.recv_timeout(PATIENCE) {
            Ok(admin_address) => process.admin_address = admin_address,
            Err(_) => panic!("the registry does not serve:\n{}", process.newest_log()),
        }
        process
    }

    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin_address)
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.kill_now();
    }

    /// Ends it as an operator does, and gives what it wrote last.
    pub fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        let ends_at = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("a child").is_none() {
            assert!(Instant::now() < ends_at, "it does not stop:\n{}", self.newest_log());
            thread::sleep(Duration::from_millis(5));
        }
        self.newest_log()
    }

    fn kill_now(&mut self) {
        // It fails only when the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn newest_log(&self) -> String {
        self.log.lock().expect("no panic").join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_now();
        if thread::panicking() {
            eprintln!("the registry wrote at last:\n{}", self.newest_log());
        }
    }
}

/// Keys of `uploads`, as variables have them, and their values.
pub type Settings = Vec<(&'static str, String)>;

/// The program on a folder, with these keys of `uploads`.
fn command(root: &Path, uploads: &Settings) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command.env_clear().env("LONGSHORE__STORAGE__FILESYSTEM__ROOT", root);
    for (key, value) in uploads {
        command.env(format!("LONGSHORE__UPLOADS__{key}"), value);
    }
    command
}

/// `longshore uploads purge --offline`; gives the report.
pub fn purge_offline(root: &Path, uploads: &Settings) -> serde_json::Value {
    let output = command(root, uploads).args(["uploads", "purge", "--offline", "--json"]).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a report")
}

/// Keeps the newest lines of the log; tells the admin address when the registry serves.
fn follow(stderr: BufReader<impl std::io::Read + Send + 'static>, log: Arc<Mutex<Vec<String>>>) -> Receiver<String> {
    let (tell, serves) = channel();
    thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("longshore serves")
                && let Some((_, admin_address)) = rest.split_once("admin_addr=")
            {
                let _ = tell.send(admin_address.split(' ').next().unwrap_or_default().to_owned());
            }
            let mut log = log.lock().expect("no panic");
            if log.len() == LOG_LINES {
                log.remove(0);
            }
            log.push(line);
        }
    });
    serves
}

/// An address that is free now, outside of the range from which the system gives ports to clients: while the registry
/// is dead, none of them gets its port.
pub fn free_address(random: &mut Random) -> SocketAddr {
    loop {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 10_000 + random.below(20_000) as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Where the registry keeps its files.
pub fn data_folder(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("data")
}
