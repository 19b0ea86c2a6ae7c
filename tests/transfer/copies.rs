use std::slice::from_ref;
use std::sync::Arc;

use longshore::app::App;
use longshore::client::{Client, Credentials};
use longshore::config::{Config, StorageDriver};
use longshore::layout::{ArchiveWriter, ArtifactOptions, Layout};
use longshore::services::{PageRequest, ReferrersRequest};
use longshore::transfer::{CopyOptions, Destination, Source, TransferError, copy};
use serde_json::json;

use crate::unsteady::Unsteady;
use crate::world::*;

const LAYER_BYTES: usize = 600_001;

/// An index of two images that share a layer, as `v1`.
async fn two_platforms() -> (Made, serde_json::Value) {
    let made = Made::new().await;
    let shared = made.blob(&bytes(1, LAYER_BYTES)).await;
    let own = made.blob(&bytes(2, 1000)).await;
    let amd64 = made.image("amd64", &[shared.clone(), own]).await;
    let arm64 = made.image("arm64", &[shared]).await;
    let index = made.index(&[amd64, arm64]).await;
    made.list(&index, Some("v1")).await;
    (made, index)
}

#[actix::test]
async fn an_index_goes_from_folder_to_registry_to_registry_to_tarball_to_folder() {
    let (made, index) = two_platforms().await;
    let (first, second) = (registry(), registry());
    let (a, b) = (end(&first, "a.example", "team/app"), end(&second, "b.example", "copy"));

    let pushed = run(made.source("v1").await, to(&a, "v1", None)).await.unwrap();
    assert_eq!((pushed.manifests, pushed.blobs_copied, pushed.digest), (3, 4, Some(digest(&index))));
    let copied = run(from(&a, "v1"), to(&b, "v2", None)).await.unwrap();
    assert_eq!(copied.sent_bytes, pushed.sent_bytes);
    assert_eq!(tag_of(&second, "copy", "v2").await, Some(digest(&index)));
    assert_eq!(blob_of(&second, "copy", &digest_of(&bytes(1, LAYER_BYTES))).await.unwrap(), bytes(1, LAYER_BYTES));

    let folder = tempfile::tempdir().unwrap();
    let tarball = folder.path().join("image.tar");
    let archive = ArchiveWriter::open(&tarball).await.unwrap();
    let writer = archive.layout().clone();
    run(from(&b, "v2"), Destination::Layout { writer, tag: Some("v3".parse().unwrap()) }).await.unwrap();
    archive.finish().await.unwrap();
    let unpacked = folder.path().join("unpacked");
    run(layout_source(&tarball, "v3").await, to_layout(&unpacked, "v4").await).await.unwrap();
    let again = run(layout_source(&tarball, "v3").await, to_layout(&unpacked, "v5").await).await.unwrap();
    assert_eq!((again.blobs_copied, again.blobs_already_there), (0, 4));

    let layout = Layout::open(&unpacked).await.unwrap();
    let names: Vec<_> = layout.entries().iter().map(|entry| entry.name.clone().unwrap()).collect();
    assert_eq!(names, ["v4", "v5"], "several tags in one layout");
    // And back: it is still what it was.
    let back = run(layout_source(&unpacked, "v4").await, to(&a, "v4", None)).await.unwrap();
    assert_eq!((back.blobs_copied, back.blobs_already_there, back.digest), (0, 4, Some(digest(&index))));
}

