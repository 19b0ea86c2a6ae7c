//! More bodies at once than there are turns to receive.

use futures_util::future::join_all;
use reqwest::Method;
use tokio::net::TcpStream;

use crate::harness::{
    Registry, ReplyExt as _, Storage, begin_body, digest_of, eventually, random, raw_head, with_digest,
    without_policies,
};

on_both_storages! {
    bodies_that_take_turns_come_whole_and_are_gone_on_with,
    silent_bodies_keep_no_turn,
}

/// With so little memory there are 16 turns.
async fn start(storage: Storage) -> Registry {
    Registry::start_with(storage, |config| {
        without_policies(config).max_memory = 8 << 20;
    })
    .await
}

/// Begins an upload, and a body of which only a part is sent.
async fn begin_part(registry: &Registry, length: usize, part: &[u8]) -> (String, TcpStream) {
    let location = registry.begin("repo1").await;
    let head = raw_head("PATCH", &location, &format!("Content-Length: {length}\r\n"));
    let stream = begin_body(registry.address(), &head, part).await;
    (location, stream)
}

async fn bodies_that_take_turns_come_whole_and_are_gone_on_with(storage: Storage) {
    const UPLOADS: usize = 48;
    let registry = start(storage).await;
    let data = random(600_000);
    let pushes = (0..UPLOADS).map(async |number| {
        let data = data.slice(number * 1_001..);
        let (sent, in_all) = (data.len() / 2 - number, data.len());
        let (location, stream) = begin_part(&registry, in_all, &data[..sent]).await;
        eventually("its turn", async || registry.stands_at(&location).await == format!("0-{}", sent - 1)).await;
        drop(stream);
        let rest = data.slice(sent..);
        let chunks = rest.chunks(10_000 + number).map(|chunk| rest.slice_ref(chunk)).collect();
        let media = "application/octet-stream";
        let location = location.replace("offset=0", &format!("offset={sent}"));
        registry.send_streamed(Method::PATCH, &location, chunks, media).await.expect(202).await;
        let digest = digest_of(&data);
        registry.put(&with_digest(&location, &digest), "").await.expect(201).await;
        let pulled = registry.get(&format!("/v2/repo1/blobs/{digest}")).await.expect(200).await;
        assert!(pulled.bytes().await.expect("a blob") == data, "upload {number}");
    });
    join_all(pushes).await;
    registry.finish().await;
}

async fn silent_bodies_keep_no_turn(storage: Storage) {
    let registry = start(storage).await;
    let silent = join_all((0..40).map(|number| begin_part(&registry, 1_000_000, &[b'x'; 50_000][..number * 1_000])));
    let silent = silent.await;
    registry.metric_becomes("longshore_uploads_writing", 40.0).await;
    let data = random(700_000);
    registry.push("repo1", &data).await;
    for (number, (location, stream)) in silent.into_iter().enumerate() {
        drop(stream);
        let range = format!("0-{}", (number * 1_000).saturating_sub(1));
        eventually("what came", async || registry.stands_at(&location).await == range).await;
        registry.delete(&location).await.expect(204).await;
    }
    registry.finish().await;
}
