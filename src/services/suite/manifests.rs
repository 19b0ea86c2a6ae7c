use bytes::Bytes;
use serde_json::{Value, json};

use super::support::{Bench, digest_by, digest_of, page, pattern, push};
use super::{Case, assert_fails, case};
use crate::oci::{Algorithm, Digest, ManifestType, Reference, Tag};
use crate::services::{ManifestPut, Manifests, Precondition, PutManifest, RegistryError, Repository};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("a manifest is got byte for byte, by tag and by digest", byte_for_byte),
        case!("every kind of manifest keeps its media type", media_types),
        case!("a manifest is put under the digest that it has, and no other", by_digest),
        case!("a tag moves to what is pushed last", tag_moves),
        case!("a manifest by digest takes several tags", several_tags),
        case!("an unknown manifest is told apart from an unknown repository", unknown),
        case!("what is no manifest is refused", invalid),
        case!("content that a manifest refers to has to be there", references),
        case!("a manifest that is too large is refused", too_large),
        case!("deleting a tag leaves the manifest", delete_by_tag),
        case!("deleting a manifest takes its tags along", delete_by_digest),
    ]
}

pub(super) const ANY_TAG: &str = "latest";

pub(super) fn tag(text: &str) -> Tag {
    text.parse().expect("the suite's tags are allowed")
}

pub(super) fn by_tag(text: &str) -> Reference {
    Reference::Tag(tag(text))
}

/// A manifest to be put, called what it calls itself.
pub(super) fn new_manifest(reference: Reference, data: &Bytes) -> PutManifest {
    let precondition = Precondition::None;
    PutManifest { reference, tags: Vec::new(), media_type: None, data: data.clone(), precondition }
}

/// An index of nothing, which differs from others by `number`.
pub(super) fn empty_index(number: usize) -> Bytes {
    let media_type = ManifestType::OciIndex.as_str();
    let annotations = json!({"number": number.to_string()});
    bytes_of(&json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [], "annotations": annotations}))
}

pub(super) fn bytes_of(document: &Value) -> Bytes {
    document.to_string().into()
}

pub(super) async fn put(manifests: &dyn Manifests, reference: Reference, data: &Bytes) -> ManifestPut {
    manifests.put(new_manifest(reference, data)).await.expect("the manifest is put")
}

/// The manifest is there under the reference, byte for byte.
pub(super) async fn assert_manifest(repository: &dyn Repository, reference: &Reference, data: &Bytes) {
    let content = repository.manifests().get(reference).await.expect("the manifest is there");
    assert_eq!(content.data, data, "{reference}");
    let digest = match reference {
        Reference::Digest(digest) => digest.clone(),
        Reference::Tag(_) => digest_of(data),
    };
    assert_eq!(content.digest, digest, "{reference}");
}

fn descriptor(media_type: &str, data: &Bytes) -> Value {
    json!({"mediaType": media_type, "digest": digest_of(data), "size": data.len()})
}

async fn byte_for_byte(bench: Bench) {
    let repository = bench.repository("a");
    let config = pattern(1, 10);
    push(&*repository, &config).await;
    // Spaces, the order of fields and fields that nobody knows are part of it.
    let descriptor = descriptor("application/vnd.oci.image.config.v1+json", &config);
    let text =
        format!("{{ \"layers\":[],\r\n\t\"z\": {{\"ü\":1.50}}, \"config\":{descriptor} , \"schemaVersion\":2}}\n\n");
    let data = Bytes::from(text);
    let digest = digest_of(&data);
    let stored = put(repository.manifests(), by_tag(ANY_TAG), &data).await;
    assert_eq!(stored, ManifestPut { digest: digest.clone(), subject: None, tags: vec![tag(ANY_TAG)] });
    for repository in [repository, bench.repository_elsewhere("a")] {
        assert_manifest(&*repository, &by_tag(ANY_TAG), &data).await;
        assert_manifest(&*repository, &Reference::Digest(digest.clone()), &data).await;
        let content = repository.manifests().get(&by_tag(ANY_TAG)).await.expect("the manifest is there");
        assert_eq!(content.media_type, ManifestType::OciImage.as_str());
    }
}

async fn media_types(bench: Bench) {
    let repository = bench.repository("a");
    let config = pattern(1, 10);
    push(&*repository, &config).await;
    let descriptor = descriptor("application/vnd.oci.image.config.v1+json", &config);
    for (number, kind) in ManifestType::ALL.into_iter().enumerate() {
        for is_said in [true, false] {
            let mut document = json!({"schemaVersion": 2, "mediaType": kind.as_str(), "said": is_said});
            match kind.is_index() {
                true => document["manifests"] = json!([]),
                false => {
                    document["config"] = descriptor.clone();
                    document["layers"] = json!([]);
                }
            }
            let data = bytes_of(&document);
            let reference = by_tag(&format!("v{number}"));
            let media_type = is_said.then(|| kind.as_str().to_owned());
            let request = PutManifest { media_type, ..new_manifest(reference.clone(), &data) };
            repository.manifests().put(request).await.expect("the manifest is put");
            for reference in [reference, Reference::Digest(digest_of(&data))] {
                let content = repository.manifests().get(&reference).await.expect("the manifest is there");
                assert_eq!((content.media_type.as_str(), &content.data), (kind.as_str(), &data));
            }
        }
    }
}

