//! What a client may do again, and what it is told so that it can go on.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::harness::{
    Registry, ReplyExt as _, Storage, begin_body, code_of, digest_of, eventually, random, raw_head, read_reply,
    read_to_close, with_digest, without_policies,
};

on_both_storages! {
    a_wrong_range_tells_the_one_that_holds,
    a_wrong_digest_keeps_the_upload_until_a_policy_has_it,
    a_put_that_was_cut_is_sent_again_whole,
    a_put_that_differs_from_what_is_kept_changes_nothing,
    a_single_post_is_answered_again,
    a_half_closed_body_is_kept_and_gone_on_with,
    what_did_not_have_to_be_sent_again_is_counted,
}

async fn start(storage: Storage) -> Registry {
    Registry::start_with(storage, |config| {
        without_policies(config);
    })
    .await
}

/// It is refused as a body that goes elsewhere, and told where the upload stands.
async fn told_where(reply: Response, location: &str, range: &str) {
    assert_eq!(reply.value("range"), range);
    let end: u64 = range.split('-').nth(1).expect("an end").parse().expect("a number");
    let bare = location.split('?').next().expect("a path");
    assert_eq!(reply.value("location"), format!("{bare}?offset={}", end + 1));
    let body = reply.expect(416).await.document().await;
    assert_eq!(body["errors"][0]["code"], "BLOB_UPLOAD_INVALID");
    assert_eq!(body["errors"][0]["detail"]["offset"], end + 1, "{body}");
}

async fn a_wrong_range_tells_the_one_that_holds(storage: Storage) {
    let registry = start(storage).await;
    let data = random(30);
    let location = registry.begin("repo1").await;
    registry.patch(&location, data.slice(..10), Some("0-9")).await.expect(202).await;
    let finish = with_digest(&location, &digest_of(&data));
    for range in ["20-29", "5-24", "0-19"] {
        let refused = registry.patch(&location, data.slice(..20), Some(range)).await;
        if range == "20-29" {
            refused.expect_error(400, "SIZE_INVALID").await;
        } else {
            told_where(refused, &location, "0-9").await;
        }
        let body = if range == "20-29" { data.slice(20..) } else { data.slice(..20) };
        let refused = registry.send(Method::PUT, &finish, body, &[("content-range", range)]).await;
        told_where(refused, &location, "0-9").await;
    }
    // A range without a body is a wish all the same.
    let refused = registry.send(Method::PUT, &finish, "", &[("content-range", "20-29")]).await;
    assert!(refused.status().is_client_error(), "{refused:?}");
    assert_eq!(registry.stands_at(&location).await, "0-9");
    registry.send(Method::PUT, &finish, data.slice(10..), &[("content-range", "10-29")]).await.expect(201).await;
    registry.finish().await;
}

async fn a_wrong_digest_keeps_the_upload_until_a_policy_has_it(storage: Storage) {
    let registry = Registry::start_with(storage, |config| {
        let uploads = without_policies(config);
        uploads.idle_timeout = Duration::from_millis(1500);
        uploads.keep_failed_for = Duration::from_secs(3600);
    })
    .await;
    let data = random(1000);
    let (retried, left) = (registry.begin("repo1").await, registry.begin("repo1").await);
    for location in [&retried, &left] {
        let wrong = registry.put(&with_digest(location, &digest_of(b"other")), data.clone()).await;
        wrong.expect_error(400, "DIGEST_INVALID").await;
        assert_eq!(registry.stands_at(location).await, "0-999");
    }
    registry.put(&with_digest(&retried, &digest_of(&data)), "").await.expect(201).await;
    registry.expires(&left, "idle_timeout").await;
    // The right digest comes too late for the upload, and the blob is there: that is what counts.
    registry.put(&with_digest(&left, &digest_of(&data)), "").await.expect(201).await;
    registry.end(&left, "cancel").await.expect(200).await;
    registry.finish().await;
}

