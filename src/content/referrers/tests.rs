use serde_json::{Map, Value};

use super::*;
use crate::content::ContentPage;
use crate::content::testing::{Fixture, descriptor, digest_of, image, new_manifest, repository};
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::storage::adapters::Operation;
use crate::storage::{StorageErrorKind, keys};

const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";

fn query(name: &RepositoryName, subject: &Digest) -> ReferrersQuery {
    ReferrersQuery { repository: name.clone(), subject: subject.clone(), artifact_type: None, last: None, limit: 1000 }
}

async fn list(fixture: &Fixture, query: &ReferrersQuery) -> ContentPage<Map<String, Value>> {
    fixture.content.referrers().list(query).await.unwrap()
}

async fn digests(fixture: &Fixture, query: &ReferrersQuery) -> Vec<String> {
    list(fixture, query).await.items.iter().map(|item| item["digest"].as_str().unwrap().to_owned()).collect()
}

fn about(config: &Digest, subject: &Digest, extra: &str) -> String {
    image(config, &[], &format!(r#","subject":{}{extra}"#, descriptor(OCI_IMAGE, subject)))
}

async fn push(fixture: &Fixture, name: &RepositoryName, data: &str) -> Digest {
    let digest = digest_of(data.as_bytes());
    let new = new_manifest(name, &digest.to_string(), data.to_owned());
    fixture.content.manifests().put(new).await.unwrap().digest
}

fn sorted(digests: &[&Digest]) -> Vec<String> {
    let mut texts: Vec<_> = digests.iter().map(|digest| digest.to_string()).collect();
    texts.sort();
    texts
}

#[tokio::test]
async fn referrers_are_listed_as_the_spec_describes_them() {
    let fixture = Fixture::new();
    let (name, subject) = (repository("a"), digest_of(b"subject"));
    let config = fixture.push_blob(&name, b"config").await;
    assert_eq!(list(&fixture, &query(&name, &subject)).await, ContentPage::empty());

    let with_type = about(&config, &subject, r#","artifactType":"a/sbom","annotations":{"k":"v","l":"w"}"#);
    let by_config = about(&config, &subject, "");
    let index = format!(r#"{{"schemaVersion":2,"manifests":[],"subject":{}}}"#, descriptor(OCI_IMAGE, &subject));
    let other = about(&config, &digest_of(b"other subject"), "");
    let mut pushed = Vec::new();
    for data in [&with_type, &by_config, &index] {
        pushed.push(push(&fixture, &name, data).await);
    }
    push(&fixture, &name, &other).await;

    let page = list(&fixture, &query(&name, &subject)).await;
    let mut expected = vec![
        serde_json::json!({"mediaType": OCI_IMAGE, "digest": pushed[0], "size": with_type.len(),
            "artifactType": "a/sbom", "annotations": {"k": "v", "l": "w"}}),
        serde_json::json!({"mediaType": OCI_IMAGE, "digest": pushed[1], "size": by_config.len(),
            "artifactType": CONFIG_TYPE}),
        serde_json::json!({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": pushed[2],
            "size": index.len()}),
    ];
    expected.sort_by_key(|item| item["digest"].as_str().unwrap().to_owned());
    assert_eq!(page.items.into_iter().map(Value::Object).collect::<Vec<_>>(), expected);
    assert!(!page.more);

    let of_type = ReferrersQuery { artifact_type: Some("a/sbom".into()), ..query(&name, &subject) };
    assert_eq!(digests(&fixture, &of_type).await, [pushed[0].to_string()]);
    let of_config = ReferrersQuery { artifact_type: Some(CONFIG_TYPE.into()), ..query(&name, &subject) };
    assert_eq!(digests(&fixture, &of_config).await, [pushed[1].to_string()]);
    let elsewhere = query(&repository("b"), &subject);
    assert_eq!(digests(&fixture, &elsewhere).await, [""; 0]);
}

#[tokio::test]
async fn pages_follow_each_other_by_digest() {
    let fixture = Fixture::new();
    let (name, subject) = (repository("a"), digest_of(b"subject"));
    let config = fixture.push_blob(&name, b"config").await;
    let mut all = Vec::new();
    for number in 0..7 {
        let kind = if number % 2 == 0 { "a/even" } else { "a/odd" };
        let data = about(&config, &subject, &format!(r#","artifactType":"{kind}","annotations":{{"n":"{number}"}}"#));
        all.push(push(&fixture, &name, &data).await);
    }
    let expected = sorted(&all.iter().collect::<Vec<_>>());
    for (limit, artifact_type) in [(1, None), (3, None), (7, None), (2, Some("a/odd"))] {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let page = ReferrersQuery {
                limit,
                last: seen.last().cloned(),
                artifact_type: artifact_type.map(str::to_owned),
                ..query(&name, &subject)
            };
            let found = list(&fixture, &page).await;
            assert!(found.items.len() == limit || !found.more);
            seen.extend(found.items.iter().map(|item| item["digest"].as_str().unwrap().to_owned()));
            if !found.more {
                break;
            }
        }
        match artifact_type {
            None => assert_eq!(seen, expected),
            Some(_) => assert_eq!(seen.len(), 3),
        }
    }
    let nothing = ReferrersQuery { limit: 0, ..query(&name, &subject) };
    assert_eq!(list(&fixture, &nothing).await, ContentPage::empty());
}

#[tokio::test]
async fn a_page_of_large_descriptors_ends_early() {
    let fixture = Fixture::new();
    let (name, subject) = (repository("a"), digest_of(b"subject"));
    let config = fixture.push_blob(&name, b"config").await;
    for letter in ["a", "b", "c"] {
        let value = letter.repeat(1_900_000);
        push(&fixture, &name, &about(&config, &subject, &format!(r#","annotations":{{"large":"{value}"}}"#))).await;
    }
    let first = list(&fixture, &query(&name, &subject)).await;
    assert_eq!((first.items.len(), first.more), (2, true));
    let last = first.items[1]["digest"].as_str().map(str::to_owned);
    let second = list(&fixture, &ReferrersQuery { last, ..query(&name, &subject) }).await;
    assert_eq!((second.items.len(), second.more), (1, false));
}

#[tokio::test]
async fn deleted_manifests_do_not_show_and_leave_nothing() {
    let fixture = Fixture::new();
    let (name, subject) = (repository("a"), digest_of(b"subject"));
    let config = fixture.push_blob(&name, b"config").await;
    let data = about(&config, &subject, "");
    let digest = push(&fixture, &name, &data).await;
    assert_eq!(digests(&fixture, &query(&name, &subject)).await, [digest.to_string()]);
    fixture.content.manifests().delete(&name, &digest).await.unwrap();
    assert_eq!(digests(&fixture, &query(&name, &subject)).await, [""; 0]);
    assert_eq!(fixture.probe.names(&keys::referrers(&name)).await, [""; 0]);
    push(&fixture, &name, &data).await;
    assert_eq!(digests(&fixture, &query(&name, &subject)).await, [digest.to_string()]);
    // As distribution deletes: it knows nothing of the index.
    fixture.probe.remove(&keys::revision_link(&name, &digest)).await;
    assert_eq!(digests(&fixture.restarted(), &query(&name, &subject)).await, [""; 0]);
}

#[tokio::test]
async fn manifests_that_distribution_wrote_are_found_once() {
    let fixture = Fixture::new();
    let (name, subject) = (repository("a"), digest_of(b"subject"));
    let config = fixture.push_blob(&name, b"config").await;
    let mut written = Vec::new();
    for number in 0..40 {
        let extra = format!(r#","annotations":{{"n":"{number}"}}"#);
        written.push(fixture.write_as_distribution(&name, &about(&config, &subject, &extra)).await);
        fixture.write_as_distribution(&name, &image(&config, &[], &extra)).await;
    }
    let no_manifest = fixture.write_as_distribution(&name, "nonsense").await;
    let restarted = fixture.restarted();
    let expected = sorted(&written.iter().collect::<Vec<_>>());
    assert_eq!(digests(&restarted, &query(&name, &subject)).await, expected);

    // Nothing changed: no manifest is looked at again, and in this process no name either.
    restarted.probe.take_calls();
    assert_eq!(digests(&restarted, &query(&name, &subject)).await, expected);
    let calls = restarted.probe.take_calls();
    assert_eq!(calls.len(), 2 + 1 + written.len(), "{calls:#?}");
    let again = fixture.restarted();
    assert_eq!(digests(&again, &query(&name, &subject)).await, expected);
    let read: Vec<_> = again.probe.take_calls().into_iter().filter(|call| call.contains("/blobs/")).collect();
    let scanned_again = format!("get {}", keys::blob_data(&no_manifest));
    assert!(read.iter().all(|call| call.starts_with("stat ") || *call == scanned_again), "{read:#?}");

    // Something came while another program served the folder.
    let late = fixture.write_as_distribution(&name, &about(&config, &subject, "")).await;
    let expected = sorted(&written.iter().chain([&late]).collect::<Vec<_>>());
    assert_eq!(digests(&again, &query(&name, &subject)).await, expected);
}

#[tokio::test]
async fn a_manifest_that_was_deleted_and_came_back_unseen_is_found() {
    let fixture = Fixture::new();
    let (name, subject) = (repository("a"), digest_of(b"subject"));
    let config = fixture.push_blob(&name, b"config").await;
    let data = about(&config, &subject, "");
    let digest = fixture.write_as_distribution(&name, &data).await;
    assert_eq!(digests(&fixture, &query(&name, &subject)).await, [digest.to_string()]);
    fixture.content.manifests().delete(&name, &digest).await.unwrap();
    fixture.write_as_distribution(&name, &data).await;
    assert_eq!(digests(&fixture.restarted(), &query(&name, &subject)).await, [digest.to_string()]);
}

#[tokio::test]
async fn a_fallback_tag_gives_each_referrer_once() {
    let fixture = Fixture::new();
    let (name, subject) = (repository("a"), digest_of(b"subject"));
    let config = fixture.push_blob(&name, b"config").await;
    let listed = fixture.write_as_distribution(&name, &about(&config, &subject, r#","artifactType":"a/old""#)).await;
    let ours = push(&fixture, &name, &about(&config, &subject, r#","artifactType":"a/new""#)).await;
    let no_subject = fixture.write_as_distribution(&name, &image(&config, &[], "")).await;
    let absent = digest_of(b"absent");
    let children = [&listed, &ours, &no_subject, &absent].map(|digest| descriptor(OCI_IMAGE, digest)).join(",");
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{children}]}}"#);
    let index = fixture.write_as_distribution(&name, &index).await;
    fixture.point_as_distribution(&name, &format!("sha256-{}", subject.hex()), &index).await;
    assert_eq!(digests(&fixture.restarted(), &query(&name, &subject)).await, sorted(&[&listed, &ours]));
}

#[tokio::test]
async fn both_algorithms_are_listed_in_the_order_of_digests() {
    let fixture = Fixture::new();
    let (name, subject) = (repository("a"), digest_of(b"subject"));
    let config = fixture.push_blob(&name, b"config").await;
    let data = about(&config, &subject, "");
    let mut expected = Vec::new();
    for algorithm in Algorithm::ALL {
        let digest = crate::content::manifests::testing::digest_of_bytes(algorithm, data.as_bytes());
        let new = new_manifest(&name, &digest.to_string(), data.clone());
        fixture.content.manifests().put(new).await.unwrap();
        expected.push(digest.to_string());
    }
    assert_eq!(digests(&fixture, &query(&name, &subject)).await, expected);
    let after = ReferrersQuery { last: Some(expected[0].clone()), ..query(&name, &subject) };
    assert_eq!(digests(&fixture, &after).await, expected[1..]);
}

#[tokio::test]
async fn a_malformed_entry_is_made_anew() {
    let fixture = Fixture::new();
    let (name, subject) = (repository("a"), digest_of(b"subject"));
    let config = fixture.push_blob(&name, b"config").await;
    let digest = push(&fixture, &name, &about(&config, &subject, "")).await;
    let entry = keys::referrer(&name, &subject, &digest);
    for broken in ["", "{}", "nonsense"] {
        fixture.probe.write(&entry, broken).await;
        assert_eq!(digests(&fixture, &query(&name, &subject)).await, [digest.to_string()]);
    }
    fixture.probe.take_calls();
    digests(&fixture, &query(&name, &subject)).await;
    assert!(!fixture.probe.take_calls().contains(&format!("put {entry}")), "it was repaired");
}

#[tokio::test]
async fn a_fault_is_no_shorter_list() {
    let fixture = Fixture::new();
    let (name, subject) = (repository("a"), digest_of(b"subject"));
    let config = fixture.push_blob(&name, b"config").await;
    let digest = push(&fixture, &name, &about(&config, &subject, "")).await;
    let revisions = keys::revisions(&name, Algorithm::Sha256);
    for (operation, key) in [
        (Operation::ListMark, revisions.clone()),
        (Operation::List, revisions),
        (Operation::Get, keys::revision_link(&name, &digest)),
        (Operation::List, keys::subject_referrers(&name, &subject)),
        (Operation::Get, keys::referrer(&name, &subject, &digest)),
    ] {
        let restarted = fixture.restarted();
        fixture.probe.fail(operation, &key, StorageErrorKind::Fault);
        let result = restarted.content.referrers().list(&query(&name, &subject)).await;
        assert_eq!(result.unwrap_err().kind(), StorageErrorKind::Fault, "{operation:?} {key}");
    }
}

#[tokio::test]
async fn bytes_too_large_for_a_manifest_are_none_and_spoil_no_list() {
    let fixture = Fixture::new();
    let name = repository("a");
    let config = fixture.push_blob(&name, b"config").await;
    let subject = digest_of(b"subject");
    let referrer = push(&fixture, &name, &about(&config, &subject, "")).await;
    let large = fixture.write_as_distribution(&name, &" ".repeat((16 << 20) + 1)).await;
    assert_eq!(digests(&fixture, &query(&name, &subject)).await, sorted(&[&referrer]));
    assert!(fixture.content.manifests().get(&name, &large).await.unwrap().is_none());
}

#[tokio::test]
async fn a_manifest_is_deleted_on_a_full_store() {
    let fixture = Fixture::new();
    let name = repository("a");
    let config = fixture.push_blob(&name, b"config").await;
    let subject = digest_of(b"subject");
    let kept = push(&fixture, &name, &about(&config, &subject, "")).await;
    let mut number = 0;
    // Another one whose record stands in the same part.
    let referrer = loop {
        number += 1;
        let data = about(&config, &subject, &format!(r#","annotations":{{"n":"{number}"}}"#));
        if digest_of(data.as_bytes()).hex()[..1] == kept.hex()[..1] {
            break push(&fixture, &name, &data).await;
        }
    };
    assert_eq!(digests(&fixture, &query(&name, &subject)).await, sorted(&[&kept, &referrer]));
    let digit = referrer.hex().chars().next().unwrap();
    let part = keys::scanned_revisions(&name, Algorithm::Sha256, digit);
    fixture.probe.fail(Operation::Put, &part, StorageErrorKind::Full);
    assert!(fixture.content.manifests().delete(&name, &referrer).await.unwrap());
    assert!(fixture.probe.clear_faults());
    assert_eq!(digests(&fixture, &query(&name, &subject)).await, sorted(&[&kept]));
}
