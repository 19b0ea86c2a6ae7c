use super::*;
use crate::client::testing::{Reply, ScriptedTransport, client, digest_of, fail, reply};
use crate::client::transport::TransportErrorKind;

const LOCATION: &str = "/v2/a/blobs/uploads/9c4b3c5e-6d7f-4a1b-8c2d-3e4f5a6b7c8d?_state=a%2Fb%3D";
const URL: &str = "https://registry.example/v2/a/blobs/uploads/9c4b3c5e-6d7f-4a1b-8c2d-3e4f5a6b7c8d?_state=a%2Fb%3D";

fn started(replies: impl IntoIterator<Item = Reply>) -> (Arc<ScriptedTransport>, RepositoryClient) {
    let begun = reply(202).header("location", LOCATION).header("range", "0-0").header("oci-chunk-min-length", "5");
    let transport = ScriptedTransport::replies([begun].into_iter().chain(replies));
    let repository = client(&transport).repository(&"a".parse().unwrap());
    (transport, repository)
}

async fn start(repository: &RepositoryClient) -> UploadSession {
    repository.start_upload(Algorithm::Sha256).await.unwrap()
}

#[tokio::test]
async fn each_request_goes_where_the_last_answer_said() {
    let digest = digest_of(b"0123456789");
    let (transport, repository) = started([
        reply(202).header("location", "/v2/a/blobs/uploads/x?_state=2").header("range", "0-3"),
        reply(202).header("location", "https://store.example/y?_state=3").header("range", "bytes=0-9"),
        reply(201).header("docker-content-digest", &digest.to_string()),
    ]);
    let session = start(&repository).await;
    assert_eq!(session.location(), URL);
    assert_eq!(session.id().to_string(), "9c4b3c5e-6d7f-4a1b-8c2d-3e4f5a6b7c8d");
    assert_eq!(session.chunk_min_bytes(), 5);
    assert_eq!(session.append_chunk(0, Bytes::from("0123")).await.unwrap(), 4);
    let rest = futures_util::stream::iter([Ok(Bytes::from("456789"))]);
    assert_eq!(session.append_stream(4, None, Box::pin(rest)).await.unwrap(), 10);
    session.commit(&digest).await.unwrap();
    let escaped = digest.to_string().replace(':', "%3A");
    assert_eq!(
        transport.lines(),
        [
            "POST https://registry.example/v2/a/blobs/uploads/".to_owned(),
            format!("PATCH {URL}"),
            "PATCH https://registry.example/v2/a/blobs/uploads/x?_state=2".to_owned(),
            format!("PUT https://store.example/y?_state=3&digest={escaped}"),
        ]
    );
    let seen = transport.seen();
    assert_eq!(seen[1].header("content-range"), Some("0-3"));
    assert_eq!((seen[2].header("content-range"), &seen[2].body[..]), (None, &b"456789"[..]));
}

#[tokio::test]
async fn what_begins_no_upload_is_told() {
    let answers: [fn() -> Reply; 5] = [
        || reply(202),
        || reply(202).header("location", "ftp://registry.example/x"),
        || reply(202).header("location", &"x".repeat(20_000)),
        || reply(201).header("location", LOCATION),
        || reply(200).body("<html>"),
    ];
    for answer in answers {
        let transport = ScriptedTransport::replies([answer()]);
        let started = client(&transport).repository(&"a".parse().unwrap()).start_upload(Algorithm::Sha512).await;
        assert!(matches!(started.unwrap_err().failure(), Failure::Answer(_)));
        assert!(transport.lines()[0].ends_with("/uploads/?digest-algorithm=sha512"));
    }
}

#[tokio::test]
async fn ids_are_of_the_address_or_of_a_header() {
    let id = "9c4b3c5e-6d7f-4a1b-8c2d-3e4f5a6b7c8d";
    let named = reply(202).header("location", "/x").header("docker-upload-uuid", id);
    let transport = ScriptedTransport::replies([named]);
    let repository = client(&transport).repository(&"a".parse().unwrap());
    assert_eq!(start(&repository).await.id().to_string(), id);
    let reopened = repository.open_upload(URL).unwrap();
    assert_eq!((reopened.id().to_string().as_str(), reopened.location().as_str()), (id, URL));
    for location in ["ftp://x/y", "", &"x".repeat(20_000)] {
        assert!(repository.open_upload(location).is_err() || location.is_empty(), "{location}");
    }
}

