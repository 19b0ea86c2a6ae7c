use serde_json::{Value, json};

use super::*;
use crate::client::testing::{Reply, ScriptedTransport, client, digest_of as digest, fail, reply};
use crate::client::transport::TransportErrorKind;
use crate::services::{PageRequest, ReferrersRequest};

const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

fn repository(transport: &std::sync::Arc<ScriptedTransport>) -> RepositoryClient {
    client(transport).repository(&"a".parse().unwrap())
}

fn put(reference: &str) -> PutManifest {
    PutManifest {
        reference: reference.parse().unwrap(),
        tags: Vec::new(),
        media_type: None,
        data: Bytes::from_static(INDEX.as_bytes()),
        precondition: Precondition::None,
    }
}

fn told(digest: &Digest) -> Reply {
    reply(200).header("docker-content-digest", &digest.to_string())
}

#[tokio::test]
async fn a_manifest_is_of_the_digest_that_is_told_and_asked_for() {
    let right = digest(INDEX.as_bytes());
    let by_tag = "v1".parse().unwrap();
    let by_digest = Reference::Digest(right.clone());
    let typed = |reply: Reply| reply.header("content-type", &format!("{INDEX_TYPE}; charset=utf-8")).body(INDEX);
    for reference in [&by_tag, &by_digest] {
        for answer in [told(&right), reply(200)] {
            let transport = ScriptedTransport::replies([typed(answer)]);
            let manifest = repository(&transport).manifest(reference).await.unwrap();
            assert_eq!((manifest.digest, manifest.media_type.as_str()), (right.clone(), INDEX_TYPE));
            assert_eq!(manifest.data, INDEX);
            assert!(transport.seen()[0].header("accept").unwrap().contains(INDEX_TYPE));
        }
        let transport = ScriptedTransport::replies([typed(told(&digest(b"other")))]);
        let error = repository(&transport).manifest(reference).await.unwrap_err();
        assert!(matches!(error.failure(), Failure::DigestMismatch { .. }), "{error}");
    }
    let transport = ScriptedTransport::replies([reply(200).body("other")]);
    let error = repository(&transport).manifest(&by_digest).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::DigestMismatch { .. }), "{error}");
}

