//! Uploads that leave memory and come back.

use super::*;
use crate::storage::adapters::{Fault, Faulty, Gate, Operation};

fn passive_after(seconds_: u64) -> UploadsConfig {
    UploadsConfig { passivate_after: seconds(seconds_), ..no_policies() }
}

#[actix::test]
async fn a_quiet_upload_leaves_memory_and_goes_on_where_it_was() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, passive_after(10));
    let content = content(1_000_000);
    let upload = begin(&engine).await;
    for part in [0..300_000, 300_000..700_000, 700_000..1_000_000] {
        let start = part.start as u64;
        write(&upload, Start::Exactly(start), &[content.slice(part)]).await.unwrap();
        assert_eq!(engine.live_uploads(), 1);
        clock.advance(seconds(11));
        until(&engine, async || engine.live_uploads() == 0).await;
    }
    assert_eq!(engine.list(&super::lists::everything()).unwrap().uploads[0].state, UploadState::Passive);
    commit(&upload, &sha256(&content)).await.unwrap();
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn an_upload_that_is_asked_for_or_written_to_stays_in_memory() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, passive_after(10));
    let (asked, written) = (begin(&engine).await, begin(&engine).await);
    let writer = written.write(options(Start::Current)).await.unwrap();
    for _ in 0..5 {
        clock.advance(seconds(6));
        engine.look_now().await;
        offset(&asked).await;
    }
    assert_eq!(engine.live_uploads(), 2);
    drop(writer);
}

/// What a passive upload expires by is known without it.
#[actix::test]
async fn a_passive_upload_expires_in_storage() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, UploadsConfig { idle_timeout: seconds(60), ..passive_after(10) });
    let upload = begin(&engine).await;
    write(&upload, Start::Current, &[content(1000)]).await.unwrap();
    clock.advance(seconds(11));
    until(&engine, async || engine.live_uploads() == 0).await;
    clock.advance(seconds(48));
    engine.look_now().await;
    assert!(is_there(&driver, &upload).await);
    clock.advance(seconds(2));
    until(&engine, async || !is_there(&driver, &upload).await).await;
    until(&engine, async || engine.live_uploads() == 0).await;
    assert_no_upload_left(&driver, &engine).await;
}

/// Requests that come while it is leaving find it, whatever moment they hit.
#[actix::test]
async fn requests_that_meet_a_passivation_are_served() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, passive_after(1));
    let content = content(200_000);
    let upload = begin(&engine).await;
    for round in 0..200usize {
        clock.advance(seconds(2));
        let part = content.slice(round * 1000..(round + 1) * 1000);
        let (status, written, ()) = tokio::join!(
            upload.status(),
            write(&upload, Start::Exactly(round as u64 * 1000), std::slice::from_ref(&part)),
            engine.look_now()
        );
        assert!(status.unwrap().offset <= (round as u64 + 1) * 1000);
        assert_eq!(written.unwrap(), (round as u64 + 1) * 1000);
    }
    commit(&upload, &sha256(&content)).await.unwrap();
    until(&engine, async || engine.live_uploads() == 0).await;
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn what_rests_survives_a_reboot() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, passive_after(10));
    let upload = begin(&engine).await;
    write(&upload, Start::Current, &[content(600_000)]).await.unwrap();
    clock.advance(seconds(11));
    until(&engine, async || engine.live_uploads() == 0).await;
    let record = super::records::read(&driver, &upload).await;
    assert!(record.checkpoint.synced);
    assert_eq!(record.checkpoint.partial.offset, 600_000);
    assert_eq!(record.checkpoint.digest.offset(), 600_000);
}

