//! What an earlier process, a crash or another program left: uploads are known again, and leftovers go.

use std::fs::{File, FileTimes, create_dir_all};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Registry, ReplyExt as _, Storage, digest_of, eventually, files_below, id_of, random, with_digest, without_policies,
};

const HOUR: Duration = Duration::from_secs(3600);

async fn start() -> Registry {
    Registry::start_with(Storage::Filesystem, |config| {
        config.http.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
        let uploads = without_policies(config);
        (uploads.idle_timeout, uploads.keep_failed_for) = (HOUR, HOUR);
    })
    .await
}

fn folder(root: &Path, repository: &str, id: &str) -> PathBuf {
    root.join(format!("docker/registry/v2/repositories/{repository}/_uploads/{id}"))
}

/// Nothing has happened to a file for so long.
fn make_old(file: &Path, age: Duration) {
    let then = SystemTime::now() - age;
    let file = File::options().write(true).open(file).expect("a file");
    file.set_times(FileTimes::new().set_modified(then).set_accessed(then)).expect("times");
}

/// Makes an upload's folder with these files, untouched for two hours.
fn leave(root: &Path, repository: &str, id: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let folder = folder(root, repository, id);
    create_dir_all(&folder).expect("a folder");
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).expect("a file");
        make_old(&folder.join(name), 2 * HOUR);
    }
    folder
}

#[tokio::test]
async fn uploads_are_known_again_after_a_restart() {
    let mut registry = start().await;
    let mut begun = Vec::new();
    for (client, repository) in [("192.0.2.1", "repo1"), ("192.0.2.2", "repo1"), ("192.0.2.2", "a/b/c")] {
        let headers = [("x-forwarded-for", client)];
        let post = registry.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), "", &headers).await;
        let location = post.expect(202).await.value("location");
        registry.send(Method::PATCH, &location, random(1000), &headers).await.expect(202).await;
        begun.push((location, client, repository));
    }
    let kept = registry.begin("repo1").await;
    registry.patch(&kept, random(500), None).await.expect(202).await;
    registry.end(&kept, "expire").await.expect(200).await;
    let before = registry.listed("").await;
    registry.restart().await;
    // Nobody has asked for them yet.
    eventually("all of them", async || registry.listed("").await.len() == 4).await;
    for (location, client, repository) in &begun {
        let seen = registry.seen(location).await;
        assert_eq!(
            (&seen["state"], &seen["client"], &seen["repository"], &seen["offset_bytes"]),
            (&json!("passive"), &json!(client), &json!(repository), &json!(1000)),
            "{seen}"
        );
        let was = before.iter().find(|was| was["id"] == seen["id"]).expect("it was there");
        // `startedat` has whole seconds, as distribution's.
        let second = |upload: &Value| upload["started_at"].as_str().map(|text| text[..19].to_owned());
        assert_eq!(second(&seen), second(was));
        assert_eq!(seen["deadline"]["policy"], "idle_timeout", "{seen}");
    }
    assert_eq!(registry.listed("?client=192.0.2.2").await.len(), 2);
    let seen = registry.seen(&kept).await;
    assert_eq!((&seen["state"], &seen["expired"]["policy"]), (&json!("expired"), &json!("operator")), "{seen}");
    assert_eq!((&seen["offset_bytes"], &seen["expired"]["kept_bytes"]), (&json!(500), &json!(500)), "{seen}");
    registry.expires(&kept, "operator").await;
    assert_eq!(registry.metric("longshore_uploads_open").await, Some(3.0));
    assert_eq!(registry.metric("longshore_uploads_passive").await, Some(3.0));
    for location in begun.iter().map(|(location, ..)| location).chain([&kept]) {
        registry.end(location, "cancel").await.expect(200).await;
    }
    registry.finish().await;
}

#[tokio::test]
async fn an_operator_can_end_an_upload_before_a_scan_has_met_it() {
    let mut registry = start().await;
    let location = registry.begin("repo1").await;
    registry.patch(&location, random(1000), None).await.expect(202).await;
    registry.restart().await;
    // The scan after the start has not begun.
    let path = format!("/admin/v1/uploads/{}", id_of(&location));
    registry.admin_get(&format!("{path}?repository=repo2")).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    let seen = registry.admin_get(&format!("{path}?repository=repo1")).await.expect(200).await.document().await;
    assert_eq!((&seen["offset_bytes"], &seen["repository"]), (&json!(1000), &json!("repo1")), "{seen}");
    registry.admin_post(&format!("{path}/cancel?repository=repo1"), json!({})).await.expect(200).await;
    registry.finish().await;
}

#[tokio::test]
async fn limits_count_what_an_earlier_process_left() {
    let mut registry = start().await;
    let location = registry.begin("repo1").await;
    registry.restart_with(|config| config.uploads.max_open_per_repository = 1).await;
    eventually("it is known", async || !registry.listed("").await.is_empty()).await;
    registry.post("/v2/repo1/blobs/uploads/", "").await.expect_error(429, "TOOMANYREQUESTS").await;
    registry.delete(&location).await.expect(204).await;
    registry.push("repo1", &random(100)).await;
    registry.finish().await;
}

#[tokio::test]
async fn what_expired_while_nothing_ran_goes() {
    let mut registry = start().await;
    let (left, kept) = (registry.begin("repo1").await, registry.begin("repo1").await);
    registry.patch(&left, random(1000), None).await.expect(202).await;
    registry.end(&kept, "expire").await.expect(200).await;
    let root = registry.root();
    registry
        .restart_with(|config| {
            config.uploads.idle_timeout = Duration::from_millis(300);
            config.uploads.keep_failed_for = Duration::from_millis(300);
        })
        .await;
    // Without a word to either of them.
    eventually("nothing left", async || files_below(&root.join("docker")).is_empty()).await;
    registry.vanishes(&left).await;
    registry.vanishes(&kept).await;
    registry.finish().await;
}

