//! The requests of real clients, in their order.

use bytes::Bytes;
use reqwest::Method;

use crate::harness::{Alg, OCI_IMAGE, Registry, ReplyExt as _, digest_of, image_manifest, random, with_digest};

on_both_drivers! {
    docker_pushes_and_pulls,
    containerd_pushes,
    crane_pushes,
    regctl_pushes_in_chunks,
    buildkit_and_jib_send_a_chunk_again,
}

const OCTETS: &str = "application/octet-stream";

async fn docker_pushes_and_pulls(registry: &Registry) {
    registry.get("/v2/").await.expect(200).await;
    let mut blobs = Vec::new();
    for length in [30_usize, 100_000] {
        let data = random(length);
        let digest = digest_of(&data);
        registry.head(&format!("/v2/app/blobs/{digest}")).await.expect(404).await;
        let location = registry.begin("app").await;
        let pieces = data.chunks(32 * 1024).map(Bytes::copy_from_slice).collect();
        let patched = registry.send_streamed(Method::PATCH, &location, pieces, OCTETS).await.expect(202).await;
        assert_eq!(patched.value("range"), format!("0-{}", length - 1));
        registry.put(&with_digest(&patched.value("location"), &digest), "").await.expect(201).await;
        registry.head(&format!("/v2/app/blobs/{digest}")).await.expect(200).await;
        blobs.push((digest, length));
    }
    let manifest = serde_json::to_vec(&image_manifest(&blobs[0], &blobs[1..])).expect("JSON");
    let put = registry.put_manifest("app", "latest", &manifest, OCI_IMAGE).await.expect(201).await;
    let digest = put.value("docker-content-digest");
    let head = registry.head("/v2/app/manifests/latest").await.expect(200).await;
    assert_eq!(head.value("docker-content-digest"), digest);
    registry.get(&format!("/v2/app/manifests/{digest}")).await.expect(200).await;
    for (digest, length) in &blobs {
        let data = registry.get(&format!("/v2/app/blobs/{digest}")).await.expect(200).await.data().await;
        assert_eq!((digest_of(&data), data.len()), (digest.clone(), *length));
    }
}

async fn containerd_pushes(registry: &Registry) {
    let data = random(100_000);
    let digest = digest_of(&data);
    registry.head(&format!("/v2/app/blobs/{digest}")).await.expect(404).await;
    let location = registry.begin("app").await;
    let created =
        registry.send_streamed(Method::PUT, &with_digest(&location, &digest), vec![data.clone()], OCTETS).await;
    registry.check_pushed("app", &data, Alg::Sha256, created).await;
}

async fn crane_pushes(registry: &Registry) {
    let data = random(100_000);
    let digest = digest_of(&data);
    let mount = format!("/v2/app/blobs/uploads/?mount={digest}&from=other&origin=registry.example.org");
    let location = registry.post(&mount, "").await.expect(202).await.value("location");
    let patched = registry.send_streamed(Method::PATCH, &location, vec![data.clone()], OCTETS).await.expect(202).await;
    let created = registry.put(&with_digest(&patched.value("location"), &digest), "").await;
    registry.check_pushed("app", &data, Alg::Sha256, created).await;
}

async fn regctl_pushes_in_chunks(registry: &Registry) {
    let data = random(250_000);
    let mut location = registry.begin("app").await;
    for (number, chunk) in data.chunks(100_000).enumerate() {
        let start = number * 100_000;
        let range = format!("{start}-{}", start + chunk.len() - 1);
        let chunk = Bytes::copy_from_slice(chunk);
        let patched = registry.patch(&location, chunk.clone(), Some(&range)).await.expect(202).await;
        assert_eq!(patched.value("range"), format!("0-{}", start + chunk.len() - 1));
        location = patched.value("location");
    }
    let created = registry.put(&with_digest(&location, &digest_of(&data)), "").await;
    registry.check_pushed("app", &data, Alg::Sha256, created).await;
}

async fn buildkit_and_jib_send_a_chunk_again(registry: &Registry) {
    let data = random(100_000);
    let location = registry.begin("app").await;
    for _ in 0..2 {
        let pieces = data.chunks(9000).map(Bytes::copy_from_slice).collect();
        let patched = registry.send_streamed(Method::PATCH, &location, pieces, OCTETS).await.expect(202).await;
        assert_eq!(patched.value("range"), "0-99999");
    }
    let finish = with_digest(&location, &digest_of(&data));
    registry.put(&finish, "").await.expect(201).await;
    let created = registry.put(&finish, "").await;
    registry.check_pushed("app", &data, Alg::Sha256, created).await;
}
