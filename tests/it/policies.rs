//! What ends uploads that stall: the writer is told, later requests are, and nothing stays for ever.

use std::time::{Duration, Instant};

use longshore::config::{UploadsConfig, UploadsOverride};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::{
    RawReply, Registry, ReplyExt as _, Storage, begin_body, digest_of, eventually, random, raw_head, read_reply,
    read_to_close, with_digest, without_policies,
};

on_both_storages! {
    a_silent_writer_is_ended_by_idle_timeout,
    a_slow_writer_is_ended_by_min_rate,
    an_old_upload_is_ended_by_max_age_however_busy,
    an_upload_that_nobody_writes_to_expires_whoever_asks_for_it,
    what_is_kept_goes_after_its_time,
    where_nothing_is_kept_an_expired_upload_is_unknown_at_once,
    an_expired_single_post_leaves_nothing,
    a_put_to_an_expired_upload_finds_a_blob_that_came_otherwise,
    bodies_that_keep_coming_are_not_idle,
    a_pause_between_bodies_is_not_slow,
    of_what_is_kept_the_oldest_data_goes_first,
    an_override_holds_for_its_repositories_alone,
}

const HOUR: Duration = Duration::from_secs(3600);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

async fn start(storage: Storage, change: impl FnOnce(&mut UploadsConfig)) -> Registry {
    Registry::start_with(storage, |config| change(without_policies(config))).await
}

/// Begins a body that says it has a megabyte.
async fn begin_megabyte(registry: &Registry, location: &str) -> TcpStream {
    let head = raw_head("PATCH", location, "Content-Length: 1000000\r\n");
    begin_body(registry.address(), &head, b"start").await
}

/// Sends a byte every now and then until there is an answer.
async fn drip(mut stream: TcpStream) -> (RawReply, TcpStream) {
    let (reader, mut writer) = stream.split();
    let mut pace = tokio::time::interval(millis(20));
    loop {
        tokio::select! {
            readable = reader.readable() => {
                readable.expect("the connection lives");
                break;
            }
            _ = pace.tick() => writer.write_all(b"x").await.expect("the server reads"),
        }
    }
    (read_reply(&mut stream).await.expect("an answer"), stream)
}

/// What is promised to a writer and to all who come later, of an upload that a policy ended in the middle of a body.
async fn check_struck(registry: Registry, location: &str, policy: &str, reply: RawReply, mut stream: TcpStream) {
    let detail = reply.last_detail(408, "BLOB_UPLOAD_INVALID");
    assert_eq!(detail, json!({"reason": "expired", "policy": policy}));
    // It closes by itself: this client neither sends nor closes.
    let told_at = Instant::now();
    read_to_close(&mut stream).await;
    assert!(told_at.elapsed() < Duration::from_secs(15), "{:?}", told_at.elapsed());

    registry.expires(location, policy).await;
    registry.head(location).await.expect(404).await;
    let finish = with_digest(location, &digest_of(b"x"));
    for (method, address) in
        [(Method::GET, location), (Method::PATCH, location), (Method::PUT, &finish), (Method::DELETE, location)]
    {
        let body = if method == Method::GET || method == Method::DELETE { "" } else { "x" };
        let detail = registry.expired_detail(registry.send(method.clone(), address, body, &[]).await).await;
        let at = detail["at"].as_str().unwrap_or_else(|| panic!("{method}: {detail}"));
        assert!(at.ends_with('Z') && at.starts_with("20"), "{at}");
        assert_eq!((&detail["reason"], &detail["policy"]), (&json!("expired"), &json!(policy)), "{method}");
    }
    let seen = registry.seen(location).await;
    assert_eq!((&seen["state"], &seen["deadline"]), (&json!("expired"), &Value::Null), "{seen}");
    assert_eq!((&seen["expired"]["policy"], &seen["client"]), (&json!(policy), &json!("127.0.0.1")), "{seen}");
    assert!(seen["offset_bytes"].as_u64() >= Some(5), "{seen}");
    assert_eq!(seen["expired"]["kept_bytes"], seen["offset_bytes"]);
    let counted = format!("longshore_uploads_expired_total{{policy=\"{policy}\"}}");
    assert_eq!(registry.metric(&counted).await, Some(1.0));
    assert_eq!(registry.metric("longshore_uploads_ended_total{reason=\"expired\"}").await, Some(1.0));
    assert_eq!(registry.metric("longshore_uploads_kept").await, Some(1.0));
    assert_eq!(registry.metric("longshore_uploads_kept_bytes").await, seen["offset_bytes"].as_f64());

    registry.end(location, "cancel").await.expect(200).await;
    registry.vanishes(location).await;
    assert_eq!(registry.metric("longshore_uploads_kept").await, Some(0.0));
    registry.finish().await;
}