/// Few partials may be open; many who write slowly take turns, and none starves.
#[actix::test]
async fn writers_share_few_open_files() {
    let driver = memory();
    let options = EngineOptions { max_open_files: 4, ..engine_options(&driver, NEVER) };
    let engine = Engine::start(options);
    let content = content(64_000);
    let mut writers = Vec::new();
    for _ in 0..32 {
        let upload = begin(&engine).await;
        let writer = upload.write(super::options(Start::Current)).await.unwrap();
        writers.push((upload, writer));
    }
    for part in 0..8 {
        for (upload, writer) in &mut writers {
            writer.send(content.slice(part * 8000..(part + 1) * 8000)).await.unwrap();
            until(&engine, async || offset(upload).await == (part as u64 + 1) * 8000).await;
        }
    }
    for (_, writer) in writers {
        assert_eq!(writer.commit(&sha256(&content)).await.unwrap(), 64_000);
    }
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn bodies_wait_for_memory_and_all_come_through() {
    let driver = memory();
    let uploads = UploadsConfig { max_memory: 64 * 1024, ..no_policies() };
    let engine = Engine::start(EngineOptions { uploads, ..engine_options(&driver, NEVER) });
    let content = content(2_000_000);
    let push = async |upload: UploadHandle| {
        let mut writer = upload.write(options(Start::Current)).await.unwrap();
        for at in (0..content.len()).step_by(50_000) {
            writer.send(content.slice(at..at + 50_000)).await.unwrap();
        }
        writer.commit(&sha256(&content)).await.unwrap();
    };
    let mut pushes = Vec::new();
    for _ in 0..8 {
        pushes.push(push(begin(&engine).await));
    }
    futures_util::future::join_all(pushes).await;
    assert_eq!(stored(&driver, &sha256(&content)).await, content);
}

/// A wall clock and a steady one, of which the first can be set back.
#[derive(Debug)]
struct SetBack {
    clock: Arc<ManualClock>,
    is_set_back: std::sync::atomic::AtomicBool,
}

/// How far it is set back.
const DAY: Duration = Duration::from_secs(86_400);

impl crate::clock::Clock for SetBack {
    fn now_utc(&self) -> std::time::SystemTime {
        let by = if self.is_set_back.load(std::sync::atomic::Ordering::SeqCst) { DAY } else { Duration::ZERO };
        self.clock.now_utc() - by
    }

    fn now(&self) -> std::time::Instant {
        self.clock.now()
    }
}

/// Somebody corrects the wall clock by a day: no upload seems to have been quiet for so long.
#[actix::test]
async fn a_wall_clock_that_is_set_back_makes_no_upload_expire() {
    let driver = memory();
    // So that the times of stored objects, which are real, are those of the clock after it was set back.
    let clock = Arc::new(ManualClock::starting_at(std::time::SystemTime::now() + DAY));
    let both = Arc::new(SetBack { clock: clock.clone(), is_set_back: false.into() });
    let uploads = UploadsConfig { idle_timeout: seconds(3600), ..passive_after(10) };
    let engine = Engine::start(EngineOptions { clock: both.clone(), uploads, ..engine_options(&driver, NEVER) });
    let upload = begin(&engine).await;
    clock.advance(seconds(3000));
    both.is_set_back.store(true, std::sync::atomic::Ordering::SeqCst);
    write(&upload, Start::Current, &[content(1000)]).await.unwrap();
    clock.advance(seconds(11));
    until(&engine, async || engine.live_uploads() == 0).await;
    assert_eq!(offset(&upload).await, 1000);
    clock.advance(seconds(700));
    for _ in 0..3 {
        engine.look_now().await;
        assert_eq!(offset(&upload).await, 1000, "its last byte came 711 seconds ago");
    }
}

/// Another process, or one whose write of it seemed to fail, wrote down that it has expired.
#[actix::test]
async fn one_that_is_found_expired_counts_as_open_no_more() {
    let (driver, clock) = (memory(), manual_clock());
    let config = UploadsConfig { keep_failed_for: seconds(600), max_open: 1, ..passive_after(10) };
    let engine = engine_with(&driver, &clock, config);
    let upload = begin(&engine).await;
    write(&upload, Start::Current, &[content(1000)]).await.unwrap();
    clock.advance(seconds(11));
    until(&engine, async || engine.live_uploads() == 0).await;
    let other = engine_with(&driver, &clock, UploadsConfig { keep_failed_for: seconds(600), ..no_policies() });
    other.upload(&repository(), upload.id()).expire().await.unwrap();
    assert!(matches!(upload.status().await, Err(UploadError::Expired { .. })));
    engine.begin(&repository(), Algorithm::Sha256, None).await.expect("nothing is open");
    assert!(engine.start_scan(false));
    engine.scan_ended().await;
    let states: Vec<_> = engine.find(upload.id()).iter().map(|view| view.state).collect();
    assert_eq!(states, [UploadState::Expired], "the next scan knows it as what it is");
}

/// A PUT followed a commit that then failed, and its body took so long that the upload left memory meanwhile.
#[actix::test]
async fn who_followed_a_commit_that_failed_long_ago_is_told_to_come_again() {
    let clock = manual_clock();
    let faulty = Faulty::new(memory());
    let gate = Gate::new();
    faulty.inject(Fault::hang(&gate).at(Operation::OpenPartial));
    let driver: SharedDriver = Arc::new(faulty);
    let engine = engine_with(&driver, &clock, passive_after(10));
    let upload = begin(&engine).await;
    write(&upload, Start::Current, &[content(1000)]).await.unwrap();
    let wrong = sha256(b"something else");
    let follow = async {
        gate.reached(1).await;
        let options = WriteOptions { digest: Some(wrong.clone()), ..options(Start::Current) };
        let follower = upload.write(options).await.unwrap();
        gate.release();
        follower
    };
    let (committed, follower) = tokio::join!(commit(&upload, &wrong), follow);
    assert!(matches!(committed, Err(UploadError::DigestMismatch { .. })), "{committed:?}");
    clock.advance(seconds(11));
    until(&engine, async || engine.live_uploads() == 0).await;
    let told = follower.commit(&wrong).await;
    assert!(matches!(told, Err(UploadError::Busy { .. })), "{told:?}");
}
