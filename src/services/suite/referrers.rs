use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::manifests::{by_tag, bytes_of, put};
use super::support::{Bench, digest_of, page, pattern, push};
use super::{Case, case};
use crate::oci::{Digest, ManifestType, Reference};
use crate::services::{PageRequest, ReferrersRequest, Repository};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("what refers to a subject is listed, until it is deleted", listed),
        case!("referrers are described", described),
        case!("referrers are filtered by their type", filtered),
        case!("referrers come in pages", pages),
    ]
}

const SBOM: &str = "application/vnd.example.sbom+json";

/// A digest that no manifest has: its subject need not be there.
fn subject() -> Digest {
    digest_of(b"a manifest that was never pushed")
}

/// An index that refers to the subject, and differs from others by `number`.
fn referrer(number: usize, artifact_type: Option<&str>) -> Bytes {
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": ManifestType::OciIndex.as_str(),
        "manifests": [],
        "annotations": {"org.example.number": number.to_string()},
        "subject": {"mediaType": ManifestType::OciImage.as_str(), "digest": subject(), "size": 1234},
    });
    if let Some(artifact_type) = artifact_type {
        document["artifactType"] = artifact_type.into();
    }
    bytes_of(&document)
}

async fn push_referrer(repository: &dyn Repository, data: &Bytes) -> Digest {
    let stored = put(repository.manifests(), Reference::Digest(digest_of(data)), data).await;
    assert_eq!(stored.subject, Some(subject()));
    stored.digest
}

async fn list(
    repository: &dyn Repository,
    artifact_type: Option<&str>,
    page: PageRequest,
) -> (Vec<Map<String, Value>>, bool) {
    let request = ReferrersRequest { subject: subject(), artifact_type: artifact_type.map(str::to_owned), page };
    let listed = repository.manifests().referrers(&request).await.expect("the referrers are listed");
    (listed.items, listed.more)
}

fn digests(entries: &[Map<String, Value>]) -> Vec<String> {
    entries.iter().map(|entry| entry["digest"].as_str().expect("a digest is text").to_owned()).collect()
}

async fn all_digests(repository: &dyn Repository, artifact_type: Option<&str>) -> Vec<String> {
    let (entries, more) = list(repository, artifact_type, page(None, None)).await;
    assert!(!more);
    digests(&entries)
}

fn sorted(digests: &[Digest]) -> Vec<String> {
    let mut texts: Vec<String> = digests.iter().map(Digest::to_string).collect();
    texts.sort();
    texts
}

async fn listed(bench: Bench) {
    let repository = bench.repository("a");
    assert_eq!(all_digests(&*repository, None).await, [""; 0]);
    let mut pushed = Vec::new();
    for number in 0..3 {
        pushed.push(push_referrer(&*repository, &referrer(number, None)).await);
        assert_eq!(all_digests(&*repository, None).await, sorted(&pushed));
    }
    put(repository.manifests(), by_tag("latest"), &super::manifests::empty_index(0)).await;
    assert_eq!(all_digests(&*repository, None).await, sorted(&pushed));
    assert_eq!(all_digests(&*bench.repository("another"), None).await, [""; 0]);
    let deleted = pushed.remove(1);
    repository.manifests().delete(&Reference::Digest(deleted)).await.expect("the manifest is deleted");
    assert_eq!(all_digests(&*repository, None).await, sorted(&pushed));
    assert_eq!(all_digests(&*bench.repository_elsewhere("a"), None).await, sorted(&pushed));
}

async fn described(bench: Bench) {
    let repository = bench.repository("a");
    let config = pattern(1, 10);
    push(&*repository, &config).await;
    let index = referrer(1, Some(SBOM));
    // An image without a type of its own has that of its config.
    let config_type = "application/vnd.example.config+json";
    let image = bytes_of(&json!({
        "schemaVersion": 2,
        "mediaType": ManifestType::OciImage.as_str(),
        "config": {"mediaType": config_type, "digest": digest_of(&config), "size": 10},
        "layers": [],
        "subject": {"mediaType": ManifestType::OciImage.as_str(), "digest": subject(), "size": 1234},
    }));
    for (data, kind, artifact_type, annotations) in [
        (index, ManifestType::OciIndex, SBOM, Some(json!({"org.example.number": "1"}))),
        (image, ManifestType::OciImage, config_type, None),
    ] {
        let digest = push_referrer(&*repository, &data).await.to_string();
        let (entries, _) = list(&*repository, None, page(None, None)).await;
        let entry = entries.iter().find(|entry| entry["digest"] == digest).expect("it is listed");
        assert_eq!(entry["mediaType"], kind.as_str());
        assert_eq!(entry["size"], data.len());
        assert_eq!(entry["artifactType"], artifact_type);
        assert_eq!(entry.get("annotations"), annotations.as_ref());
    }
}

async fn filtered(bench: Bench) {
    let repository = bench.repository("a");
    let signature = "application/vnd.example.signature; v=\"1\"&more";
    let mut boms = Vec::new();
    for number in 0..3 {
        boms.push(push_referrer(&*repository, &referrer(number, Some(SBOM))).await);
    }
    let signed = push_referrer(&*repository, &referrer(3, Some(signature))).await;
    push_referrer(&*repository, &referrer(4, None)).await;
    assert_eq!(all_digests(&*repository, Some(SBOM)).await, sorted(&boms));
    assert_eq!(all_digests(&*repository, Some(signature)).await, sorted(&[signed]));
    assert_eq!(all_digests(&*repository, Some("application/vnd.example")).await, [""; 0]);
    assert_eq!(all_digests(&*repository, None).await.len(), 5);
    let (first, more) = list(&*repository, Some(SBOM), page(Some(2), None)).await;
    assert_eq!((digests(&first), more), (sorted(&boms)[..2].to_vec(), true));
}

async fn pages(bench: Bench) {
    let repository = bench.repository("a");
    let mut pushed = Vec::new();
    for number in 0..5 {
        pushed.push(push_referrer(&*repository, &referrer(number, None)).await);
    }
    let all = sorted(&pushed);
    for limit in [1, 2, 5, 6] {
        let mut found: Vec<String> = Vec::new();
        loop {
            let request = page(Some(limit), found.last().map(String::as_str));
            let (entries, more) = list(&*repository, None, request).await;
            assert!(entries.len() <= limit);
            assert!(!more || entries.len() == limit, "a page that is not full says that there is more");
            found.extend(digests(&entries));
            assert_eq!(more, found.len() < all.len());
            if !more {
                break;
            }
        }
        assert_eq!(found, all, "in pages of {limit}");
    }
    // What comes last in the page before need not be there any more.
    repository.manifests().delete(&Reference::Digest(all[1].parse().expect("a digest"))).await.expect("it is deleted");
    let (entries, more) = list(&*repository, None, page(None, Some(&all[1]))).await;
    assert_eq!((digests(&entries), more), (all[2..].to_vec(), false));
    let (entries, more) = list(&*repository, None, page(Some(0), None)).await;
    assert_eq!((entries.len(), more), (0, false));
}
