//! An upload's life between its first request and its last.

use bytes::Bytes;
use reqwest::Method;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::{
    Registry, ReplyExt as _, begin_body, digest_of, eventually, random, raw_head, read_reply, with_digest,
};

on_both_drivers! {
    a_cancelled_upload_is_gone,
    an_upload_works_in_its_own_repository_only,
    what_is_no_upload_is_unknown,
    a_resent_patch_appends_once,
    a_resent_body_that_differs_changes_nothing,
    a_resent_put_is_answered_again,
    foreign_and_old_addresses_work,
    a_cut_body_is_kept_and_gone_on_with,
    a_cut_single_post_leaves_nothing,
    a_newcomer_takes_over_from_a_silent_writer,
    a_newcomer_waits_for_a_writer_that_writes,
    wrong_lengths_are_told,
    the_status_is_answered_while_a_body_comes,
}

async fn a_cancelled_upload_is_gone(registry: &Registry) {
    let location = registry.begin("repo1").await;
    registry.patch(&location, random(100), None).await.expect(202).await;
    registry.delete(&location).await.expect(204).await;
    registry.get(&location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    registry.patch(&location, random(100), None).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    registry.delete(&location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    let finish = with_digest(&location, &digest_of(b"x"));
    registry.put(&finish, "x").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
}

async fn an_upload_works_in_its_own_repository_only(registry: &Registry) {
    let location = registry.begin("repo1").await;
    let elsewhere = location.replace("/repo1/", "/repo2/");
    registry.get(&elsewhere).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    registry.patch(&elsewhere, "x", None).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    registry.put(&with_digest(&elsewhere, &digest_of(b"")), "").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    registry.delete(&elsewhere).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
    assert_eq!(registry.stands_at(&location).await, "0-0");
    registry.delete(&location).await.expect(204).await;
}

async fn what_is_no_upload_is_unknown(registry: &Registry) {
    for id in ["00000000-0000-4000-8000-000000000000", "x", "..%2e", "%00", "00000000000040008000000000000000"] {
        let reply = registry.get(&format!("/v2/repo1/blobs/uploads/{id}")).await;
        assert!(matches!(reply.status().as_u16(), 400 | 404), "{id}: {}", reply.status());
    }
}

async fn a_resent_patch_appends_once(registry: &Registry) {
    let data = random(200_000);
    let location = registry.begin("repo1").await;
    let first = data.slice(..120_000);
    for _ in 0..3 {
        // The answer was lost each time, so the client knows the first address only.
        let patched = registry.patch(&location, first.clone(), None).await.expect(202).await;
        assert_eq!(patched.value("range"), "0-119999");
    }
    // Sent again with more behind it.
    let patched = registry.patch(&location, data.clone(), None).await.expect(202).await;
    assert_eq!(patched.value("range"), "0-199999");
    let finish = with_digest(&patched.value("location"), &digest_of(&data));
    registry.put(&finish, "").await.expect(201).await;
}

async fn a_resent_body_that_differs_changes_nothing(registry: &Registry) {
    let data = random(50_000);
    let location = registry.begin("repo1").await;
    registry.patch(&location, data.clone(), None).await.expect(202).await;
    let mut other = data.to_vec();
    other[40_000] ^= 1;
    registry.patch(&location, other, None).await.expect_error(416, "BLOB_UPLOAD_INVALID").await;
    assert_eq!(registry.stands_at(&location).await, "0-49999");
    // A range alone decides, whatever the address says.
    let again = registry.patch(&location, data.slice(..10), Some("0-9")).await;
    again.expect_error(416, "BLOB_UPLOAD_INVALID").await;
    registry.put(&with_digest(&location, &digest_of(&data)), "").await.expect(201).await;
}

async fn a_resent_put_is_answered_again(registry: &Registry) {
    let data = random(70_000);
    let location = registry.begin("repo1").await;
    let finish = with_digest(&location, &digest_of(&data));
    for _ in 0..3 {
        registry.put(&finish, data.clone()).await.expect(201).await;
        registry.put(&finish, "").await.expect(201).await;
    }
    // Also when it is too large for the connection's buffers, and stays usable.
    let large = random(20_000_000);
    let finish = with_digest(&registry.begin("repo1").await, &digest_of(&large));
    for _ in 0..3 {
        let reply = registry.put(&finish, large.clone()).await.expect(201).await;
        assert_eq!(reply.maybe("connection"), None);
    }
    // Another digest is not what that upload became.
    let other = with_digest(&location, &digest_of(b"other"));
    registry.put(&other, "").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;
}

async fn foreign_and_old_addresses_work(registry: &Registry) {
    let data = random(3000);
    let location = registry.begin("repo1").await;
    let bare = location.split('?').next().expect("a path").to_string();
    let foreign = format!("{bare}?_state=bm90IG91cnM%3D");
    registry.patch(&bare, data.slice(..1000), None).await.expect(202).await;
    registry.patch(&foreign, data.slice(1000..2000), None).await.expect(202).await;
    for address in [&location, &bare, &foreign] {
        assert_eq!(registry.stands_at(address).await, "0-1999");
    }
    registry.put(&with_digest(&foreign, &digest_of(&data)), data.slice(2000..)).await.expect(201).await;
    let location = registry.begin("repo1").await;
    registry.delete(&location.replace("offset=0", "_state=x")).await.expect(204).await;
}

/// Sends a part of a body and nothing more; gives the open connection.
async fn send_half(registry: &Registry, method: &str, path: &str, length: usize, part: &[u8]) -> TcpStream {
    begin_body(registry.address(), &raw_head(method, path, &format!("Content-Length: {length}\r\n")), part).await
}

async fn a_cut_body_is_kept_and_gone_on_with(registry: &Registry) {
    let data = random(300_000);
    let location = registry.begin("repo1").await;
    let stream = send_half(registry, "PATCH", &location, data.len(), &data[..200_000]).await;
    drop(stream);
    eventually("the cut body's bytes", async || registry.stands_at(&location).await == "0-199999").await;
    let status = registry.get(&location).await.expect(204).await;
    let rest = [("content-range", "200000-299999")];
    let finish = with_digest(&status.value("location"), &digest_of(&data));
    registry.send(Method::PUT, &finish, data.slice(200_000..), &rest).await.expect(201).await;
}

async fn a_cut_single_post_leaves_nothing(registry: &Registry) {
    let data = random(300_000);
    let digest = digest_of(&data);
    let path = format!("/v2/repo1/blobs/uploads/?digest={digest}");
    let stream = send_half(registry, "POST", &path, data.len(), &data[..200_000]).await;
    eventually("an upload", async || registry.metric("longshore_uploads_writing").await == Some(1.0)).await;
    drop(stream);
    eventually("its end", async || registry.metric("longshore_uploads_open").await == Some(0.0)).await;
    registry.head(&format!("/v2/repo1/blobs/{digest}")).await.expect(404).await;
}

async fn a_newcomer_takes_over_from_a_silent_writer(registry: &Registry) {
    let data = random(300_000);
    let location = registry.begin("repo1").await;
    let mut silent = send_half(registry, "PATCH", &location, data.len(), &data[..100_000]).await;
    eventually("the first bytes", async || registry.stands_at(&location).await == "0-99999").await;
    let patched = registry.patch(&location, data.clone(), None).await.expect(202).await;
    assert_eq!(patched.value("range"), "0-299999");
    // The old one is told, and what it sends late is not taken.
    let reply = read_reply(&mut silent).await.expect("an answer");
    assert_eq!(reply.status, 409, "{}", reply.head);
    assert_eq!(reply.header("connection"), Some("close"));
    let finish = with_digest(&patched.value("location"), &digest_of(&data));
    registry.put(&finish, "").await.expect(201).await;
}

async fn a_newcomer_waits_for_a_writer_that_writes(registry: &Registry) {
    let location = registry.begin("repo1").await;
    let mut writing = send_half(registry, "PATCH", &location, 100_000, b"start").await;
    eventually("the first bytes", async || registry.stands_at(&location).await == "0-4").await;
    let newcomer = registry.patch(&location, "other", Some("0-4"));
    tokio::pin!(newcomer);
    let mut sent = 5;
    let refused = loop {
        tokio::select! {
            reply = &mut newcomer => break reply,
            () = tokio::time::sleep(std::time::Duration::from_millis(50)) => {
                writing.write_all(b"more!").await.expect("a piece");
                sent += 5;
            }
        }
    };
    assert!(refused.maybe("retry-after").is_some(), "{refused:?}");
    refused.expect_error(429, "TOOMANYREQUESTS").await;
    writing.write_all(&vec![b'x'; 100_000 - sent]).await.expect("the rest");
    assert_eq!(read_reply(&mut writing).await.expect("an answer").status, 202);
    assert_eq!(registry.stands_at(&location).await, "0-99999");
    registry.delete(&location).await.expect(204).await;
}

async fn wrong_lengths_are_told(registry: &Registry) {
    let location = registry.begin("repo1").await;
    registry.patch(&location, "123456", Some("0-4")).await.expect_error(400, "SIZE_INVALID").await;
    assert_eq!(registry.stands_at(&location).await, "0-0");
    // Shorter than its range: what came is kept.
    registry.patch(&location, "12345", Some("0-9")).await.expect_error(400, "SIZE_INVALID").await;
    assert_eq!(registry.stands_at(&location).await, "0-4");
    // Longer than its range, which is found out while it comes.
    let pieces = vec![Bytes::from_static(b"678"), Bytes::from_static(b"90abcdef")];
    let request = registry.request(Method::PATCH, &location).header("content-range", "5-9");
    let stream = futures_util::stream::iter(pieces.into_iter().map(Ok::<Bytes, std::io::Error>));
    let longer = request.body(reqwest::Body::wrap_stream(stream)).send().await.expect("an answer");
    longer.expect_error(400, "SIZE_INVALID").await;
    assert_eq!(registry.stands_at(&location).await, "0-9");
    registry.put(&with_digest(&location, &digest_of(b"1234567890")), "").await.expect(201).await;
}

async fn the_status_is_answered_while_a_body_comes(registry: &Registry) {
    let location = registry.begin("repo1").await;
    let mut stream = send_half(registry, "PATCH", &location, 10, b"12345").await;
    eventually("the first bytes", async || registry.stands_at(&location).await == "0-4").await;
    stream.write_all(b"67890").await.expect("the rest");
    assert_eq!(read_reply(&mut stream).await.expect("an answer").status, 202);
    assert_eq!(registry.stands_at(&location).await, "0-9");
    registry.delete(&location).await.expect(204).await;
}
