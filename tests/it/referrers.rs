//! Who refers to a manifest.

use serde_json::{Value, json};

use crate::harness::{
    Alg, OCI_IMAGE, OCI_INDEX, Registry, ReplyExt as _, digest_of, image_manifest, index_manifest, random,
};

on_both_drivers! {
    referrers_are_listed_with_what_they_say_of_themselves,
    referrers_are_filtered_by_type,
    referrers_are_paged,
    a_subject_may_be_missing,
    a_deleted_referrer_is_gone,
    referrers_stay_in_their_repository,
    a_fallback_tag_counts,
}

async fn referrers(registry: &Registry, query: &str) -> Vec<Value> {
    let reply = registry.get(&format!("/v2/repo1/referrers/{query}")).await.expect(200).await;
    assert_eq!(reply.value("content-type"), OCI_INDEX);
    let index = reply.document().await;
    assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(OCI_INDEX)));
    index["manifests"].as_array().expect("manifests").clone()
}

fn digests(descriptors: &[Value]) -> Vec<String> {
    let mut digests: Vec<String> =
        descriptors.iter().map(|entry| entry["digest"].as_str().expect("a digest").to_string()).collect();
    digests.sort();
    digests
}

/// Pushes an image that refers to a subject; gives its digest and size.
async fn refer(registry: &Registry, subject: &str, change: impl FnOnce(&mut Value)) -> (String, usize) {
    let config = registry.push("repo1", &random(30)).await;
    let mut manifest = image_manifest(&config, &[]);
    manifest["subject"] = json!({"mediaType": OCI_IMAGE, "digest": subject, "size": 100});
    change(&mut manifest);
    let data = serde_json::to_vec(&manifest).expect("JSON");
    let digest = digest_of(&data);
    let media = manifest["mediaType"].as_str().expect("a media type");
    for reference in [digest.as_str(), "referring"] {
        let put = registry.put_manifest("repo1", reference, &data, media).await.expect(201).await;
        assert_eq!(put.value("oci-subject"), subject);
    }
    (digest, data.len())
}

async fn referrers_are_listed_with_what_they_say_of_themselves(registry: &Registry) {
    for algorithm in Alg::BOTH {
        let (_, data) = registry.push_image("repo1", "subject").await;
        let subject = algorithm.digest(&data);
        registry.put_manifest("repo1", &subject, &data, OCI_IMAGE).await.expect(201).await;
        let annotations = json!({"org.example.made": "today", "n": "1"});
        let (typed, typed_size) = refer(registry, &subject, |manifest| {
            manifest["artifactType"] = json!("application/vnd.example.sbom");
            manifest["annotations"] = annotations.clone();
        })
        .await;
        let (by_config, _) = refer(registry, &subject, |manifest| {
            manifest["config"]["mediaType"] = json!("application/vnd.example.config");
        })
        .await;
        let (index, _) = refer(registry, &subject, |manifest| {
            let subject = manifest["subject"].clone();
            *manifest = index_manifest(&[]);
            manifest["subject"] = subject;
        })
        .await;
        let found = referrers(registry, &subject).await;
        let entry = |digest: &str| found.iter().find(|entry| entry["digest"] == digest).expect("an entry").clone();
        assert_eq!(found.len(), 3, "{found:?}");
        let typed = entry(&typed);
        assert_eq!(typed["mediaType"], OCI_IMAGE);
        assert_eq!(typed["size"], typed_size);
        assert_eq!(typed["artifactType"], "application/vnd.example.sbom");
        assert_eq!(typed["annotations"], annotations);
        assert_eq!(entry(&by_config)["artifactType"], "application/vnd.example.config");
        let index = entry(&index);
        assert_eq!((&index["mediaType"], index.get("artifactType")), (&json!(OCI_INDEX), None));
    }
}