async fn a_put_that_was_cut_is_sent_again_whole(storage: Storage) {
    let registry = start(storage).await;
    let data = random(300_000);
    let location = registry.begin("repo1").await;
    let finish = with_digest(&location, &digest_of(&data));
    let head = raw_head("PUT", &finish, "Content-Length: 300000\r\n");
    for end in [100_000, 200_000] {
        drop(begin_body(registry.address(), &head, &data[..end]).await);
        let range = format!("0-{}", end - 1);
        eventually("the cut body's bytes", async || registry.stands_at(&location).await == range).await;
    }
    // To the same address, as containerd does it.
    registry.put(&finish, data.clone()).await.expect(201).await;
    registry.put(&finish, data.clone()).await.expect(201).await;
    let path = format!("/v2/repo1/blobs/{}", digest_of(&data));
    assert_eq!(registry.get(&path).await.expect(200).await.data().await, data);
    registry.finish().await;
}

async fn a_put_that_differs_from_what_is_kept_changes_nothing(storage: Storage) {
    let registry = start(storage).await;
    let data = random(1000);
    let location = registry.begin("repo1").await;
    registry.patch(&location, data.slice(..600), None).await.expect(202).await;
    let mut other = data.to_vec();
    other[300] ^= 1;
    let refused = registry.put(&with_digest(&location, &digest_of(&other)), other).await;
    told_where(refused, &location, "0-599").await;
    registry.put(&with_digest(&location, &digest_of(&data)), data).await.expect(201).await;
    registry.finish().await;
}

async fn a_single_post_is_answered_again(storage: Storage) {
    let registry = start(storage).await;
    let data = random(50_000);
    let path = format!("/v2/repo1/blobs/uploads/?digest={}", digest_of(&data));
    for _ in 0..3 {
        let created = registry.post(&path, data.clone()).await.expect(201).await;
        assert_eq!(created.value("docker-content-digest"), digest_of(&data));
    }
    let other = format!("/v2/repo1/blobs/uploads/?digest={}", digest_of(b"other"));
    registry.post(&other, data).await.expect_error(400, "DIGEST_INVALID").await;
    assert_eq!(registry.listed("").await, [] as [Value; 0]);
    registry.finish().await;
}

async fn a_half_closed_body_is_kept_and_gone_on_with(storage: Storage) {
    let registry = start(storage).await;
    let data = random(1000);
    let location = registry.begin("repo1").await;
    let head = raw_head("PATCH", &location, "Content-Length: 1000\r\n");
    let mut stream = begin_body(registry.address(), &head, &data[..400]).await;
    // It will send no more, and would still read.
    stream.shutdown().await.expect("half of the connection");
    eventually("its bytes", async || registry.stands_at(&location).await == "0-399").await;
    let reply = read_reply(&mut stream).await.expect("an answer");
    assert_eq!((reply.status, code_of(&reply.body).as_str()), (400, "SIZE_INVALID"));
    assert_eq!(reply.header("range"), Some("0-399"));
    read_to_close(&mut stream).await;
    registry.put(&with_digest(&location, &digest_of(&data)), data).await.expect(201).await;
    registry.finish().await;
}

async fn what_did_not_have_to_be_sent_again_is_counted(storage: Storage) {
    let registry = start(storage).await;
    let data = random(300_000);
    let location = registry.begin("repo1").await;
    // Chunks that came whole are no interruption.
    registry.patch(&location, data.slice(..50_000), None).await.expect(202).await;
    registry.patch(&location, data.slice(50_000..100_000), Some("50000-99999")).await.expect(202).await;
    assert_eq!(registry.metric("longshore_upload_resumes_total").await, Some(0.0));
    let head = raw_head("PATCH", &location, "Content-Range: 100000-299999\r\nContent-Length: 200000\r\n");
    drop(begin_body(registry.address(), &head, &data[100_000..200_000]).await);
    eventually("the cut body's bytes", async || registry.stands_at(&location).await == "0-199999").await;
    registry.metric_becomes("longshore_uploads_writing", 0.0).await;
    let finish = with_digest(&location, &digest_of(&data));
    let range = [("content-range", "200000-299999")];
    registry.send(Method::PUT, &finish, data.slice(200_000..), &range).await.expect(201).await;
    assert_eq!(registry.metric("longshore_upload_resumes_total").await, Some(1.0));
    assert_eq!(registry.metric("longshore_upload_resumed_bytes_total").await, Some(200_000.0));
    assert_eq!(registry.metric("longshore_upload_takeovers_total").await, Some(0.0));
    registry.finish().await;
}