#[actix::test]
async fn a_registry_over_http_is_as_good_as_one_in_the_process() {
    let (made, index) = two_platforms().await;
    let mut config = Config::default();
    config.storage.driver = StorageDriver::Memory;
    (config.http.addr, config.http.admin_addr) = ("127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap());
    let app = App::start(config).await.unwrap();
    let client = Client::builder(&app.addr().to_string()).credentials(Credentials::Anonymous).build().unwrap();
    let address = client.address().to_string();
    let far = |name: &str| end(&client, &address, name);

    let options = CopyOptions { chunk_size_bytes: Some(100_000), ..CopyOptions::default() };
    run_with(made.source("v1").await, to(&far("app"), "v1", None), options).await.unwrap();
    let mounted = run(from(&far("app"), "v1"), to(&far("other"), "v1", None)).await.unwrap();
    assert_eq!((mounted.blobs_mounted, mounted.sent_bytes), (4, 0));
    let near = registry();
    run(from(&far("other"), "v1"), to(&end(&near, "a.example", "app"), "v1", None)).await.unwrap();
    assert_eq!(tag_of(&near, "app", "v1").await, Some(digest(&index)));
    run(from(&end(&near, "a.example", "app"), "v1"), to(&far("third"), "v1", None)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pulled = run(from(&far("third"), "v1"), to_layout(folder.path(), "v1").await).await.unwrap();
    assert_eq!((pulled.blobs_copied, pulled.digest), (4, Some(digest(&index))));
    drop(client);
    app.stop().await;
}

#[actix::test]
async fn a_file_is_pushed_as_an_artifact() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.txt");
    std::fs::write(&path, "all is well").unwrap();
    let layout = Layout::artifact(&path, ArtifactOptions::default()).await.unwrap();
    let registry = registry();
    let reports = end(&registry, "a.example", "reports");
    let source = || Source::Layout { layout: layout.clone(), name: None };
    let pushed = run(source(), to(&reports, "today", None)).await.unwrap();
    assert_eq!(pushed.blobs_copied, 2);
    assert_eq!(tag_of(&registry, "reports", "today").await, pushed.digest);
    assert_eq!(blob_of(&registry, "reports", &digest_of(b"all is well")).await.unwrap(), b"all is well");
    let again = run(source(), to(&reports, "today", None)).await.unwrap();
    assert_eq!((again.blobs_copied, again.digest), (0, pushed.digest));
}

#[actix::test]
async fn an_empty_blob_and_chunks_of_any_size_arrive() {
    let made = Made::new().await;
    let layers = [made.blob(b"").await, made.blob(&bytes(1, LAYER_BYTES)).await];
    let image = made.image("amd64", &layers).await;
    made.list(&image, Some("v1")).await;
    for (chunk_size_bytes, jobs) in [(Some(1 << 18), 1), (Some(100_003), 3), (Some(u64::MAX), 0), (None, 100)] {
        let registry = registry();
        let options = CopyOptions { chunk_size_bytes, jobs, ..CopyOptions::default() };
        let target = end(&registry, "a.example", "app");
        let copied = run_with(made.source("v1").await, to(&target, "v1", None), options).await.unwrap();
        assert_eq!((copied.blobs_copied, copied.resumed_bytes), (3, 0));
        assert_eq!(blob_of(&registry, "app", &digest_of(b"")).await.unwrap(), b"");
        assert_eq!(blob_of(&registry, "app", &digest(&layers[1])).await.unwrap(), bytes(1, LAYER_BYTES));
    }
}

#[actix::test]
async fn the_tag_comes_last_and_lists_after_what_they_list() {
    let (made, index) = two_platforms().await;
    let nested = made.index(from_ref(&index)).await;
    made.list(&nested, Some("nested")).await;
    let registry = Unsteady::new(registry());
    run(made.source("nested").await, to(&end(&registry, "a.example", "app"), "v1", None)).await.unwrap();
    let put = registry.faults().put.clone();
    assert_eq!(put.len(), 4);
    assert_eq!(put[2..], [index["digest"].as_str().unwrap(), "v1"]);
}

#[actix::test]
async fn blobs_are_mounted_within_a_registry() {
    let (made, index) = two_platforms().await;
    let registry = registry();
    let (a, b) = (end(&registry, "a.example", "a"), end(&registry, "a.example", "b"));
    run(made.source("v1").await, to(&a, "v1", None)).await.unwrap();
    let copied = run(from(&a, "v1"), to(&b, "v1", None)).await.unwrap();
    assert_eq!((copied.blobs_mounted, copied.blobs_copied, copied.sent_bytes), (4, 0, 0));
    assert_eq!(tag_of(&registry, "b", "v1").await, Some(digest(&index)));
    // Of registries by different names nothing is known.
    let elsewhere = end(&registry, "b.example", "c");
    assert_eq!(run(from(&a, "v1"), to(&elsewhere, "v1", None)).await.unwrap().blobs_mounted, 0);
}

#[actix::test]
async fn a_platform_is_chosen() {
    let (made, _) = two_platforms().await;
    let registry = registry();
    let target = end(&registry, "a.example", "app");
    let options = |platforms: &[&str]| CopyOptions {
        platforms: platforms.iter().map(|platform| platform.parse().unwrap()).collect(),
        ..CopyOptions::default()
    };
    let source = made.source("v1").await;
    let one = run_with(source.clone(), to(&target, "arm", None), options(&["linux/arm64"])).await.unwrap();
    assert_eq!((one.manifests, one.blobs_copied), (1, 2));
    let image = repository(&registry, "app").manifests().get(&"arm".parse().unwrap()).await.unwrap();
    assert_eq!(image.media_type, IMAGE);

    let both = options(&["linux/arm64", "linux/amd64"]);
    let two = run_with(source.clone(), to(&target, "two", None), both).await.unwrap();
    assert_eq!(two.manifests, 3);
    let none = run_with(source, to(&target, "none", None), options(&["linux/s390x"])).await.unwrap_err();
    assert_eq!(none.to_string(), "source: there is nothing for linux/s390x, only for linux/amd64, linux/arm64");

    // An image by itself is for the platform of its config.
    let again = run_with(from(&target, "arm"), to(&target, "x", None), options(&["linux/arm64"])).await.unwrap();
    assert_eq!(again.digest, one.digest);
    let other = run_with(from(&target, "arm"), to(&target, "x", None), options(&["linux/amd64"])).await;
    assert!(matches!(other, Err(TransferError::NoSuchPlatform { .. })));
}

#[actix::test]
async fn several_platforms_are_a_new_index_with_what_attests_them() {
    let made = Made::new().await;
    let mut listed = Vec::new();
    for (number, architecture) in ["amd64", "arm64", "s390x"].into_iter().enumerate() {
        let layer = made.blob(&bytes(number as u8, 10)).await;
        let image = made.image(architecture, from_ref(&layer)).await;
        let mut attestation = made.image("unknown", &[layer]).await;
        attestation["annotations"] = json!({"vnd.docker.reference.digest": image["digest"]});
        listed.extend([image, attestation]);
    }
    let index =
        made.manifest(INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "x": 1, "manifests": listed})).await;
    made.list(&index, Some("v1")).await;
    let platforms = ["linux/s390x", "linux/amd64"].map(|platform| platform.parse().unwrap()).to_vec();
    let registry = registry();
    let target = end(&registry, "a.example", "app");
    let options = CopyOptions { platforms, ..CopyOptions::default() };
    let copied = run_with(made.source("v1").await, to(&target, "v1", None), options).await.unwrap();
    let got = repository(&registry, "app").manifests().get(&"v1".parse().unwrap()).await.unwrap();
    let written: serde_json::Value = serde_json::from_slice(&got.data).unwrap();
    assert_eq!(copied.digest, Some(got.digest));
    assert_eq!(written["manifests"], json!([listed[0], listed[1], listed[4], listed[5]]));
    assert_eq!(written["x"], json!(1));
}