async fn referrers_are_filtered_by_type(registry: &Registry) {
    let (subject, _) = registry.push_image("repo1", "subject").await;
    let wanted = "application/vnd.example.sbom+json";
    let (sbom, _) = refer(registry, &subject, |manifest| manifest["artifactType"] = json!(wanted)).await;
    refer(registry, &subject, |manifest| manifest["artifactType"] = json!("application/vnd.example.other")).await;
    for query in
        ["artifactType=application/vnd.example.sbom%2Bjson", "artifactType=application%2Fvnd.example.sbom+json"]
    {
        let reply = registry.get(&format!("/v2/repo1/referrers/{subject}?{query}")).await.expect(200).await;
        assert_eq!(reply.value("oci-filters-applied"), "artifactType");
        assert_eq!(digests(reply.document().await["manifests"].as_array().expect("manifests")), [sbom.as_str()]);
    }
    let none = registry.get(&format!("/v2/repo1/referrers/{subject}?artifactType=a/b")).await.expect(200).await;
    assert_eq!(none.value("oci-filters-applied"), "artifactType");
    assert_eq!(none.document().await["manifests"], json!([]));
    let all = registry.get(&format!("/v2/repo1/referrers/{subject}")).await.expect(200).await;
    assert_eq!(all.maybe("oci-filters-applied"), None);
}

async fn referrers_are_paged(registry: &Registry) {
    let (subject, _) = registry.push_image("repo1", "subject").await;
    let mut pushed = Vec::new();
    for n in 0..5 {
        let made = refer(registry, &subject, |manifest| {
            manifest["artifactType"] = json!("a/b");
            manifest["annotations"] = json!({"n": n.to_string()});
        });
        pushed.push(made.await.0);
    }
    pushed.sort();
    let mut seen = Vec::new();
    let mut next = Some(format!("/v2/repo1/referrers/{subject}?n=2&artifactType=a/b"));
    while let Some(path) = next {
        let reply = registry.get(&path).await.expect(200).await;
        assert_eq!(reply.value("oci-filters-applied"), "artifactType");
        next = reply.maybe("link").map(|link| {
            let (target, relation) = link.split_once('>').expect("a link");
            assert_eq!(relation, "; rel=\"next\"");
            target.trim_start_matches('<').to_string()
        });
        let page = reply.document().await["manifests"].as_array().expect("manifests").clone();
        assert!(page.len() <= 2);
        seen.extend(digests(&page));
    }
    assert_eq!(seen, pushed);
}

async fn a_subject_may_be_missing(registry: &Registry) {
    let subject = digest_of(b"pushed later, or never");
    let (referring, _) = refer(registry, &subject, |_| {}).await;
    assert_eq!(digests(&referrers(registry, &subject).await), [referring.as_str()]);
}

async fn a_deleted_referrer_is_gone(registry: &Registry) {
    let (subject, _) = registry.push_image("repo1", "subject").await;
    let (first, _) = refer(registry, &subject, |_| {}).await;
    let (second, _) = refer(registry, &subject, |_| {}).await;
    registry.delete(&format!("/v2/repo1/manifests/{first}")).await.expect(202).await;
    assert_eq!(digests(&referrers(registry, &subject).await), [second.as_str()]);
    // They outlive their subject.
    registry.delete(&format!("/v2/repo1/manifests/{subject}")).await.expect(202).await;
    assert_eq!(digests(&referrers(registry, &subject).await), [second.as_str()]);
}

async fn referrers_stay_in_their_repository(registry: &Registry) {
    let (subject, _) = registry.push_image("repo1", "subject").await;
    refer(registry, &subject, |_| {}).await;
    let reply = registry.get(&format!("/v2/repo2/referrers/{subject}")).await.expect(200).await;
    assert_eq!(reply.document().await["manifests"], json!([]));
    registry.get("/v2/repo1/referrers/sha256:short").await.expect_error(400, "DIGEST_INVALID").await;
    registry.get("/v2/repo1/referrers/latest").await.expect_error(400, "DIGEST_INVALID").await;
}

/// A client that found no such list elsewhere keeps one itself, under a tag that is made of the digest.
async fn a_fallback_tag_counts(registry: &Registry) {
    let subject = digest_of(b"a subject from elsewhere");
    let (referring, size) = refer(registry, &subject, |_| {}).await;
    let list = index_manifest(&[(referring.clone(), size)]);
    let tag = subject.replace(':', "-");
    let data = serde_json::to_vec(&list).expect("JSON");
    registry.put_manifest("repo1", &tag, &data, OCI_INDEX).await.expect(201).await;
    assert_eq!(digests(&referrers(registry, &subject).await), [referring.as_str()]);
}
