//! Many bodies, of which each waits for its turn to receive.

use std::sync::Mutex;

use super::*;
use crate::hashing::RunningDigest;
use crate::storage::StorageErrorKind;
use crate::storage::adapters::{Fault, Faulty, Gate, Operation};

/// How long something is waited for that is not to happen.
const SHORT: Duration = Duration::from_millis(200);

/// An engine with memory for one turn at a time.
fn engine_with_one_turn(driver: &SharedDriver) -> Engine {
    engine_with_turns(driver, 1)
}

fn engine_with_turns(driver: &SharedDriver, turns: u64) -> Engine {
    let uploads = UploadsConfig { max_memory: turns << 19, ..no_policies() };
    Engine::start(EngineOptions { uploads, ..engine_options(driver, NEVER) })
}

async fn writers(engine: &Engine, count: usize) -> Vec<(UploadHandle, Writer)> {
    let mut writers = Vec::new();
    for _ in 0..count {
        let upload = begin(engine).await;
        let writer = upload.write(options(Start::Current)).await.unwrap();
        writers.push((upload, writer));
    }
    writers
}

/// Whether a turn is free for this writer now; if it is, it is passed.
async fn may_receive(writer: &mut Writer) -> bool {
    match tokio::time::timeout(SHORT, writer.turn()).await {
        Ok(turn) => {
            turn.unwrap();
            writer.end_turn(Vec::new()).await.unwrap();
            true
        }
        Err(_) => false,
    }
}

#[actix::test]
async fn turns_are_taken_where_there_are_more_bodies() {
    let engine = engine_with_one_turn(&memory());
    let mut writers = writers(&engine, 1).await;
    assert!(!writers[0].1.takes_turns());
    let (second, other) = (begin(&engine).await, begin(&engine).await);
    let mut more = second.write(options(Start::Current)).await.unwrap();
    assert!(more.takes_turns() && writers[0].1.takes_turns());
    // Whoever has no body is none of them.
    other.status().await.unwrap();
    more.send(content(10)).await.unwrap();
    assert_eq!(more.finish().await.unwrap(), 10);
    while writers[0].1.takes_turns() {
        tokio::task::yield_now().await;
    }
    writers[0].1.send(content(10)).await.unwrap();
}

