//! The program as it is typed: what it prints, and with which status it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Runs the program with nothing in its environment but `environment`.
fn longshore(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_version_is_printed() {
    for arguments in [["version"], ["--version"]] {
        let output = longshore(&arguments, &[]);
        assert_eq!(stdout(&output), format!("longshore {}\n", env!("CARGO_PKG_VERSION")));
        assert!(output.status.success());
    }
}

#[test]
fn help_teaches_by_examples() {
    let output = longshore(&["--help"], &[]);
    assert!(output.status.success());
    for part in ["check-config", "completions", "Examples:", "skopeo copy", "LONGSHORE__MANIFESTS__MAX_SIZE=8MiB"] {
        assert!(stdout(&output).contains(part), "{part} in {}", stdout(&output));
    }
    let output = longshore(&["check-config", "--help"], &[]);
    assert!(stdout(&output).contains("[key: storage.filesystem.root]"), "{}", stdout(&output));
}

#[test]
fn check_config_prints_what_is_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("longshore.yaml");
    std::fs::write(&file, "storage: {timeout: 7s, driver: memory}\ncache: {max_entries: 7}\n").unwrap();
    let flags = ["--storage", "filesystem", "--root", "/srv/blobs", "--log-level", "debug", "--addr", "[::1]:80"];
    let environment = [
        ("LONGSHORE_CONFIG", file.to_str().unwrap()),
        ("LONGSHORE__CACHE__MAX_ENTRIES", "8"),
        ("LONGSHORE__STORAGE__DRIVER", "memory"),
    ];
    let output = longshore(&[&["check-config"], flags.as_slice()].concat(), &environment);
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = stdout(&output);
    for line in ["  timeout: 7s", "  max_entries: 8", "  driver: filesystem", "    root: /srv/blobs", "  level: debug"]
    {
        assert!(printed.lines().any(|printed| printed == line), "{line:?} in {printed}");
    }
    std::fs::write(&file, &printed).unwrap();
    let again = longshore(&["check-config", "--config", file.to_str().unwrap()], &[]);
    assert_eq!(stdout(&again), printed);
}

#[test]
fn a_wrong_configuration_ends_with_64_and_names_the_key() {
    for (flag, value, message) in [
        ("--addr", "nonsense", "http.addr: \"nonsense\" is not an IP address and a port"),
        ("--admin-addr", "0.0.0.0:1", "http.admin_addr: 0.0.0.0:1 can be reached"),
        ("--config", "/nonexistent.yaml", "/nonexistent.yaml: cannot be read"),
        ("LONGSHORE__HTTP__ADR", "x", "http.adr: is not a key; there are addr,"),
    ] {
        let output = match flag.starts_with("--") {
            true => longshore(&["check-config", flag, value], &[]),
            false => longshore(&["check-config"], &[(flag, value)]),
        };
        assert_eq!(output.status.code(), Some(64));
        assert_eq!(stdout(&output), "");
        let expected = format!("longshore: wrong configuration: {message}");
        assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
    }
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    for arguments in [&[] as &[&str], &["fly"], &["check-config", "--adr", "x"], &["check-config", "--storage", "tape"]]
    {
        let output = longshore(arguments, &[]);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(stderr(&output).contains("--help"), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn completions_are_written_for_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let output = longshore(&["completions", shell], &[]);
        assert!(output.status.success());
        assert!(stdout(&output).contains("check-config"), "{shell}");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_running_requests() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(["serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--root"])
        .arg(folder.path())
        .env_clear()
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&process);
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
    let serves = log.find(|line| line.contains("longshore serves")).unwrap();
    let addr = serves.split_once(" addr=").unwrap().1.split(' ').next().unwrap().to_owned();

    // An upload whose body has begun, and does not come to its end.
    let mut connection = TcpStream::connect(&addr).unwrap();
    connection.write_all(b"POST /v2/demo/blobs/uploads/ HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n").unwrap();
    let mut answer = BufReader::new(connection.try_clone().unwrap());
    let mut location = None;
    for line in answer.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()) {
        location = line.strip_prefix("location: ").map(str::to_owned).or(location);
    }
    let location = location.unwrap();
    let head = format!("PATCH {location} HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n");
    connection.write_all(head.as_bytes()).unwrap();
    let mut go_on = String::new();
    answer.read_line(&mut go_on).unwrap();
    assert!(go_on.starts_with("HTTP/1.1 100"), "{go_on}");

    kill_process(pid, Signal::TERM).unwrap();
    assert!(log.any(|line| line.contains("another signal stops at once")));
    assert_eq!(process.try_wait().unwrap(), None);
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(130));
}
