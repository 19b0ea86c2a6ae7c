//! `longshore load`: runs of the real program against a registry that it does not own.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::thread;
use std::time::Duration;

use longshore::load::report::Report;
use longshore::load::server::{Embedded, EmbeddedOptions};
use rustix::process::{Pid, Signal, kill_process};

use super::{command, stderr};

async fn registry() -> Embedded {
    let program = Some(PathBuf::from(env!("CARGO_BIN_EXE_longshore")));
    Embedded::start(&EmbeddedOptions { program, ..EmbeddedOptions::default() }).await.unwrap()
}

fn load(arguments: &[&str]) -> Output {
    let arguments = [&["load", "--quiet"], arguments].concat();
    command(&arguments, &[]).output().unwrap()
}

/// The repositories that hold something.
fn repositories(registry: &Embedded) -> BTreeSet<String> {
    let mut socket = TcpStream::connect(registry.address()).unwrap();
    socket.write_all(b"GET /v2/_catalog?n=1000 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let document: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    document["repositories"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// How many uploads are under way, by what an operator is told.
fn open_uploads(registry: &Embedded) -> usize {
    let admin = format!("http://{}", registry.admin_address().unwrap());
    let listed = command(&["uploads", "list", "--json"], &[("LONGSHORE_ADMIN", &admin)]).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    document["uploads"].as_array().unwrap().len()
}

#[test]
fn what_is_wrong_is_told_before_anything_is_done() {
    for (arguments, expected) in [
        (&["--embedded"][..], "workloads: there is none"),
        (&["--workload", "mount"], "targets: there is none"),
        (&["--embedded", "--workload", "mount wait=1s"], "workloads[0].wait: is not a key"),
        (&["--embedded", "--workload", "mount", "--size", "3M"], "content.sizes: \"3M\" is not a size"),
        (&["--embedded", "--workload", "mount", "--server-pid", "1"], "--server-pid is for one target"),
        (&["--plan", "/nowhere/plan.yaml"], "/nowhere/plan.yaml cannot be read"),
        (&["--target", "192.0.2.1:5000", "--workload", "mount"], "only with --i-am-in-charge-of 192.0.2.1"),
    ] {
        let output = load(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn a_clean_run_leaves_what_was_there_and_nothing_else() {
    let registry = registry().await;
    let address = registry.address().to_string();
    let of_all = ["--workload", "image-push", "--workload", "push-streamed", "--workload", "mount", "--size", "10KiB"];
    let run = |more: &[&str]| {
        let few = ["--target", &address, "--count", "20", "--workers", "2", "--prepared", "2"];
        let output = load(&[&few, &of_all[..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    };
    run(&[]);
    let before = repositories(&registry);
    assert!(!before.is_empty());
    run(&["--clean"]);
    assert_eq!(repositories(&registry), before);
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn ctrl_c_cancels_what_is_open_and_still_reports() {
    let registry = registry().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let arguments = [
        "load",
        "--target",
        &registry.address().to_string(),
        "--workload",
        "stall stop_for=1h",
        "--workers",
        "3",
        "--size",
        "1MiB",
        "--duration",
        "1h",
        "--json",
        file.to_str().unwrap(),
    ];
    let run = command(&arguments, &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while open_uploads(&registry) < 3 {
        thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("3 open uploads were cancelled"), "{}", stderr(&output));
    assert_eq!(open_uploads(&registry), 0);
    let report = Report::read(&file).unwrap();
    assert!(report.interrupted);
    assert_eq!(report.targets[0].turns.len(), 1);
    registry.stop().await.unwrap();
}
