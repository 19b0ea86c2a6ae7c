use bytes::Bytes;
use futures_util::TryStreamExt;

use super::*;
use crate::client::testing::{Reply, ScriptedTransport, Seen, builder, client, digest_of, fail, reply};
use crate::client::transport::TransportErrorKind;
use crate::client::{ClientError, RetryPolicy};

const DATA: &[u8] = b"0123456789";

fn name() -> RepositoryName {
    "a".parse().unwrap()
}

async fn fetch(
    transport: &std::sync::Arc<ScriptedTransport>,
    range: Option<Range<u64>>,
) -> Result<(Range<u64>, u64, Vec<u8>), ClientError> {
    let download = client(transport).repository(&name()).fetch_blob(&digest_of(DATA), range).await?;
    let (range, size_bytes) = (download.range, download.size_bytes);
    let pieces: Vec<Bytes> = download.stream.try_collect().await?;
    Ok((range, size_bytes, pieces.concat()))
}

/// Serves ranges as it should.
fn part(seen: &Seen) -> Reply {
    let Some((first, last)) = seen.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    else {
        return reply(200).body(DATA);
    };
    let (first, last) = (first.parse::<usize>().unwrap(), last.parse::<usize>().map_or(9, |last| last.min(9)));
    if first > 9 {
        return reply(416).header("content-range", "bytes */10");
    }
    reply(206).header("content-range", &format!("bytes {first}-{last}/10")).body(&DATA[first..=last])
}

#[tokio::test]
async fn a_blob_is_fetched_whole_and_in_parts() {
    for (range, expected) in [
        (None, 0..10),
        (Some(0..10), 0..10),
        (Some(3..5), 3..5),
        (Some(3..99), 3..10),
        (Some(9..u64::MAX), 9..10),
        (Some(5..5), 5..5),
        (Some(10..12), 10..10),
        (Some(99..100), 10..10),
    ] {
        let transport = ScriptedTransport::answering(part);
        let told = fetch(&transport, range).await.unwrap();
        assert_eq!(told, (expected.clone(), 10, DATA[expected.start as usize..expected.end as usize].to_vec()));
    }
}

#[tokio::test]
async fn a_registry_that_knows_no_ranges_is_read_to_the_part() {
    let transport = ScriptedTransport::answering(|_| reply(200).body(DATA));
    assert_eq!(fetch(&transport, Some(3..5)).await.unwrap(), (3..5, 10, b"34".to_vec()));
    assert_eq!(fetch(&transport, Some(12..15)).await.unwrap(), (10..10, 10, Vec::new()));
}

#[tokio::test]
async fn a_fetch_that_breaks_goes_on_where_it_broke() {
    let transport = ScriptedTransport::replies([
        reply(200).header("content-length", "10").body("0123").broken(),
        fail(TransportErrorKind::Connect),
        // Ends too soon without saying so.
        reply(206).header("content-range", "bytes 4-9/10").header("content-length", "6").body("45"),
        reply(206).header("content-range", "bytes 6-9/*").body("6789"),
    ]);
    assert_eq!(fetch(&transport, None).await.unwrap().2, DATA);
    let asked: Vec<Option<String>> =
        transport.seen().iter().map(|seen| seen.header("range").map(str::to_owned)).collect();
    assert_eq!(
        asked,
        [None, Some("bytes=4-9"), Some("bytes=4-9"), Some("bytes=6-9")].map(|range| range.map(str::to_owned))
    );
}

#[tokio::test]
async fn it_goes_on_from_the_start_of_a_registry_that_knows_no_ranges() {
    let transport = ScriptedTransport::replies([
        reply(200).header("content-length", "10").body("0123").broken(),
        reply(200).body(DATA),
    ]);
    assert_eq!(fetch(&transport, None).await.unwrap().2, DATA);
}

#[tokio::test]
async fn a_fetch_that_gets_no_further_ends() {
    let transport = ScriptedTransport::answering(|_| reply(200).header("content-length", "10").broken());
    let (builder, _) = builder("registry.example", &transport);
    let client = builder.retries(RetryPolicy { attempts: 3, ..RetryPolicy::default() }).build().unwrap();
    let download = client.repository(&name()).fetch_blob(&digest_of(DATA), None).await.unwrap();
    let error = download.stream.try_collect::<Vec<Bytes>>().await.unwrap_err();
    assert!(matches!(error.failure(), Failure::Transport(_)), "{error}");
    assert_eq!(transport.seen().len(), 3);
}