#[tokio::test]
async fn a_scan_removes_what_no_upload_can_be_made_of() {
    let mut registry = start().await;
    let live = registry.begin("repo1").await;
    registry.patch(&live, random(1000), None).await.expect(202).await;
    let (emptied, young) = (registry.begin("repo1").await, registry.begin("repo2").await);
    let root = registry.root();
    let mut leftovers = Vec::new();
    registry
        .restart_with(|config| {
            config.uploads.scan_every = Duration::ZERO;
            // A removal that broke off: only the record is left, of long ago.
            let folder = folder(&root, "repo1", id_of(&emptied));
            std::fs::remove_file(folder.join("data")).ok();
            std::fs::remove_file(folder.join("startedat")).expect("it is there");
            make_old(&folder.join("record"), 2 * HOUR);
            leftovers.push(folder);
            // The same of just now: somebody may be at it.
            std::fs::remove_file(self::folder(&root, "repo2", id_of(&young)).join("startedat")).expect("it is there");
            // Data without a start, as a distribution that died may leave it.
            let id = "11111111-1111-4111-8111-111111111111";
            leftovers.push(leave(&root, "a/b", id, &[("data", &[7; 300])]));
            // An upload of distribution that nobody went on with.
            let id = "22222222-2222-4222-8222-222222222222";
            let files: [(&str, &[u8]); 2] = [("data", &[8; 200]), ("startedat", b"2020-01-01T00:00:00Z")];
            leave(&root, "a/b", id, &files);
        })
        .await;
    // The scan after the start does by itself what is looked at here; so it is let through, and they are made again.
    eventually("the first scan", async || {
        registry.admin_get("/admin/v1/scan").await.document().await["finished_at"].is_string()
    })
    .await;
    assert!(!leftovers[0].exists() && !leftovers[1].exists());
    let expired = registry.seen("22222222-2222-4222-8222-222222222222").await;
    assert_eq!((&expired["state"], &expired["expired"]["policy"]), (&json!("expired"), &json!("idle_timeout")));
    assert_eq!((&expired["repository"], &expired["expired"]["kept_bytes"]), (&json!("a/b"), &json!(200)));
    let record = std::fs::read(folder(&root, "repo2", id_of(&young)).join("record")).expect("left alone");
    leave(&root, "repo1", id_of(&emptied), &[("record", &record)]);
    leave(&root, "a/b", "11111111-1111-4111-8111-111111111111", &[("data", &[7; 300])]);
    // Fresh data of distribution's: another process may write it at this moment.
    let other = folder(&root, "a/b", "33333333-3333-4333-8333-333333333333");
    create_dir_all(&other).expect("a folder");
    std::fs::write(other.join("startedat"), "2026-01-01T00:00:00Z").expect("a file");
    std::fs::write(other.join("data"), [9; 100]).expect("a file");

    for dry_run in [true, false] {
        let report = registry.scan(dry_run).await;
        assert_eq!((&report["dry_run"], &report["failed"]), (&json!(dry_run), &json!(0)), "{report}");
        assert_eq!((&report["removed"], &report["removed_bytes"]), (&json!(2), &json!(300)), "{report}");
        assert_eq!(report["adopted"], 1, "{report}");
        let findings = report["findings"].as_array().expect("findings");
        assert_eq!(findings.len(), 2, "{report}");
        assert!(findings.iter().all(|finding| finding["reason"] == "leftover"), "{report}");
        assert!(findings.iter().any(|it| it["repository"] == "a/b" && it["bytes"] == 300), "{report}");
        assert_eq!(leftovers[0].exists() && leftovers[1].exists(), dry_run);
        assert!(other.join("data").exists());
    }
    let nothing_more = registry.scan(false).await;
    assert_eq!((&nothing_more["removed"], &nothing_more["adopted"]), (&json!(0), &json!(0)), "{nothing_more}");
    assert_eq!(registry.stands_at(&live).await, "0-999");

    // Everything that is left is an upload that can be ended, but for the young one.
    for upload in registry.listed("").await {
        let path = format!("/admin/v1/uploads/{}/cancel", upload["id"].as_str().expect("an id"));
        registry.admin_post(&path, json!({})).await.expect(200).await;
    }
    let young = folder(&root, "repo2", id_of(&young));
    make_old(&young.join("record"), 2 * HOUR);
    if young.join("data").exists() {
        make_old(&young.join("data"), 2 * HOUR);
    }
    assert_eq!(registry.scan(false).await["removed"], 1);
    registry.finish().await;
}

#[tokio::test]
async fn an_upload_that_distribution_left_can_be_gone_on_with_and_expires_as_ours() {
    let mut registry = start().await;
    let data = random(1000);
    let root = registry.root();
    let id = "44444444-4444-4444-8444-444444444444";
    registry
        .restart_with(|_| {
            let folder = folder(&root, "repo1", id);
            create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join("startedat"), "2026-01-01T00:00:00Z").expect("a file");
            std::fs::write(folder.join("data"), &data[..600]).expect("a file");
        })
        .await;
    eventually("it is known", async || !registry.listed("").await.is_empty()).await;
    let location = format!("/v2/repo1/blobs/uploads/{id}");
    let seen = registry.seen(&location).await;
    assert_eq!((&seen["offset_bytes"], &seen["client"]), (&json!(600), &Value::Null), "{seen}");
    assert_eq!(seen["started_at"], "2026-01-01T00:00:00Z");
    let finish = with_digest(&location, &digest_of(&data));
    registry.send(Method::PUT, &finish, data.slice(600..), &[("content-range", "600-999")]).await.expect(201).await;
    registry.finish().await;
}
