use bytes::Bytes;

use super::support::{Bench, assert_blob, begin, body_at, digest_of, eventually, pattern, stands_at, start, write};
use super::{Case, assert_fails, case};
use crate::oci::Digest;
use crate::services::{RegistryError, Repository, StartPoint, Upload, WriteRequest};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("a body goes exactly where it says, or nowhere", exactly),
        case!("a body that is sent again counts once", replay),
        case!("a body that is sent again with other bytes changes nothing", replay_of_other_bytes),
        case!("what another has written meanwhile stays as it is", written_meanwhile),
        case!("a body that is shorter or longer than it said is told", wrong_length),
        case!("a body that is cut keeps what arrived", cut),
        case!("a writer that is dropped is a cut", dropped),
        case!("a cut ends an upload that was to be discarded", discarded),
        case!("a body that is not what it said ends such an upload", discarded_when_wrong),
        case!("a whole body ends no upload", not_discarded),
        case!("an upload tells where it stands while a body is written", status_while_writing),
    ]
}

const SIZE: usize = 3000;

/// An upload that holds the first `held` bytes of the pattern.
async fn holding(repository: &dyn Repository, held: usize) -> Box<dyn Upload> {
    let upload = start(repository).await;
    if held > 0 {
        let kept = write(&*upload, body_at(StartPoint::Current), &pattern(1, SIZE).slice(..held)).await;
        assert_eq!(kept.expect("the body is kept"), held as u64);
    }
    upload
}

/// Sends everything from `held` on (somebody may have got a little further), and commits.
async fn complete(repository: &dyn Repository, upload: &dyn Upload, held: u64) {
    let data = pattern(1, SIZE);
    let rest = data.slice(held as usize..);
    let end = write(upload, body_at(StartPoint::Replay(held)), &rest).await.expect("the body is kept");
    assert_eq!(end, SIZE as u64);
    let digest = digest_of(&data);
    assert_eq!(upload.commit(&digest).await.expect("the upload is committed"), end);
    assert_blob(repository, &digest, &data).await;
    repository.blobs().delete(&digest).await.expect("the blob is deleted");
}

async fn exactly(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, SIZE);
    for says_length in [true, false] {
        let upload = holding(&*repository, 0).await;
        for (held, wrong) in [(0, &[1, 3000][..]), (1000, &[0, 1, 999, 1001, 3000]), (2000, &[0, 1000, u64::MAX - 9])] {
            let body = data.slice(held..held + 1000);
            let length = says_length.then_some(1000);
            for wrong in wrong {
                let request = WriteRequest { length, ..body_at(StartPoint::Exactly(*wrong)) };
                assert_fails!(
                    write(&*upload, request, &body).await,
                    RegistryError::RangeNotSatisfiable { offset } if offset == held as u64
                );
                assert_eq!(stands_at(&*upload).await, held as u64);
            }
            let request = WriteRequest { length, ..body_at(StartPoint::Exactly(held as u64)) };
            assert_eq!(write(&*upload, request, &body).await.expect("the body is kept"), held as u64 + 1000);
        }
        complete(&*repository, &*upload, SIZE as u64).await;
    }
}

async fn replay(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, SIZE);
    for says_length in [true, false] {
        let upload = holding(&*repository, 1000).await;
        for (from, to, kept) in
            [(0, 1000, 1000), (0, 500, 1000), (200, 1200, 1200), (1200, 1300, 1300), (0, 1300, 1300)]
        {
            let body = data.slice(from..to);
            let length = says_length.then_some(body.len() as u64);
            let request = WriteRequest { length, ..body_at(StartPoint::Replay(from as u64)) };
            assert_eq!(write(&*upload, request, &body).await.expect("the body is kept"), kept, "{from} to {to}");
            assert_eq!(stands_at(&*upload).await, kept, "{from} to {to}");
        }
        let behind = WriteRequest { length: says_length.then_some(100), ..body_at(StartPoint::Replay(1301)) };
        assert_fails!(
            write(&*upload, behind, &data.slice(1301..1401)).await,
            RegistryError::RangeNotSatisfiable { offset: 1300 }
        );
        // Also as the last body.
        let digest = digest_of(&data);
        let length = says_length.then_some(SIZE as u64);
        let last = WriteRequest { length, digest: Some(digest.clone()), ..body_at(StartPoint::Replay(0)) };
        let writer = begin(&*upload, last, std::slice::from_ref(&data)).await.expect("the body is written");
        assert_eq!(writer.commit(&digest).await.expect("the upload is committed"), SIZE as u64);
        assert_blob(&*repository, &digest, &data).await;
        repository.blobs().delete(&digest).await.expect("the blob is deleted");
    }
}