#[tokio::test]
async fn what_it_holds_is_told() {
    let status = |range: &str| reply(204).header("range", range);
    let (_, repository) = started([
        status("0-99"),
        status("0-0").header("location", "/v2/a/blobs/uploads/x?offset=1"),
        status("0-0").header("location", "/v2/a/blobs/uploads/x?offset=0"),
        status("0-0").header("location", "/v2/a/blobs/uploads/x"),
        reply(204),
        status("5-9"),
    ]);
    let session = start(&repository).await;
    assert_eq!(session.held().await.unwrap(), (100, true));
    assert_eq!(session.held().await.unwrap(), (1, true));
    assert_eq!(session.held().await.unwrap(), (0, true));
    assert_eq!(session.held().await.unwrap(), (0, false));
    assert!(matches!(session.offset().await.unwrap_err().failure(), Failure::Answer(_)));
    assert!(matches!(session.offset().await.unwrap_err().failure(), Failure::Answer(_)));
}

#[tokio::test]
async fn an_acknowledgement_of_more_than_was_sent_is_a_lie() {
    let (_, repository) = started([reply(202).header("range", "0-9"), reply(202).header("range", "0-1")]);
    let session = start(&repository).await;
    let error = session.append_chunk(0, Bytes::from("0123")).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::Answer(_)), "{error}");
    // One of less is told as it is.
    assert_eq!(session.append_chunk(0, Bytes::from("0123")).await.unwrap(), 2);
}

#[tokio::test]
async fn a_position_of_nothing_or_one_byte_is_what_was_sent() {
    let zero = || reply(202).header("range", "0-0");
    let (transport, repository) = started([zero(), zero(), zero(), reply(202)]);
    let session = start(&repository).await;
    assert_eq!(session.append_chunk(0, Bytes::new()).await.unwrap(), 0);
    assert_eq!(session.append_chunk(0, Bytes::from("0")).await.unwrap(), 1);
    assert_eq!(session.append_chunk(1, Bytes::from("123")).await.unwrap(), 0);
    assert_eq!(session.append_chunk(1, Bytes::from("123")).await.unwrap(), 4);
    assert_eq!(transport.seen()[1].header("content-range"), None);
}

#[tokio::test]
async fn a_body_is_not_sent_again_where_it_may_have_arrived() {
    let (transport, repository) = started([
        reply(429).header("retry-after", "1"),
        fail(TransportErrorKind::Connect),
        fail(TransportErrorKind::Reset),
        reply(503),
    ]);
    let session = start(&repository).await;
    session.append_chunk(0, Bytes::from("0123")).await.unwrap_err();
    assert_eq!(transport.seen().len(), 4);
    session.append_chunk(0, Bytes::from("0123")).await.unwrap_err();
    assert_eq!(transport.seen().len(), 5);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_by_its_blob() {
    let digest = digest_of(b"0123");
    let known = || reply(200).header("content-length", "4");
    let (_, repository) = started([fail(TransportErrorKind::Reset), reply(404), known()]);
    start(&repository).await.commit(&digest).await.unwrap();
    let (_, repository) = started([reply(404), reply(404)]);
    assert!(start(&repository).await.commit(&digest).await.unwrap_err().is_not_found());
    // A refusal is one, whatever else is there.
    let (transport, repository) = started([reply(400)]);
    start(&repository).await.commit(&digest).await.unwrap_err();
    assert_eq!(transport.seen().len(), 2);
}

#[tokio::test]
async fn a_commit_that_names_another_digest_is_told() {
    let digest = digest_of(b"0123");
    let other = digest_of(b"other").to_string();
    let (_, repository) = started([reply(201).header("docker-content-digest", &other), reply(204)]);
    let error = start(&repository).await.commit(&digest).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::DigestMismatch { .. }), "{error}");
    let (_, repository) = started([reply(204)]);
    let error = start(&repository).await.commit(&digest).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::Answer(_)), "{error}");
}

#[tokio::test]
async fn a_cancelled_upload_may_be_gone() {
    let (transport, repository) = started([reply(204), reply(404), reply(405)]);
    let session = start(&repository).await;
    session.cancel().await.unwrap();
    session.cancel().await.unwrap();
    session.cancel().await.unwrap_err();
    assert_eq!(transport.lines()[1], format!("DELETE {URL}"));
}

#[test]
fn its_address_is_not_shown() {
    let transport = ScriptedTransport::replies([]);
    let session = client(&transport).repository(&"a".parse().unwrap()).open_upload(URL).unwrap();
    assert!(!format!("{session:?}").contains("state"));
}
