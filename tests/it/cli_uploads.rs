//! The program's commands for operators against a registry that runs, the program itself too.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{Program, ReplyExt as _, eventually, files_below, id_of};

const QUIET: &str = "log: {level: 'info,longshore::access=off'}\n";

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// What a command that succeeds prints.
fn printed(program: &Program, arguments: &[&str]) -> String {
    let output = program.command(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

fn document(program: &Program, arguments: &[&str]) -> Value {
    serde_json::from_str(&printed(program, arguments)).expect("JSON")
}

/// What a command that fails says.
fn failure(program: &Program, arguments: &[&str]) -> String {
    let output = program.command(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stdout(&output));
    stderr(&output)
}

#[tokio::test]
async fn uploads_are_listed_and_shown() {
    let program = Program::start(QUIET);
    let empty = document(&program, &["uploads", "list", "--json"]);
    assert_eq!(empty, json!({"uploads": [], "total": 0}));
    let (first, second) = (program.begin("repo1", b"12345").await, program.begin("a/b", b"123456789").await);
    let table = printed(&program, &["uploads", "list"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].starts_with("REPOSITORY"), "{table}");
    assert!(lines[1].starts_with("a/b") && lines[1].contains(id_of(&second)), "{table}");
    assert!(lines[2].starts_with("repo1") && lines[2].contains("(idle_timeout)"), "{table}");
    assert!(lines[2].ends_with("127.0.0.1"), "{table}");

    let listed = document(&program, &["uploads", "list", "--json", "--sort", "offset", "--desc", "--limit", "1"]);
    assert_eq!((&listed["total"], &listed["uploads"][0]["id"]), (&json!(2), &json!(id_of(&second))), "{listed}");
    let filtered = document(&program, &["uploads", "list", "--json", "--repository", "repo1", "--state", "open"]);
    assert_eq!((&filtered["total"], &filtered["uploads"][0]["id"]), (&json!(1), &json!(id_of(&first))), "{filtered}");

    let shown = document(&program, &["uploads", "show", id_of(&first), "--json"]);
    let asked = program.admin_get(&format!("/admin/v1/uploads/{}", id_of(&first))).await.document().await;
    assert_eq!(shown, asked);
    let text = printed(&program, &["uploads", "show", id_of(&first)]);
    assert!(text.contains("repo1") && text.contains("(5 bytes)") && text.contains("idle_timeout"), "{text}");
}

#[tokio::test]
async fn uploads_are_cancelled_and_made_to_expire() {
    let program = Program::start(QUIET);
    let (first, second) = (program.begin("repo1", b"12345").await, program.begin("repo1", b"12345").await);
    let said = printed(&program, &["uploads", "cancel", id_of(&first)]);
    assert!(said.starts_with(&format!("cancelled {} of repo1", id_of(&first))), "{said}");
    program.get(&first).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;

    let said = printed(&program, &["uploads", "expire", id_of(&second)]);
    assert!(said.starts_with(&format!("expired {} of repo1", id_of(&second))), "{said}");
    let told = program.get(&second).await.expect(404).await.document().await;
    assert_eq!(told["errors"][0]["detail"]["policy"], "operator", "{told}");
    let text = printed(&program, &["uploads", "show", id_of(&second)]);
    assert!(text.contains("by operator") && text.contains("kept"), "{text}");
    let again = failure(&program, &["uploads", "expire", id_of(&second)]);
    assert!(again.contains("upload has expired before, by operator"), "{again}");

    // What is kept goes by a cancel; one that is unknown does not keep the others from it.
    let unknown = failure(&program, &["uploads", "cancel", id_of(&first), id_of(&second)]);
    assert!(unknown.contains(&format!("{}: not cancelled", id_of(&first))), "{unknown}");
    assert_eq!(document(&program, &["uploads", "list", "--json"])["total"], 0);
    assert!(files_below(&program.root().join("docker")).is_empty());
    let unknown = failure(&program, &["uploads", "show", id_of(&first)]);
    assert!(unknown.contains("no such upload"), "{unknown}");
}

/// A removal that broke off long ago: data without a start.
fn leave_something(program: &Program) -> std::path::PathBuf {
    let folder =
        program.root().join("docker/registry/v2/repositories/repo1/_uploads/11111111-1111-4111-8111-111111111111");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("data");
    std::fs::write(&file, [7; 300]).expect("a file");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    let times = std::fs::FileTimes::new().set_modified(long_ago);
    std::fs::File::options().write(true).open(&file).expect("a file").set_times(times).expect("times");
    folder
}

#[tokio::test]
async fn leftovers_are_purged_from_a_registry_that_runs() {
    let program = Program::start(QUIET);
    let running = program.begin("repo1", b"12345").await;
    // The scan after the start is through.
    eventually("the first scan", async || {
        program.admin_get("/admin/v1/scan").await.document().await["finished_at"].is_string()
    })
    .await;
    let left = leave_something(&program);
    let dry = printed(&program, &["uploads", "purge", "--dry-run"]);
    assert!(dry.contains("leftover") && dry.contains("1 would expire or be removed (300"), "{dry}");
    assert!(left.exists());
    let report = document(&program, &["uploads", "purge", "--json"]);
    assert_eq!((&report["removed"], &report["removed_bytes"]), (&json!(1), &json!(300)), "{report}");
    assert_eq!((&report["running"], &report["dry_run"]), (&json!(false), &json!(false)), "{report}");
    assert!(!left.exists());
    let status = document(&program, &["uploads", "scan-status", "--json"]);
    assert_eq!(status, report);
    assert_eq!(program.get(&running).await.expect(204).await.value("range"), "0-4");
}

#[tokio::test]
async fn an_offline_purge_waits_for_the_registry_to_be_stopped() {
    let mut program = Program::start(QUIET);
    let running = program.begin("repo1", b"12345").await;
    let root = program.root();
    let root = root.to_str().expect("text");
    let purge = ["uploads", "purge", "--offline", "--root", root];
    let refused = failure(&program, &purge);
    let holder = program.pid().as_raw_nonzero().to_string();
    assert!(refused.contains(root) && refused.contains(&holder), "{refused}");
    assert_eq!(program.get(&running).await.expect(204).await.value("range"), "0-4");

    program.stop();
    let left = leave_something(&program);
    let dry = printed(&program, &[&purge[..], &["--dry-run"]].concat());
    assert!(dry.contains("1 would expire or be removed (300"), "{dry}");
    assert!(left.exists());
    let report = document(&program, &[&purge[..], &["--json"]].concat());
    assert_eq!(
        (&report["removed"], &report["uploads"], &report["failed"]),
        (&json!(1), &json!(2), &json!(0)),
        "{report}"
    );
    assert!(!left.exists());
    // The one that can be gone on with is there.
    let folder = root.to_owned() + "/docker/registry/v2/repositories/repo1/_uploads/" + id_of(&running);
    assert_eq!(std::fs::read(folder.clone() + "/data").expect("its data"), b"12345");
    assert!(std::path::Path::new(&(folder + "/record")).exists());

    // By a stricter policy it goes, too, and is not kept where the configuration says so.
    let file = program.root().parent().expect("a folder").join("strict.yaml");
    let strict = "uploads: {takeover_after: 1ms, idle_timeout: 1ms, keep_failed_for: 0s}\n";
    std::fs::write(&file, strict).expect("a file");
    let strict = document(&program, &[&purge[..], &["--json", "--config", file.to_str().expect("text")]].concat());
    assert_eq!((&strict["removed"], &strict["removed_bytes"]), (&json!(1), &json!(5)), "{strict}");
    assert!(files_below(&program.root().join("docker")).is_empty());
}
