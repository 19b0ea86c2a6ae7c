use futures_util::FutureExt;

use super::*;
use crate::storage::StorageErrorKind;
use crate::storage::adapters::{Fault, Faulty, Meter, Operation};

#[actix::test]
async fn an_empty_upload_becomes_the_empty_blob() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    assert_eq!(commit(&upload, &sha256(b"")).await.unwrap(), 0);
    assert_eq!(stored(&driver, &sha256(b"")).await, Bytes::new());
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn a_wrong_digest_keeps_the_data_for_the_right_one() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let content = content(100_000);
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content.clone()).await.unwrap();
    let refused = writer.commit(&sha256(b"something else")).await;
    assert!(matches!(refused, Err(UploadError::DigestMismatch { .. })), "{refused:?}");
    assert_eq!(offset(&upload).await, 100_000);
    assert!(blobs(&driver).stat_global(&sha256(b"something else")).await.unwrap().is_none());
    assert_eq!(commit(&upload, &sha256(&content)).await.unwrap(), 100_000);
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn a_digest_of_another_algorithm_is_made_by_reading_once_more() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let content = content(3_000_000);
    write(&upload, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    commit(&upload, &sha512(&content)).await.unwrap();
    assert_eq!(stored(&driver, &sha512(&content)).await, content);
    let (upload, _) = engine.begin(&repository(), Algorithm::Sha512, None).await.unwrap();
    write(&upload, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    commit(&upload, &sha512(&content)).await.unwrap();
    assert_no_upload_left(&driver, &engine).await;
}

/// An upload's life before and after another process takes it over.
struct InOneBatch {
    driver: SharedDriver,
    meter: Meter,
    upload: UploadHandle,
    committed: Result<u64, UploadError>,
}

/// Pushes `content` by one body that is committed at once; of the objects that it puts, the one of this number fails:
/// first comes the record, then the blob, then the link.
///
/// On a busy machine the commit may come so late after the body that its bytes were written already: then again.
async fn in_one_batch(content: &Bytes, failing: Option<u64>) -> InOneBatch {
    for _ in 0..100 {
        let driver = memory();
        let faulty = Faulty::new(driver.clone());
        let meter = Meter::new(Arc::new(faulty.clone()), &crate::telemetry::Metrics::unregistered());
        let upload = begin(&engine(&(Arc::new(meter.clone()) as SharedDriver))).await;
        if let Some(failing) = failing {
            faulty.inject(Fault::fail(StorageErrorKind::Fault).at(Operation::Put).nth(failing));
        }
        let mut writer = upload.write(options(Start::Current)).await.unwrap();
        writer.send(content.clone()).await.unwrap();
        let committed = writer.commit(&sha256(content)).await;
        if meter.calls_of(Operation::CreatePartial) == 0 {
            return InOneBatch { driver, meter, upload, committed };
        }
    }
    panic!("the body was never committed in one batch");
}

#[actix::test]
async fn a_blob_in_one_batch_is_two_calls_and_never_a_partial() {
    let content = content(100_000);
    let pushed = in_one_batch(&content, None).await;
    assert_eq!(pushed.committed.unwrap(), 100_000);
    assert_eq!(pushed.meter.calls_of(Operation::Apply), 2, "one to begin, one for the rest");
    assert_eq!(stored(&pushed.driver, &sha256(&content)).await, content);
    assert_no_upload_left(&pushed.driver, &engine(&pushed.driver)).await;
}

#[actix::test]
async fn a_commit_in_one_batch_that_fails_anywhere_can_be_asked_for_again() {
    for failing in 1..=4 {
        let faulty = Faulty::new(memory());
        let driver: SharedDriver = Arc::new(faulty.clone());
        let engine = engine(&driver);
        let upload = begin(&engine).await;
        let content = content(10_000);
        faulty.inject(Fault::fail(StorageErrorKind::Fault).nth(failing));
        let mut committed = Err(UploadError::Died);
        for _ in 0..3 {
            let Ok(mut writer) = upload.write(options(Start::Replay(0))).await else { continue };
            if writer.send(content.clone()).await.is_ok() {
                committed = writer.commit(&sha256(&content)).await;
            }
            if committed.is_ok() {
                break;
            }
        }
        assert_eq!(committed.unwrap(), 10_000, "call {failing}");
        assert_eq!(stored(&driver, &sha256(&content)).await, content);
        assert_no_upload_left(&driver, &engine).await;
    }
}

#[actix::test]
async fn a_blob_in_one_batch_that_died_behind_publishing_needs_no_byte_again() {
    let content = content(10_000);
    let digest = sha256(&content);
    // The record and the blob are put; the link is not.
    let InOneBatch { driver, upload, committed, .. } = in_one_batch(&content, Some(3)).await;
    committed.unwrap_err();
    assert_eq!(blobs(&driver).stat(&repository(), &digest).await.unwrap(), None);
    let upload = engine(&driver).upload(&repository(), upload.id());
    assert_eq!(offset(&upload).await, 10_000);
    assert_eq!(commit(&upload, &digest).await.unwrap(), 10_000);
    assert_eq!(blobs(&driver).stat(&repository(), &digest).await.unwrap(), Some(10_000));
}

#[actix::test]
async fn a_blob_in_one_batch_that_died_before_publishing_begins_again() {
    let content = content(10_000);
    let InOneBatch { driver, upload, committed, .. } = in_one_batch(&content, Some(2)).await;
    committed.unwrap_err();
    let upload = engine(&driver).upload(&repository(), upload.id());
    assert_eq!(offset(&upload).await, 0);
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content.clone()).await.unwrap();
    assert_eq!(writer.commit(&sha256(&content)).await.unwrap(), 10_000);
}