async fn a_silent_writer_is_ended_by_idle_timeout(storage: Storage) {
    let registry = start(storage, |uploads| {
        (uploads.idle_timeout, uploads.keep_failed_for) = (millis(1000), HOUR);
    })
    .await;
    let location = registry.begin("repo1").await;
    let mut stream = begin_megabyte(&registry, &location).await;
    let reply = read_reply(&mut stream).await.expect("an answer");
    check_struck(registry, &location, "idle_timeout", reply, stream).await;
}

async fn a_slow_writer_is_ended_by_min_rate(storage: Storage) {
    let registry = start(storage, |uploads| {
        (uploads.min_rate, uploads.min_rate_window) = (100_000, millis(600));
        (uploads.idle_timeout, uploads.max_age, uploads.keep_failed_for) = (HOUR, HOUR, HOUR);
    })
    .await;
    let location = registry.begin("repo1").await;
    let stream = begin_megabyte(&registry, &location).await;
    let (reply, stream) = drip(stream).await;
    check_struck(registry, &location, "min_rate", reply, stream).await;
}

async fn an_old_upload_is_ended_by_max_age_however_busy(storage: Storage) {
    let registry = start(storage, |uploads| {
        (uploads.max_age, uploads.keep_failed_for) = (millis(1000), HOUR);
        (uploads.idle_timeout, uploads.min_rate, uploads.min_rate_window) = (HOUR, 1, millis(5000));
    })
    .await;
    let location = registry.begin("repo1").await;
    let stream = begin_megabyte(&registry, &location).await;
    let (reply, stream) = drip(stream).await;
    check_struck(registry, &location, "max_age", reply, stream).await;
}

async fn an_upload_that_nobody_writes_to_expires_whoever_asks_for_it(storage: Storage) {
    let registry = start(storage, |uploads| {
        (uploads.idle_timeout, uploads.keep_failed_for) = (millis(1000), HOUR);
    })
    .await;
    let location = registry.begin("repo1").await;
    registry.patch(&location, random(1000), None).await.expect(202).await;
    let seen = registry.seen(&location).await;
    assert_eq!(seen["deadline"]["policy"], "idle_timeout");
    // Every question comes sooner than the time-out, and keeps nothing alive.
    registry.expires(&location, "idle_timeout").await;
    registry.end(&location, "cancel").await.expect(200).await;
    registry.finish().await;
}

async fn what_is_kept_goes_after_its_time(storage: Storage) {
    let registry = start(storage, |uploads| {
        (uploads.idle_timeout, uploads.keep_failed_for) = (millis(1000), millis(10_000));
    })
    .await;
    let location = registry.begin("repo1").await;
    registry.patch(&location, random(1000), None).await.expect(202).await;
    registry.expires(&location, "idle_timeout").await;
    registry.vanishes(&location).await;
    assert_eq!(registry.listed("").await, [] as [Value; 0]);
    // Nothing on the disk, either.
    registry.finish().await;
}

async fn where_nothing_is_kept_an_expired_upload_is_unknown_at_once(storage: Storage) {
    let registry = start(storage, |uploads| uploads.idle_timeout = millis(1000)).await;
    let location = registry.begin("repo1").await;
    let mut stream = begin_megabyte(&registry, &location).await;
    let reply = read_reply(&mut stream).await.expect("an answer");
    assert_eq!(reply.last_detail(408, "BLOB_UPLOAD_INVALID")["policy"], "idle_timeout");
    registry.vanishes(&location).await;
    assert_eq!(registry.listed("").await, [] as [Value; 0]);
    registry.finish().await;
}

async fn an_expired_single_post_leaves_nothing(storage: Storage) {
    let registry = start(storage, |uploads| {
        (uploads.idle_timeout, uploads.keep_failed_for) = (millis(1000), HOUR);
    })
    .await;
    let path = format!("/v2/repo1/blobs/uploads/?digest={}", digest_of(b"other"));
    let head = raw_head("POST", &path, "Content-Length: 1000\r\n");
    let mut stream = begin_body(registry.address(), &head, b"start").await;
    let reply = read_reply(&mut stream).await.expect("an answer");
    assert_eq!(reply.last_detail(408, "BLOB_UPLOAD_INVALID")["policy"], "idle_timeout");
    assert_eq!(reply.header("location"), None, "its session is told to nobody");
    eventually("its end", async || registry.listed("").await.is_empty()).await;
    registry.finish().await;
}

