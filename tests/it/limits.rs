//! How many uploads may be open, and how many written to at once: by client, by repository, and in all.

use std::time::Duration;

use longshore::config::{UploadsConfig, UploadsOverride};
use reqwest::{Method, Response};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::{
    Registry, ReplyExt as _, Storage, begin_body, digest_of, eventually, raw_head, read_reply, read_to_close,
    with_digest, without_policies,
};

on_both_storages! {
    open_uploads_of_a_client_are_limited,
    open_uploads_of_a_repository_are_limited,
    open_uploads_in_all_are_limited,
    an_end_of_any_kind_makes_room,
    uploads_that_a_client_writes_to_are_limited,
    uploads_of_a_repository_that_are_written_to_are_limited,
    uploads_that_are_written_to_in_all_are_limited,
    a_newcomer_to_a_body_needs_no_second_place,
    an_address_that_no_proxy_told_is_not_believed,
}

const ALICE: &str = "192.0.2.1";
const BOB: &str = "2001:db8::2";

/// Every connection of these cases comes from a proxy that is believed.
async fn start(storage: Storage, change: impl FnOnce(&mut UploadsConfig)) -> Registry {
    Registry::start_with(storage, |config| {
        config.http.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
        change(without_policies(config));
    })
    .await
}

async fn post_as(registry: &Registry, client: &str, repository: &str) -> Response {
    let path = format!("/v2/{repository}/blobs/uploads/");
    registry.send(Method::POST, &path, "", &[("x-forwarded-for", client)]).await
}

async fn begin_as(registry: &Registry, client: &str, repository: &str) -> String {
    post_as(registry, client, repository).await.expect(202).await.value("location")
}

/// A head alone, of a body of ten bytes.
async fn head_as(registry: &Registry, client: &str, method: &str, path: &str) -> TcpStream {
    let headers = format!("X-Forwarded-For: {client}\r\nContent-Length: 10\r\n");
    begin_body(registry.address(), &raw_head(method, path, &headers), b"").await
}

/// It is refused by this limit before a byte of its body is read.
async fn refused(mut stream: TcpStream, limit: &str, value: u64) {
    let reply = read_reply(&mut stream).await.expect("an answer");
    let detail = reply.last_detail(429, "TOOMANYREQUESTS");
    assert_eq!(detail, json!({"limit": limit, "value": value}));
    let wait: u64 = reply.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    read_to_close(&mut stream).await;
}

async fn begin_is_refused(registry: &Registry, client: &str, repository: &str, limit: &str, value: u64) {
    let whole = format!("/v2/{repository}/blobs/uploads/?digest={}", digest_of(b"0123456789"));
    refused(head_as(registry, client, "POST", &whole).await, limit, value).await;
    let told = post_as(registry, client, repository).await;
    assert!(told.maybe("retry-after").is_some(), "{told:?}");
    told.expect_error(429, "TOOMANYREQUESTS").await;
    let counted = format!("longshore_uploads_refused_total{{limit=\"{limit}\"}}");
    assert!(registry.metric(&counted).await >= Some(2.0));
}

async fn cancel_all(registry: Registry) {
    for upload in registry.listed("").await {
        let path = format!("/admin/v1/uploads/{}/cancel", upload["id"].as_str().expect("an id"));
        registry.admin_post(&path, json!({})).await.expect(200).await;
    }
    registry.finish().await;
}

async fn open_uploads_of_a_client_are_limited(storage: Storage) {
    let registry = start(storage, |uploads| uploads.max_open_per_client = 2).await;
    begin_as(&registry, ALICE, "repo1").await;
    begin_as(&registry, ALICE, "repo2").await;
    begin_is_refused(&registry, ALICE, "repo3", "max_open_per_client", 2).await;
    begin_as(&registry, BOB, "repo3").await;
    cancel_all(registry).await;
}

