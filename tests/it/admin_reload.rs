//! A configuration that changes while the registry runs: the program itself, by SIGHUP and by the admin API.

use serde_json::{Value, json};

use crate::harness::{Program, Registry, ReplyExt as _, Storage, eventually};

#[test]
fn a_signal_reloads_and_a_wrong_file_changes_nothing() {
    let program = Program::start("log: {level: 'info,longshore::access=off'}\n");
    program.write("uploads: {max_age: 5d, max_memory: 1}\n");
    program.hang_up();
    let refused = program.logged("configuration is wrong, the old one stays in force");
    assert!(refused.contains("uploads.max_memory") && refused.contains("longshore.yaml"), "{refused}");

    program.write("uploads: {max_age: 5d}\ncache: {max_entries: 7}\nlog: {level: info}\n");
    program.hang_up();
    let changed = program.logged("configuration was read again");
    assert!(changed.ends_with("changed=log.level,uploads.max_age"), "{changed}");
    let warning = program.logged("configuration differs in keys that need a restart");
    assert!(warning.contains("WARN") && warning.ends_with("keys=cache.max_entries"), "{warning}");
    // The log's level is another one now.
    let mut request = std::net::TcpStream::connect(program.admin()).expect("a connection");
    std::io::Write::write_all(&mut request, b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n").expect("a request");
    program.logged("longshore::access request");
}

#[tokio::test]
async fn the_admin_api_reloads() {
    let program = Program::start("");
    let nothing = program.reload().await.expect(200).await.document().await;
    assert_eq!(nothing, json!({"changed": [], "needs_restart": []}));
    program.write("uploads: {idle_timeout: 1h}\nhashing: {threads: 1}\n");
    let told = program.reload().await.expect(200).await.document().await;
    assert_eq!(told, json!({"changed": ["uploads.idle_timeout"], "needs_restart": ["hashing.threads"]}));
    program.write("uploads: {idle_timout: 1h}\n");
    let refused: Value = program.reload().await.expect(422).await.document().await;
    let message = refused["errors"][0]["message"].as_str().expect("a message");
    assert!(message.starts_with("wrong configuration: uploads.idle_timout: is not a key"), "{message}");
}

#[tokio::test]
async fn a_registry_inside_another_program_has_nothing_to_reload_from() {
    let registry = Registry::start(Storage::Memory).await;
    let request = registry.http().post(registry.admin_url("/admin/v1/reload"));
    let reply = request.header("content-type", "application/json").body("{}").send().await.expect("an answer");
    reply.expect_error(422, "UNSUPPORTED").await;
    registry.finish().await;
}

const QUIET: &str = "log: {level: 'info,longshore::access=off'}\n";

#[tokio::test]
async fn policies_take_effect_on_uploads_that_run_when_the_api_reloads() {
    let program = Program::start(QUIET);
    let (strict, other) = (program.begin("ci/strict", b"12345").await, program.begin("other", b"12345").await);
    program.write(&format!(
        "{QUIET}uploads:\n  takeover_after: 100ms\n  overrides:\n    - repositories: ['ci/*']\n      idle_timeout: 200ms\n"
    ));
    program.reload().await.expect(200).await;
    eventually("its end", async || program.get(&strict).await.status() == 404).await;
    let told = program.get(&strict).await.document().await;
    assert_eq!(told["errors"][0]["detail"]["policy"], "idle_timeout", "{told}");
    program.get(&other).await.expect(204).await;
    // What is kept has another deadline, too.
    program.write(&format!("{QUIET}uploads: {{keep_failed_for: 0s}}\n"));
    program.reload().await.expect(200).await;
    eventually("its end", async || program.metric("longshore_uploads_kept").await == Some(0.0)).await;
    let told = program.get(&strict).await.document().await;
    assert_eq!(told["errors"][0]["detail"], json!({}), "{told}");
}

#[tokio::test]
async fn policies_take_effect_on_uploads_that_run_on_a_signal_and_wrong_ones_do_not() {
    let program = Program::start(QUIET);
    let location = program.begin("repo1", b"12345").await;
    // One key is right and one is wrong: nothing of it holds.
    program.write(&format!("{QUIET}uploads: {{max_size: 4, min_rate_window: 1ms}}\n"));
    program.hang_up();
    program.logged("configuration is wrong, the old one stays in force");
    let refused = program.reload().await.expect(422).await.document().await;
    let message = refused["errors"][0]["message"].as_str().expect("a message");
    assert!(message.contains("uploads.min_rate_window"), "{message}");
    let patch = async || program.request("PATCH", &location).body("67890").send().await.expect("an answer");
    patch().await.expect(202).await;

    program.write(&format!("{QUIET}uploads: {{max_size: 12}}\n"));
    program.hang_up();
    program.logged("configuration was read again");
    let location = program.get(&location).await.expect(204).await.value("location");
    let patch = program.request("PATCH", &location).body("67890").send().await.expect("an answer");
    patch.expect_error(413, "SIZE_INVALID").await;
    let patch = program.request("PATCH", &location).body("67").send().await.expect("an answer");
    patch.expect(202).await;
    program.write(&format!("{QUIET}uploads: {{max_open: 1}}\n"));
    program.hang_up();
    program.logged("configuration was read again");
    let post = program.request("POST", "/v2/repo1/blobs/uploads/").send().await.expect("an answer");
    post.expect_error(429, "TOOMANYREQUESTS").await;
}