async fn a_put_to_an_expired_upload_finds_a_blob_that_came_otherwise(storage: Storage) {
    let registry = start(storage, |uploads| {
        (uploads.idle_timeout, uploads.keep_failed_for) = (millis(1000), HOUR);
    })
    .await;
    let data = random(100_000);
    let location = registry.begin("repo1").await;
    registry.patch(&location, data.slice(..50_000), None).await.expect(202).await;
    registry.expires(&location, "idle_timeout").await;
    let finish = with_digest(&location, &digest_of(&data));
    let range = [("content-range", "50000-99999")];
    let late = registry.send(Method::PUT, &finish, data.slice(50_000..), &range).await;
    assert_eq!(registry.expired_detail(late).await["reason"], "expired");
    registry.push("repo1", &data).await;
    registry.send(Method::PUT, &finish, data.slice(50_000..), &range).await.expect(201).await;
    registry.put(&finish, "").await.expect(201).await;
    // In another repository it is of no use.
    registry.put(&finish.replace("/repo1/", "/repo2/"), "").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    registry.end(&location, "cancel").await.expect(200).await;
    registry.finish().await;
}

async fn bodies_that_keep_coming_are_not_idle(storage: Storage) {
    let registry = start(storage, |uploads| uploads.idle_timeout = millis(2000)).await;
    let data = random(60);
    let location = registry.begin("repo1").await;
    let head = raw_head("PATCH", &location, "Content-Length: 60\r\n");
    let mut stream = begin_body(registry.address(), &head, b"").await;
    // Twice as long as the time-out in all.
    let mut pace = tokio::time::interval(millis(66));
    for byte in data.chunks(1) {
        pace.tick().await;
        stream.write_all(byte).await.expect("the server reads");
    }
    assert_eq!(read_reply(&mut stream).await.expect("an answer").status, 202);
    registry.put(&with_digest(&location, &digest_of(&data)), "").await.expect(201).await;
    registry.finish().await;
}

async fn a_pause_between_bodies_is_not_slow(storage: Storage) {
    let registry = start(storage, |uploads| {
        (uploads.min_rate, uploads.min_rate_window) = (100_000, millis(600));
    })
    .await;
    let data = random(2000);
    let location = registry.begin("repo1").await;
    registry.patch(&location, data.slice(..1000), None).await.expect(202).await;
    // Three windows pass.
    let mut pace = tokio::time::interval(millis(100));
    for _ in 0..20 {
        pace.tick().await;
        assert_eq!(registry.stands_at(&location).await, "0-999");
    }
    registry.put(&with_digest(&location, &digest_of(&data)), data).await.expect(201).await;
    registry.finish().await;
}

async fn of_what_is_kept_the_oldest_data_goes_first(storage: Storage) {
    let registry = start(storage, |uploads| {
        (uploads.keep_failed_for, uploads.keep_failed_max_size) = (HOUR, 2500);
    })
    .await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let location = registry.begin("repo1").await;
        registry.patch(&location, random(1000), None).await.expect(202).await;
        registry.end(&location, "expire").await.expect(200).await;
        kept.push(location);
    }
    registry.metric_becomes("longshore_uploads_kept_bytes", 2000.0).await;
    for (location, bytes) in kept.iter().zip([0, 1000, 1000]) {
        let seen = registry.seen(location).await;
        assert_eq!((&seen["expired"]["kept_bytes"], &seen["offset_bytes"]), (&json!(bytes), &json!(1000)), "{seen}");
        // The word of it stays, data or not.
        registry.expires(location, "operator").await;
        registry.end(location, "cancel").await.expect(200).await;
    }
    registry.finish().await;
}

async fn an_override_holds_for_its_repositories_alone(storage: Storage) {
    let entry = |pattern: &str, idle_timeout, keep_failed_for| UploadsOverride {
        repositories: vec![pattern.parse().expect("a pattern")],
        idle_timeout: Some(idle_timeout),
        keep_failed_for: Some(keep_failed_for),
        ..UploadsOverride::default()
    };
    let registry = start(storage, |uploads| {
        uploads.idle_timeout = HOUR;
        uploads.overrides = vec![entry("ci/*", millis(400), HOUR), entry("ci/**", millis(400), Duration::ZERO)];
    })
    .await;
    let (kept, removed) = (registry.begin("ci/kept").await, registry.begin("ci/not/kept").await);
    let other = registry.begin("other").await;
    registry.expires(&kept, "idle_timeout").await;
    registry.vanishes(&removed).await;
    assert_eq!(registry.stands_at(&other).await, "0-0");
    registry.delete(&other).await.expect(204).await;
    registry.end(&kept, "cancel").await.expect(200).await;
    registry.finish().await;
}
