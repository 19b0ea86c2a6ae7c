//! The live view in a terminal of its own.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::{Value, json};

use crate::fake_admin::{FakeAdmin, id, upload};
use crate::terminal::open_terminal;
use crate::{against, command, stderr};

const LEAVE_ALTERNATE_SCREEN: &str = "\u{1b}[?1049l";

/// The program in a pseudo terminal.
struct InTerminal {
    process: Child,
    /// What a person's hands and eyes would be at.
    person: File,
    /// The program's side, kept so that its modes can be asked for, and that it outlives the program.
    program: OwnedFd,
    seen: String,
}

impl InTerminal {
    fn start(admin: &FakeAdmin) -> Self {
        let (person, program) = open_terminal();
        let side = || Stdio::from(program.try_clone().unwrap());
        let environment = [("LONGSHORE_ADMIN", &*admin.address()), ("TERM", "xterm-256color")];
        let process = command(&["uploads", "watch"], &environment).stdin(side()).stdout(side()).stderr(side()).spawn();
        InTerminal { process: process.unwrap(), person, program, seen: String::new() }
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.program).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    /// Reads the screen until there is this text on it.
    fn wait_for(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.seen.contains(text) {
            let length = self.person.read(&mut buffer).unwrap();
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    fn type_text(&mut self, text: &str) {
        self.person.write_all(text.as_bytes()).unwrap();
    }

    /// Reads what it leaves behind, and checks that the terminal is as it was.
    fn expect_end(mut self, status: i32) {
        self.wait_for(LEAVE_ALTERNATE_SCREEN);
        assert_eq!(self.process.wait().unwrap().code(), Some(status));
        assert!(!self.is_raw());
    }
}

fn two_uploads() -> Value {
    json!({"uploads": [upload(1, "demo/one"), upload(2, "demo/two")], "total": 2, "next": null})
}

#[test]
fn uploads_are_shown_live_until_q() {
    let admin = FakeAdmin::always(200, &two_uploads());
    let mut watch = InTerminal::start(&admin);
    watch.wait_for("demo/two");
    assert!(watch.is_raw());
    watch.type_text("q");
    watch.expect_end(0);
    assert_eq!(admin.lines()[0], "GET /admin/v1/uploads?sort=rate&order=desc&limit=1000");
}

#[test]
fn the_terminal_is_given_back_on_signals() {
    let admin = FakeAdmin::always(200, &two_uploads());
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut watch = InTerminal::start(&admin);
        watch.wait_for("demo/two");
        kill_process(Pid::from_child(&watch.process), signal).unwrap();
        watch.expect_end(0);
    }
}

#[test]
fn the_selected_upload_is_cancelled_after_a_yes() {
    let admin = FakeAdmin::start(|_, request| match request.line.starts_with("POST") {
        true => (200, json!({"repository": "demo/two", "id": id(2), "offset_bytes": 1}).to_string()),
        false => (200, two_uploads().to_string()),
    });
    let mut watch = InTerminal::start(&admin);
    watch.wait_for("demo/two");
    // Down twice, by the escape sequence of the key.
    watch.type_text("\u{1b}[B\u{1b}[Bc");
    watch.wait_for("y/n:");
    watch.type_text("y");
    watch.wait_for("cancelled");
    watch.type_text("\u{3}");
    watch.expect_end(0);
    let posts: Vec<String> = admin.lines().into_iter().filter(|line| line.starts_with("POST")).collect();
    assert_eq!(posts, [format!("POST /admin/v1/uploads/{}/cancel?repository=demo%2Ftwo", id(2))]);
}

#[test]
fn a_registry_that_fails_is_asked_again() {
    let admin = FakeAdmin::start(|before, _| match before {
        0 => (503, json!({"errors": []}).to_string()),
        _ => (200, two_uploads().to_string()),
    });
    let mut watch = InTerminal::start(&admin);
    watch.wait_for("trying");
    watch.wait_for("demo/two");
    watch.type_text("q");
    watch.expect_end(0);
}

#[test]
fn totals_count_what_is_not_on_the_page() {
    let admin = FakeAdmin::start(|_, request| {
        let total = if request.line.contains("state=passive") { 70_001 } else { 70_002 };
        (200, json!({"uploads": [upload(1, "demo/one")], "total": total, "next": "x"}).to_string())
    });
    let mut watch = InTerminal::start(&admin);
    watch.wait_for("70001");
    // Blanks that were blank before are not sent, so that only a word can be waited for.
    watch.wait_for("70002");
    watch.type_text("nq");
    watch.expect_end(0);
    let lines = admin.lines();
    for state in ["writing", "committing", "open", "passive", "expired"] {
        assert!(
            lines.contains(&format!("GET /admin/v1/uploads?state={state}&sort=rate&order=desc&limit=1")),
            "{lines:?}"
        );
    }
}

#[test]
fn without_a_terminal_it_ends_with_64() {
    let admin = FakeAdmin::always(200, &two_uploads());
    let output = against(&admin, &["uploads", "watch"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("watch needs a terminal"), "{}", stderr(&output));
    assert!(admin.requests().is_empty());
}
