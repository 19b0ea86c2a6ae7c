use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::mpsc;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::fake_admin::{FakeAdmin, errors};
use crate::terminal::open_terminal;
use crate::{against, command, expect_stdout, stderr, stdout};

fn report(running: bool, removed: u64) -> Value {
    json!({
        "running": running, "dry_run": true, "started_at": "2026-01-02T10:00:00Z",
        "finished_at": if running { Value::Null } else { json!("2026-01-02T10:01:05Z") },
        "repositories": 1, "uploads": 40, "adopted": 2, "removed": removed, "removed_bytes": removed * 1024,
        "failed": 0, "findings": if removed == 0 { json!([]) } else { json!([
            {"repository": "demo", "name": "evil\u{1b}[2J", "bytes": 1536, "progress_at": null, "reason": "leftover"}
        ]) }
    })
}

/// Ends its scan with the answer of this number.
fn scanning(answers: usize, last: Value) -> FakeAdmin {
    FakeAdmin::start(move |before, _| match before {
        0 => (202, report(true, 0).to_string()),
        number if number < answers => (200, report(true, 1).to_string()),
        _ => (200, last.to_string()),
    })
}

#[test]
fn a_purge_is_followed_to_its_end() {
    let admin = scanning(2, report(false, 3));
    let text = expect_stdout(&against(&admin, &["uploads", "purge", "--dry-run"]));
    assert_eq!(
        text,
        "REPOSITORY  NAME           SIZE     IDLE  REASON\n\
         demo        evil\\u{1b}[2J  1.5 KiB  -     leftover\n\
         … and 2 more\n\
         40 uploads in 1 repository: 3 would expire or be removed (3.0 KiB), 2 new to the registry, 0 failed\n"
    );
    assert_eq!(admin.lines(), ["POST /admin/v1/scan", "GET /admin/v1/scan", "GET /admin/v1/scan"]);
    let begun = admin.requests().remove(0);
    assert_eq!((begun.headers["content-type"].as_str(), &*begun.body), ("application/json", "{\"dry_run\":true}"));
}

#[test]
fn in_a_terminal_one_line_shows_how_far_it_is() {
    let admin = scanning(2, report(false, 0));
    let (mut person, program) = open_terminal();
    let environment = [("LONGSHORE_ADMIN", &*admin.address())];
    let mut process =
        command(&["uploads", "purge"], &environment).stderr(program.try_clone().unwrap()).spawn().unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    rustix::io::write(&program, b"end").unwrap();
    let mut seen = String::new();
    while !seen.ends_with("end") {
        let mut buffer = [0; 4096];
        let length = person.read(&mut buffer).unwrap();
        seen.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    let lines: Vec<&str> = seen.split('\r').collect();
    assert_eq!(lines.len(), 4, "{seen:?}");
    assert!(lines[1].contains("40 uploads in 1 repository: 0 would expire or be removed"), "{seen:?}");
    assert!(lines[2].contains("40 uploads in 1 repository: 1 would expire or be removed"), "{seen:?}");
    assert_eq!(lines[3], "\u{1b}[Kend");
    assert!(!seen.contains('\n'), "{seen:?}");
}

#[test]
fn a_purge_removes_unless_it_is_dry() {
    let admin = scanning(1, report(false, 0));
    expect_stdout(&against(&admin, &["uploads", "purge"]));
    assert_eq!(admin.requests()[0].body, "{\"dry_run\":false}");
}

#[test]
fn the_last_report_is_printed_as_json() {
    let admin = scanning(1, report(false, 1));
    let printed = expect_stdout(&against(&admin, &["uploads", "purge", "--json"]));
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), report(false, 1));
}

#[test]
fn what_could_not_be_removed_is_a_failure() {
    let mut last = report(false, 1);
    last["failed"] = json!(2);
    for json in [&[] as &[&str], &["--json"]] {
        let admin = scanning(1, last.clone());
        let output = against(&admin, &[&["uploads", "purge"], json].concat());
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stderr(&output), "longshore: 2 could not be looked at or removed; the log says why\n");
        assert!(stdout(&output).contains("leftover"));
    }
}

