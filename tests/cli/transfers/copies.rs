use std::io::Write as _;
use std::process::Stdio;

use super::server::Server;
use super::*;
use crate::terminal::open_terminal;

#[test]
fn images_go_round_through_everything() {
    let (desk, server) = (Desk::new(), Server::start());
    let registry = server.address();
    write_layout(&desk.path("image"), &[("v1", b"one"), ("v2", b"two")]);
    let to = format!("{registry}/team/app");
    let events = desk.events(&["push", "image", &to, "--all-tags"]);
    let tagged = events.iter().filter(|event| event["event"] == json!("tagged"));
    assert_eq!(tagged.map(|event| event["tag"].clone()).collect::<Vec<_>>(), [json!("v1"), json!("v2")]);
    assert_eq!(done(&events)["name"], json!(format!("{to}:v2")));

    let digest = expect_stdout(&desk.run(&["copy", &format!("{to}:v1"), "oci-archive:one.tar", "--quiet"]));
    assert_eq!(digest.trim().parse::<Digest>().unwrap().to_string(), digest.trim());
    desk.events(&["pull", &to, "-o", "all", "--all-tags"]);
    desk.events(&["pull", &format!("{to}@{}", digest.trim()), "-o", "all.tar"]);
    desk.events(&["copy", "oci:all:v2", &format!("{registry}/other:stable")]);
    let copied = desk.events(&["copy", "oci-archive:one.tar", &format!("{registry}/other")]);
    assert_eq!(done(&copied)["name"], json!(format!("{registry}/other:v1")), "its tag goes with it");
    assert_eq!(done(&copied)["digest"], json!(digest.trim()));
    let mounted = desk.events(&["copy", &to, &format!("{registry}/third"), "--all-tags"]);
    assert_eq!((&done(&mounted)["blobs_mounted"], &done(&mounted)["sent_bytes"]), (&json!(1), &json!(0)));

    // A gzipped tarball, as others hand them on.
    let file = fs::File::create(desk.path("one.tar.gz")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gzip.write_all(&fs::read(desk.path("one.tar")).unwrap()).unwrap();
    gzip.finish().unwrap();
    let pushed = desk.events(&["push", "one.tar.gz", &format!("{registry}/fourth")]);
    assert_eq!(done(&pushed)["digest"], json!(digest.trim()));
    let as_a_file = desk.events(&["push", "one.tar", &format!("{registry}/files"), "--artifact-type", "x/tar"]);
    assert_eq!(done(&as_a_file)["name"], json!(format!("{registry}/files:latest")));
    assert_ne!(done(&as_a_file)["digest"], json!(digest.trim()));
}

#[test]
fn people_and_scripts_are_told() {
    let (desk, server) = (Desk::new(), Server::start());
    write_layout(&desk.path("image"), &[("v1", b"layer")]);
    let to = format!("{}/app", server.address());
    let pushed = desk.run(&["push", "image", &to]);
    assert_eq!(pushed.status.code(), Some(0));
    let told = stdout(&pushed);
    assert!(told.starts_with(&format!("{to}:v1 sha256:")), "{told}");
    assert!(told.ends_with("(1 manifest; blobs: 2 copied, 0 already there; 42 B sent)\n"), "{told}");
    assert!(stderr(&pushed).contains("5 B sent\n"), "{}", stderr(&pushed));
    let again = stdout(&desk.run(&["push", "image", &to]));
    assert!(again.ends_with("(1 manifest; blobs: 0 copied, 2 already there; 0 B sent)\n"), "{again}");
}

#[test]
fn a_terminal_gets_bars() {
    let (desk, server) = (Desk::new(), Server::start());
    write_layout(&desk.path("image"), &[("v1", &bytes(3 << 20))]);
    let (mut person, program) = open_terminal();
    let reader = std::thread::spawn(move || {
        let mut shown = Vec::new();
        // It ends with an error when the program's side is closed.
        let _ = std::io::Read::read_to_end(&mut person, &mut shown);
        String::from_utf8_lossy(&shown).into_owned()
    });
    let mut command = desk.command(&["push", "image", &format!("{}/app", server.address())]);
    let status = command.env("TERM", "xterm").stderr(Stdio::from(program)).stdout(Stdio::null()).status().unwrap();
    drop(command);
    assert!(status.success());
    let shown = reader.join().unwrap();
    assert!(shown.contains("total") && shown.contains("3.0 MiB sent"), "{shown}");
}

#[test]
fn a_password_comes_from_standard_input() {
    let (desk, server) = (Desk::new(), Server::start());
    write_layout(&desk.path("image"), &[("v1", b"layer")]);
    let to = format!("{}/app", server.address());
    let mut push = desk.command(&["push", "image", &to, "--user", "me", "--quiet"]);
    let mut running = push.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(b"secret\n").unwrap();
    expect_stdout(&running.wait_with_output().unwrap());
    let without = desk.run(&["push", "image", &to, "--user", "me"]);
    assert_eq!(without.status.code(), Some(64));
    assert_eq!(stderr(&without), "longshore: there is no password on standard input\n");
}
