//! Files as distribution lays them out.

use std::fs;

use crate::harness::{
    Alg, OCI_IMAGE, Registry, ReplyExt as _, Storage, digest_of, files_below, image_manifest, random,
};

#[tokio::test]
async fn files_are_where_distribution_looks_for_them() {
    let registry = Registry::start(Storage::Filesystem).await;
    let config = registry.push("library/app", &random(30)).await;
    let data = serde_json::to_vec(&image_manifest(&config, &[])).expect("JSON");
    registry.put_manifest("library/app", "v1", &data, OCI_IMAGE).await.expect(201).await;
    let manifest = digest_of(&data);
    let (config_hex, manifest_hex) = (&config.0[7..], &manifest[7..]);
    let repository = "docker/registry/v2/repositories/library/app";
    let expected = [
        (format!("docker/registry/v2/blobs/sha256/{}/{config_hex}/data", &config_hex[..2]), None),
        (format!("docker/registry/v2/blobs/sha256/{}/{manifest_hex}/data", &manifest_hex[..2]), None),
        (format!("{repository}/_layers/sha256/{config_hex}/link"), Some(&config.0)),
        (format!("{repository}/_manifests/revisions/sha256/{manifest_hex}/link"), Some(&manifest)),
        (format!("{repository}/_manifests/tags/v1/current/link"), Some(&manifest)),
        (format!("{repository}/_manifests/tags/v1/index/sha256/{manifest_hex}/link"), Some(&manifest)),
    ];
    let root = registry.root();
    for (path, link) in &expected {
        let text = fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        if let Some(link) = link {
            assert_eq!(text, link.as_bytes(), "{path}");
        }
    }
    let known: Vec<&str> = expected.iter().map(|(path, _)| path.as_str()).collect();
    for path in files_below(&root.join("docker")) {
        let path = format!("docker/{}", path.display());
        assert!(known.contains(&path.as_str()) || path.contains("/_referrers/"), "{path}");
    }
    registry.finish().await;
}

#[tokio::test]
async fn an_upload_is_one_that_distribution_could_go_on_with() {
    let registry = Registry::start(Storage::Filesystem).await;
    let data = random(1000);
    let location = registry.begin("repo1").await;
    let patched = registry.patch(&location, data.clone(), None).await.expect(202).await;
    let id = patched.value("docker-upload-uuid");
    let folder = registry.root().join("docker/registry/v2/repositories/repo1/_uploads").join(&id);
    assert_eq!(fs::read(folder.join("data")).expect("data"), data);
    let started = fs::read_to_string(folder.join("startedat")).expect("startedat");
    // RFC 3339 in UTC, with whole seconds and no newline.
    assert_eq!((started.len(), started.ends_with('Z')), (20, true), "{started:?}");
    registry.delete(&location).await.expect(204).await;
    assert!(!registry.root().join("docker/registry/v2/repositories/repo1").exists());
    registry.finish().await;
}

#[tokio::test]
async fn a_link_that_is_damaged_counts_as_absent_and_a_push_repairs_it() {
    let registry = Registry::start_with(Storage::Filesystem, |config| config.cache.max_entries = 0).await;
    let blob = random(100);
    let (digest, _) = registry.push("repo1", &blob).await;
    let (manifest, data) = registry.push_image("repo1", "v1").await;
    registry.push_image("repo1", "v2").await;
    let repository = registry.root().join("docker/registry/v2/repositories/repo1");
    let layer = repository.join(format!("_layers/sha256/{}/link", &digest[7..]));
    let tag = repository.join("_manifests/tags/v1/current/link");
    for damage in ["", "sha256:", "nonsense", "sha256:0000000000000000000000000000000000000000000000000000000000000000"]
    {
        fs::write(&layer, damage).expect("a file");
        registry.get(&format!("/v2/repo1/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN").await;
        registry.push("repo1", &blob).await;
        registry.get(&format!("/v2/repo1/blobs/{digest}")).await.expect(200).await;
        fs::write(&tag, damage).expect("a file");
        registry.get("/v2/repo1/manifests/v1").await.expect_error(404, "MANIFEST_UNKNOWN").await;
        registry.get("/v2/repo1/manifests/v2").await.expect(200).await;
        registry.get("/v2/repo1/tags/list").await.expect(200).await;
        registry.put_manifest("repo1", "v1", &data, OCI_IMAGE).await.expect(201).await;
        let got = registry.get("/v2/repo1/manifests/v1").await.expect(200).await;
        assert_eq!(got.value("docker-content-digest"), manifest);
    }
    registry.finish().await;
}

#[tokio::test]
async fn distributions_way_of_sha512_is_read() {
    let registry = Registry::start(Storage::Filesystem).await;
    let data = random(100);
    let (sha256, _) = registry.push("repo1", &data).await;
    let sha512 = Alg::Sha512.digest(&data);
    let folder = registry.root().join("docker/registry/v2/repositories/repo1/_layers/sha512").join(&sha512[7..]);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("link"), &sha256).expect("a file");
    let got = registry.get(&format!("/v2/repo1/blobs/{sha512}")).await.expect(200).await;
    assert_eq!(got.value("docker-content-digest"), sha512);
    assert_eq!(got.data().await, data);
    registry.finish().await;
}
