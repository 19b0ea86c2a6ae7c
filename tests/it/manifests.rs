//! Manifests: pushed, pulled, refused, moved under conditions.

use bytes::Bytes;
use reqwest::{Method, Response};
use serde_json::json;

use crate::harness::{Alg, OCI_IMAGE, OCI_INDEX, Registry, ReplyExt as _, Storage, digest_of, image_manifest, random};

on_both_drivers! {
    a_manifest_is_kept_byte_for_byte,
    a_manifest_comes_in_pieces,
    what_is_no_manifest_is_refused,
    wrong_and_malformed_digests_are_refused,
    unknown_references_are_named,
    dockers_types_are_taken,
    tags_are_set_with_the_push,
    tags_move_under_conditions_only_when_they_hold,
    a_conditional_pull_saves_the_body,
}

const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

async fn a_manifest_is_kept_byte_for_byte(registry: &Registry) {
    let config = registry.push("repo1", &random(20)).await;
    let manifest = image_manifest(&config, &[]);
    // White space, the order of keys and unknown fields are the client's.
    let text = serde_json::to_string_pretty(&manifest).expect("JSON").replacen('{', "{  \"x-unknown\": [1, 2.50],", 1);
    let digest = digest_of(text.as_bytes());
    let put = registry.put_manifest("repo1", "v1", text.as_bytes(), &format!("{OCI_IMAGE}; charset=utf-8")).await;
    let put = put.expect(201).await;
    assert_eq!(put.value("docker-content-digest"), digest);
    for reference in [put.value("location"), "/v2/repo1/manifests/v1".into(), format!("/v2/repo1/manifests/{digest}")] {
        let request = registry.request(Method::GET, &reference).header("accept-encoding", "gzip");
        let got = request.header("accept", OCI_INDEX).header("accept", OCI_IMAGE).send().await.expect("an answer");
        let got = got.expect(200).await;
        assert_eq!(got.value("content-type"), OCI_IMAGE);
        assert_eq!(got.value("content-length"), text.len().to_string());
        assert_eq!(got.value("docker-content-digest"), digest);
        assert_eq!(got.maybe("content-encoding"), None);
        assert_eq!(got.data().await, text);
        let head = registry.head(&reference).await.expect(200).await;
        assert_eq!(head.value("content-type"), OCI_IMAGE);
        assert_eq!(head.value("content-length"), text.len().to_string());
        assert_eq!(head.value("docker-content-digest"), digest);
        assert!(head.data().await.is_empty());
    }
}

async fn a_manifest_comes_in_pieces(registry: &Registry) {
    let config = registry.push("repo1", &random(20)).await;
    let mut manifest = image_manifest(&config, &[]);
    // Near the limit of 4 MiB, which the specification wants registries to take.
    manifest["annotations"] = json!({"large": "a".repeat(4_000_000)});
    let data = serde_json::to_vec(&manifest).expect("JSON");
    let pieces = data.chunks(60_000).map(Bytes::copy_from_slice).collect();
    let put = registry.send_streamed(Method::PUT, "/v2/repo1/manifests/large", pieces, OCI_IMAGE).await;
    put.expect(201).await;
    assert_eq!(registry.get("/v2/repo1/manifests/large").await.expect(200).await.data().await, data);
}

