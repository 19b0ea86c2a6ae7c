//! The program itself: `longshore serve` with a configuration file, and other commands beside it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use reqwest::{RequestBuilder, Response};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{PATIENCE, ReplyExt as _, server};

/// A process that does not outlive the test.
struct Process(Child);

/// A registry in a process of its own, on free ports.
pub struct Program {
    process: Process,
    /// Read by a thread, so that a full pipe holds nobody up.
    log: Receiver<String>,
    folder: TempDir,
    address: SocketAddr,
    admin: SocketAddr,
    http: reqwest::Client,
}

const ADDRESSES: &str = "http: {addr: '127.0.0.1:0', admin_addr: '127.0.0.1:0'}\n";

impl Program {
    /// With a configuration file of this text and the addresses. The log's level must not be less than info.
    pub fn start(yaml: &str) -> Program {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(file(&folder), format!("{ADDRESSES}{yaml}")).expect("a file");
        let process = Command::new(env!("CARGO_BIN_EXE_longshore"))
            .args(["serve", "--config"])
            .arg(file(&folder))
            .arg("--root")
            .arg(folder.path().join("data"))
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut process = Process(process);
        let lines = BufReader::new(process.0.stderr.take().expect("a log")).lines();
        let (sender, log) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let serves = next_line(&log, "longshore serves");
        let field = |name: &str| {
            let (_, rest) = serves.split_once(name).expect("an address");
            rest.split(' ').next().expect("an address").parse().expect("an address")
        };
        let (address, admin) = (field(" addr="), field(" admin_addr="));
        Program { process, log, folder, address, admin, http: server::client() }
    }

    /// Changes the configuration file.
    pub fn write(&self, yaml: &str) {
        std::fs::write(file(&self.folder), format!("{ADDRESSES}{yaml}")).expect("a file");
    }

    /// The next line of the log that has `text`.
    pub fn logged(&self, text: &str) -> String {
        next_line(&self.log, text)
    }

    pub fn hang_up(&self) {
        kill_process(self.pid(), Signal::HUP).expect("it lives");
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process.0)
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Where its bytes are.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Ends it as an operator does, and waits for it.
    pub fn stop(&mut self) {
        kill_process(self.pid(), Signal::TERM).expect("it lives");
        assert!(self.process.0.wait().expect("a status").success());
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = method.parse().expect("a method");
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request("GET", path).send().await.expect("an answer")
    }

    /// Begins an upload and writes some bytes; gives its address.
    pub async fn begin(&self, repository: &str, data: &'static [u8]) -> String {
        let post = self.request("POST", &format!("/v2/{repository}/blobs/uploads/"));
        let location = post.send().await.expect("an answer").expect(202).await.value("location");
        let patched = self.request("PATCH", &location).body(data).send().await.expect("an answer");
        patched.expect(202).await.value("location")
    }

    pub async fn admin_get(&self, path: &str) -> Response {
        self.http.get(format!("http://{}{path}", self.admin)).send().await.expect("an answer")
    }

    pub async fn reload(&self) -> Response {
        let request = self.http.post(format!("http://{}/admin/v1/reload", self.admin));
        request.header("content-type", "application/json").body("{}").send().await.expect("an answer")
    }

    /// The value of a metric.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let page = self.admin_get("/metrics").await.text().await.expect("text");
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// How many descriptors it has.
    pub fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.pid().as_raw_nonzero());
        std::fs::read_dir(folder).expect("descriptors").count()
    }

    /// Runs another command of the program, with this registry as the one that it speaks to.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command.args(arguments).env_clear().env("LONGSHORE_ADMIN", self.admin.to_string());
        command.output().expect("the program runs")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has told by then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("longshore.yaml")
}

fn next_line(log: &Receiver<String>, text: &str) -> String {
    loop {
        let line = log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{text} is never logged"));
        if line.contains(text) {
            return line;
        }
    }
}
