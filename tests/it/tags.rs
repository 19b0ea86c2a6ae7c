//! Lists of tags.

use serde_json::{Value, json};

use crate::harness::{Alg, OCI_IMAGE, Registry, ReplyExt as _, image_manifest, random};

on_both_drivers! {
    tags_are_listed_in_byte_order_and_paged,
    counts_that_are_none_are_refused,
    a_repository_of_blobs_only_has_no_tags,
}

const TAGS: [&str; 7] = ["1.0", "Z", "_x", "a", "a-b", "a.b", "b"];

async fn list(registry: &Registry, query: &str) -> (Vec<String>, Option<String>) {
    let reply = registry.get(&format!("/v2/lists/tags/list{query}")).await.expect(200).await;
    let link = reply.maybe("link");
    let document = reply.document().await;
    assert_eq!(document["name"], "lists");
    let tags = document["tags"].as_array().expect("tags").iter();
    (tags.map(|tag| tag.as_str().expect("text").to_string()).collect(), link)
}

async fn push_tags(registry: &Registry) {
    let config = registry.push("lists", &random(20)).await;
    let data = serde_json::to_vec(&image_manifest(&config, &[])).expect("JSON");
    let query: Vec<String> = TAGS.iter().rev().map(|tag| format!("tag={tag}")).collect();
    let reference = format!("{}?{}", Alg::Sha256.digest(&data), query.join("&"));
    registry.put_manifest("lists", &reference, &data, OCI_IMAGE).await.expect(201).await;
}

async fn tags_are_listed_in_byte_order_and_paged(registry: &Registry) {
    push_tags(registry).await;
    assert_eq!(list(registry, "").await, (TAGS.map(String::from).to_vec(), None));
    assert_eq!(list(registry, "?last=a").await, (TAGS[4..].iter().map(ToString::to_string).collect(), None));
    // It need not exist.
    assert_eq!(list(registry, "?last=a-").await.0[0], "a-b");
    assert_eq!(list(registry, "?last=zzz").await, (vec![], None));
    assert_eq!(list(registry, "?n=0").await, (vec![], None));
    assert_eq!(list(registry, "?n=7").await.1, None);
    assert_eq!(list(registry, "?n=99999999999999999999").await.0.len(), 7);
    for size in 1..=7 {
        let mut seen = Vec::new();
        let mut next = Some(format!("/v2/lists/tags/list?n={size}"));
        while let Some(path) = next {
            let (tags, link) = list(registry, path.strip_prefix("/v2/lists/tags/list").expect("the list's path")).await;
            assert!(tags.len() <= size);
            seen.extend(tags);
            next = link.map(|link| {
                let (target, relation) = link.split_once('>').expect("a link");
                assert_eq!(relation, "; rel=\"next\"");
                target.trim_start_matches('<').to_string()
            });
        }
        assert_eq!(seen, TAGS, "pages of {size}");
    }
}

async fn counts_that_are_none_are_refused(registry: &Registry) {
    push_tags(registry).await;
    for n in ["-1", "x", "1.5", "", "+1"] {
        registry.get(&format!("/v2/lists/tags/list?n={n}")).await.expect_error(400, "UNSUPPORTED").await;
        registry.get(&format!("/v2/_catalog?n={n}")).await.expect_error(400, "UNSUPPORTED").await;
    }
}

async fn a_repository_of_blobs_only_has_no_tags(registry: &Registry) {
    registry.push("blobs-only", &random(20)).await;
    let reply = registry.get("/v2/blobs-only/tags/list").await;
    match reply.status().as_u16() {
        200 => assert_eq!(reply.document().await, json!({"name": "blobs-only", "tags": Value::Array(vec![])})),
        _ => reply.expect_error(404, "NAME_UNKNOWN").await,
    }
}
