use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use longshore::config::{DurabilityPolicy, StorageDriver};
use longshore::load::server::{Control, ControlOptions, Embedded, EmbeddedOptions, ServerError};
use rustix::process::{Pid, Signal, getpgid, kill_process};

use crate::{connect, ping, program, wait_for_end};

/// Tells [`the_one_that_starts_them`] where, and that it is called by a test.
const PARENT_VARIABLE: &str = "TEST_PARENT_FOLDER";

fn embedded_options(parent: &Path) -> EmbeddedOptions {
    EmbeddedOptions { program: program(), parent: Some(parent.to_owned()), ..EmbeddedOptions::default() }
}

fn control_options(parent: &Path) -> ControlOptions {
    ControlOptions { program: program(), parent: Some(parent.to_owned()) }
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
}

fn names_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn an_embedded_registry_serves_and_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    for (storage, durability, data_folders) in [
        (StorageDriver::Filesystem, DurabilityPolicy::Process, 1),
        (StorageDriver::Filesystem, DurabilityPolicy::Ack, 1),
        (StorageDriver::Memory, DurabilityPolicy::Commit, 0),
    ] {
        let options = EmbeddedOptions { storage, durability, ..embedded_options(parent.path()) };
        let mut embedded = Embedded::start(&options).await.unwrap();
        let mut socket = connect(embedded.address());
        assert_eq!(ping(&mut socket), "HTTP/1.1 200 OK");
        assert_eq!(ping(&mut connect(embedded.admin_address().unwrap())), "HTTP/1.1 404 Not Found");
        embedded.check().unwrap();
        let folders = names_in(parent.path());
        assert_eq!(folders.len(), 1);
        assert_eq!(names_in(&folders[0]).len(), 2 + data_folders, "its log, its owner, and the data if there are any");
        // A Ctrl-C in the terminal is sent to a group.
        let group = getpgid(Pid::from_raw(embedded.pid() as i32)).unwrap();
        assert_ne!(group, getpgid(None).unwrap());
        embedded.stop().await.unwrap();
        wait_for_end(&mut socket);
        assert_eq!(names_in(parent.path()), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn settings_reach_it_and_wrong_ones_are_told_with_its_own_words() {
    let parent = tempfile::tempdir().unwrap();
    let with = |key: &str, value: &str| EmbeddedOptions {
        settings: vec![(key.to_owned(), value.to_owned())],
        ..embedded_options(parent.path())
    };
    let embedded = Embedded::start(&with("uploads.takeover_after", "3s")).await.unwrap();
    drop(embedded);
    let told = Embedded::start(&with("http.addr", "127.0.0.1:5000")).await.unwrap_err().to_string();
    assert_eq!(told, "http.addr of an embedded registry is the load tester's own to set");
    let error = Embedded::start(&with("uploads.takeover_after", "soon")).await.unwrap_err();
    assert!(matches!(error, ServerError::Ended { .. }), "{error}");
    let told = error.to_string();
    assert!(told.starts_with("the longshore server ended by itself (exit status: 64); it wrote at last:\n"), "{told}");
    assert!(told.contains("uploads.takeover_after"), "{told}");
    assert_eq!(names_in(parent.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_server_that_is_dropped_is_gone() {
    let parent = tempfile::tempdir().unwrap();
    let embedded = Embedded::start(&embedded_options(parent.path())).await.unwrap();
    let control = Control::start(&control_options(parent.path())).await.unwrap();
    let mut sockets = [connect(embedded.address()), connect(control.address())];
    for socket in &mut sockets {
        assert_eq!(ping(socket), "HTTP/1.1 200 OK");
    }
    drop((embedded, control));
    sockets.iter_mut().for_each(wait_for_end);
    assert_eq!(names_in(parent.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_server_that_was_killed_is_told() {
    let parent = tempfile::tempdir().unwrap();
    let mut embedded = Embedded::start(&embedded_options(parent.path())).await.unwrap();
    let mut control = Control::start(&control_options(parent.path())).await.unwrap();
    let mut sockets = [connect(embedded.address()), connect(control.address())];
    kill(embedded.pid());
    kill(control.pid());
    sockets.iter_mut().for_each(wait_for_end);
    // Their connections end a moment before they do.
    while embedded.check().is_ok() || control.check().is_ok() {
        tokio::task::yield_now().await;
    }
    for (stopped, name) in [(embedded.stop().await, "longshore"), (control.stop().await, "control")] {
        let told = stopped.unwrap_err().to_string();
        assert!(told.starts_with(&format!("the {name} server ended by itself (signal: 9")), "{told}");
        assert!(told.contains(&format!("{name} serves")), "the end of its log is in {told}");
    }
    assert_eq!(names_in(parent.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_program_that_is_none_is_told() {
    let parent = tempfile::tempdir().unwrap();
    let missing = parent.path().join("missing");
    let options = EmbeddedOptions { program: Some(missing.clone()), ..embedded_options(parent.path()) };
    let told = Embedded::start(&options).await.unwrap_err().to_string();
    assert!(told.starts_with(&format!("{} cannot be run: ", missing.display())), "{told}");
    assert_eq!(names_in(parent.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn servers_end_when_the_one_that_started_them_is_killed() {
    let parent = tempfile::tempdir().unwrap();
    let mut starter = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "servers::the_one_that_starts_them", "--ignored", "--nocapture"])
        .env(PARENT_VARIABLE, parent.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(starter.stdout.take().unwrap());
    let addresses: Vec<SocketAddr> = stdout
        .lines()
        .map(Result::unwrap)
        .filter_map(|line| line.strip_prefix("serves on ")?.parse().ok())
        .take(2)
        .collect();
    let mut sockets: Vec<_> = addresses.into_iter().map(connect).collect();
    for socket in &mut sockets {
        assert_eq!(ping(socket), "HTTP/1.1 200 OK");
    }
    starter.kill().unwrap();
    starter.wait().unwrap();
    sockets.iter_mut().for_each(wait_for_end);
    // Their logs stay, and the embedded registry's data; what the control received is of no use to anybody.
    let mut left: Vec<usize> = names_in(parent.path()).iter().map(|folder| names_in(folder).len()).collect();
    left.sort_unstable();
    assert_eq!(left, [2, 3]);
    // They go with the next one.
    Control::start(&control_options(parent.path())).await.unwrap().stop().await.unwrap();
    assert_eq!(names_in(parent.path()), Vec::<PathBuf>::new());
}

/// Starts servers and waits to be killed: no test, but a part of the one above.
#[test]
#[ignore = "a process of another test"]
fn the_one_that_starts_them() {
    let Some(parent) = std::env::var_os(PARENT_VARIABLE).map(PathBuf::from) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let embedded = Embedded::start(&embedded_options(&parent)).await.unwrap();
        let control = Control::start(&control_options(&parent)).await.unwrap();
        println!("\nserves on {}\nserves on {}", embedded.address(), control.address());
        // Its standard input never ends before it is killed.
        std::io::stdin().lines().for_each(drop);
    });
}