async fn what_is_no_manifest_is_refused(registry: &Registry) {
    let good = image_manifest(&registry.push("repo1", &random(20)).await, &[]);
    let good = serde_json::to_vec(&good).expect("JSON");
    for (data, media) in [
        (b"not json".to_vec(), OCI_IMAGE),
        (b"[]".to_vec(), OCI_IMAGE),
        (b"{}".to_vec(), OCI_IMAGE),
        (Vec::new(), OCI_IMAGE),
        // Its own media type says something else.
        (good.clone(), OCI_INDEX),
        (br#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[]}"#.to_vec(), DOCKER_SCHEMA1),
    ] {
        let refused = registry.put_manifest("repo1", "v1", &data, media).await;
        refused.expect_error(400, "MANIFEST_INVALID").await;
    }
    for tag in ["-dash", ".dot", &"a".repeat(129), "a%20b"] {
        let refused = registry.put_manifest("repo1", tag, &good, OCI_IMAGE).await;
        refused.expect_error(400, "MANIFEST_INVALID").await;
        registry.get(&format!("/v2/repo1/manifests/{tag}")).await.expect_error(404, "MANIFEST_UNKNOWN").await;
    }
    let schema1 = registry.put_manifest("repo1", "v1", br#"{"schemaVersion":1}"#, DOCKER_SCHEMA1).await;
    let told = String::from_utf8(schema1.expect(400).await.data().await.to_vec()).expect("text");
    assert!(told.contains("schema 1") || told.contains("schema1"), "{told}");
    registry.get("/v2/repo1/manifests/v1").await.expect_error(404, "MANIFEST_UNKNOWN").await;
}

async fn wrong_and_malformed_digests_are_refused(registry: &Registry) {
    let good = image_manifest(&registry.push("repo1", &random(20)).await, &[]);
    let good = serde_json::to_vec(&good).expect("JSON");
    let changed = [good.as_slice(), b"  "].concat();
    for algorithm in Alg::BOTH {
        let digest = algorithm.digest(&good);
        let refused = registry.put_manifest("repo1", &digest, &changed, OCI_IMAGE).await;
        refused.expect_error(400, "DIGEST_INVALID").await;
        registry.get(&format!("/v2/repo1/manifests/{digest}")).await.expect_error(404, "MANIFEST_UNKNOWN").await;
        registry.put_manifest("repo1", &digest, &good, OCI_IMAGE).await.expect(201).await;
        let got = registry.get(&format!("/v2/repo1/manifests/{digest}")).await.expect(200).await;
        assert_eq!(got.value("docker-content-digest"), digest);
    }
    let malformed = registry.put_manifest("repo1", "sha256:baddigeststring", &good, OCI_IMAGE).await;
    malformed.expect_error(400, "DIGEST_INVALID").await;
    let status = registry.get("/v2/repo1/manifests/sha256:baddigeststring").await.status().as_u16();
    assert!(matches!(status, 400 | 404), "{status}");
}

async fn unknown_references_are_named(registry: &Registry) {
    let config = registry.push("repo1", &random(20)).await;
    let (first, second) = (digest_of(b"first"), digest_of(b"second"));
    let manifest = image_manifest(&config, &[(first.clone(), 5), (second.clone(), 6)]);
    let data = serde_json::to_vec(&manifest).expect("JSON");
    let refused = registry.put_manifest("repo1", "v1", &data, OCI_IMAGE).await.expect(400).await.document().await;
    let errors = refused["errors"].as_array().expect("errors");
    assert!(errors.iter().all(|error| error["code"] == "MANIFEST_BLOB_UNKNOWN"), "{refused}");
    let named: Vec<&str> = errors.iter().filter_map(|error| error["detail"]["digest"].as_str()).collect();
    assert_eq!(named, [first.as_str(), second.as_str()]);
    // A blob of another repository is none of this one's.
    let (elsewhere, size) = registry.push("repo2", &random(30)).await;
    let data = serde_json::to_vec(&image_manifest(&config, &[(elsewhere, size)])).expect("JSON");
    registry.put_manifest("repo1", "v1", &data, OCI_IMAGE).await.expect_error(400, "MANIFEST_BLOB_UNKNOWN").await;
}

async fn dockers_types_are_taken(registry: &Registry) {
    let config = registry.push("repo1", &random(20)).await;
    let layer = registry.push("repo1", &random(30)).await;
    let image = json!({
        "schemaVersion": 2, "mediaType": DOCKER_IMAGE,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": config.0, "size": config.1},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": layer.0, "size": layer.1}],
    });
    let image = serde_json::to_vec(&image).expect("JSON");
    registry.put_manifest("repo1", "image", &image, DOCKER_IMAGE).await.expect(201).await;
    let list = json!({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [{
        "mediaType": DOCKER_IMAGE, "digest": digest_of(&image), "size": image.len(),
        "platform": {"architecture": "amd64", "os": "linux"},
    }]});
    let list = serde_json::to_vec(&list).expect("JSON");
    registry.put_manifest("repo1", "list", &list, DOCKER_LIST).await.expect(201).await;
    for (tag, data, media) in [("image", image, DOCKER_IMAGE), ("list", list, DOCKER_LIST)] {
        let got = registry.get(&format!("/v2/repo1/manifests/{tag}")).await.expect(200).await;
        assert_eq!(got.value("content-type"), media);
        assert_eq!(got.data().await, data);
    }
}