#[actix::test]
async fn many_pushes_of_one_digest_all_succeed() {
    let driver = memory();
    let engine = engine(&driver);
    let content = content(300_000);
    let pushes = (0..16).map(|_| {
        let (engine, content) = (engine.clone(), content.clone());
        async move {
            let upload = begin(&engine).await;
            let mut writer = upload.write(options(Start::Current)).await.unwrap();
            writer.send(content.clone()).await.unwrap();
            writer.commit(&sha256(&content)).await
        }
    });
    for size in futures_util::future::join_all(pushes).await {
        assert_eq!(size.unwrap(), 300_000);
    }
    assert_eq!(stored(&driver, &sha256(&content)).await, content);
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn a_commit_goes_on_when_its_client_leaves() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let content = content(1_000_000);
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content.clone()).await.unwrap();
    let digest = sha256(&content);
    while offset(&upload).await < 1_000_000 {
        tokio::task::yield_now().await;
    }
    {
        let mut leaving = Box::pin(writer.commit(&digest));
        assert!(leaving.as_mut().now_or_never().is_none());
    }
    while engine.live_uploads() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(blobs(&driver).stat(&repository(), &digest).await.unwrap(), Some(1_000_000));
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn puts_of_one_digest_to_one_upload_get_one_answer() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let content = content(2_000_000);
    write(&upload, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    let digest = sha256(&content);
    let answers = futures_util::future::join_all((0..4).map(|_| commit(&upload, &digest))).await;
    for answer in answers {
        // Whoever comes after the end is told so, and finds the blob linked.
        match answer {
            Ok(size) => assert_eq!(size, 2_000_000),
            Err(error) => assert!(matches!(error, UploadError::Unknown), "{error}"),
        }
    }
    assert_eq!(blobs(&driver).stat(&repository(), &digest).await.unwrap(), Some(2_000_000));
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn a_commit_reads_no_byte_again() {
    let raw = memory();
    let meter = Meter::new(raw.clone(), &Metrics::unregistered());
    let driver: SharedDriver = Arc::new(meter.clone());
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let content = content(3_000_000);
    write(&upload, Start::Current, &[content.slice(..1_000_000)]).await.unwrap();
    write(&upload, Start::Current, &[content.slice(1_000_000..)]).await.unwrap();
    commit(&upload, &sha256(&content)).await.unwrap();
    assert_eq!(meter.read_bytes(), 0);
    assert_eq!(stored(&raw, &sha256(&content)).await, content);
}
