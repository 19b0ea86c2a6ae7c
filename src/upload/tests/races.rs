//! Requests that meet each other at a storage call which hangs.

use futures_util::FutureExt;

use super::*;
use crate::oci::UploadId;
use crate::storage::adapters::{Fault, Faulty, Gate, Operation};

/// An engine over a store whose calls of one kind hang, from the n-th on, until the gate is opened.
fn hanging(raw: &SharedDriver, operation: Operation, nth: u64) -> (Engine, Gate, Faulty) {
    let faulty = Faulty::new(raw.clone());
    let gate = Gate::new();
    faulty.inject(Fault::hang(&gate).at(operation).nth(nth).times(u64::MAX));
    let shared: SharedDriver = Arc::new(faulty.clone());
    (engine(&shared), gate, faulty)
}

#[actix::test]
async fn an_upload_whose_client_left_before_it_knew_the_id_goes() {
    let raw = memory();
    let (engine, gate, _) = hanging(&raw, Operation::Put, 1);
    let repository = repository();
    {
        let mut leaving = Box::pin(engine.begin(&repository, Algorithm::Sha256, None));
        assert!(leaving.as_mut().now_or_never().is_none());
        gate.reached(1).await;
    }
    gate.release();
    while engine.live_uploads() > 0 {
        tokio::task::yield_now().await;
    }
    assert_no_upload_left(&raw, &engine).await;
}

/// An upload that is not there is found so at once; nobody's question gets lost by that, and no actor stays.
#[actix::test]
async fn an_upload_that_is_not_there_is_unknown_to_all_who_ask_at_once() {
    let raw = memory();
    let clock: crate::clock::SharedClock = Arc::new(SystemClock);
    let engine = Engine::start(EngineOptions { clock: clock.clone(), ..engine_options(&raw, NEVER) });
    let without_uploads = Arc::strong_count(&clock);
    for _ in 0..200 {
        let upload = engine.upload(&repository(), UploadId::random());
        let (status, cancelled, claimed) =
            tokio::join!(upload.status(), upload.cancel(), upload.write(options(Start::Current)));
        assert!(matches!(status, Err(UploadError::Unknown)), "{status:?}");
        assert!(matches!(cancelled, Err(UploadError::Unknown)), "{cancelled:?}");
        assert!(matches!(claimed.map(drop), Err(UploadError::Unknown)));
    }
    let upload = begin(&engine).await;
    commit(&upload, &sha256(b"")).await.unwrap();
    while Arc::strong_count(&clock) > without_uploads {
        tokio::task::yield_now().await;
    }
}

/// A question under a foreign name does not make the upload unknown to its owner.
#[actix::test]
async fn an_upload_is_found_while_it_is_looked_for_in_another_repository() {
    let raw = memory();
    let before = engine(&raw);
    let upload = begin(&before).await;
    let (engine, gate, _) = hanging(&raw, Operation::Get, 1);
    let other = engine.upload(&"library/other".parse().unwrap(), upload.id());
    let stranger = actix::spawn(async move { other.status().await });
    gate.reached(1).await;
    let upload = engine.upload(&repository(), upload.id());
    let owner = actix::spawn(async move { upload.status().await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.release();
    assert_eq!(owner.await.unwrap().unwrap().offset, 0);
    assert!(matches!(stranger.await.unwrap(), Err(UploadError::Unknown)));
}

#[actix::test]
async fn a_status_is_answered_while_a_write_hangs() {
    let raw = memory();
    let (engine, gate, _) = hanging(&raw, Operation::Append, 1);
    let upload = begin(&engine).await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content(10)).await.unwrap();
    gate.reached(1).await;
    assert_eq!(offset(&upload).await, 0);
    gate.release();
    assert_eq!(writer.finish().await.unwrap(), 10);
}

#[actix::test]
async fn a_cancel_waits_for_a_commit_and_comes_too_late() {
    let raw = memory();
    let (engine, gate, _) = hanging(&raw, Operation::Publish, 1);
    let upload = begin(&engine).await;
    let content = content(100_000);
    write(&upload, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    let digest = sha256(&content);
    let (committing, cancelling) = (upload.clone(), upload.clone());
    let committed = actix::spawn(async move { commit(&committing, &digest).await });
    gate.reached(1).await;
    let cancelled = actix::spawn(async move { cancelling.cancel().await });
    assert_eq!(offset(&upload).await, 100_000);
    gate.release();
    assert_eq!(committed.await.unwrap().unwrap(), 100_000);
    assert!(matches!(cancelled.await.unwrap(), Err(UploadError::Unknown)));
    assert_eq!(blobs(&raw).stat(&repository(), &sha256(&content)).await.unwrap(), Some(100_000));
    assert_no_upload_left(&raw, &engine).await;
}

/// What was told to be unknown must stay so, also if the process dies just then.
#[actix::test]
async fn an_upload_is_unknown_only_once_it_is_removed() {
    let raw = memory();
    let (engine, gate, _) = hanging(&raw, Operation::DeleteAll, 1);
    let upload = begin(&engine).await;
    let discard = WriteOptions { discard_on_cut: true, ..options(Start::Current) };
    let mut single_post = upload.write(discard).await.unwrap();
    single_post.send(content(1_000)).await.unwrap();
    drop(single_post);
    gate.reached(1).await;
    let (asking, claiming) = (upload.clone(), upload.clone());
    let status = actix::spawn(async move { asking.status().await });
    let claimed = actix::spawn(async move { claiming.write(options(Start::Current)).await.map(drop) });
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        assert!(!status.is_finished() && !claimed.is_finished());
    }
    assert!(is_there(&raw, &upload).await);
    gate.release();
    assert!(matches!(status.await.unwrap(), Err(UploadError::Unknown)));
    assert!(matches!(claimed.await.unwrap(), Err(UploadError::Unknown)));
    assert_no_upload_left(&raw, &engine).await;
}

#[actix::test]
async fn the_writer_of_a_cancelled_upload_is_told_once_it_is_removed() {
    let raw = memory();
    let (engine, gate, faulty) = hanging(&raw, Operation::DeleteAll, 1);
    let upload = begin(&engine).await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content(1_000)).await.unwrap();
    let cancelling = upload.clone();
    let cancelled = actix::spawn(async move { cancelling.cancel().await });
    gate.reached(1).await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        assert!(writer.lost().now_or_never().is_none());
    }
    faulty.clear();
    gate.release();
    cancelled.await.unwrap().unwrap();
    assert!(matches!(writer.lost().await, UploadError::Unknown));
    assert_no_upload_left(&raw, &engine).await;
}

