use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::join;

use super::support::{Bench, assert_blob, begin, body_at, digest_by, digest_of, pattern, stands_at, start, write};
use super::{Case, assert_fails, case};
use crate::oci::{Algorithm, UploadId};
use crate::services::{RegistryError, StartPoint, Upload, WriteRequest};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("an upload starts empty", starts_empty),
        case!("bodies are written one after the other, and then committed", several_bodies),
        case!("a body can be the last one", last_body),
        case!("an empty blob needs no body", empty_blob),
        case!("the digest decides about the algorithm, whatever the start said", algorithms),
        case!("a wrong digest is told, and the upload stays", wrong_digest),
        case!("a commit that is asked for again gives the same answer", commit_again),
        case!("an upload is found again by its id", resume),
        case!("there is no upload of another id, or of another repository", unknown),
        case!("an upload is found again by its ticket, also in another process", reopen),
        case!("what is no ticket of the repository finds nothing", no_ticket),
        case!("a cancelled upload is gone", cancel),
    ]
}

async fn starts_empty(bench: Bench) {
    let repository = bench.repository("a");
    let asked_at = SystemTime::now();
    let (upload, another) = (start(&*repository).await, start(&*repository).await);
    assert_ne!(upload.id(), another.id());
    let status = upload.status().await.expect("the upload is there");
    assert_eq!((status.id, status.offset), (upload.id(), 0));
    if let Some(started_at) = status.started_at {
        let hour = Duration::from_secs(3600);
        assert!(started_at > asked_at - hour && started_at < asked_at + hour, "{started_at:?}");
    }
    for upload in [upload, another] {
        upload.cancel().await.expect("the upload is cancelled");
    }
}

async fn several_bodies(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, 3_000_000);
    let upload = start(&*repository).await;
    let mut from = 0;
    for (to, says_length) in [(1, true), (1, false), (1000, false), (2_500_000, true), (3_000_000, false)] {
        let body = data.slice(from..to);
        let length = says_length.then_some(body.len() as u64);
        let pieces: Vec<Bytes> = body.chunks(70_000).map(|piece| body.slice_ref(piece)).collect();
        let request = WriteRequest { length, ..body_at(StartPoint::Current) };
        let writer = begin(&*upload, request, &pieces).await.expect("the body is written");
        assert_eq!(writer.finish().await.expect("the body is kept"), to as u64);
        assert_eq!(stands_at(&*upload).await, to as u64);
        from = to;
    }
    let digest = digest_of(&data);
    assert_fails!(repository.blobs().stat(&digest).await, RegistryError::BlobUnknown(_));
    assert_eq!(upload.commit(&digest).await.expect("the upload is committed"), 3_000_000);
    assert_blob(&*repository, &digest, &data).await;
    assert_fails!(upload.status().await, RegistryError::UploadUnknown);
}

async fn last_body(bench: Bench) {
    let repository = bench.repository("a");
    for (seed, says_length, says_digest) in [(1, true, true), (2, true, false), (3, false, true), (4, false, false)] {
        let data = pattern(seed, 200_000);
        let digest = digest_of(&data);
        let upload = start(&*repository).await;
        let (first, last) = (data.slice(..1000), data.slice(1000..));
        assert_eq!(write(&*upload, body_at(StartPoint::Current), &first).await.expect("it is kept"), 1000);
        let request = WriteRequest {
            length: says_length.then_some(last.len() as u64),
            digest: says_digest.then(|| digest.clone()),
            ..body_at(StartPoint::Exactly(1000))
        };
        let writer = begin(&*upload, request, &[last]).await.expect("the body is written");
        assert_eq!(writer.commit(&digest).await.expect("the upload is committed"), 200_000);
        assert_blob(&*repository, &digest, &data).await;
        assert_fails!(upload.status().await, RegistryError::UploadUnknown);
    }
}

