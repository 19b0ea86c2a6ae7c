use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, join_all, select};

use super::support::{
    Bench, assert_blob, begin, body_at, digest_of, eventually, in_time, pattern, push, stands_at, start, write,
};
use super::{Case, assert_fails, case};
use crate::services::{RegistryError, StartPoint, Upload, UploadWriter, WriteRequest};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("an upload that is being written is busy", busy),
        case!("a newer writer takes over from a silent one", takeover),
        case!("cancelling an upload ends its writer", cancelled_while_written),
        case!("a body that is the last one follows a commit of the same digest", following),
        case!("many uploads of one blob give one blob", one_blob),
    ]
}

/// How often the busy writer says something, which is far more often than a silent one would.
const PIECE_EVERY: Duration = Duration::from_millis(5);

/// A machine that does something else for a second makes any writer a silent one, which is no fault of the registry: so
/// there is more than one try.
const TRIES: usize = 5;

async fn busy(bench: Bench) {
    let repository = bench.repository("a");
    for _ in 0..TRIES {
        let upload = start(&*repository).await;
        let newer = repository.uploads().resume(upload.id()).await.expect("the upload is there");
        let mut writer = upload.write(body_at(StartPoint::Current)).await.expect("the right is given");
        let writing = Box::pin(write_on(&mut *writer));
        let data = Bytes::from_static(b"newer");
        let contending = Box::pin(async {
            eventually("the arrival of a piece", async || stands_at(&*newer).await > 0).await;
            write(&*newer, body_at(StartPoint::Current), &data).await
        });
        let was_refused = match in_time("an answer", select(contending, writing)).await {
            Either::Left((Err(RegistryError::Busy { retry_after }), _)) => {
                assert!(retry_after > Duration::ZERO);
                true
            }
            Either::Left((told, _)) => {
                assert!(told.is_ok(), "{told:?}");
                false
            }
            Either::Right((lost, contending)) => {
                assert!(matches!(lost, RegistryError::Superseded), "{lost:?}");
                contending.await.expect("who took over writes");
                false
            }
        };
        if was_refused {
            let kept = writer.finish().await.expect("the body is kept");
            assert_eq!(stands_at(&*upload).await, kept);
            let digest = digest_of(&vec![b'o'; kept as usize]);
            assert_eq!(upload.commit(&digest).await.expect("nobody else wrote to it"), kept);
            return;
        }
        upload.cancel().await.expect("the upload is cancelled");
    }
    panic!("a writer that was not silent was taken over {TRIES} times");
}

/// Sends a byte again and again until that fails.
async fn write_on(writer: &mut dyn UploadWriter) -> RegistryError {
    loop {
        if let Err(error) = writer.send(Bytes::from_static(b"o")).await {
            return error;
        }
        tokio::time::sleep(PIECE_EVERY).await;
    }
}

async fn takeover(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, 3000);
    let upload = start(&*repository).await;
    let newer = repository.uploads().resume(upload.id()).await.expect("the upload is there");
    // The newer one's upload is not the silent one's to discard.
    let request = WriteRequest { discard_on_cut: true, ..body_at(StartPoint::Current) };
    let mut silent = begin(&*upload, request, &[data.slice(..1000)]).await.expect("the body is written");
    eventually("the arrival of a piece", async || stands_at(&*upload).await == 1000).await;
    let next = data.slice(1000..2000);
    let taking_over = write(&*newer, body_at(StartPoint::Exactly(1000)), &next);
    assert_eq!(in_time("the takeover", taking_over).await.expect("the newer one writes"), 2000);
    assert_fails!(Err::<(), _>(in_time("the loss", silent.lost()).await), RegistryError::Superseded);
    assert_fails!(silent.finish().await, RegistryError::Superseded);
    assert_eq!(write(&*upload, body_at(StartPoint::Exactly(2000)), &data.slice(2000..)).await.expect("kept"), 3000);
    let digest = digest_of(&data);
    assert_eq!(newer.commit(&digest).await.expect("the upload is committed"), 3000);
    assert_blob(&*repository, &digest, &data).await;
}

async fn cancelled_while_written(bench: Bench) {
    let repository = bench.repository("a");
    let upload = start(&*repository).await;
    let mut writer =
        begin(&*upload, body_at(StartPoint::Current), &[pattern(1, 1000)]).await.expect("the body is written");
    eventually("the arrival of a piece", async || stands_at(&*upload).await == 1000).await;
    upload.cancel().await.expect("the upload is cancelled");
    let lost = in_time("the loss", writer.lost()).await;
    assert!(matches!(lost, RegistryError::Superseded | RegistryError::UploadUnknown), "{lost:?}");
    assert_fails!(writer.finish().await, RegistryError::Superseded | RegistryError::UploadUnknown);
    assert_fails!(upload.status().await, RegistryError::UploadUnknown);
}

/// Each of them sends the whole body as the last one. Whoever is not first waits, takes over where the other broke off, or
/// follows its commit.
async fn following(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, 1_000_000);
    let digest = digest_of(&data);
    let first = start(&*repository).await;
    let mut uploads = vec![];
    for _ in 0..3 {
        uploads.push(repository.uploads().resume(first.id()).await.expect("the upload is there"));
    }
    write(&*first, body_at(StartPoint::Current), &data.slice(..500_000)).await.expect("the body is kept");
    let commit = async |upload: &dyn Upload| {
        let last = WriteRequest {
            length: Some(data.len() as u64),
            digest: Some(digest.clone()),
            ..body_at(StartPoint::Replay(0))
        };
        begin(upload, last, std::slice::from_ref(&data)).await?.commit(&digest).await
    };
    let commit_at_last = async |upload: &dyn Upload| loop {
        match commit(upload).await {
            // On a slow machine.
            Err(RegistryError::Busy { .. } | RegistryError::Superseded) => {}
            // It came when the commit was through.
            Err(RegistryError::UploadUnknown) => return upload.commit(&digest).await,
            told => return told,
        }
    };
    let telling = join_all(uploads.iter().map(|upload| commit_at_last(&**upload)));
    for told in in_time("the commits", telling).await {
        assert_eq!(told.expect("the upload is committed"), data.len() as u64);
    }
    assert_blob(&*repository, &digest, &data).await;
}

async fn one_blob(bench: Bench) {
    let repository = bench.repository("a");
    let data = pattern(1, 500_000);
    let digests = join_all((0..6).map(|_| push(&*repository, &data))).await;
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    assert_blob(&*repository, &digests[0], &data).await;
}