#[tokio::test]
async fn an_endless_manifest_is_bounded() {
    let transport = ScriptedTransport::replies([reply(200).body(vec![b' '; 1 << 20]).endless()]);
    let error = repository(&transport).manifest(&"v1".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn what_is_told_of_a_manifest_may_have_to_be_fetched() {
    let right = digest(INDEX.as_bytes());
    let info = ManifestInfo { digest: right.clone(), media_type: INDEX_TYPE.into(), size_bytes: INDEX.len() as u64 };
    let complete = told(&right).header("content-type", INDEX_TYPE).header("content-length", &INDEX.len().to_string());
    let transport = ScriptedTransport::replies([complete, reply(200), reply(200).body(INDEX), reply(404)]);
    let repository = repository(&transport);
    let reference = "v1".parse().unwrap();
    assert_eq!(repository.manifest_info(&reference).await.unwrap(), Some(info.clone()));
    assert_eq!(repository.manifest_info(&reference).await.unwrap(), Some(info));
    assert_eq!(repository.manifest_info(&reference).await.unwrap(), None);
}

#[tokio::test]
async fn a_push_says_type_tags_and_condition() {
    let right = digest(INDEX.as_bytes());
    let transport = ScriptedTransport::answering({
        let right = right.clone();
        move |_| reply(201).header("docker-content-digest", &right.to_string()).header("oci-tag", "v1")
    });
    let repository = repository(&transport);
    let by_digest = PutManifest { tags: vec!["v1".parse().unwrap()], ..put(&right.to_string()) };
    let stored = repository.put_manifest(&by_digest).await.unwrap();
    assert_eq!((stored.digest, stored.tags), (right.clone(), by_digest.tags.clone()));
    for (precondition, header, value) in [
        (Precondition::IsNew, "if-none-match", "*".to_owned()),
        (Precondition::Exists, "if-match", "*".to_owned()),
        (Precondition::PointsAt(vec![right.clone(), right.clone()]), "if-match", format!("\"{right}\", \"{right}\"")),
        (Precondition::PointsAt(Vec::new()), "if-match", "\"\"".to_owned()),
    ] {
        repository.put_manifest(&PutManifest { precondition, ..put("v1") }).await.unwrap();
        assert_eq!(transport.seen().last().unwrap().header(header), Some(value.as_str()));
    }
    let seen = transport.seen();
    assert_eq!(seen[0].line(), format!("PUT https://registry.example/v2/a/manifests/{right}?tag=v1"));
    assert_eq!(seen[0].header("content-type"), Some(INDEX_TYPE));
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn tags_that_are_not_taken_beside_a_digest_are_pushed_one_by_one() {
    let transport = ScriptedTransport::answering(|_| reply(201));
    let right = digest(INDEX.as_bytes());
    let request = PutManifest { tags: vec!["v1".parse().unwrap(), "v2".parse().unwrap()], ..put(&right.to_string()) };
    assert_eq!(repository(&transport).put_manifest(&request).await.unwrap().tags, request.tags);
    assert!(transport.lines()[1].ends_with("/v2/a/manifests/v1") && transport.lines()[2].ends_with("/manifests/v2"));
}

#[tokio::test]
async fn a_push_that_is_stored_as_something_else_is_told() {
    let other = digest(b"other").to_string();
    let transport = ScriptedTransport::replies([reply(201).header("docker-content-digest", &other)]);
    let error = repository(&transport).put_manifest(&put("v1")).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::DigestMismatch { .. }), "{error}");
}

#[tokio::test]
async fn the_tag_of_the_path_is_told_whether_the_registry_tells_it_or_not() {
    let answers = [reply(201), reply(201).header("oci-tag", "v1")];
    let transport = ScriptedTransport::replies(answers);
    for _ in 0..2 {
        let stored = repository(&transport).put_manifest(&put("v1")).await.unwrap();
        assert_eq!(stored.tags, ["v1".parse().unwrap()]);
    }
}

fn referrers_request(limit: Option<usize>, last: Option<&str>, artifact_type: Option<&str>) -> ReferrersRequest {
    ReferrersRequest {
        subject: digest(b"subject"),
        artifact_type: artifact_type.map(str::to_owned),
        page: PageRequest { limit, last: last.map(str::to_owned) },
    }
}

fn entry(number: u8, artifact_type: &str) -> Value {
    json!({"digest": format!("sha256:{}", number.to_string().repeat(64)), "size": 1, "artifactType": artifact_type})
}

#[tokio::test]
async fn referrers_of_all_pages_are_sorted_filtered_and_paged() {
    let transport = ScriptedTransport::answering(|seen| match seen.url.contains("page=2") {
        false => {
            let page = json!({"manifests": [entry(3, "x"), entry(1, "x"), entry(4, "y")]});
            reply(200).header("link", "<?page=2>; rel=\"next\"").body(page.to_string())
        }
        true => reply(200).body(json!({"manifests": [entry(2, "x"), entry(1, "x")]}).to_string()),
    });
    let repository = repository(&transport);
    let list = async |limit, last: Option<&str>, artifact_type| {
        let found = repository.referrers(&referrers_request(limit, last, artifact_type)).await.unwrap();
        let numbers: Vec<String> =
            found.items.iter().map(|entry| entry["digest"].as_str().unwrap()[7..8].to_owned()).collect();
        (numbers.concat(), found.more)
    };
    assert_eq!(list(None, None, None).await, ("1234".to_owned(), false));
    assert_eq!(list(None, None, Some("x")).await, ("123".to_owned(), false));
    assert_eq!(list(Some(2), None, Some("x")).await, ("12".to_owned(), true));
    let last = format!("sha256:{}", "2".repeat(64));
    assert_eq!(list(Some(2), Some(&last), None).await, ("34".to_owned(), false));
    assert!(transport.lines().iter().any(|line| line.contains("?artifactType=x")));
}

#[tokio::test]
async fn referrers_stand_under_a_tag_where_there_is_no_api() {
    let tag = format!("sha256-{}", digest(b"subject").hex());
    let index = json!({"schemaVersion": 2, "manifests": [entry(1, "x")]}).to_string();
    let transport = ScriptedTransport::replies([reply(404), reply(200).body(index), reply(404), reply(404)]);
    let repository = repository(&transport);
    let request = referrers_request(None, None, None);
    assert_eq!(repository.referrers(&request).await.unwrap().items.len(), 1);
    assert!(repository.referrers(&request).await.unwrap().items.is_empty());
    assert!(transport.lines()[1].ends_with(&format!("/v2/a/manifests/{tag}")));
}

#[tokio::test]
async fn what_is_no_list_of_referrers_is_told() {
    for body in ["", r#"{"manifests":[{"size":1}]}"#, r#"{"manifests":[{"digest":"x"}]}"#] {
        let transport = ScriptedTransport::replies([reply(200).body(body)]);
        let error = repository(&transport).referrers(&referrers_request(None, None, None)).await.unwrap_err();
        assert!(matches!(error.failure(), Failure::Answer(_)), "{error}");
    }
}

#[tokio::test]
async fn a_subject_that_the_registry_does_not_know_of_is_listed_under_its_tag() {
    let subject = digest(b"subject");
    let data = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [], "artifactType": "a/b",
        "annotations": {"k": "v"},
        "subject": {"mediaType": INDEX_TYPE, "digest": subject.to_string(), "size": 7}});
    let data = Bytes::from(data.to_string());
    let request = PutManifest { data: data.clone(), ..put("v1") };
    let listed = json!({"schemaVersion": 2, "manifests": [entry(1, "x")]}).to_string();
    let transport = ScriptedTransport::replies([reply(201), reply(200).body(listed), reply(201)]);
    let stored = repository(&transport).put_manifest(&request).await.unwrap();
    assert_eq!(stored.subject, Some(subject.clone()));
    let seen = transport.seen();
    assert!(seen[2].line().starts_with("PUT ") && seen[2].url.ends_with(&format!("/sha256-{}", subject.hex())));
    let index: Value = serde_json::from_slice(&seen[2].body).unwrap();
    assert_eq!(index["manifests"][0], entry(1, "x"));
    assert_eq!(
        index["manifests"][1],
        json!({"mediaType": INDEX_TYPE, "digest": digest(&data).to_string(), "size": data.len(),
            "artifactType": "a/b", "annotations": {"k": "v"}})
    );
    // One that does know says so, and nothing more is to be done.
    let knows = reply(201).header("oci-subject", &subject.to_string());
    let transport = ScriptedTransport::replies([knows]);
    assert_eq!(repository(&transport).put_manifest(&request).await.unwrap().subject, Some(subject));
}

#[tokio::test]
async fn a_push_under_a_condition_is_not_repeated_when_it_may_be_done() {
    // The first one was stored, and its answer lost: the second would be refused because of the first.
    let stored = std::sync::atomic::AtomicBool::new(false);
    let transport =
        ScriptedTransport::answering(move |_| match stored.swap(true, std::sync::atomic::Ordering::SeqCst) {
            false => fail(TransportErrorKind::Reset),
            true => reply(412),
        });
    let request = PutManifest { precondition: Precondition::IsNew, ..put("v1") };
    let error = repository(&transport).put_manifest(&request).await.unwrap_err();
    assert!(error.is_passing() && error.status().is_none(), "{error}");

    // What was refused before anything was done is tried again.
    let right = digest(INDEX.as_bytes());
    let transport = ScriptedTransport::replies([reply(429), told(&right)]);
    assert_eq!(repository(&transport).put_manifest(&request).await.unwrap().digest, right);
}
