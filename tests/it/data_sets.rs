//! Every kind of manifest that the specification's conformance tool pushes, sparse ones allowed: pushed
//! by digest and by tag, listed, pulled, deleted.

use serde_json::{Value, json};

use crate::harness::{
    Alg, OCI_IMAGE, OCI_INDEX, Registry, ReplyExt as _, Storage, digest_of, image_manifest, index_manifest, random,
};

/// A registry that takes manifests with references it does not know.
async fn sparse(storage: Storage) -> Registry {
    Registry::start_with(storage, |config| config.manifests.allow_sparse = true).await
}

#[tokio::test]
async fn every_set_on_files() {
    let registry = sparse(Storage::Filesystem).await;
    every_set(&registry).await;
    registry.finish().await;
}

#[tokio::test]
async fn every_set_in_memory() {
    let registry = sparse(Storage::Memory).await;
    every_set(&registry).await;
    registry.finish().await;
}

async fn every_set(registry: &Registry) {
    let config = registry.push("repo1", &random(50)).await;
    let layers = [registry.push("repo1", &random(500)).await, registry.push("repo1", &random(600)).await];
    let unknown = (digest_of(b"nobody has this"), 15);
    let image = || image_manifest(&config, &layers);
    let with = |mut manifest: Value, key: &str, value: Value| {
        manifest[key] = value;
        manifest
    };
    let bytes = |manifest: &Value| serde_json::to_vec(manifest).expect("JSON");
    let child = |manifest: &Value| (digest_of(&bytes(manifest)), bytes(manifest).len());
    let empty_config = registry.push("repo1", &bytes::Bytes::from_static(b"{}")).await;
    let artifact = |layers: Value| {
        json!({
            "schemaVersion": 2, "mediaType": OCI_IMAGE, "artifactType": "application/vnd.example.thing",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty_config.0, "size": 2, "data": "e30="},
            "layers": layers,
        })
    };
    let artifact_layer =
        json!([{"mediaType": "application/vnd.example.data", "digest": layers[0].0, "size": layers[0].1}]);
    let foreign_layer = json!([{
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar", "digest": unknown.0, "size": unknown.1,
        "urls": ["https://example.org/layer"],
    }]);
    let index = index_manifest(&[child(&image())]);
    let sets: Vec<(&str, Vec<Value>)> = vec![
        ("image", vec![image()]),
        ("large-manifest", vec![with(image(), "annotations", json!({"large": "x".repeat(3_900_000)}))]),
        ("index", vec![image(), index.clone()]),
        ("nested-index", vec![image(), index.clone(), index_manifest(&[child(&index)])]),
        ("empty-index", vec![index_manifest(&[])]),
        ("artifact", vec![artifact(artifact_layer.clone())]),
        (
            "artifact-without-layers",
            vec![artifact(json!([{
                "mediaType": "application/vnd.oci.empty.v1+json", "digest": empty_config.0, "size": 2,
            }]))],
        ),
        (
            "artifact-index",
            vec![
                artifact(artifact_layer.clone()),
                with(
                    index_manifest(&[child(&artifact(artifact_layer))]),
                    "artifactType",
                    json!("application/vnd.example.index"),
                ),
            ],
        ),
        ("data-field", vec![with(image(), "x-data", json!({"data": "aGVsbG8="}))]),
        ("non-distributable-layers", vec![with(image(), "layers", foreign_layer)]),
        ("custom-fields", vec![with(image(), "org.example.custom", json!({"a": [1, null, {"b": true}]}))]),
        ("no-layers", vec![image_manifest(&config, &[])]),
        ("sparse-image", vec![image_manifest(&config, &[layers[0].clone(), unknown.clone()])]),
        ("sparse-index", vec![index_manifest(&[unknown])]),
    ];
    for algorithm in Alg::BOTH {
        for (name, manifests) in &sets {
            check_set(registry, algorithm, name, manifests).await;
        }
    }
}

async fn check_set(registry: &Registry, algorithm: Alg, name: &str, manifests: &[Value]) {
    let mut pushed = Vec::new();
    for (number, manifest) in manifests.iter().enumerate() {
        let media = manifest["mediaType"].as_str().expect("a media type");
        let data = serde_json::to_vec(manifest).expect("JSON");
        let digest = algorithm.digest(&data);
        let tag = format!("{name}-{number}");
        let put = registry.put_manifest("repo1", &digest, &data, media).await.expect(201).await;
        assert_eq!(put.value("docker-content-digest"), digest, "{name}");
        let located = registry.get(&put.value("location")).await.expect(200).await;
        assert_eq!(located.value("content-type"), media);
        assert_eq!(located.data().await, data, "{name}");
        registry.put_manifest("repo1", &tag, &data, media).await.expect(201).await;
        pushed.push((digest, tag, data, media));
    }
    let list = registry.get("/v2/repo1/tags/list").await.expect(200).await.document().await;
    let listed: Vec<&str> = list["tags"].as_array().expect("tags").iter().filter_map(Value::as_str).collect();
    for (digest, tag, data, media) in &pushed {
        assert!(listed.contains(&tag.as_str()), "{tag} in {listed:?}");
        let got = registry.get(&format!("/v2/repo1/manifests/{digest}")).await.expect(200).await;
        assert_eq!(
            (got.value("content-type").as_str(), got.value("docker-content-digest").as_str()),
            (*media, digest.as_str())
        );
        assert_eq!(got.data().await, *data);
        let head = registry.head(&format!("/v2/repo1/manifests/{tag}")).await.expect(200).await;
        assert_eq!(head.value("content-length"), data.len().to_string());
    }
    for (digest, tag, data, _) in pushed.iter().rev() {
        for reference in [tag, digest, &digest_of(data)] {
            let path = format!("/v2/repo1/manifests/{reference}");
            let status = registry.delete(&path).await.status().as_u16();
            assert!(matches!(status, 202 | 404), "{name}: DELETE {path} answers {status}");
            registry.head(&path).await.expect(404).await;
        }
    }
}

#[tokio::test]
async fn a_sparse_manifest_is_refused_by_default() {
    let registry = Registry::start(Storage::Memory).await;
    let config = registry.push("repo1", &random(50)).await;
    for (data, media) in [
        (image_manifest(&config, &[(digest_of(b"unknown"), 7)]), OCI_IMAGE),
        (index_manifest(&[(digest_of(b"unknown"), 7)]), OCI_INDEX),
    ] {
        let data = serde_json::to_vec(&data).expect("JSON");
        registry.put_manifest("repo1", "v1", &data, media).await.expect_error(400, "MANIFEST_BLOB_UNKNOWN").await;
    }
    registry.finish().await;
}
