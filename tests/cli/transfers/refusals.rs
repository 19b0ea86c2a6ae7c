use super::server::Server;
use super::*;

#[test]
fn what_cannot_be_meant_is_told_at_once() {
    let desk = Desk::new();
    write_layout(&desk.path("image"), &[("v1", b"layer")]);
    let digest = digest_of(b"x").to_string();
    let by_digest = format!("registry.example/app@{digest}");
    for (arguments, expected) in [
        (vec!["push", "image", "team/app"], "is no registry"),
        (vec!["push", "image", &by_digest], "not to a digest"),
        (vec!["push", "image", "registry.example/app:v1", "--all-tags"], "exclude each other"),
        (vec!["pull", "registry.example/app:v1", "-o", "x", "--all-tags"], "exclude each other"),
        (vec!["pull", "registry.example/app:v1", "-o", "x", "--platform", "linux"], "os/architecture"),
        (vec!["pull", "registry.example/app:v1"], "--output"),
        (vec!["copy", "oci:", "registry.example/app"], "names no path"),
        (vec!["copy", "oci:image:v1", &by_digest], "not to a digest"),
        (vec!["copy", "oci:image", "oci:other:v1", "--all-tags"], "exclude each other"),
        (vec!["push", "image", "registry.example/app", "--jobs", "0"], "0 is not in 1..=64"),
        (vec!["push", "image", "registry.example/app", "--chunk-size", "1MB"], "not a size"),
        (vec!["push", "image", "registry.example/app", "--json", "--quiet"], "cannot be used with"),
        (vec!["push", "image", "127.0.0.1:1/app", "--media-type", "a/b"], "this is a layout"),
    ] {
        let output = desk.run(&arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?} {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{arguments:?} {}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn what_fails_is_told_and_steers_no_terminal() {
    let (desk, server) = (Desk::new(), Server::start());
    let to = format!("{}/app", server.address());
    write_layout(&desk.path("image"), &[("v1", b"one"), ("a\u{1b}[2Jb", b"two")]);
    fs::create_dir(desk.path("empty")).unwrap();
    for (arguments, expected) in [
        (vec!["push", "image", &to], "layout lists 2 manifests, say which one; it has v1, a\\u{1b}[2Jb; name its tag"),
        (vec!["push", "missing", &to], "cannot open missing: No such file"),
        (vec!["push", "empty", &to], "empty is no OCI image layout: there is no file oci-layout"),
        (vec!["pull", &to, "-o", "x"], "source: "),
        (vec!["pull", &to, "-o", "x", "--all-tags"], "source: tags of "),
        (vec!["pull", &to, "-o", "image.tar", "--format", "dir", "--platform", "linux/amd64"], "source: "),
        (vec!["copy", "oci:image:v2", &to], "layout has no v2"),
        (vec!["copy", "oci-archive:image/index.json", &to], "it is neither a folder nor a tarball"),
        (vec!["copy", "oci:image:v1", "oci:/dev/null"], "cannot make /dev/null"),
    ] {
        let output = desk.run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?} {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{arguments:?} {}", stderr(&output));
        assert!(!stderr(&output).contains('\u{1b}'), "{:?}", stderr(&output));
    }
    let told = desk.run(&["copy", "oci:image:v2", &to, "--json"]);
    assert_eq!(stdout(&told), "{\"error\":\"layout has no v2; it has v1, a\\u001b[2Jb\",\"event\":\"failed\"}\n");
}

#[test]
fn help_has_examples() {
    let desk = Desk::new();
    for command in ["push", "pull", "copy"] {
        let help = expect_stdout(&desk.run(&[command, "--help"]));
        assert!(help.contains(&format!("  longshore {command} ")), "{help}");
    }
}
