use std::slice::from_ref;

use longshore::oci::Digest;
use longshore::transfer::TransferError;
use serde_json::json;

use crate::unsteady::Unsteady;
use crate::world::*;

#[actix::test]
async fn a_layout_with_wrong_bytes_is_not_pushed() {
    let made = Made::new().await;
    let layer = made.blob(&bytes(1, 300_000)).await;
    let image = made.image("amd64", from_ref(&layer)).await;
    made.list(&image, Some("v1")).await;
    let path = made.folder.path().join("blobs/sha256").join(digest(&layer).hex());
    let registry = registry();
    let target = to(&end(&registry, "a.example", "app"), "v1", None);

    std::fs::write(&path, bytes(2, 300_000)).unwrap();
    let wrong = run(made.source("v1").await, target.clone()).await.unwrap_err();
    assert!(matches!(wrong, TransferError::DigestMismatch { .. }), "{wrong}");
    std::fs::write(&path, bytes(1, 299_999)).unwrap();
    let short = run(made.source("v1").await, target.clone()).await.unwrap_err().to_string();
    assert!(short.contains("it has 299999 bytes, its descriptor says 300000"), "{short}");
    std::fs::remove_file(&path).unwrap();
    let missing = run(made.source("v1").await, target).await.unwrap_err().to_string();
    assert!(missing.starts_with("source: blob ") && missing.contains("layout has no blob"), "{missing}");
    assert_eq!(tag_of(&registry, "app", "v1").await, None);
}

#[actix::test]
async fn a_registry_that_serves_wrong_bytes_is_not_believed() {
    let made = Made::new().await;
    let image = made.image("amd64", &[made.blob(b"layer").await]).await;
    made.list(&image, Some("v1")).await;
    let (first, second) = (Unsteady::new(registry()), registry());
    let a = end(&first, "a.example", "app");
    run(made.source("v1").await, to(&a, "v1", None)).await.unwrap();
    first.faults().corrupts_fetches = true;
    let folder = tempfile::tempdir().unwrap();
    let pulled = run(from(&a, "v1"), to_layout(folder.path(), "v1").await).await.unwrap_err();
    let copied = run(from(&a, "v1"), to(&end(&second, "b.example", "app"), "v1", None)).await.unwrap_err();
    for error in [pulled, copied] {
        assert!(matches!(error, TransferError::DigestMismatch { .. }), "{error}");
    }
    assert!(longshore::layout::Layout::open(folder.path()).await.unwrap().entries().is_empty());
}

#[actix::test]
async fn what_the_source_has_not_is_told() {
    let made = Made::new().await;
    let image = made.image("amd64", &[]).await;
    made.list(&image, Some("v1")).await;
    let missing: Digest = digest_of(b"missing");
    let index = made.index(&[json!({"mediaType": IMAGE, "digest": missing, "size": 7})]).await;
    made.list(&index, Some("sparse")).await;
    let mut lying = image.clone();
    lying["size"] = json!(1);
    let lying = made.index(&[lying]).await;
    made.list(&lying, Some("lying")).await;
    let nothing = made.manifest(IMAGE, &json!({"schemaVersion": 2})).await;
    made.list(&nothing, Some("nothing")).await;
    let registry = registry();
    let a = end(&registry, "a.example", "app");
    for (name, expected) in [
        ("v2", "source: index.json: layout has no v2; it has v1, sparse, lying, nothing".to_owned()),
        ("sparse", format!("source: manifest {missing}: layout has no blob {missing}")),
        ("lying", format!("source: manifest {}: it has ", digest(&image))),
        ("nothing", format!("source: manifest {}: ", digest(&nothing))),
    ] {
        let error = run(made.source(name).await, to(&a, "v1", None)).await.unwrap_err().to_string();
        assert!(error.starts_with(&expected), "{error}");
    }
    let error = run(from(&a, "v1"), to(&a, "v2", None)).await.unwrap_err().to_string();
    assert_eq!(error, "source: a.example/app v1: repository is unknown");
}

#[actix::test]
async fn one_failure_ends_all() {
    let made = Made::new().await;
    let mut layers = Vec::new();
    for number in 0..20 {
        layers.push(made.blob(&bytes(number, 1000)).await);
    }
    let image = made.image("amd64", &layers).await;
    made.list(&image, Some("v1")).await;
    let registry = Unsteady::new(registry());
    registry.faults().never_takes_a_blob = true;
    let target = to(&end(&registry, "a.example", "app"), "v1", None);
    let error = run(made.source("v1").await, target).await.unwrap_err().to_string();
    assert!(error.ends_with("storage is full"), "{error}");
    assert!(registry.faults().put.is_empty());
}

#[actix::test]
async fn sizes_beyond_measure_are_only_said() {
    let made = Made::new().await;
    let foreign = |seed: &[u8]| {
        json!({
            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar", "size": u64::MAX,
            "digest": digest_of(seed), "urls": ["https://elsewhere.example/layer"],
        })
    };
    let image = made.image("amd64", &[foreign(b"a"), foreign(b"b")]).await;
    made.list(&image, Some("foreign")).await;
    let mut layer = made.blob(b"layer").await;
    layer["size"] = json!(u64::MAX);
    let image = made.image("amd64", &[layer]).await;
    made.list(&image, Some("lying")).await;
    let registry = registry();
    let target = to(&end(&registry, "a.example", "app"), "v1", None);
    let folder = tempfile::tempdir().unwrap();
    run(made.source("foreign").await, target.clone()).await.unwrap();
    for destination in [target, to_layout(folder.path(), "v1").await] {
        let error = run(made.source("lying").await, destination).await.unwrap_err().to_string();
        assert!(error.contains("it has 5 bytes, its descriptor says 18446744073709551615"), "{error}");
    }
}

#[actix::test]
async fn more_manifests_than_memory_holds_are_not_asked_for() {
    let made = Made::new().await;
    let children = (0..40_u8).map(|seed| json!({"mediaType": IMAGE, "digest": digest_of(&[seed]), "size": 16 << 20}));
    let index = made.index(&children.collect::<Vec<_>>()).await;
    made.list(&index, Some("large")).await;
    let registry = registry();
    let target = to(&end(&registry, "a.example", "app"), "v1", None);
    let error = run(made.source("large").await, target).await.unwrap_err().to_string();
    assert!(error.contains("it leads to more than"), "{error}");
}
