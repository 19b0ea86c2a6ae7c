//! A registry that is stopped and started again on the same files.

use reqwest::Method;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::{
    OCI_IMAGE, Registry, ReplyExt as _, Storage, digest_of, eventually, random, raw_head, with_digest,
};

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let mut registry = Registry::start(Storage::Filesystem).await;
    let data = random(1_000_000);
    let location = registry.begin("repo1").await;
    registry.patch(&location, data.slice(..400_000), None).await.expect(202).await;
    registry.restart().await;
    assert_eq!(registry.stands_at(&location).await, "0-399999");
    // Sent again from the start, since the answer was lost with the old process.
    let patched = registry.patch(&location, data.slice(..600_000), None).await.expect(202).await;
    assert_eq!(patched.value("range"), "0-599999");
    registry.restart().await;
    let range = [("content-range", "600000-999999")];
    let finish = with_digest(&patched.value("location"), &digest_of(&data));
    registry.send(Method::PUT, &finish, data.slice(600_000..), &range).await.expect(201).await;
    registry.restart().await;
    registry.put(&finish, "").await.expect(201).await;
    let path = format!("/v2/repo1/blobs/{}", digest_of(&data));
    assert_eq!(registry.get(&path).await.expect(200).await.data().await, data);
    registry.finish().await;
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_body_keeps_what_came() {
    let mut registry = Registry::start_with(Storage::Filesystem, |config| {
        config.http.shutdown_grace = std::time::Duration::from_millis(100);
    })
    .await;
    let data = random(500_000);
    let location = registry.begin("repo1").await;
    let mut stream = TcpStream::connect(registry.address()).await.expect("a connection");
    let head = raw_head("PATCH", &location, "Content-Length: 500000\r\n");
    stream.write_all(head.as_bytes()).await.expect("a head");
    stream.write_all(&data[..300_000]).await.expect("a part");
    let received = "longshore_blob_bytes_total{direction=\"in\"}";
    eventually("the part", async || registry.metric(received).await == Some(300_000.0)).await;
    registry.restart().await;
    assert_eq!(registry.stands_at(&location).await, "0-299999");
    let range = [("content-range", "300000-499999")];
    let finish = with_digest(&location, &digest_of(&data));
    registry.send(Method::PUT, &finish, data.slice(300_000..), &range).await.expect(201).await;
    registry.finish().await;
}

#[tokio::test]
async fn content_is_there_after_a_restart() {
    let mut registry = Registry::start(Storage::Filesystem).await;
    let (digest, data) = registry.push_image("repo1", "v1").await;
    registry.restart().await;
    let got = registry.get("/v2/repo1/manifests/v1").await.expect(200).await;
    assert_eq!((got.value("content-type").as_str(), got.value("docker-content-digest")), (OCI_IMAGE, digest));
    assert_eq!(got.data().await, data);
    let list = registry.get("/v2/repo1/tags/list").await.expect(200).await.document().await;
    assert_eq!(list["tags"], serde_json::json!(["v1"]));
    registry.finish().await;
}