async fn empty_blob(bench: Bench) {
    let digest = digest_of(b"");
    for name in ["a", "b", "c"] {
        let repository = bench.repository(name);
        let upload = start(&*repository).await;
        let request = WriteRequest { digest: Some(digest.clone()), ..body_at(StartPoint::Current) };
        let committed = match name {
            "a" => upload.commit(&digest).await,
            "b" => upload.write(request).await.expect("the right is given").commit(&digest).await,
            _ => {
                let request = WriteRequest { length: Some(0), ..request };
                upload.write(request).await.expect("the right is given").commit(&digest).await
            }
        };
        assert_eq!(committed.expect("the upload is committed"), 0, "{name}");
        assert_blob(&*repository, &digest, &Bytes::new()).await;
    }
}

async fn algorithms(bench: Bench) {
    let repository = bench.repository("a");
    let mut seed = 0;
    for said in Algorithm::ALL {
        for algorithm in Algorithm::ALL {
            seed += 1;
            let data = pattern(seed, 100_000);
            let digest = digest_by(algorithm, &data);
            let upload = repository.uploads().start(said).await.expect("the upload is started");
            write(&*upload, body_at(StartPoint::Current), &data).await.expect("the body is kept");
            let wrong = digest_by(algorithm, b"");
            assert_fails!(
                upload.commit(&wrong).await,
                RegistryError::DigestMismatch { expected, actual } if expected == wrong && actual == digest
            );
            assert_eq!(upload.commit(&digest).await.expect("the upload is committed"), 100_000);
            assert_blob(&*repository, &digest, &data).await;
        }
    }
}

async fn wrong_digest(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, 2000);
    let (first, last) = (data.slice(..1000), data.slice(1000..));
    let (digest, wrong) = (digest_of(&data), digest_of(bench.folder().as_bytes()));
    let upload = start(&*repository).await;
    // With the body, and after it.
    let request = WriteRequest { length: Some(1000), digest: Some(wrong.clone()), ..body_at(StartPoint::Current) };
    let writer = begin(&*upload, request, std::slice::from_ref(&first)).await.expect("the body is written");
    for committed in [writer.commit(&wrong).await, upload.commit(&wrong).await] {
        assert_fails!(
            committed,
            RegistryError::DigestMismatch { expected, actual } if expected == wrong && actual == digest_of(&first)
        );
        assert_eq!(stands_at(&*upload).await, 1000);
        assert_fails!(repository.blobs().stat(&wrong).await, RegistryError::BlobUnknown(_));
    }
    assert_eq!(write(&*upload, body_at(StartPoint::Exactly(1000)), &last).await.expect("it is kept"), 2000);
    assert_eq!(upload.commit(&digest).await.expect("the upload is committed"), 2000);
    assert_blob(&*repository, &digest, &data).await;
}

async fn commit_again(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, 300_000);
    let digest = digest_of(&data);
    let upload = start(&*repository).await;
    write(&*upload, body_at(StartPoint::Current), &data).await.expect("the body is kept");
    let again = repository.uploads().resume(upload.id()).await.expect("the upload is there");
    let (one, other) = join(upload.commit(&digest), again.commit(&digest)).await;
    assert_eq!(one.expect("the upload is committed"), 300_000);
    assert_eq!(other.expect("the upload is committed"), 300_000);
    assert_eq!(upload.commit(&digest).await.expect("the upload was committed"), 300_000);
    assert_eq!(again.commit(&digest).await.expect("the upload was committed"), 300_000);
    assert_blob(&*repository, &digest, &data).await;
}

async fn resume(bench: Bench) {
    let data = pattern(1, 5000);
    let digest = digest_of(&data);
    let upload = start(&*bench.repository("a")).await;
    write(&*upload, body_at(StartPoint::Current), &data.slice(..2000)).await.expect("the body is kept");
    let repository = bench.repository_elsewhere("a");
    let found = repository.uploads().resume(upload.id()).await.expect("the upload is there");
    go_on(&*found, &data, 2000).await;
    assert_eq!(found.id(), upload.id());
    assert_blob(&*repository, &digest, &data).await;
}

