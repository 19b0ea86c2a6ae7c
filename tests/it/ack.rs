//! `storage.durability: ack`: what is told is synced before. (That it is, `src/upload` tests by cutting the power.)

use longshore::config::DurabilityPolicy;
use reqwest::Method;
use tokio::io::AsyncWriteExt as _;

use crate::harness::{
    Registry, ReplyExt as _, Storage, begin_body, digest_of, eventually, random, raw_head, read_reply, with_digest,
};

on_both_storages! {
    the_status_is_told_while_a_body_comes,
    every_way_of_pushing_works,
}

async fn start(storage: Storage) -> Registry {
    Registry::start_with(storage, |config| config.storage.durability = DurabilityPolicy::Ack).await
}

async fn the_status_is_told_while_a_body_comes(storage: Storage) {
    let registry = start(storage).await;
    let data = random(3_000_000);
    let location = registry.begin("repo1").await;
    let head = raw_head("PATCH", &location, "Content-Length: 3000000\r\n");
    let mut stream = begin_body(registry.address(), &head, b"").await;
    let mut sent = 0;
    for piece in data.chunks(750_000) {
        stream.write_all(piece).await.expect("the server reads");
        sent += piece.len();
        // Each question asks for a sync in the middle of the body, and the body goes on behind it.
        let stands_at = format!("0-{}", sent - 1);
        eventually("the bytes", async || registry.stands_at(&location).await == stands_at).await;
    }
    assert_eq!(read_reply(&mut stream).await.expect("an answer").status, 202);
    registry.put(&with_digest(&location, &digest_of(&data)), "").await.expect(201).await;
    let path = format!("/v2/repo1/blobs/{}", digest_of(&data));
    assert_eq!(registry.get(&path).await.expect(200).await.data().await, data);
    registry.finish().await;
}

async fn every_way_of_pushing_works(storage: Storage) {
    let registry = start(storage).await;
    registry.push("repo1", &random(1000)).await;
    let data = random(500_000);
    let path = format!("/v2/repo1/blobs/uploads/?digest={}", digest_of(&data));
    registry.post(&path, data.clone()).await.expect(201).await;

    // A cut body, its status, a resent one, and the rest.
    let data = random(500_000);
    let location = registry.begin("repo1").await;
    let head = raw_head("PATCH", &location, "Content-Length: 500000\r\n");
    drop(begin_body(registry.address(), &head, &data[..200_000]).await);
    eventually("the cut body's bytes", async || registry.stands_at(&location).await == "0-199999").await;
    let patched = registry.patch(&location, data.slice(..300_000), None).await.expect(202).await;
    assert_eq!(patched.value("range"), "0-299999");
    let finish = with_digest(&location, &digest_of(&data));
    registry.put(&with_digest(&location, &digest_of(b"other")), "").await.expect_error(400, "DIGEST_INVALID").await;
    let range = [("content-range", "300000-499999")];
    registry.send(Method::PUT, &finish, data.slice(300_000..), &range).await.expect(201).await;
    registry.put(&finish, "").await.expect(201).await;
    let location = registry.begin("repo1").await;
    registry.patch(&location, random(10), None).await.expect(202).await;
    registry.delete(&location).await.expect(204).await;
    registry.finish().await;
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let mut registry = start(Storage::Filesystem).await;
    let data = random(500_000);
    let location = registry.begin("repo1").await;
    let patched = registry.patch(&location, data.slice(..200_000), None).await.expect(202).await;
    registry.restart().await;
    assert_eq!(registry.stands_at(&location).await, "0-199999");
    let finish = with_digest(&patched.value("location"), &digest_of(&data));
    registry.put(&finish, data.slice(200_000..)).await.expect(201).await;
    registry.finish().await;
}