/// What is kept stays as it is, and nothing gets the digest of the other bytes.
async fn replay_of_other_bytes(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, SIZE);
    for last in [false, true] {
        let upload = holding(&*repository, 1000).await;
        let mut other = data.slice(..1000).to_vec();
        other[500] ^= 1;
        let other = Bytes::from(other);
        let digest = digest_of(&other);
        let replay = WriteRequest { length: Some(1000), ..body_at(StartPoint::Replay(0)) };
        let told = match last {
            false => match write(&*upload, replay, &other).await {
                Ok(1000) => upload.commit(&digest).await,
                told => told,
            },
            true => replay_last(&*upload, replay, &other, &digest).await,
        };
        match told {
            Err(RegistryError::RangeNotSatisfiable { offset: 1000 }) => {}
            Err(RegistryError::DigestMismatch { expected, actual }) => {
                assert_eq!((expected, actual), (digest.clone(), digest_of(&data.slice(..1000))));
            }
            told => panic!("{told:?}"),
        }
        assert_fails!(repository.blobs().stat(&digest).await, RegistryError::BlobUnknown(_));
        assert_eq!(stands_at(&*upload).await, 1000);
        complete(&*repository, &*upload, 1000).await;
    }
}

async fn replay_last(
    upload: &dyn Upload,
    replay: WriteRequest,
    data: &Bytes,
    digest: &Digest,
) -> Result<u64, RegistryError> {
    let last = WriteRequest { digest: Some(digest.clone()), ..replay };
    begin(upload, last, std::slice::from_ref(data)).await?.commit(digest).await
}

async fn written_meanwhile(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, SIZE);
    let other_bytes = pattern(2, 1000);
    for says_length in [true, false] {
        for at in [StartPoint::Exactly(500), StartPoint::Replay(500), StartPoint::Current] {
            let upload = holding(&*repository, 500).await;
            let another = bench.repository_elsewhere("a").uploads().resume(upload.id()).await.expect("it is there");
            write(&*another, body_at(StartPoint::Exactly(500)), &data.slice(500..2000)).await.expect("it is kept");
            let request = WriteRequest { length: says_length.then_some(1000), ..body_at(at) };
            match (at, write(&*upload, request, &other_bytes).await) {
                (_, Err(RegistryError::RangeNotSatisfiable { offset: 2000 })) => {
                    assert_eq!(stands_at(&*upload).await, 2000);
                    complete(&*repository, &*upload, 2000).await;
                }
                // It was not compared, or appended: the digest is what tells.
                (StartPoint::Replay(_), Ok(2000)) | (StartPoint::Current, Ok(3000)) => {
                    let held = stands_at(&*upload).await;
                    let appended = [data.slice(..2000), other_bytes.slice(..held as usize - 2000)].concat();
                    let digest = digest_of(&appended);
                    assert_eq!(upload.commit(&digest).await.expect("the upload is committed"), held);
                    assert_blob(&*repository, &digest, &appended.into()).await;
                }
                (at, told) => panic!("{at:?}, length said: {says_length}: {told:?}"),
            }
        }
    }
}

async fn wrong_length(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, SIZE);
    for (said, sent) in [(1000, 999), (1000, 0), (1000, 1001), (1000, 2000), (0, 1)] {
        let upload = holding(&*repository, 500).await;
        let request = WriteRequest { length: Some(said), ..body_at(StartPoint::Current) };
        let told = write(&*upload, request, &data.slice(500..500 + sent)).await;
        let Err(RegistryError::SizeInvalid { offset }) = told else { panic!("{said} said, {sent} sent: {told:?}") };
        let sound = said.min(sent as u64);
        assert!((500..=500 + sound).contains(&offset), "{said} said, {sent} sent, {offset} told");
        complete(&*repository, &*upload, offset).await;
    }
    // Nor is it committed.
    let upload = holding(&*repository, 500).await;
    let digest = digest_of(&data);
    let request =
        WriteRequest { length: Some(SIZE as u64), digest: Some(digest.clone()), ..body_at(StartPoint::Current) };
    let writer = begin(&*upload, request, &[data.slice(500..)]).await.expect("the body is written");
    let told = writer.commit(&digest).await;
    let Err(RegistryError::SizeInvalid { offset }) = told else { panic!("{told:?}") };
    complete(&*repository, &*upload, offset).await;
}