async fn tags_are_set_with_the_push(registry: &Registry) {
    for algorithm in Alg::BOTH {
        let manifest = image_manifest(&registry.push("repo1", &random(20)).await, &[]);
        let data = serde_json::to_vec(&manifest).expect("JSON");
        let digest = algorithm.digest(&data);
        let tags: Vec<String> = (0..12).map(|n| format!("{}-{n}", algorithm.name())).collect();
        let query: Vec<String> = tags.iter().map(|tag| format!("tag={tag}")).collect();
        let put = registry.put_manifest("repo1", &format!("{digest}?{}", query.join("&")), &data, OCI_IMAGE).await;
        let put = put.expect(201).await;
        let told: Vec<String> =
            put.headers().get_all("oci-tag").iter().map(|tag| tag.to_str().unwrap().to_string()).collect();
        assert_eq!(told.join(", "), tags.join(", "));
        for tag in tags {
            let got = registry.get(&format!("/v2/repo1/manifests/{tag}")).await.expect(200).await;
            assert_eq!(got.value("docker-content-digest"), digest);
        }
        let bad = registry.put_manifest("repo1", &format!("{digest}?tag=ok&tag=-bad"), &data, OCI_IMAGE).await;
        bad.expect_error(400, "MANIFEST_INVALID").await;
        registry.get("/v2/repo1/manifests/ok").await.expect_error(404, "MANIFEST_UNKNOWN").await;
    }
}

async fn put_if(registry: &Registry, data: &[u8], name: &str, value: &str) -> Response {
    let headers = [("content-type", OCI_IMAGE), (name, value)];
    registry.send(Method::PUT, "/v2/repo1/manifests/moving", data.to_vec(), &headers).await
}

async fn tags_move_under_conditions_only_when_they_hold(registry: &Registry) {
    let config = registry.push("repo1", &random(20)).await;
    let data = |n: u64| {
        let mut manifest = image_manifest(&config, &[]);
        manifest["annotations"] = json!({"n": n.to_string()});
        serde_json::to_vec(&manifest).expect("JSON")
    };
    let etag = |n: u64| format!("\"{}\"", digest_of(&data(n)));
    put_if(registry, &data(1), "if-match", "*").await.expect_error(412, "MANIFEST_INVALID").await;
    let created = put_if(registry, &data(1), "if-none-match", "*").await.expect(201).await;
    assert_eq!(created.value("etag"), etag(1));
    put_if(registry, &data(2), "if-none-match", "*").await.expect_error(412, "MANIFEST_INVALID").await;
    put_if(registry, &data(2), "if-match", &etag(1)).await.expect(201).await;
    // A second publisher that saw the first one does not overwrite unseen.
    put_if(registry, &data(3), "if-match", &etag(1)).await.expect_error(412, "MANIFEST_INVALID").await;
    put_if(registry, &data(3), "if-match", &format!("\"x\", {}", etag(2))).await.expect(201).await;
    put_if(registry, &data(4), "if-match", "*").await.expect(201).await;
    let got = registry.get("/v2/repo1/manifests/moving").await.expect(200).await;
    assert_eq!(got.value("etag"), etag(4));

    // Of many that saw the same, one wins.
    let (seen, bodies) = (etag(4), (10..18).map(data).collect::<Vec<_>>());
    let pushes = bodies.iter().map(|body| put_if(registry, body, "if-match", &seen));
    let replies = futures_util::future::join_all(pushes).await;
    let won = replies.iter().filter(|reply| reply.status() == 201).count();
    let lost = replies.iter().filter(|reply| matches!(reply.status().as_u16(), 412 | 429)).count();
    assert_eq!((won, lost), (1, 7));
}

async fn a_conditional_pull_saves_the_body(registry: &Registry) {
    let (digest, data) = registry.push_image("repo1", "v1").await;
    let ask = async |value: &str| {
        let request = registry.request(Method::GET, "/v2/repo1/manifests/v1").header("if-none-match", value);
        request.send().await.expect("an answer")
    };
    let same = ask(&format!("W/\"{digest}\"")).await.expect(304).await;
    assert_eq!(same.value("docker-content-digest"), digest);
    assert!(same.data().await.is_empty());
    assert_eq!(ask("\"x\"").await.expect(200).await.data().await, data);
}

#[tokio::test]
async fn the_limit_is_configured() {
    let registry = Registry::start_with(Storage::Memory, |config| config.manifests.max_size = 1000).await;
    let config = registry.push("repo1", &random(20)).await;
    let mut manifest = image_manifest(&config, &[]);
    manifest["annotations"] = json!({"large": "a".repeat(1000)});
    let data = serde_json::to_vec(&manifest).expect("JSON");
    registry.put_manifest("repo1", "v1", &data, OCI_IMAGE).await.expect_error(413, "MANIFEST_INVALID").await;
    let pieces = data.chunks(100).map(Bytes::copy_from_slice).collect();
    let streamed = registry.send_streamed(Method::PUT, "/v2/repo1/manifests/v1", pieces, OCI_IMAGE).await;
    streamed.expect_error(413, "MANIFEST_INVALID").await;
    registry.finish().await;
}