async fn by_digest(bench: Bench) {
    let repository = bench.repository("a");
    for (number, algorithm) in Algorithm::ALL.into_iter().enumerate() {
        let data = empty_index(number);
        let digest = digest_by(algorithm, &data);
        let wrong = digest_by(algorithm, b"");
        let refused = repository.manifests().put(new_manifest(Reference::Digest(wrong.clone()), &data)).await;
        assert_fails!(
            refused,
            RegistryError::DigestMismatch { expected, actual } if expected == wrong && actual == digest
        );
        let reference = Reference::Digest(digest.clone());
        assert!(repository.manifests().get(&reference).await.is_err(), "it was refused");
        let stored = put(repository.manifests(), reference.clone(), &data).await;
        assert_eq!(stored, ManifestPut { digest, subject: None, tags: Vec::new() });
        assert_manifest(&*repository, &reference, &data).await;
        assert!(repository.manifests().get(&Reference::Digest(wrong)).await.is_err(), "it was refused");
    }
    let listed = repository.tags().list(&page(None, None)).await.expect("the tags are listed");
    assert_eq!((listed.items, listed.more), (vec![], false));
}

async fn tag_moves(bench: Bench) {
    let repository = bench.repository("a");
    for number in [0, 1, 0] {
        let data = empty_index(number);
        for _ in 0..2 {
            put(repository.manifests(), by_tag(ANY_TAG), &data).await;
            assert_manifest(&*repository, &by_tag(ANY_TAG), &data).await;
        }
    }
    for number in [0, 1] {
        let data = empty_index(number);
        assert_manifest(&*repository, &Reference::Digest(digest_of(&data)), &data).await;
    }
}

async fn several_tags(bench: Bench) {
    let repository = bench.repository("a");
    put(repository.manifests(), by_tag("b"), &empty_index(0)).await;
    let data = empty_index(1);
    let digest = digest_of(&data);
    let tags = vec![tag("c"), tag("b"), tag("a.long_tag-with_everything")];
    let request = PutManifest { tags: tags.clone(), ..new_manifest(Reference::Digest(digest.clone()), &data) };
    let mut stored = repository.manifests().put(request).await.expect("the manifest is put");
    stored.tags.sort();
    let mut sorted = tags.clone();
    sorted.sort();
    assert_eq!(stored, ManifestPut { digest: digest.clone(), subject: None, tags: sorted });
    for reference in tags.into_iter().map(Reference::Tag).chain([Reference::Digest(digest)]) {
        assert_manifest(&*repository, &reference, &data).await;
    }
}

async fn unknown(bench: Bench) {
    let held = bench.repository("held");
    push(&*held, &pattern(1, 100)).await;
    let data = empty_index(0);
    let digest = put(bench.repository("another").manifests(), by_tag(ANY_TAG), &data).await.digest;
    for reference in [by_tag(ANY_TAG), Reference::Digest(digest)] {
        let told = [held.manifests().get(&reference).await.map(drop), held.manifests().delete(&reference).await];
        for told in told {
            assert_fails!(told, RegistryError::ManifestUnknown(text) if text == reference.to_string());
        }
        let nowhere = bench.repository("nowhere");
        assert_fails!(nowhere.manifests().get(&reference).await, RegistryError::NameUnknown);
        assert_fails!(nowhere.manifests().delete(&reference).await, RegistryError::NameUnknown);
    }
}