async fn cut(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, SIZE);
    for says_length in [false, true] {
        let upload = holding(&*repository, 500).await;
        let length = says_length.then_some(2500);
        let request = WriteRequest { length, ..body_at(StartPoint::Current) };
        let pieces = [data.slice(500..700), data.slice(700..1700)];
        let writer = begin(&*upload, request, &pieces).await.expect("the body is written");
        let kept = writer.cut().await.expect("what arrived is kept");
        assert!((500..=1700).contains(&kept), "{kept}");
        // A body that need not have a certain length can be ended where it is cut.
        assert!(says_length || kept == 1700, "{kept}");
        assert!((kept..=1700).contains(&stands_at(&*upload).await));
        complete(&*repository, &*upload, kept).await;
    }
}

async fn dropped(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, SIZE);
    for says_length in [false, true] {
        let upload = holding(&*repository, 500).await;
        let request = WriteRequest { length: says_length.then_some(2500), ..body_at(StartPoint::Current) };
        drop(begin(&*upload, request, &[data.slice(500..1500)]).await.expect("the body is written"));
        let kept = stands_at(&*upload).await;
        assert!((500..=1500).contains(&kept), "{kept}");
        // Nobody writes any more: the next one need not wait until the writer counts as silent.
        complete(&*repository, &*upload, kept).await;
    }
}

async fn discarded(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, SIZE);
    for (is_dropped, says_length) in [(false, false), (false, true), (true, false), (true, true)] {
        let upload = holding(&*repository, 500).await;
        let length = says_length.then_some(2500);
        let request = WriteRequest { length, discard_on_cut: true, ..body_at(StartPoint::Current) };
        let writer = begin(&*upload, request, &[data.slice(500..1500)]).await.expect("the body is written");
        match is_dropped {
            false => assert_fails!(writer.cut().await, RegistryError::UploadUnknown),
            true => {
                drop(writer);
                eventually("the end of the upload", async || upload.status().await.is_err()).await;
            }
        }
        assert_fails!(upload.status().await, RegistryError::UploadUnknown);
        let found = repository.uploads().resume(upload.id()).await.expect("it is told later");
        assert_fails!(found.status().await, RegistryError::UploadUnknown);
    }
}

async fn discarded_when_wrong(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, SIZE);
    let wrong = digest_of(bench.folder().as_bytes());
    for says_digest in [true, false] {
        let upload = holding(&*repository, 500).await;
        let digest = says_digest.then(|| wrong.clone());
        let request = WriteRequest { digest, discard_on_cut: true, ..body_at(StartPoint::Current) };
        let writer = begin(&*upload, request, &[data.slice(500..)]).await.expect("the body is written");
        assert_fails!(
            writer.commit(&wrong).await,
            RegistryError::DigestMismatch { actual, .. } if actual == digest_of(&data)
        );
        assert_fails!(upload.status().await, RegistryError::UploadUnknown);
    }
    for sent in [999, 1001] {
        let upload = holding(&*repository, 500).await;
        let request = WriteRequest { length: Some(1000), discard_on_cut: true, ..body_at(StartPoint::Current) };
        let told = write(&*upload, request, &data.slice(500..500 + sent)).await;
        assert_fails!(told, RegistryError::SizeInvalid { offset: 0 });
        assert_fails!(upload.status().await, RegistryError::UploadUnknown);
    }
}

async fn not_discarded(bench: Bench) {
    let repository = bench.repository("a");
    let upload = holding(&*repository, 500).await;
    let request = WriteRequest { discard_on_cut: true, ..body_at(StartPoint::Current) };
    let kept = write(&*upload, request, &pattern(1, SIZE).slice(500..1500)).await;
    assert_eq!(kept.expect("the body is kept"), 1500);
    complete(&*repository, &*upload, 1500).await;
}

async fn status_while_writing(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, SIZE);
    let upload = start(&*repository).await;
    let mut writer = upload.write(body_at(StartPoint::Current)).await.expect("the right is given");
    for (from, to) in [(0, 1), (1, 1000), (1000, 3000)] {
        writer.send(data.slice(from..to)).await.expect("the piece is taken");
        eventually("the arrival of a piece", async || stands_at(&*upload).await == to as u64).await;
    }
    assert_eq!(writer.finish().await.expect("the body is kept"), SIZE as u64);
    complete(&*repository, &*upload, SIZE as u64).await;
}
