use std::net::TcpListener;

use serde_json::json;

use crate::fake_admin::{FakeAdmin, errors, id};
use crate::{against, command, expect_stdout, stderr, stdout};

fn nothing_open() -> serde_json::Value {
    json!({"uploads": [], "total": 0, "next": null})
}

#[test]
fn the_token_of_the_file_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    let file = file.to_str().unwrap();
    let admin = FakeAdmin::always(200, &nothing_open());
    expect_stdout(&against(&admin, &["uploads", "list", "--token-file", file]));
    let environment = [("LONGSHORE_ADMIN", &*admin.address()), ("LONGSHORE_ADMIN_TOKEN_FILE", file)];
    expect_stdout(&command(&["uploads", "list"], &environment).output().unwrap());
    expect_stdout(&against(&admin, &["uploads", "list"]));
    let sent: Vec<_> = admin.requests().iter().map(|request| request.headers.get("authorization").cloned()).collect();
    assert_eq!(sent, [Some("Bearer s3cret".to_owned()), Some("Bearer s3cret".to_owned()), None]);
}

#[test]
fn a_token_file_without_a_token_ends_with_64() {
    let folder = tempfile::tempdir().unwrap();
    for (content, problem) in [(" \n", "does not hold a token"), ("a\nb", "cannot be sent as a token")] {
        let file = folder.path().join("token");
        std::fs::write(&file, content).unwrap();
        let admin = FakeAdmin::always(200, &nothing_open());
        let output = against(&admin, &["uploads", "list", "--token-file", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(64));
        assert!(stderr(&output).contains(problem), "{}", stderr(&output));
        assert!(admin.requests().is_empty());
    }
}

#[test]
fn a_refusal_is_told_as_the_registry_tells_it() {
    for (status, body, told) in [
        (404, errors("BLOB_UPLOAD_UNKNOWN", "no upload of this id", json!(null)), "no upload of this id"),
        (
            409,
            errors("X", "several have it", json!({"repositories": ["a"]})),
            "several have it: {\"repositories\":[\"a\"]}",
        ),
        (401, errors("UNAUTHORIZED", "no token", json!(null)), "no token; the token comes from --token-file"),
        (500, errors("UNKNOWN", "\u{1b}[2Jbad", json!(null)), "\\u{1b}[2Jbad"),
        (503, json!({"errors": []}), "refused with 503"),
        (
            404,
            json!("not found"),
            "does not speak the admin API: it answered 404 Not Found; is --admin its http.admin_addr?",
        ),
        (200, json!({}), "does not speak the admin API: its answer: missing field"),
        (302, json!({}), "does not speak the admin API: it answered 302"),
    ] {
        let output = against(&FakeAdmin::always(status, &body), &["uploads", "show", &id(1)]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
        assert!(stderr(&output).contains(told), "{told} in {}", stderr(&output));
        assert!(!stderr(&output).contains('\u{1b}'));
    }
}

#[test]
fn a_registry_that_is_not_there_is_named_with_a_hint() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    for arguments in [&["uploads", "list"] as &[&str], &["uploads", "purge"], &["reload"]] {
        let output = command(&[arguments, &["--admin", &address]].concat(), &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = format!("longshore: cannot reach http://{address}: connection refused; does the registry run");
        assert!(stderr(&output).starts_with(&told), "{}", stderr(&output));
    }
}

#[test]
fn an_address_may_be_a_url_with_a_path() {
    let admin = FakeAdmin::always(200, &nothing_open());
    let url = format!("http://{}/registry/", admin.address());
    expect_stdout(&command(&["uploads", "list", "--admin", &url], &[]).output().unwrap());
    assert_eq!(admin.lines(), ["GET /registry/admin/v1/uploads?sort=name&order=asc&limit=1000"]);
}

#[test]
fn a_proxy_is_not_asked_for_a_loopback_address() {
    let admin = FakeAdmin::always(200, &nothing_open());
    let proxy = FakeAdmin::always(502, &json!({}));
    let proxy_url = format!("http://{}", proxy.address());
    let environment = [("LONGSHORE_ADMIN", &*admin.address()), ("http_proxy", &*proxy_url), ("all_proxy", &*proxy_url)];
    expect_stdout(&command(&["uploads", "list"], &environment).output().unwrap());
    let output =
        command(&["uploads", "list", "--admin", "http://registry.invalid"], &environment[1..]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((admin.requests().len(), proxy.requests().len()), (1, 1));
}

#[test]
fn what_was_typed_wrongly_ends_with_64() {
    for arguments in [
        &["uploads"] as &[&str],
        &["uploads", "list", "--state", "asleep"],
        &["uploads", "list", "--sort", "colour"],
        &["uploads", "list", "--limit", "0"],
        &["uploads", "list", "--repository", "UPPER"],
        &["uploads", "list", "--admin", "ftp://127.0.0.1"],
        &["uploads", "show"],
        &["uploads", "cancel"],
        &["uploads", "watch", "--interval", "0s"],
        &["uploads", "purge", "--root", "/srv"],
        &["uploads", "purge", "--config", "longshore.yaml"],
        &["uploads", "purge", "--offline", "--admin", "127.0.0.1:1"],
    ] {
        let output = command(arguments, &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("--help"), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn help_teaches_by_examples() {
    for (arguments, part) in [
        (&["uploads", "--help"] as &[&str], "longshore uploads list --state writing --sort rate --desc"),
        (&["uploads", "purge", "--help"], "longshore uploads purge --offline --config longshore.yaml"),
        (&["uploads", "watch", "--help"], "cancel the selected upload"),
        (&["reload", "--help"], "longshore reload --admin https://"),
        (&["completions", "bash"], "scan-status"),
    ] {
        let printed = expect_stdout(&command(arguments, &[]).output().unwrap());
        assert!(printed.contains(part), "{part} in {printed}");
    }
}