#[test]
fn a_scan_that_runs_already_is_told() {
    let admin = FakeAdmin::always(409, &errors("CONFLICT", "a scan runs already", json!(null)));
    let output = against(&admin, &["uploads", "purge"]);
    assert_eq!((output.status.code(), &*stderr(&output)), (Some(1), "longshore: a scan runs already\n"));
}

#[test]
fn the_report_of_another_scan_is_not_taken_for_this_one() {
    let mut other = report(false, 1);
    other["started_at"] = json!("2026-01-02T12:00:00Z");
    let output = against(&scanning(1, other), &["uploads", "purge"]);
    assert_eq!((output.status.code(), &*stdout(&output)), (Some(1), ""));
    assert!(stderr(&output).contains("another one has begun"), "{}", stderr(&output));
}

#[test]
fn an_interrupt_leaves_the_scan_running_and_says_so() {
    let (asked, is_asked) = mpsc::channel();
    let asked = Mutex::new(asked);
    let admin = FakeAdmin::start(move |before, _| {
        if before == 1 {
            asked.lock().unwrap().send(()).unwrap();
        }
        (202, report(true, 0).to_string())
    });
    let address = admin.address();
    let mut process =
        command(&["uploads", "purge"], &[("LONGSHORE_ADMIN", &address)]).stderr(Stdio::piped()).spawn().unwrap();
    is_asked.recv().unwrap();
    kill_process(Pid::from_child(&process), Signal::INT).unwrap();
    let mut told = String::new();
    process.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(130));
    assert!(told.contains("the registry goes on; see `longshore uploads scan-status`"), "{told}");
}

#[test]
fn the_state_of_a_scan_is_shown() {
    let none = json!({
        "running": false, "dry_run": false, "started_at": null, "finished_at": null, "repositories": 0, "uploads": 0,
        "adopted": 0, "removed": 0, "removed_bytes": 0, "failed": 0, "findings": []
    });
    for (report, part) in [
        (none, "there was none since the registry started"),
        (report(true, 0), "running (dry run) for "),
        (report(false, 1), " ago after 1m5s\nREPOSITORY"),
    ] {
        let admin = FakeAdmin::always(200, &report);
        let text = expect_stdout(&against(&admin, &["uploads", "scan-status"]));
        assert!(text.contains(part), "{part} in {text}");
        let printed = expect_stdout(&against(&admin, &["uploads", "scan-status", "--json"]));
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), report);
        assert_eq!(admin.lines()[0], "GET /admin/v1/scan");
    }
}

#[test]
fn an_offline_purge_needs_a_storage_that_is_there() {
    for (flags, problem) in [
        (["--root", "/nonexistent/folder"], "storage.filesystem.root: /nonexistent/folder is not a folder"),
        (["--storage", "memory"], "storage.driver is memory"),
        (["--config", "/nonexistent.yaml"], "wrong configuration: /nonexistent.yaml"),
    ] {
        let output = command(&[&["uploads", "purge", "--offline"], flags.as_slice()].concat(), &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        assert!(stderr(&output).contains(problem), "{}", stderr(&output));
    }
}

#[test]
fn an_offline_purge_names_who_holds_the_storage() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let serve = ["serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--root", root];
    let mut registry = command(&serve, &[]).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(registry.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(log.any(|line| line.contains("longshore serves")));
    // An environment for other commands is not in the way.
    let output = command(
        &["uploads", "purge", "--offline", "--dry-run"],
        &[("LONGSHORE_ADMIN", "127.0.0.1:1"), ("LONGSHORE__STORAGE__FILESYSTEM__ROOT", root)],
    )
    .output()
    .unwrap();
    kill_process(Pid::from_child(&registry), Signal::TERM).unwrap();
    assert_eq!(registry.wait().unwrap().code(), Some(0));
    assert_eq!((output.status.code(), &*stdout(&output)), (Some(1), ""));
    assert!(stderr(&output).contains(&registry.id().to_string()), "{}", stderr(&output));
}