#[actix::test]
async fn bodies_that_take_turns_come_whole_and_in_order() {
    let driver = memory();
    let engine = engine_with_one_turn(&driver);
    let bodies = (0..6_usize).map(|body| {
        let engine = engine.clone();
        actix::spawn(async move {
            let content = content(400_000).slice(body * 1_000..);
            let upload = begin(&engine).await;
            let mut writer = upload.write(options(Start::Current)).await.unwrap();
            let mut left = content.clone();
            for step in (1..).map(|round| (round * 7_919 * (body + 1)) % 150_000) {
                let room = writer.turn().await.unwrap();
                let mut received = left.split_to(step.min(room).min(left.len()));
                let first = received.split_to(received.len() / 3);
                writer.end_turn(vec![first, received]).await.unwrap();
                if left.is_empty() {
                    break;
                }
            }
            let digest = sha256(&content);
            writer.commit(&digest).await.unwrap();
            (digest, content)
        })
    });
    for body in futures_util::future::join_all(bodies).await {
        let (digest, content) = body.unwrap();
        assert_eq!(stored(&driver, &digest).await, content);
    }
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn a_turn_ends_when_its_bytes_are_hashed_and_written() {
    let faulty = Faulty::new(memory());
    let gate = Gate::new();
    faulty.inject(Fault::hang(&gate).at(Operation::Append));
    let driver: SharedDriver = Arc::new(faulty);
    let engine = engine_with_one_turn(&driver);
    let mut writers = writers(&engine, 2).await;
    let room = writers[0].1.turn().await.unwrap();
    writers[0].1.end_turn(vec![content(room / 2), content(room / 2)]).await.unwrap();
    gate.reached(1).await;
    assert!(!may_receive(&mut writers[1].1).await, "what was received is not written yet");
    gate.release();
    assert!(may_receive(&mut writers[1].1).await);
}

#[actix::test]
async fn a_turn_does_not_end_before_its_bytes_are_hashed() {
    let driver = memory();
    let (go_on, leave) = std::sync::mpsc::channel();
    let leave = Mutex::new(leave);
    let gated = move |digest: &mut RunningDigest, pieces: &[Bytes]| {
        leave.lock().unwrap().recv().unwrap();
        pieces.iter().for_each(|piece| digest.update(piece));
    };
    let uploads = UploadsConfig { max_memory: 1 << 19, ..no_policies() };
    let hashes = HashPool::start_with(1, Arc::new(gated)).unwrap();
    let engine = Engine::start(EngineOptions { uploads, hashes, ..engine_options(&driver, NEVER) });
    let mut writers = writers(&engine, 2).await;
    writers[0].1.turn().await.unwrap();
    writers[0].1.end_turn(vec![content(200_000)]).await.unwrap();
    assert!(!may_receive(&mut writers[1].1).await, "what was received is not hashed yet");
    go_on.send(()).unwrap();
    assert!(may_receive(&mut writers[1].1).await);
}

#[actix::test]
async fn what_came_in_turns_keeps_them_all_while_nothing_is_written() {
    let faulty = Faulty::new(memory());
    let gate = Gate::new();
    faulty.inject(Fault::hang(&gate).at(Operation::Append).nth(1));
    let driver: SharedDriver = Arc::new(faulty);
    let engine = engine_with_turns(&driver, 4);
    let mut writers = writers(&engine, 5).await;
    let (upload, mut writer) = writers.pop().unwrap();
    for _ in 0..4 {
        writer.turn().await.unwrap();
        writer.end_turn(vec![content(8192)]).await.unwrap();
        tokio::time::sleep(SHORT / 10).await;
    }
    assert!(!may_receive(&mut writer).await && !may_receive(&mut writers[0].1).await);
    gate.release();
    assert!(may_receive(&mut writers[0].1).await);
    assert_eq!(writer.finish().await.unwrap(), 4 * 8192);
    assert_eq!(offset(&upload).await, 4 * 8192);
}

#[actix::test]
async fn a_turn_in_which_nothing_came_is_passed_on() {
    let engine = engine_with_one_turn(&memory());
    let mut writers = writers(&engine, 2).await;
    writers[0].1.turn().await.unwrap();
    assert!(!may_receive(&mut writers[1].1).await);
    writers[0].1.end_turn(Vec::new()).await.unwrap();
    assert!(may_receive(&mut writers[1].1).await);
}

#[actix::test]
async fn a_turn_ends_with_the_body() {
    let engine = engine_with_one_turn(&memory());
    let mut last = writers(&engine, 1).await.pop().unwrap().1;
    for end in 0..4 {
        let (upload, mut writer) = writers(&engine, 1).await.pop().unwrap();
        writer.turn().await.unwrap();
        assert!(!may_receive(&mut last).await);
        match end {
            0 => drop(writer),
            1 => assert_eq!(writer.finish().await.unwrap(), 0),
            2 => assert_eq!(writer.cut().await.unwrap(), 0),
            _ => {
                upload.cancel().await.unwrap();
                assert!(matches!(writer.lost().await, UploadError::Unknown));
                assert!(matches!(writer.end_turn(vec![content(5)]).await, Err(UploadError::Unknown)));
            }
        }
        assert!(may_receive(&mut last).await, "end {end}");
    }
}

#[actix::test]
async fn a_fault_ends_the_turn() {
    let faulty = Faulty::new(memory());
    faulty.inject(Fault::fail(StorageErrorKind::Full).at(Operation::Append));
    let driver: SharedDriver = Arc::new(faulty);
    let engine = engine_with_one_turn(&driver);
    let mut writers = writers(&engine, 2).await;
    writers[0].1.turn().await.unwrap();
    writers[0].1.end_turn(vec![content(100_000)]).await.unwrap();
    assert!(matches!(writers[0].1.lost().await, UploadError::Storage(_)));
    assert!(may_receive(&mut writers[1].1).await);
}

#[actix::test]
async fn whoever_waits_for_a_turn_hears_that_the_right_to_write_is_lost() {
    let engine = engine_with_one_turn(&memory());
    let mut writers = writers(&engine, 2).await;
    writers[0].1.turn().await.unwrap();
    let (upload, mut writer) = writers.pop().unwrap();
    let cancelled = actix::spawn(async move {
        tokio::time::sleep(SHORT).await;
        upload.cancel().await
    });
    assert!(matches!(writer.turn().await, Err(UploadError::Unknown)));
    cancelled.await.unwrap().unwrap();
}

#[actix::test]
async fn whoever_waits_for_a_turn_is_not_idle() {
    let (driver, clock) = (memory(), manual_clock());
    let uploads = UploadsConfig { max_memory: 1 << 19, idle_timeout: seconds(10), ..no_policies() };
    let engine = engine_with(&driver, &clock, uploads);
    let mut writers = writers(&engine, 3).await;
    let (silent, _) = writers.pop().unwrap();
    let (waiting, mut writer) = writers.pop().unwrap();
    writers[0].1.turn().await.unwrap();
    {
        let mut turn = std::pin::pin!(writer.turn());
        assert!(tokio::time::timeout(SHORT, &mut turn).await.is_err());
        clock.advance(seconds(60));
        until(&engine, async || !is_there(&driver, &silent).await).await;
        assert!(is_there(&driver, &waiting).await, "its turn has not come");
        writers[0].1.end_turn(vec![]).await.ok();
        turn.await.unwrap();
    }
    // From now on it is the client's own silence again.
    writer.end_turn(Vec::new()).await.unwrap();
    until(&engine, async || {
        clock.advance(seconds(1));
        !is_there(&driver, &waiting).await
    })
    .await;
}

#[actix::test]
async fn a_part_of_a_page_waits_for_the_turn_that_comes() {
    let driver = memory();
    let engine = engine_with_one_turn(&driver);
    let mut writers = writers(&engine, 2).await;
    let content = content(20_000);
    let (upload, mut writer) = writers.pop().unwrap();
    assert_eq!(writer.turn().await.unwrap(), 256 * 1024);
    writer.end_turn(vec![content.slice(..10_000)]).await.unwrap();
    until(&engine, async || offset(&upload).await == 8192).await;
    assert_eq!(writer.turn().await.unwrap(), 256 * 1024 - 10_000 % 4096, "what comes next is to end with a page");
    writer.end_turn(vec![]).await.unwrap();
    // No more comes, so that it goes as it is.
    until(&engine, async || offset(&upload).await == 10_000).await;
    writer.turn().await.unwrap();
    writer.end_turn(vec![content.slice(10_000..)]).await.unwrap();
    writer.commit(&sha256(&content)).await.unwrap();
}

#[actix::test]
async fn a_body_that_is_longer_than_it_said_is_refused_in_its_turn() {
    let engine = engine_with_one_turn(&memory());
    let _other = writers(&engine, 1).await;
    let upload = begin(&engine).await;
    let long = WriteOptions { length: Some(3), ..options(Start::Current) };
    let mut writer = upload.write(long).await.unwrap();
    writer.turn().await.unwrap();
    let refused = writer.end_turn(vec![content(2), content(2), content(2)]).await;
    assert!(matches!(refused, Err(UploadError::SizeMismatch { offset: 3 })), "{refused:?}");
}