async fn open_uploads_of_a_repository_are_limited(storage: Storage) {
    let registry = start(storage, |uploads| {
        uploads.max_open_per_repository = 2;
        uploads.overrides = vec![UploadsOverride {
            repositories: vec!["one/**".parse().expect("a pattern")],
            max_open_per_repository: Some(1),
            ..UploadsOverride::default()
        }];
    })
    .await;
    begin_as(&registry, ALICE, "repo1").await;
    begin_as(&registry, BOB, "repo1").await;
    begin_is_refused(&registry, ALICE, "repo1", "max_open_per_repository", 2).await;
    begin_as(&registry, ALICE, "one/a").await;
    begin_is_refused(&registry, BOB, "one/a", "max_open_per_repository", 1).await;
    // It is a limit of each repository that the pattern means, not of all of them together.
    begin_as(&registry, ALICE, "one/b").await;
    cancel_all(registry).await;
}

async fn open_uploads_in_all_are_limited(storage: Storage) {
    let registry = start(storage, |uploads| uploads.max_open = 2).await;
    begin_as(&registry, ALICE, "repo1").await;
    let location = begin_as(&registry, BOB, "repo2").await;
    begin_is_refused(&registry, "192.0.2.3", "repo3", "max_open", 2).await;
    // Those that are open go on.
    registry.patch(&location, "0123456789", None).await.expect(202).await;
    cancel_all(registry).await;
}

async fn an_end_of_any_kind_makes_room(storage: Storage) {
    let registry = start(storage, |uploads| {
        uploads.max_open_per_client = 1;
        uploads.keep_failed_for = Duration::from_secs(3600);
    })
    .await;
    let cancelled = begin_as(&registry, ALICE, "repo1").await;
    begin_is_refused(&registry, ALICE, "repo1", "max_open_per_client", 1).await;
    registry.delete(&cancelled).await.expect(204).await;

    let committed = begin_as(&registry, ALICE, "repo1").await;
    begin_is_refused(&registry, ALICE, "repo1", "max_open_per_client", 1).await;
    registry.put(&with_digest(&committed, &digest_of(b"0123456789")), "0123456789").await.expect(201).await;

    // One that is kept for a look counts no more.
    let expired = begin_as(&registry, ALICE, "repo1").await;
    begin_is_refused(&registry, ALICE, "repo1", "max_open_per_client", 1).await;
    registry.end(&expired, "expire").await.expect(200).await;

    // A single POST that broke off.
    let whole = format!("/v2/repo1/blobs/uploads/?digest={}", digest_of(b"0123456789"));
    let cut = head_as(&registry, ALICE, "POST", &whole).await;
    eventually("a writer", async || registry.metric("longshore_uploads_writing").await == Some(1.0)).await;
    begin_is_refused(&registry, ALICE, "repo1", "max_open_per_client", 1).await;
    drop(cut);
    registry.metric_becomes("longshore_uploads_open", 0.0).await;
    begin_as(&registry, ALICE, "repo1").await;
    cancel_all(registry).await;
}

/// Begins to write; gives the open connection when that is known to the registry.
async fn write_as(registry: &Registry, client: &str, location: &str) -> TcpStream {
    let mut stream = head_as(registry, client, "PATCH", location).await;
    stream.write_all(b"01234").await.expect("a part");
    eventually("the first bytes", async || registry.stands_at(location).await == "0-4").await;
    stream
}

async fn end_body(mut stream: TcpStream) {
    stream.write_all(b"56789").await.expect("the rest");
    assert_eq!(read_reply(&mut stream).await.expect("an answer").status, 202);
}

async fn write_is_refused(registry: &Registry, client: &str, location: &str, limit: &str) {
    refused(head_as(registry, client, "PATCH", location).await, limit, 1).await;
    let finish = with_digest(location, &digest_of(b"0123456789"));
    refused(head_as(registry, client, "PUT", &finish).await, limit, 1).await;
    assert_eq!(registry.stands_at(location).await, "0-0");
}