#[actix::test]
async fn what_refers_to_an_image_goes_with_it() {
    let made = Made::new().await;
    let image = made.image("amd64", &[made.blob(b"layer").await]).await;
    let signature = made.image_about("sig", &[made.blob(b"signature").await], Some(&image)).await;
    let of_signature = made.image_about("sig2", &[], Some(&signature)).await;
    made.list(&image, Some("v1")).await;
    made.list(&signature, None).await;
    made.list(&of_signature, None).await;
    let (first, second) = (registry(), registry());
    let (a, b) = (end(&first, "a.example", "app"), end(&second, "b.example", "app"));
    let options = CopyOptions { with_referrers: true, ..CopyOptions::default() };

    let alone = run(made.source("v1").await, to(&b, "v1", None)).await.unwrap();
    assert_eq!(alone.manifests, 1);
    let pushed = run_with(made.source("v1").await, to(&a, "v1", None), options.clone()).await.unwrap();
    assert_eq!((pushed.manifests, pushed.digest), (3, Some(digest(&image))));
    run_with(from(&a, "v1"), to(&b, "v1", None), options.clone()).await.unwrap();
    for subject in [&image, &signature] {
        let request = ReferrersRequest { subject: digest(subject), artifact_type: None, page: PageRequest::default() };
        let found = repository(&second, "app").manifests().referrers(&request).await.unwrap();
        assert_eq!(found.items.len(), 1);
    }
    let folder = tempfile::tempdir().unwrap();
    run_with(from(&b, "v1"), to_layout(folder.path(), "v1").await, options.clone()).await.unwrap();
    let third = registry();
    let c = end(&third, "c.example", "app");
    let back = run_with(layout_source(folder.path(), "v1").await, to(&c, "v1", None), options).await.unwrap();
    assert_eq!(back.manifests, 3);
}

#[actix::test]
async fn layers_that_are_kept_elsewhere_are_left_there() {
    let made = Made::new().await;
    let foreign = json!({
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar", "size": 9,
        "digest": digest_of(b"elsewhere"), "urls": ["https://elsewhere.example/layer"],
    });
    let image = made.image("amd64", &[foreign]).await;
    made.list(&image, Some("v1")).await;
    let registry = registry();
    let told = Told::default();
    let target = to(&end(&registry, "a.example", "app"), "v1", None);
    let source = made.source("v1").await;
    let copied = copy(source, target, CopyOptions::default(), Arc::new(told.clone())).await.unwrap();
    assert_eq!((copied.blobs_copied, copied.blobs_kept_elsewhere), (1, 1));
    assert!(told.has("KeptElsewhere") && told.has("Surveyed { manifests: 1, blobs: 2"));
    assert!(told.lines().last().unwrap().starts_with("Tagged"), "{:?}", told.lines());
}

#[actix::test]
async fn an_index_may_list_blobs() {
    let made = Made::new().await;
    let layer = made.blob(b"cached layer").await;
    let index = made.index(&[layer]).await;
    made.list(&index, Some("cache")).await;
    let folder = tempfile::tempdir().unwrap();
    let copied = run(made.source("cache").await, to_layout(folder.path(), "cache").await).await.unwrap();
    assert_eq!((copied.manifests, copied.blobs_copied), (1, 1));
}