#[actix::test]
async fn a_drain_waits_for_a_commit() {
    let raw = memory();
    let (engine, gate, _) = hanging(&raw, Operation::Publish, 1);
    let upload = begin(&engine).await;
    let content = content(100_000);
    write(&upload, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    let digest = sha256(&content);
    let committed = actix::spawn(async move { commit(&upload, &digest).await });
    gate.reached(1).await;
    let draining = engine.clone();
    let drained = actix::spawn(async move { draining.drain().await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!drained.is_finished());
    gate.release();
    drained.await.unwrap();
    assert_eq!(committed.await.unwrap().unwrap(), 100_000);
    assert_no_upload_left(&raw, &engine).await;
}

/// Two PUTs of one digest at once: the later one joins the commit of the first, body and all.
#[actix::test]
async fn a_put_that_meets_a_running_commit_gets_its_answer() {
    let raw = memory();
    let (engine, gate, _) = hanging(&raw, Operation::Publish, 1);
    let upload = begin(&engine).await;
    let content = content(100_000);
    write(&upload, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    let digest = sha256(&content);
    let first = {
        let (upload, digest) = (upload.clone(), digest.clone());
        actix::spawn(async move { commit(&upload, &digest).await })
    };
    gate.reached(1).await;
    let with_digest = WriteOptions { digest: Some(digest.clone()), ..options(Start::Replay(0)) };
    let mut second = upload.write(with_digest).await.unwrap();
    second.send(content).await.unwrap();
    let second = {
        let digest = digest.clone();
        actix::spawn(async move { second.commit(&digest).await })
    };
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!second.is_finished());
    gate.release();
    assert_eq!(first.await.unwrap().unwrap(), 100_000);
    match second.await.unwrap() {
        Ok(size) => assert_eq!(size, 100_000),
        // The commit ended before the question arrived: the blob is the answer.
        Err(error) => assert!(matches!(error, UploadError::Unknown), "{error}"),
    }
}

#[actix::test]
async fn a_claim_whose_client_left_holds_nobody_up() {
    let raw = memory();
    let (engine, gate, _) = hanging(&raw, Operation::Append, 1);
    let upload = begin(&engine).await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content(10)).await.unwrap();
    gate.reached(1).await;
    {
        let mut leaving = Box::pin(upload.write(options(Start::Current)));
        assert!(leaving.as_mut().now_or_never().is_none());
    }
    let newcomer = {
        let upload = upload.clone();
        actix::spawn(async move { write(&upload, Start::Current, &[content(5)]).await })
    };
    gate.release();
    assert_eq!(writer.finish().await.unwrap(), 10);
    // Nobody takes over in this engine: the right of the one who left was given back.
    assert_eq!(newcomer.await.unwrap().unwrap(), 15);
}

/// The bytes of the writer that was taken over from do not land behind those of the new one.
#[actix::test]
async fn a_writer_that_hangs_in_the_store_is_not_taken_over() {
    let raw = memory();
    let faulty = Faulty::new(raw.clone());
    let gate = Gate::new();
    faulty.inject(Fault::hang(&gate).at(Operation::Append));
    let shared: SharedDriver = Arc::new(faulty);
    let engine = engine_that_takes_over_after(&shared, Duration::from_millis(20));
    let upload = begin(&engine).await;
    let content = content(1_000);
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content.slice(..500)).await.unwrap();
    gate.reached(1).await;
    let refused = upload.write(options(Start::Current)).await.map(drop);
    assert!(matches!(refused, Err(UploadError::Busy { .. })), "{refused:?}");
    gate.release();
    writer.send(content.slice(500..)).await.unwrap();
    assert_eq!(writer.commit(&sha256(&content)).await.unwrap(), 1_000);
    assert_eq!(stored(&raw, &sha256(&content)).await, content);
}