/// Writes what is missing in an upload that holds `held` bytes, and commits it.
async fn go_on(upload: &dyn Upload, data: &Bytes, held: usize) {
    let status = upload.status().await.expect("the upload is there");
    assert_eq!((status.id, status.offset), (upload.id(), held as u64));
    let rest = data.slice(held..);
    let end = write(upload, body_at(StartPoint::Exactly(held as u64)), &rest).await.expect("the body is kept");
    assert_eq!(end, data.len() as u64);
    assert_eq!(upload.commit(&digest_of(data)).await.expect("the upload is committed"), end);
}

async fn unknown(bench: Bench) {
    let repository = bench.repository("a");
    let upload = start(&*bench.repository("another")).await;
    for id in [UploadId::random(), upload.id()] {
        match repository.uploads().resume(id).await {
            Err(error) => assert!(matches!(error, RegistryError::UploadUnknown), "{error:?}"),
            Ok(found) => assert_gone(&*found).await,
        }
    }
    assert_eq!(stands_at(&*upload).await, 0);
    upload.cancel().await.expect("the upload is cancelled");
}

/// Whatever is asked of it, there is no such upload.
async fn assert_gone(upload: &dyn Upload) {
    let data = pattern(1, 10);
    assert_fails!(upload.status().await, RegistryError::UploadUnknown);
    for start in [StartPoint::Current, StartPoint::Exactly(0), StartPoint::Replay(0)] {
        let request = WriteRequest { length: Some(10), ..body_at(start) };
        assert_fails!(write(upload, request, &data).await, RegistryError::UploadUnknown);
    }
    assert_fails!(upload.commit(&digest_of(b"nothing has this digest here")).await, RegistryError::UploadUnknown);
    assert_fails!(upload.cancel().await, RegistryError::UploadUnknown);
}

async fn reopen(bench: Bench) {
    let data = pattern(1, 5000);
    let upload = start(&*bench.repository("a")).await;
    write(&*upload, body_at(StartPoint::Current), &data.slice(..2000)).await.expect("the body is kept");
    let repository = bench.repository_elsewhere("a");
    let found = repository.uploads().reopen(&upload.ticket()).await.expect("the upload is there");
    assert_eq!(found.status().await.expect("the upload is there").offset, 2000);
    let found = repository.uploads().reopen(&found.ticket()).await.expect("the upload is there");
    go_on(&*found, &data, 2000).await;
    assert_blob(&*repository, &digest_of(&data), &data).await;
}

async fn no_ticket(bench: Bench) {
    let (repository, another) = (bench.repository("a"), bench.repository("another"));
    let (upload, gone) = (start(&*another).await, start(&*repository).await);
    gone.cancel().await.expect("the upload is cancelled");
    let longest = "x".repeat(100_000);
    for ticket in [&upload.ticket(), &gone.ticket(), "", "nothing", "/", "http://", "\u{0}\r\n", &longest] {
        match repository.uploads().reopen(ticket).await {
            Err(error) => assert!(matches!(error, RegistryError::UploadUnknown), "{error:?}"),
            Ok(found) => assert_gone(&*found).await,
        }
    }
    assert_eq!(stands_at(&*upload).await, 0);
    upload.cancel().await.expect("the upload is cancelled");
}

async fn cancel(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, 5000);
    for written in [0, 5000] {
        let upload = start(&*repository).await;
        let found = repository.uploads().resume(upload.id()).await.expect("the upload is there");
        if written > 0 {
            write(&*upload, body_at(StartPoint::Current), &data).await.expect("the body is kept");
        }
        found.cancel().await.expect("the upload is cancelled");
        assert_gone(&*upload).await;
        assert_gone(&*found).await;
        assert_fails!(upload.commit(&digest_of(&data)).await, RegistryError::UploadUnknown);
        assert_fails!(repository.blobs().stat(&digest_of(&data)).await, RegistryError::BlobUnknown(_));
    }
}