async fn uploads_that_a_client_writes_to_are_limited(storage: Storage) {
    let registry = start(storage, |uploads| uploads.max_writing_per_client = 1).await;
    let (one, other) = (begin_as(&registry, ALICE, "repo1").await, begin_as(&registry, ALICE, "repo2").await);
    let writing = write_as(&registry, ALICE, &one).await;
    write_is_refused(&registry, ALICE, &other, "max_writing_per_client").await;
    end_body(write_as(&registry, BOB, &other).await).await;
    end_body(writing).await;
    // An end without a body needs no place, and a body that has ended has given its own back.
    let third = begin_as(&registry, ALICE, "repo1").await;
    let writing = write_as(&registry, ALICE, &third).await;
    registry.put(&with_digest(&one, &digest_of(b"0123456789")), "").await.expect(201).await;
    drop(writing);
    registry.metric_becomes("longshore_uploads_writing", 0.0).await;
    end_body(write_as(&registry, ALICE, &begin_as(&registry, ALICE, "repo1").await).await).await;
    cancel_all(registry).await;
}

async fn uploads_of_a_repository_that_are_written_to_are_limited(storage: Storage) {
    let registry = start(storage, |uploads| {
        uploads.overrides = vec![UploadsOverride {
            repositories: vec!["one".parse().expect("a pattern")],
            max_writing_per_repository: Some(1),
            ..UploadsOverride::default()
        }];
    })
    .await;
    let (one, other) = (begin_as(&registry, ALICE, "one").await, begin_as(&registry, BOB, "one").await);
    let writing = write_as(&registry, ALICE, &one).await;
    write_is_refused(&registry, BOB, &other, "max_writing_per_repository").await;
    let whole = format!("/v2/one/blobs/uploads/?digest={}", digest_of(b"0123456789"));
    refused(head_as(&registry, BOB, "POST", &whole).await, "max_writing_per_repository", 1).await;
    // Of a single POST that was refused so, nothing stays.
    registry.metric_becomes("longshore_uploads_open", 2.0).await;
    let elsewhere = begin_as(&registry, BOB, "two").await;
    let also_elsewhere = begin_as(&registry, BOB, "two").await;
    let others = (write_as(&registry, BOB, &elsewhere).await, write_as(&registry, ALICE, &also_elsewhere).await);
    end_body(writing).await;
    end_body(others.0).await;
    end_body(others.1).await;
    cancel_all(registry).await;
}

async fn uploads_that_are_written_to_in_all_are_limited(storage: Storage) {
    let registry = start(storage, |uploads| uploads.max_writing = 1).await;
    let (one, other) = (begin_as(&registry, ALICE, "repo1").await, begin_as(&registry, BOB, "repo2").await);
    let writing = write_as(&registry, ALICE, &one).await;
    write_is_refused(&registry, BOB, &other, "max_writing").await;
    // A cancel ends the body and makes room.
    registry.delete(&one).await.expect(204).await;
    drop(writing);
    let writing = write_as(&registry, BOB, &other).await;
    registry.end(&other, "expire").await.expect(200).await;
    drop(writing);
    end_body(write_as(&registry, ALICE, &begin_as(&registry, ALICE, "repo1").await).await).await;
    cancel_all(registry).await;
}

async fn a_newcomer_to_a_body_needs_no_second_place(storage: Storage) {
    let registry = start(storage, |uploads| (uploads.max_writing, uploads.max_writing_per_client) = (1, 1)).await;
    let location = begin_as(&registry, ALICE, "repo1").await;
    let mut silent = write_as(&registry, ALICE, &location).await;
    let again = registry.send(Method::PATCH, &location, "0123456789", &[("x-forwarded-for", ALICE)]).await;
    assert_eq!(again.expect(202).await.value("range"), "0-9");
    assert_eq!(read_reply(&mut silent).await.expect("an answer").status, 409);
    assert_eq!(registry.metric("longshore_upload_takeovers_total").await, Some(1.0));
    registry.metric_becomes("longshore_uploads_writing", 0.0).await;
    registry.put(&with_digest(&location, &digest_of(b"0123456789")), "").await.expect(201).await;
    registry.finish().await;
}

async fn an_address_that_no_proxy_told_is_not_believed(storage: Storage) {
    let registry = Registry::start_with(storage, |config| without_policies(config).max_open_per_client = 1).await;
    let location = begin_as(&registry, ALICE, "repo1").await;
    assert_eq!(registry.seen(&location).await["client"], "127.0.0.1");
    post_as(&registry, BOB, "repo1").await.expect_error(429, "TOOMANYREQUESTS").await;
    cancel_all(registry).await;
}
