use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::proxy::{Proxy, Way};
use super::server::Server;
use super::*;

const SIZE: usize = 24 << 20;
const PART: u64 = 8 << 20;

/// Starts a push or pull, and ends it in the middle.
fn cut(
    desk: &Desk,
    proxy: &Proxy,
    way: Way,
    arguments: &[&str],
    signal: Signal,
    is_there: impl Fn() -> bool,
) -> Output {
    proxy.stop_after(way, PART);
    let mut running: Child = desk.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    proxy.stopped();
    // What was sent is on its way for a moment.
    while !is_there() {
        assert!(running.try_wait().unwrap().is_none(), "it ended by itself");
    }
    kill_process(Pid::from_child(&running), signal).unwrap();
    let output = running.wait_with_output().unwrap();
    proxy.go_on();
    output
}

#[test]
fn a_push_goes_on_after_a_kill() {
    let (desk, server) = (Desk::new(), Server::start());
    let proxy = Proxy::before(server.address());
    fs::write(desk.path("large"), bytes(SIZE)).unwrap();
    for (name, chunks) in [("streamed", None), ("chunked", Some("3MiB"))] {
        let to = format!("{}/{name}:v1", proxy.address());
        let mut arguments = vec!["push", "large", &to];
        arguments.extend(chunks.iter().flat_map(|size| ["--chunk-size", size]));
        let is_there = || server.held_bytes(name) > PART / 2;
        let killed = cut(&desk, &proxy, Way::Up, &arguments, Signal::KILL, is_there);
        assert_eq!(killed.status.code(), None);
        assert!(desk.noted() > 0);

        let before = proxy.up_bytes();
        let events = desk.events(&arguments);
        let resumed = done(&events)["resumed_bytes"].as_u64().unwrap();
        assert!(resumed > PART / 2, "{events:?}");
        let sent_over_the_cable = proxy.up_bytes() - before;
        assert!(sent_over_the_cable < SIZE as u64 - PART / 2, "{sent_over_the_cable} bytes were sent");
        assert_eq!(desk.noted(), 0, "nothing is noted of what is done");
    }
}

#[test]
fn ctrl_c_ends_a_push_with_a_word_on_how_to_go_on() {
    let (desk, server) = (Desk::new(), Server::start());
    let proxy = Proxy::before(server.address());
    fs::write(desk.path("large"), bytes(SIZE)).unwrap();
    let to = format!("{}/app:v1", proxy.address());
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let is_there = || server.held_bytes("app") > PART / 2;
        let ended = cut(&desk, &proxy, Way::Up, &["push", "large", &to, "--json"], signal, is_there);
        assert_eq!(ended.status.code(), Some(status));
        assert_eq!(stderr(&ended), "longshore: interrupted; the same command goes on where it was\n");
        assert_eq!(stdout(&ended).lines().last(), Some(r#"{"event":"interrupted"}"#));
    }
    let events = desk.events(&["push", "large", &to]);
    assert!(done(&events)["resumed_bytes"].as_u64().unwrap() > PART / 2, "{events:?}");
}

#[test]
fn a_pull_goes_on_after_a_kill() {
    let (desk, server) = (Desk::new(), Server::start());
    let proxy = Proxy::before(server.address());
    let data = bytes(SIZE);
    fs::write(desk.path("large"), &data).unwrap();
    desk.events(&["push", "large", &format!("{}/app:v1", server.address())]);
    let from = format!("{}/app:v1", proxy.address());
    for output in ["folder", "image.tar"] {
        let folder = if output == "folder" { desk.path(output) } else { desk.path("image.tar.partial") };
        let partial = folder.join(".longshore-partial").join(format!("sha256-{}", digest_of(&data).hex()));
        let is_there = || fs::metadata(&partial).is_ok_and(|file| file.len() > PART / 2);
        let arguments = ["pull", &from, "-o", output];
        let killed = cut(&desk, &proxy, Way::Down, &arguments, Signal::KILL, is_there);
        assert_eq!(killed.status.code(), None);
        let events = desk.events(&arguments);
        assert!(done(&events)["resumed_bytes"].as_u64().unwrap() > PART / 2, "{events:?}");
        assert!(!partial.exists());
    }
    let blob = desk.path("folder/blobs/sha256").join(digest_of(&data).hex());
    assert!(fs::read(blob).unwrap() == data);
}

#[test]
fn a_push_goes_on_by_itself_when_the_cable_breaks() {
    let (desk, server) = (Desk::new(), Server::start());
    let proxy = Proxy::before(server.address());
    fs::write(desk.path("large"), bytes(SIZE)).unwrap();
    proxy.stop_after(Way::Up, PART);
    let to = format!("{}/app:v1", proxy.address());
    let mut push = desk.command(&["push", "large", &to, "--json"]);
    let running = push.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    proxy.stopped();
    proxy.go_on();
    let printed = expect_stdout(&running.wait_with_output().unwrap());
    assert!(printed.contains(r#""event":"blob_interrupted""#), "{printed}");
    assert!(printed.lines().last().unwrap().contains(r#""event":"done""#), "{printed}");
}