#[tokio::test]
async fn wrong_bytes_are_told_at_the_end() {
    let transport = ScriptedTransport::answering(|_| reply(200).body("012345678X"));
    let error = fetch(&transport, None).await.unwrap_err();
    let Failure::DigestMismatch { expected, actual } = error.failure() else { panic!("{error}") };
    assert_eq!((expected, actual), (&digest_of(DATA), &digest_of(b"012345678X")));
    // Also when they come after a break.
    let transport = ScriptedTransport::replies([
        reply(200).header("content-length", "10").body("0123").broken(),
        reply(206).header("content-range", "bytes 4-9/10").body("45678X"),
    ]);
    assert!(matches!(fetch(&transport, None).await.unwrap_err().failure(), Failure::DigestMismatch { .. }));
}

#[tokio::test]
async fn another_part_than_was_asked_for_is_told() {
    for content_range in ["bytes 4-9/10", "bytes 2-1/10", "nonsense"] {
        let transport =
            ScriptedTransport::answering(move |_| reply(206).header("content-range", content_range).body("xx"));
        let error = fetch(&transport, Some(3..5)).await.unwrap_err();
        assert!(matches!(error.failure(), Failure::Answer(_)), "{error}");
    }
    let grown = ScriptedTransport::replies([
        reply(200).header("content-length", "10").body("0123").broken(),
        reply(206).header("content-range", "bytes 4-9/11").body("456789"),
    ]);
    assert!(matches!(fetch(&grown, None).await.unwrap_err().failure(), Failure::Answer(_)));
}

#[tokio::test]
async fn an_endless_blob_is_bounded_by_its_size() {
    let transport = ScriptedTransport::answering(|seen| match seen.method {
        Method::HEAD => reply(200).header("content-length", "10"),
        _ => {
            let mut endless = reply(200).header("content-length", "").body("01234").endless();
            endless = endless.header("x-test", "no length");
            endless
        }
    });
    let error = fetch(&transport, None).await.unwrap_err();
    assert!(matches!(error.failure(), Failure::Answer(_)), "{error}");
}

#[tokio::test]
async fn the_size_of_a_blob_is_told_or_that_there_is_none() {
    let transport =
        ScriptedTransport::replies([reply(200).header("content-length", "10"), reply(404), reply(200), reply(403)]);
    let repository = client(&transport).repository(&name());
    let digest = digest_of(DATA);
    assert_eq!(repository.blob_size(&digest).await.unwrap(), Some(10));
    assert_eq!(repository.blob_size(&digest).await.unwrap(), None);
    assert!(matches!(repository.blob_size(&digest).await.unwrap_err().failure(), Failure::Answer(_)));
    assert_eq!(repository.blob_size(&digest).await.unwrap_err().status(), Some(StatusCode::FORBIDDEN));
    assert_eq!(transport.lines()[0], format!("HEAD https://registry.example/v2/a/blobs/{digest}"));
}

#[tokio::test]
async fn a_mount_is_one_or_an_upload() {
    let digest = digest_of(DATA);
    let transport = ScriptedTransport::replies([
        reply(201).header("docker-content-digest", &digest.to_string()),
        reply(202).header("location", "/v2/a/blobs/uploads/1?x=y"),
        reply(202),
        reply(200),
        reply(201).header("docker-content-digest", &digest_of(b"other").to_string()),
    ]);
    let repository = client(&transport).repository(&name());
    let from = "b/c".parse().unwrap();
    let mount = || repository.mount_blob(&digest, Some(&from));
    assert!(matches!(mount().await.unwrap(), Mount::Mounted));
    let Mount::Upload(upload) = repository.mount_blob(&digest, None).await.unwrap() else { panic!("it is mounted") };
    assert_eq!(upload.location(), "https://registry.example/v2/a/blobs/uploads/1?x=y");
    assert!(matches!(mount().await.unwrap_err().failure(), Failure::Answer(_)));
    assert!(matches!(mount().await.unwrap_err().failure(), Failure::Answer(_)));
    assert!(matches!(mount().await.unwrap_err().failure(), Failure::DigestMismatch { .. }));
    let escaped = digest.to_string().replace(':', "%3A");
    assert_eq!(
        transport.lines()[..2],
        [
            format!("POST https://registry.example/v2/a/blobs/uploads/?mount={escaped}&from=b%2Fc"),
            format!("POST https://registry.example/v2/a/blobs/uploads/?mount={escaped}"),
        ]
    );
}
