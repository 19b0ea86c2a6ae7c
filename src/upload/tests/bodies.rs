use super::*;
use crate::storage::adapters::{Fault, Faulty, Gate, Operation};

#[actix::test]
async fn a_body_in_many_pieces_is_kept_in_order() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let content = content(3_000_001);
    let pieces: Vec<Bytes> = content.chunks(7_919).map(Bytes::copy_from_slice).collect();
    assert_eq!(write(&upload, Start::Current, &pieces).await.unwrap(), 3_000_001);
    commit(&upload, &sha256(&content)).await.unwrap();
    assert_eq!(stored(&driver, &sha256(&content)).await, content);
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn a_resent_body_is_compared_and_not_appended_twice() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let content = content(1_500_000);
    let (first, longer) = (content.slice(..1_000_000), content.clone());
    assert_eq!(write(&upload, Start::Replay(0), std::slice::from_ref(&first)).await.unwrap(), 1_000_000);
    assert_eq!(write(&upload, Start::Replay(0), &[first.slice(..10)]).await.unwrap(), 1_000_000);
    assert_eq!(write(&upload, Start::Replay(0), &[first]).await.unwrap(), 1_000_000);
    assert_eq!(write(&upload, Start::Replay(0), &[longer]).await.unwrap(), 1_500_000);
    commit(&upload, &sha256(&content)).await.unwrap();
}

#[actix::test]
async fn a_resent_body_that_differs_is_refused_and_changes_nothing() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let content = content(1_000_000);
    write(&upload, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    let mut other = content.to_vec();
    other[999_999] ^= 1;
    other.extend_from_slice(b"more");
    let refused = write(&upload, Start::Replay(0), &[other.into()]).await;
    assert!(matches!(refused, Err(UploadError::RangeMismatch { offset: 1_000_000 })), "{refused:?}");
    assert_eq!(offset(&upload).await, 1_000_000);
    commit(&upload, &sha256(&content)).await.unwrap();
}

#[actix::test]
async fn a_range_that_does_not_follow_is_refused() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    write(&upload, Start::Exactly(0), &[content(100)]).await.unwrap();
    for start in [Start::Exactly(0), Start::Exactly(101), Start::Replay(101)] {
        let refused = write(&upload, start, &[content(10)]).await;
        assert!(matches!(refused, Err(UploadError::RangeMismatch { offset: 100 })), "{start:?}: {refused:?}");
    }
    assert_eq!(write(&upload, Start::Exactly(100), &[content(10)]).await.unwrap(), 110);
}

#[actix::test]
async fn every_byte_that_a_dropped_writer_took_is_kept() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let content = content(2_000_003);
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    for piece in content.chunks(100_000) {
        writer.send(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    drop(writer);
    // The next claim waits for the end of the cut one.
    assert_eq!(write(&upload, Start::Current, &[]).await.unwrap(), 2_000_003);
    commit(&upload, &sha256(&content)).await.unwrap();
}

#[actix::test]
async fn bytes_that_linger_are_handed_over_without_more_coming() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(Bytes::from_static(b"drip")).await.unwrap();
    while offset(&upload).await < 4 {
        tokio::task::yield_now().await;
    }
    writer.cut().await.unwrap();
}

#[actix::test]
async fn a_batch_that_is_not_full_ends_with_a_page_and_the_rest_follows() {
    let faulty = Faulty::new(memory());
    let gate = Gate::new();
    faulty.inject(Fault::hang(&gate).at(Operation::Append).nth(2));
    let driver: SharedDriver = Arc::new(faulty);
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content(10_000)).await.unwrap();
    gate.reached(1).await;
    assert_eq!(offset(&upload).await, 8192);
    gate.release();
    while offset(&upload).await < 10_000 {
        tokio::task::yield_now().await;
    }
    writer.cut().await.unwrap();
}

