use super::digests::digest_of as digest_of_bytes;
use super::*;
use crate::content::testing::{Fixture, descriptor, digest_of, image, new_manifest, repository, tag};
use crate::content::{ContentError, ContentOptions, TagCondition};
use crate::oci::{Algorithm, ManifestType};
use crate::storage::StorageErrorKind;
use crate::storage::adapters::Operation;

const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

async fn image_with_layers(fixture: &Fixture, name: &RepositoryName, layers: u8) -> String {
    let config = fixture.push_blob(name, b"config").await;
    let mut digests = Vec::new();
    for number in 0..layers {
        digests.push(fixture.push_blob(name, &[number]).await);
    }
    image(&config, &digests, "")
}

#[tokio::test]
async fn a_manifest_comes_back_byte_for_byte_with_its_type() {
    let fixture = Fixture::new();
    let name = repository("a");
    let config = fixture.push_blob(&name, b"config").await;
    let manifests = fixture.content.manifests();
    let docker = ManifestType::DockerImage.as_str();
    for (data, media_type) in [
        (image(&config, &[], ""), OCI_IMAGE),
        (format!("{}  \n", image(&config, &[], r#","unknown":{"a":1}"#)), OCI_IMAGE),
        (image(&config, &[], &format!(r#","mediaType":"{docker}""#)), docker),
        (r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(), ManifestType::OciIndex.as_str()),
    ] {
        let new = NewManifest { media_type: Some(media_type.into()), ..new_manifest(&name, "v1", data.clone()) };
        let digest = manifests.put(new).await.unwrap().digest;
        assert_eq!(digest, digest_of(data.as_bytes()));
        for content in [fixture.content.clone(), fixture.restarted().content] {
            assert_eq!(content.tags().resolve(&name, &tag("v1")).await.unwrap(), Some(digest.clone()));
            let stored = content.manifests().get(&name, &digest).await.unwrap().unwrap();
            assert_eq!((&*stored.media_type, &stored.data[..]), (media_type, data.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_put_right_after_its_blobs_looks_nothing_up_and_writes_in_order() {
    let fixture = Fixture::new();
    let name = repository("a");
    let data = image_with_layers(&fixture, &name, 10).await;
    let digest = digest_of(data.as_bytes());
    fixture.probe.take_calls();
    fixture.content.manifests().put(new_manifest(&name, "v1", data)).await.unwrap();
    let expected = [
        keys::blob_data(&digest),
        keys::revision_link(&name, &digest),
        keys::tag_current(&name, &tag("v1")),
        keys::tag_index(&name, &tag("v1"), &digest),
    ];
    assert_eq!(fixture.probe.take_calls(), expected.map(|key| format!("put {key}")));
}

#[tokio::test]
async fn a_get_by_tag_costs_three_calls_cold_and_one_warm() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_image(&name, "v1").await;
    let restarted = fixture.restarted();
    for (content, expected_calls) in [(&fixture.content, 1), (&restarted.content, 3), (&restarted.content, 1)] {
        fixture.probe.take_calls();
        let found = content.tags().resolve(&name, &tag("v1")).await.unwrap().unwrap();
        assert!(content.manifests().get(&name, &found).await.unwrap().is_some());
        assert_eq!(found, digest);
        assert_eq!(fixture.probe.take_calls().len(), expected_calls);
    }
}

#[tokio::test]
async fn cached_bytes_give_access_to_nobody() {
    let fixture = Fixture::new();
    let (name, other) = (repository("a"), repository("b"));
    let digest = fixture.push_image(&name, "v1").await;
    assert!(fixture.content.manifests().get(&name, &digest).await.unwrap().is_some());
    assert!(fixture.content.manifests().get(&other, &digest).await.unwrap().is_none());
    assert!(fixture.content.blobs().stat(&name, &digest).await.unwrap().is_none(), "a manifest is no blob");
}

#[tokio::test]
async fn the_digest_is_in_the_algorithm_that_was_asked_for() {
    let fixture = Fixture::new();
    let name = repository("a");
    let data = image_with_layers(&fixture, &name, 1).await;
    let manifests = fixture.content.manifests();
    for algorithm in Algorithm::ALL {
        let digest = digest_of_bytes(algorithm, data.as_bytes());
        let mut new = new_manifest(&name, &digest.to_string(), data.clone());
        new.tags = vec![tag("a"), tag("b"), tag("a")];
        let outcome = manifests.put(new).await.unwrap();
        assert_eq!((outcome.digest, outcome.tags), (digest.clone(), vec![tag("a"), tag("b")]));
        assert_eq!(fixture.content.tags().resolve(&name, &tag("b")).await.unwrap(), Some(digest.clone()));
        assert_eq!(manifests.get(&name, &digest).await.unwrap().unwrap().data, data);
        let wrong = digest_of_bytes(algorithm, b"other");
        let refused = manifests.put(new_manifest(&name, &wrong.to_string(), data.clone())).await;
        assert!(
            matches!(refused, Err(ContentError::DigestMismatch { ref expected, ref actual }) if *expected == wrong && *actual == digest)
        );
    }
}

#[tokio::test]
async fn references_are_checked() {
    let fixture = Fixture::new();
    let (name, other) = (repository("a"), repository("b"));
    let (known, elsewhere) = (fixture.push_blob(&name, b"known").await, fixture.push_blob(&other, b"elsewhere").await);
    let manifests = fixture.content.manifests();
    let absent = digest_of(b"absent");
    let layers = [absent.clone(), known.clone(), elsewhere.clone(), absent.clone()];
    let refused = manifests.put(new_manifest(&name, "v1", image(&known, &layers, ""))).await;
    assert!(
        matches!(&refused, Err(ContentError::ReferencesUnknown(digests)) if *digests == [absent.clone(), elsewhere]),
        "{refused:?}"
    );
    assert_eq!(fixture.content.tags().resolve(&name, &tag("v1")).await.unwrap(), None);

    let child = fixture.push_image(&name, "child").await;
    let index = |digests: &[&Digest], media_type| {
        let children: Vec<_> = digests.iter().map(|digest| descriptor(media_type, digest)).collect();
        format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, children.join(","))
    };
    manifests.put(new_manifest(&name, "index", index(&[&child], OCI_IMAGE))).await.unwrap();
    let refused = manifests.put(new_manifest(&name, "index", index(&[&child, &known], OCI_IMAGE))).await;
    assert!(matches!(&refused, Err(ContentError::ReferencesUnknown(digests)) if *digests == [known.clone()]));
    manifests.put(new_manifest(&name, "index", index(&[&child, &known], "application/x"))).await.unwrap();
}

#[tokio::test]
async fn sparse_manifests_are_taken_when_allowed() {
    let fixture = Fixture::with(ContentOptions { allow_sparse_manifests: true, ..ContentOptions::default() });
    let name = repository("a");
    let data = image(&digest_of(b"no config"), &[digest_of(b"no layer")], "");
    fixture.content.manifests().put(new_manifest(&name, "v1", data)).await.unwrap();
}

#[tokio::test]
async fn a_layer_kept_elsewhere_and_a_subject_need_not_exist() {
    let fixture = Fixture::new();
    let name = repository("a");
    let config = fixture.push_blob(&name, b"config").await;
    let (layer, subject) = (digest_of(b"foreign"), digest_of(b"subject"));
    let media_type = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let data = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{{"mediaType":"{media_type}","digest":"{layer}","size":1,"urls":["https://example.com/l"]}}],"subject":{}}}"#,
        descriptor("application/vnd.example", &config),
        descriptor(OCI_IMAGE, &subject),
    );
    let outcome = fixture.content.manifests().put(new_manifest(&name, "v1", data)).await.unwrap();
    assert_eq!(outcome.subject, Some(subject));
}

#[tokio::test]
async fn a_manifest_over_the_limit_is_refused() {
    let fixture = Fixture::with(ContentOptions { manifest_max_bytes: 1 << 20, ..ContentOptions::default() });
    let name = repository("a");
    let config = fixture.push_blob(&name, b"config").await;
    let data = image(&config, &[], "");
    let padded = |len: usize| format!("{data}{}", " ".repeat(len - data.len()));
    let manifests = fixture.content.manifests();
    manifests.put(new_manifest(&name, "v1", padded(1 << 20))).await.unwrap();
    let refused = manifests.put(new_manifest(&name, "v1", padded((1 << 20) + 1))).await;
    assert!(matches!(refused, Err(ContentError::ManifestTooLarge { limit_bytes: 1_048_576 })));
}

#[tokio::test]
async fn a_crash_after_any_write_shows_nothing_half_and_the_same_put_repairs_it() {
    let name = repository("a");
    for failing in 0..5 {
        let fixture = Fixture::new();
        let config = fixture.push_blob(&name, b"config").await;
        let subject = digest_of(b"subject");
        let data = image(&config, &[], &format!(r#","subject":{}"#, descriptor(OCI_IMAGE, &subject)));
        let digest = digest_of(data.as_bytes());
        let writes = [
            keys::blob_data(&digest),
            keys::revision_link(&name, &digest),
            keys::referrer(&name, &subject, &digest),
            keys::tag_current(&name, &tag("v1")),
            keys::tag_index(&name, &tag("v1"), &digest),
        ];
        fixture.probe.fail(Operation::Put, &writes[failing], StorageErrorKind::Fault);
        let new = new_manifest(&name, "v1", data);
        assert!(matches!(fixture.content.manifests().put(new.clone()).await, Err(ContentError::Storage(_))));

        let content = fixture.restarted().content;
        let listed = content.tags().list(&name, None, 10).await.unwrap().map_or(0, |page| page.items.len());
        let resolved = content.tags().resolve(&name, &tag("v1")).await.unwrap();
        assert_eq!(listed == 1, resolved.is_some(), "write {failing}");
        if let Some(resolved) = resolved {
            assert!(content.manifests().get(&name, &resolved).await.unwrap().is_some(), "write {failing}");
        }
        content.manifests().put(new).await.unwrap();
        for key in writes {
            assert!(fixture.probe.has(&key).await, "{key} after write {failing}");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_does_not_stop_a_put() {
    let fixture = Fixture::new();
    let name = repository("a");
    let data = image_with_layers(&fixture, &name, 1).await;
    let digest = digest_of(data.as_bytes());
    let at_bytes = fixture.probe.stop(Operation::Put, &keys::blob_data(&digest));
    let at_index = fixture.probe.stop(Operation::Put, &keys::tag_index(&name, &tag("v1"), &digest));
    let manifests = fixture.content.manifests();
    let client = tokio::spawn(async move { manifests.put(new_manifest(&repository("a"), "v1", data)).await });
    at_bytes.reached(1).await;
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    at_bytes.release();
    at_index.reached(1).await;
    at_index.release();
    assert_eq!(fixture.content.tags().resolve(&name, &tag("v1")).await.unwrap(), Some(digest));
}

#[tokio::test]
async fn a_delete_by_digest_takes_its_tags_and_nothing_else() {
    let fixture = Fixture::new();
    let (name, other) = (repository("a"), repository("b"));
    let digest = fixture.push_image(&name, "v1").await;
    fixture.push_image(&other, "v1").await;
    let kept = fixture.push_image(&name, "kept").await;
    fixture.point_as_distribution(&name, "v2", &digest).await;
    fixture.probe.write(&keys::tag_current(&name, &tag("broken")), "").await;
    let content = &fixture.content;
    assert!(content.manifests().delete(&name, &digest).await.unwrap());
    assert!(content.manifests().get(&name, &digest).await.unwrap().is_none());
    for (name, tag_name, expected) in
        [(&name, "v1", None), (&name, "v2", None), (&name, "kept", Some(&kept)), (&other, "v1", Some(&digest))]
    {
        let resolved = content.tags().resolve(name, &tag(tag_name)).await.unwrap();
        assert_eq!(resolved.as_ref(), expected, "{name}:{tag_name}");
    }
    let left = content.tags().list(&name, None, 10).await.unwrap().unwrap().items;
    assert_eq!(left, [tag("broken"), tag("kept")]);
    assert!(!content.manifests().delete(&name, &digest).await.unwrap());
    assert!(content.manifests().get(&other, &digest).await.unwrap().is_some());
}

#[tokio::test]
async fn a_delete_that_failed_half_way_can_be_asked_for_again() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_image(&name, "v1").await;
    let manifests = fixture.content.manifests();
    for (operation, key) in [
        (Operation::Get, keys::tag_current(&name, &tag("v1"))),
        (Operation::DeleteAll, keys::tag(&name, &tag("v1"))),
        (Operation::Delete, keys::revision_link(&name, &digest)),
    ] {
        fixture.probe.fail(operation, &key, StorageErrorKind::Fault);
        assert!(manifests.delete(&name, &digest).await.is_err(), "{operation:?} {key}");
    }
    assert!(manifests.delete(&name, &digest).await.unwrap());
    assert_eq!(fixture.probe.names(&keys::manifests(&name)).await, [""; 0], "nothing is left of it");
}

#[tokio::test]
async fn a_put_and_a_delete_of_one_manifest_leave_no_tag_without_it() {
    let fixture = Fixture::new();
    let name = repository("a");
    let data = image_with_layers(&fixture, &name, 1).await;
    let digest = digest_of(data.as_bytes());
    let manifests = fixture.content.manifests();
    manifests.put(new_manifest(&name, "v1", data.clone())).await.unwrap();
    let stopped = fixture.probe.stop_before(Operation::Delete, &keys::revision_link(&name, &digest));
    let delete = tokio::spawn({
        let (manifests, name, digest) = (manifests.clone(), name.clone(), digest.clone());
        async move { manifests.delete(&name, &digest).await }
    });
    stopped.reached(1).await;
    let put = tokio::spawn({
        let (manifests, new) = (manifests.clone(), new_manifest(&name, "v2", data));
        async move { manifests.put(new).await }
    });
    // Far more turns than the put takes when nothing holds it up.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(!put.is_finished());
    stopped.release();
    assert!(delete.await.unwrap().unwrap());
    put.await.unwrap().unwrap();
    assert!(manifests.get(&name, &digest).await.unwrap().is_some());
    assert_eq!(fixture.content.tags().resolve(&name, &tag("v2")).await.unwrap(), Some(digest));
}

#[tokio::test]
async fn broken_manifests_count_as_absent() {
    let fixture = Fixture::new();
    let name = repository("a");
    let manifests = fixture.content.manifests();
    let no_json = fixture.write_as_distribution(&name, "").await;
    assert!(manifests.get(&name, &no_json).await.unwrap().is_none());
    let no_bytes = fixture.push_image(&name, "v1").await;
    fixture.probe.remove(&keys::blob_data(&no_bytes)).await;
    let restarted = fixture.restarted().content.manifests();
    assert!(restarted.get(&name, &no_bytes).await.unwrap().is_none());
    assert!(!restarted.exists(&name, &no_bytes).await.unwrap());
    assert_eq!(fixture.push_image(&name, "v1").await, no_bytes);
    assert!(restarted.get(&name, &no_bytes).await.unwrap().is_some(), "a new push repairs it");
}

#[tokio::test]
async fn a_fault_is_never_an_absence() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_image(&name, "v1").await;
    for (operation, key) in
        [(Operation::Get, keys::revision_link(&name, &digest)), (Operation::Get, keys::blob_data(&digest))]
    {
        let manifests = fixture.restarted().content.manifests();
        fixture.probe.fail(operation, &key, StorageErrorKind::Fault);
        assert!(manifests.get(&name, &digest).await.is_err());
        fixture.probe.fail(operation, &key, StorageErrorKind::Fault);
        assert!(manifests.delete(&name, &digest).await.is_err());
    }
    let config = digest_of(b"v1");
    let manifests = fixture.restarted().content.manifests();
    fixture.probe.fail(Operation::Get, &keys::layer_link(&name, &config), StorageErrorKind::Fault);
    let refused = manifests.put(new_manifest(&name, "v2", image(&config, &[], ""))).await;
    assert!(matches!(refused, Err(ContentError::Storage(_))), "{refused:?}");
}

#[tokio::test]
async fn a_condition_that_does_not_hold_stores_nothing() {
    let fixture = Fixture::new();
    let name = repository("a");
    let data = image_with_layers(&fixture, &name, 1).await;
    let mut new = new_manifest(&name, "v1", data.clone());
    new.condition = TagCondition::Exists;
    let refused = fixture.content.manifests().put(new).await;
    assert!(matches!(refused, Err(ContentError::ConditionFailed { current: None, .. })));
    assert!(!fixture.probe.has(&keys::blob_data(&digest_of(data.as_bytes()))).await);
}

#[tokio::test]
async fn a_manifest_of_unknown_references_is_refused_at_a_bounded_cost() {
    let fixture = Fixture::new();
    let name = repository("a");
    let children: Vec<_> =
        (0..20_000).map(|number: u32| descriptor("some/thing", &digest_of(&number.to_be_bytes()))).collect();
    let data = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, children.join(","));
    match fixture.content.manifests().put(new_manifest(&name, "v1", data)).await {
        Err(ContentError::ReferencesUnknown(digests)) => assert!((1..=100).contains(&digests.len())),
        other => panic!("{other:?}"),
    }
    let calls = fixture.probe.take_calls().len();
    assert!(calls < 300, "{calls} calls");
}

#[tokio::test]
async fn large_manifests_wait_for_each_other() {
    let fixture = Fixture::new();
    let name = repository("a");
    let config = fixture.push_blob(&name, b"config").await;
    let gate = fixture.probe.stop_all_before(Operation::Put);
    let puts: Vec<_> = (0..40)
        .map(|number| {
            let padding = "x".repeat((4 << 20) - 1000);
            let data = image(&config, &[], &format!(r#","number":{number},"padding":"{padding}""#));
            let manifests = fixture.content.manifests();
            let new = new_manifest(&name, &format!("v{number}"), data);
            tokio::spawn(async move { manifests.put(new).await.map(drop) })
        })
        .collect();
    gate.reached(4).await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gate.reached_by(), 4);
    let small = tokio::spawn({
        let (manifests, new) = (fixture.content.manifests(), new_manifest(&name, "small", image(&config, &[], "")));
        async move { manifests.put(new).await.map(drop) }
    });
    // It does not wait behind them.
    gate.reached(5).await;
    gate.release();
    small.await.unwrap().unwrap();
    for put in puts {
        put.await.unwrap().unwrap();
    }
}
