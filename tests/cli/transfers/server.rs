//! `longshore serve` in a process of its own, on free ports.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{super::command, expect_stdout};

pub struct Server {
    process: Child,
    address: SocketAddr,
    admin: SocketAddr,
    _data: TempDir,
}

impl Server {
    pub fn start() -> Server {
        let data = tempfile::tempdir().unwrap();
        let ports = ["--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"];
        let mut serve = command(&["serve"], &[]);
        serve.args(ports).arg("--root").arg(data.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = serve.spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = log.find(|line| line.contains("longshore serves")).expect("it says where it serves");
        // Read on, so that a full pipe holds nobody up.
        std::thread::spawn(move || log.for_each(drop));
        let field = |name: &str| line.split_once(name).unwrap().1.split(' ').next().unwrap().parse().unwrap();
        Server { process, address: field(" addr="), admin: field(" admin_addr="), _data: data }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How much uploads to a repository hold that are not done.
    pub fn held_bytes(&self, repository: &str) -> u64 {
        let list = ["uploads", "list", "--json", "--repository", repository];
        let listed = command(&list, &[("LONGSHORE_ADMIN", &self.admin.to_string())]).output().unwrap();
        let listed: Value = serde_json::from_str(&expect_stdout(&listed)).unwrap();
        let offsets =
            listed["uploads"].as_array().unwrap().iter().map(|upload| upload["offset_bytes"].as_u64().unwrap());
        offsets.sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has told by then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