/// Where memory is scarce, a body whose batch is on its way takes one piece more, and no other.
#[actix::test]
async fn one_of_many_bodies_holds_one_batch() {
    let faulty = Faulty::new(memory());
    let gate = Gate::new();
    faulty.inject(Fault::hang(&gate).at(Operation::Append));
    let driver: SharedDriver = Arc::new(faulty);
    // As much as a hundred have of 10 MiB.
    let uploads = UploadsConfig { max_memory: 100 * 1024, ..no_policies() };
    let engine = Engine::start(EngineOptions { uploads, ..engine_options(&driver, NEVER) });
    let upload = begin(&engine).await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    for _ in 0..4 {
        writer.send(content(8 * 1024)).await.unwrap();
    }
    gate.reached(1).await;
    {
        let mut one_more = std::pin::pin!(writer.send(content(8 * 1024)));
        let taken = tokio::time::timeout(Duration::from_millis(300), &mut one_more).await;
        assert!(taken.is_err(), "a piece is taken while the batch before it is being written");
        gate.release();
        one_more.await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap(), 40 * 1024);
}

#[actix::test]
async fn a_newcomer_takes_a_silent_writer_over() {
    let driver = memory();
    let engine = engine_that_takes_over_after(&driver, Duration::from_millis(50));
    let upload = begin(&engine).await;
    let content = content(1_000);
    let mut silent = upload.write(options(Start::Current)).await.unwrap();
    silent.send(content.slice(..600)).await.unwrap();
    while offset(&upload).await < 600 {
        tokio::task::yield_now().await;
    }
    let mut newcomer = upload.write(options(Start::Exactly(600))).await.unwrap();
    assert!(matches!(silent.lost().await, UploadError::Superseded));
    let late = silent.send(Bytes::from_static(b"late bytes")).await;
    assert!(matches!(late, Err(UploadError::Superseded)), "{late:?}");
    newcomer.send(content.slice(600..)).await.unwrap();
    newcomer.commit(&sha256(&content)).await.unwrap();
    assert_eq!(stored(&driver, &sha256(&content)).await, content);
}

#[actix::test]
async fn a_newcomer_to_a_busy_upload_is_told_so() {
    let (driver, clock) = (memory(), manual_clock());
    let config = UploadsConfig { takeover_after: Duration::from_millis(200), ..no_policies() };
    let engine = engine_with(&driver, &clock, config);
    let upload = begin(&engine).await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    let newcomer = upload.clone();
    let newcomer = actix::spawn(async move { newcomer.write(options(Start::Current)).await.map(drop) });
    // Time goes on only with the bytes, so that the writer is never silent, however slow the machine is.
    let mut sent = 0;
    while !newcomer.is_finished() {
        writer.send(Bytes::from_static(b"still here")).await.unwrap();
        sent += 10;
        while offset(&upload).await < sent {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_millis(5));
    }
    assert!(matches!(newcomer.await.unwrap(), Err(UploadError::Busy { .. })));
    writer.finish().await.unwrap();
}

#[actix::test]
async fn a_body_that_is_shorter_or_longer_than_it_said_keeps_what_is_sound() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let short = WriteOptions { length: Some(10), ..options(Start::Current) };
    let mut writer = upload.write(short).await.unwrap();
    writer.send(content(4)).await.unwrap();
    let refused = writer.finish().await;
    assert!(matches!(refused, Err(UploadError::SizeMismatch { offset: 4 })), "{refused:?}");
    let long = WriteOptions { length: Some(3), ..options(Start::Current) };
    let mut writer = upload.write(long).await.unwrap();
    let refused = writer.send(content(4)).await;
    assert!(matches!(refused, Err(UploadError::SizeMismatch { offset: 7 })), "{refused:?}");
}

#[actix::test]
async fn a_cancel_ends_the_writer_and_leaves_nothing() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content(1_000_000)).await.unwrap();
    upload.cancel().await.unwrap();
    assert!(matches!(writer.lost().await, UploadError::Unknown));
    assert_no_upload_left(&driver, &engine).await;
    assert!(matches!(upload.status().await, Err(UploadError::Unknown)));
    assert!(matches!(upload.cancel().await, Err(UploadError::Unknown)));
}

#[actix::test]
async fn a_single_post_that_is_cut_leaves_nothing() {
    let driver = memory();
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let discard = WriteOptions { discard_on_cut: true, ..options(Start::Current) };
    let mut writer = upload.write(discard).await.unwrap();
    writer.send(content(100_000)).await.unwrap();
    assert!(matches!(writer.cut().await, Err(UploadError::Unknown)));
    assert_no_upload_left(&driver, &engine).await;
}