async fn invalid(bench: Bench) {
    let repository = bench.repository("a");
    let index = Some(ManifestType::OciIndex);
    for (text, kind) in [
        ("", index),
        ("no JSON", index),
        ("[]", index),
        (r#"{"manifests":[]}"#, index),
        (r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:00"}]}"#, index),
        (r#"{"schemaVersion":2,"manifests":[]}"#, Some(ManifestType::OciImage)),
    ] {
        let media_type = kind.map(|kind| kind.as_str().to_owned());
        let request = PutManifest { media_type, ..new_manifest(by_tag(ANY_TAG), &text.into()) };
        let told = repository.manifests().put(request).await;
        let Err(RegistryError::ManifestInvalid(cause)) = told else { panic!("{text}: {told:?}") };
        assert!(!cause.is_empty());
        assert!(repository.manifests().get(&by_tag(ANY_TAG)).await.is_err(), "{text}");
    }
}

async fn references(bench: Bench) {
    let repository = bench.repository("a");
    let (config, layers) = (pattern(1, 10), [pattern(2, 20), pattern(3, 30)]);
    push(&*repository, &config).await;
    push(&*repository, &layers[0]).await;
    let layer = "application/vnd.oci.image.layer.v1.tar";
    let image = bytes_of(&json!({
        "schemaVersion": 2,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": layers.each_ref().map(|data| descriptor(layer, data)),
    }));
    let missing = digest_of(&layers[1]);
    let refused = repository.manifests().put(new_manifest(by_tag(ANY_TAG), &image)).await;
    assert_fails!(refused, RegistryError::ManifestBlobUnknown(digests) if digests == [missing.clone()]);
    let index = bytes_of(&json!({
        "schemaVersion": 2,
        "manifests": [descriptor(ManifestType::OciImage.as_str(), &image)],
    }));
    let refused = repository.manifests().put(new_manifest(by_tag("index"), &index)).await;
    assert_fails!(refused, RegistryError::ManifestBlobUnknown(digests) if digests == [digest_of(&image)]);
    push(&*repository, &layers[1]).await;
    put(repository.manifests(), by_tag(ANY_TAG), &image).await;
    put(repository.manifests(), by_tag("index"), &index).await;
    assert_manifest(&*repository, &by_tag(ANY_TAG), &image).await;
    assert_manifest(&*repository, &by_tag("index"), &index).await;
}

/// Larger than any registry takes one; a manifest of 4 MiB is one that each should take.
async fn too_large(bench: Bench) {
    let repository = bench.repository("a");
    let padded = |size: usize| {
        let start = r#"{"schemaVersion":2,"manifests":[]"#;
        Bytes::from(format!("{start}{}}}", " ".repeat(size - start.len() - 1)))
    };
    let large = padded(4 << 20);
    put(repository.manifests(), by_tag("large"), &large).await;
    assert_manifest(&*repository, &by_tag("large"), &large).await;
    let refused = repository.manifests().put(new_manifest(by_tag("too-large"), &padded(20 << 20))).await;
    assert_fails!(
        refused,
        RegistryError::ManifestTooLarge { limit_bytes } if (4 << 20..20 << 20).contains(&limit_bytes)
    );
    assert_fails!(repository.manifests().get(&by_tag("too-large")).await, RegistryError::ManifestUnknown(_));
}

/// A repository with a manifest that has the tags `a` and `b`, and one that has `c`.
async fn tagged(bench: &Bench) -> (Box<dyn Repository>, Bytes, Digest) {
    let repository = bench.repository("a");
    let data = empty_index(0);
    for name in ["a", "b"] {
        put(repository.manifests(), by_tag(name), &data).await;
    }
    put(repository.manifests(), by_tag("c"), &empty_index(1)).await;
    let digest = digest_of(&data);
    (repository, data, digest)
}

async fn delete_by_tag(bench: Bench) {
    let (repository, data, digest) = tagged(&bench).await;
    repository.manifests().delete(&by_tag("a")).await.expect("the tag is deleted");
    assert_fails!(repository.manifests().get(&by_tag("a")).await, RegistryError::ManifestUnknown(text) if text == "a");
    assert_fails!(repository.manifests().delete(&by_tag("a")).await, RegistryError::ManifestUnknown(_));
    assert_manifest(&*repository, &by_tag("b"), &data).await;
    repository.manifests().delete(&by_tag("b")).await.expect("the tag is deleted");
    assert_manifest(&*repository, &Reference::Digest(digest), &data).await;
    let listed = repository.tags().list(&page(None, None)).await.expect("the tags are listed");
    assert_eq!(listed.items, [tag("c")]);
}

async fn delete_by_digest(bench: Bench) {
    let (repository, data, digest) = tagged(&bench).await;
    let reference = Reference::Digest(digest);
    repository.manifests().delete(&reference).await.expect("the manifest is deleted");
    for gone in [by_tag("a"), by_tag("b"), reference.clone()] {
        assert_fails!(repository.manifests().get(&gone).await, RegistryError::ManifestUnknown(_));
        assert_fails!(repository.manifests().delete(&gone).await, RegistryError::ManifestUnknown(_));
    }
    assert_manifest(&*repository, &by_tag("c"), &empty_index(1)).await;
    let listed = repository.tags().list(&page(None, None)).await.expect("the tags are listed");
    assert_eq!(listed.items, [tag("c")]);
    put(repository.manifests(), by_tag("b"), &data).await;
    assert_manifest(&*repository, &reference, &data).await;
    repository.manifests().delete(&by_tag("b")).await.expect("the tag is deleted");
}
