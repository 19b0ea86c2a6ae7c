//! What makes uploads expire, what is told then, what is kept, and what is refused.

use super::*;
use crate::config::UploadsOverride;
use crate::storage::StorageErrorKind;
use crate::storage::adapters::{Fault, Faulty, Gate, Operation};

async fn refused(upload: &UploadHandle) -> UploadError {
    upload.status().await.unwrap_err()
}

#[actix::test]
async fn an_idle_upload_expires_and_leaves_nothing() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, UploadsConfig { idle_timeout: seconds(60), ..no_policies() });
    let upload = begin(&engine).await;
    write(&upload, Start::Current, &[content(100_000)]).await.unwrap();
    clock.advance(seconds(59));
    engine.look_now().await;
    assert_eq!(offset(&upload).await, 100_000);
    clock.advance(seconds(2));
    until(&engine, async || matches!(upload.status().await, Err(UploadError::Unknown))).await;
    assert_no_upload_left(&driver, &engine).await;
    assert_eq!(engine.list(&everything()).unwrap().total, 0);
}

#[actix::test]
async fn a_writer_that_a_policy_strikes_is_told_which() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, UploadsConfig { max_age: seconds(60), ..no_policies() });
    let upload = begin(&engine).await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content(100_000)).await.unwrap();
    clock.advance(seconds(61));
    let (lost, ()) = tokio::join!(writer.lost(), engine.look_now());
    assert!(matches!(lost, UploadError::Struck { policy: Policy::MaxAge }), "{lost:?}");
    until(&engine, async || engine.live_uploads() == 0).await;
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn a_slow_drip_expires_and_a_pause_between_bodies_does_not_count() {
    let (driver, clock) = (memory(), manual_clock());
    let config = UploadsConfig { min_rate: 1000, min_rate_window: seconds(10), ..no_policies() };
    let engine = engine_with(&driver, &clock, config);
    let upload = begin(&engine).await;
    write(&upload, Start::Current, &[content(1000)]).await.unwrap();
    clock.advance(seconds(3600));
    engine.look_now().await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content(1000)).await.unwrap();
    until(&engine, async || offset(&upload).await == 2000).await;
    clock.advance(seconds(11));
    let (lost, ()) = tokio::join!(writer.lost(), engine.look_now());
    assert!(matches!(lost, UploadError::Struck { policy: Policy::MinRate }), "{lost:?}");
}

#[actix::test]
async fn a_body_that_grows_too_large_expires_and_one_that_says_so_is_refused() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, UploadsConfig { max_size: 1_000_000, ..no_policies() });
    let upload = begin(&engine).await;
    let said = WriteOptions { length: Some(1_000_001), ..options(Start::Current) };
    let told = upload.write(said).await.map(drop).unwrap_err();
    assert!(matches!(told, UploadError::TooLarge { limit_bytes: 1_000_000 }), "{told:?}");
    write(&upload, Start::Current, &[content(1_000_000)]).await.unwrap();
    let told = write(&upload, Start::Current, &[content(1)]).await.unwrap_err();
    assert!(matches!(told, UploadError::Struck { policy: Policy::MaxSize }), "{told:?}");
    until(&engine, async || engine.live_uploads() == 0).await;
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn what_expired_is_kept_for_a_look_and_then_goes() {
    let (driver, clock) = (memory(), manual_clock());
    let config = UploadsConfig { idle_timeout: seconds(60), keep_failed_for: seconds(600), ..no_policies() };
    let engine = engine_with(&driver, &clock, config);
    let upload = begin(&engine).await;
    write(&upload, Start::Current, &[content(100_000)]).await.unwrap();
    clock.advance(seconds(61));
    until(&engine, async || matches!(upload.status().await, Err(UploadError::Expired { .. }))).await;
    for told in [refused(&upload).await, upload.cancel().await.unwrap_err(), upload.expire().await.unwrap_err()] {
        assert!(matches!(told, UploadError::Expired { policy: Policy::IdleTimeout, .. }), "{told:?}");
    }
    let page = engine.list(&everything()).unwrap();
    let [view] = &page.uploads[..] else { panic!("{page:?}") };
    assert_eq!((view.state, view.offset), (UploadState::Expired, 100_000));
    let expired = view.expired.unwrap();
    assert_eq!((expired.policy, expired.kept_bytes), (Policy::IdleTimeout, 100_000));
    assert_eq!(expired.kept_until.duration_since(expired.at).unwrap(), seconds(600));
    assert!(is_there(&driver, &upload).await);
    clock.advance(seconds(601));
    until(&engine, async || matches!(refused(&upload).await, UploadError::Unknown)).await;
    assert_no_upload_left(&driver, &engine).await;
}

/// Whoever asks while it goes finds that it has expired, or nothing; never an upload to go on with.
#[actix::test]
async fn the_data_of_what_was_kept_goes_before_the_word_of_it() {
    let (raw, clock) = (memory(), manual_clock());
    let faulty = Faulty::new(raw.clone());
    let driver: SharedDriver = Arc::new(faulty.clone());
    let engine = engine_with(&driver, &clock, UploadsConfig { keep_failed_for: seconds(600), ..no_policies() });
    let upload = begin(&engine).await;
    write(&upload, Start::Current, &[content(1_000)]).await.unwrap();
    upload.expire().await.unwrap();
    faulty.inject(Fault::fail(StorageErrorKind::Fault).at(Operation::DeleteAll).times(u64::MAX));
    clock.advance(seconds(601));
    until(&engine, async || faulty.struck() > 0).await;
    let told = refused(&upload).await;
    assert!(matches!(told, UploadError::Expired { policy: Policy::Operator, .. }), "{told:?}");
    raw.delete(&keys::upload_record(&repository(), upload.id())).await.unwrap();
    let told = refused(&upload).await;
    assert!(matches!(told, UploadError::Unknown), "{told:?}");
}

#[actix::test]
async fn of_what_is_kept_the_oldest_data_goes_first() {
    let (driver, clock) = (memory(), manual_clock());
    let config = UploadsConfig { keep_failed_for: seconds(600), keep_failed_max_size: 250_000, ..no_policies() };
    let engine = engine_with(&driver, &clock, config);
    let mut uploads = Vec::new();
    for _ in 0..3 {
        let upload = begin(&engine).await;
        write(&upload, Start::Current, &[content(100_000)]).await.unwrap();
        upload.expire().await.unwrap();
        clock.advance(seconds(1));
        uploads.push(upload);
    }
    let has_data =
        async |upload: &UploadHandle| driver.stat(&keys::upload_data(&repository(), upload.id())).await.is_ok();
    until(&engine, async || !has_data(&uploads[0]).await).await;
    assert!(has_data(&uploads[1]).await && has_data(&uploads[2]).await);
    let told = refused(&uploads[0]).await;
    assert!(matches!(told, UploadError::Expired { policy: Policy::Operator, .. }), "the word of it stays: {told:?}");
}

/// A store whose free space a test sets.
fn with_free_space(raw: &SharedDriver, bytes: u64) -> (SharedDriver, Faulty) {
    let faulty = Faulty::new(raw.clone());
    faulty.set_free_space(Some(bytes));
    (Arc::new(faulty.clone()), faulty)
}

#[actix::test]
async fn with_little_space_nothing_is_begun_or_kept_and_what_runs_goes_on() {
    let (raw, clock) = (memory(), manual_clock());
    let (driver, faulty) = with_free_space(&raw, 1000);
    let config = UploadsConfig { min_free_space: 1000, keep_failed_for: seconds(600), ..no_policies() };
    let engine = engine_with(&driver, &clock, config);
    engine.look_now().await;
    let (running, kept) = (begin(&engine).await, begin(&engine).await);
    write(&kept, Start::Current, &[content(100_000)]).await.unwrap();
    kept.expire().await.unwrap();
    faulty.set_free_space(Some(999));
    engine.look_now().await;
    let told = engine.begin(&repository(), Algorithm::Sha256, None).await.map(drop).unwrap_err();
    assert!(matches!(told, UploadError::LowSpace), "{told:?}");
    let data = keys::upload_data(&repository(), kept.id());
    until(&engine, async || raw.stat(&data).await.is_err()).await;
    let content = content(200_000);
    write(&running, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    commit(&running, &sha256(&content)).await.unwrap();
    faulty.set_free_space(Some(1000));
    engine.look_now().await;
    let not_kept = begin(&engine).await;
    faulty.set_free_space(Some(0));
    engine.look_now().await;
    not_kept.expire().await.unwrap();
    assert!(!is_there(&raw, &not_kept).await);
}

#[actix::test]
async fn on_a_full_store_what_expires_is_removed_and_not_kept() {
    let (raw, clock) = (memory(), manual_clock());
    let faulty = Faulty::new(raw.clone());
    let driver: SharedDriver = Arc::new(faulty.clone());
    let config = UploadsConfig { idle_timeout: seconds(60), keep_failed_for: seconds(600), ..no_policies() };
    let engine = engine_with(&driver, &clock, config);
    let upload = begin(&engine).await;
    write(&upload, Start::Current, &[content(100_000)]).await.unwrap();
    faulty.inject(Fault::fail(StorageErrorKind::Full).at(Operation::Put).times(u64::MAX));
    clock.advance(seconds(61));
    until(&engine, async || engine.live_uploads() == 0).await;
    assert_no_upload_left(&raw, &engine).await;
}

#[actix::test]
async fn a_removal_that_fails_is_tried_again_until_it_succeeds() {
    let (raw, clock) = (memory(), manual_clock());
    let faulty = Faulty::new(raw.clone());
    let driver: SharedDriver = Arc::new(faulty.clone());
    let engine = engine_with(&driver, &clock, UploadsConfig { idle_timeout: seconds(60), ..no_policies() });
    let upload = begin(&engine).await;
    faulty.inject(Fault::fail(StorageErrorKind::Fault).at(Operation::DeleteAll));
    clock.advance(seconds(61));
    until(&engine, async || faulty.struck() == 1).await;
    assert!(is_there(&raw, &upload).await);
    // When it is tried again is told from when the upload hears of the fault, which may be later than now.
    until(&engine, async || {
        clock.advance(seconds(61));
        engine.live_uploads() == 0
    })
    .await;
    assert_no_upload_left(&raw, &engine).await;
}

#[actix::test]
async fn limits_on_open_uploads_hold_for_client_and_repository() {
    let (driver, clock) = (memory(), manual_clock());
    let config = UploadsConfig { max_open_per_client: 2, max_open_per_repository: 3, ..no_policies() };
    let engine = engine_with(&driver, &clock, config);
    let client = |last: u8| Some(std::net::IpAddr::from([192, 0, 2, last]));
    let begin_as = async |last| engine.begin(&repository(), Algorithm::Sha256, client(last)).await.map(|(it, _)| it);
    let (first, _second) = (begin_as(1).await.unwrap(), begin_as(1).await.unwrap());
    let told = begin_as(1).await.map(drop).unwrap_err();
    assert!(matches!(told, UploadError::OverLimit { limit: "max_open_per_client", value: 2, .. }), "{told:?}");
    let _third = begin_as(2).await.unwrap();
    let told = begin_as(3).await.map(drop).unwrap_err();
    assert!(matches!(told, UploadError::OverLimit { limit: "max_open_per_repository", .. }), "{told:?}");
    first.cancel().await.unwrap();
    begin_as(1).await.unwrap();
}

#[actix::test]
async fn limits_on_writers_hold_and_a_newcomer_to_the_same_upload_is_no_second_one() {
    let (driver, clock) = (memory(), manual_clock());
    let config = UploadsConfig { max_writing: 1, takeover_after: Duration::from_millis(1), ..no_policies() };
    let engine = engine_with(&driver, &clock, config);
    let (one, other) = (begin(&engine).await, begin(&engine).await);
    let mut old = one.write(options(Start::Current)).await.unwrap();
    let told = other.write(options(Start::Current)).await.map(drop).unwrap_err();
    assert!(matches!(told, UploadError::OverLimit { limit: "max_writing", .. }), "{told:?}");
    clock.advance(seconds(1));
    let new = one.write(options(Start::Current)).await.unwrap();
    assert!(matches!(old.lost().await, UploadError::Superseded));
    new.finish().await.unwrap();
    drop(old);
    write(&other, Start::Current, &[content(10)]).await.unwrap();
}

#[actix::test]
async fn who_takes_over_counts_as_the_writer_from_then_on() {
    let (driver, clock) = (memory(), manual_clock());
    let config = UploadsConfig { max_writing_per_client: 1, takeover_after: Duration::from_millis(1), ..no_policies() };
    let engine = engine_with(&driver, &clock, config);
    let (one, other) = (begin(&engine).await, begin(&engine).await);
    let of_client =
        |last: u8| WriteOptions { client: Some(std::net::IpAddr::from([192, 0, 2, last])), ..options(Start::Current) };
    let mut old = one.write(of_client(1)).await.unwrap();
    clock.advance(seconds(1));
    let _new = one.write(of_client(2)).await.unwrap();
    assert!(matches!(old.lost().await, UploadError::Superseded));
    let told = other.write(of_client(2)).await.map(drop).unwrap_err();
    assert!(matches!(told, UploadError::OverLimit { limit: "max_writing_per_client", .. }), "{told:?}");
    other.write(of_client(1)).await.unwrap().finish().await.unwrap();
}

#[actix::test]
async fn other_policies_hold_for_running_uploads_at_once() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, UploadsConfig { passivate_after: seconds(10), ..no_policies() });
    let (live, passive) = (begin(&engine).await, begin(&engine).await);
    clock.advance(seconds(11));
    until(&engine, async || engine.live_uploads() == 0).await;
    write(&live, Start::Current, &[content(10)]).await.unwrap();
    clock.advance(seconds(5));
    engine.set_policies(UploadsConfig { idle_timeout: seconds(4), ..no_policies() });
    until(&engine, async || !is_there(&driver, &live).await && !is_there(&driver, &passive).await).await;
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn a_body_that_begins_after_a_reload_is_under_the_new_policies() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, no_policies());
    let upload = begin(&engine).await;
    write(&upload, Start::Current, &[content(10)]).await.unwrap();
    // Nothing has looked at it since.
    engine.set_policies(UploadsConfig { max_size: 15, ..no_policies() });
    let said = WriteOptions { length: Some(6), ..options(Start::Current) };
    let told = upload.write(said).await.map(drop).unwrap_err();
    assert!(matches!(told, UploadError::TooLarge { limit_bytes: 15 }), "{told:?}");
    write(&upload, Start::Current, &[content(5)]).await.unwrap();
}

#[actix::test]
async fn an_override_holds_for_its_repositories_only() {
    let (driver, clock) = (memory(), manual_clock());
    let entry = UploadsOverride {
        repositories: vec!["library/*".parse().unwrap()],
        idle_timeout: Some(seconds(5)),
        ..UploadsOverride::default()
    };
    let engine = engine_with(&driver, &clock, UploadsConfig { overrides: vec![entry], ..no_policies() });
    let strict = begin(&engine).await;
    let (lenient, _) = engine.begin(&"other".parse().unwrap(), Algorithm::Sha256, None).await.unwrap();
    clock.advance(seconds(6));
    until(&engine, async || !is_there(&driver, &strict).await).await;
    assert_eq!(lenient.status().await.unwrap().offset, 0);
}

fn everything() -> ListUploads {
    super::lists::everything()
}

/// A body whose bytes wait in line for memory is not silent: the engine does not read on.
#[actix::test]
async fn waiting_in_line_for_memory_strikes_no_client() {
    let (raw, clock) = (memory(), manual_clock());
    let faulty = Faulty::new(raw);
    let gate = Gate::new();
    faulty.inject(Fault::hang(&gate).at(Operation::Append));
    let driver: SharedDriver = Arc::new(faulty);
    let config = UploadsConfig {
        max_memory: 64 * 1024,
        idle_timeout: seconds(60),
        min_rate: 1000,
        min_rate_window: seconds(10),
        ..no_policies()
    };
    let engine = engine_with(&driver, &clock, config);
    let (greedy, patient) = (begin(&engine).await, begin(&engine).await);
    let mut holder = greedy.write(options(Start::Current)).await.unwrap();
    holder.send(content(48 * 1024)).await.unwrap();
    gate.reached(1).await;
    let mut writer = patient.write(options(Start::Current)).await.unwrap();
    // There is room for its first piece. Memory is short, so that a piece is taken when `send` returns.
    writer.send(content(10_000)).await.unwrap();
    writer.send(content(20_000)).await.unwrap();
    until(&engine, async || offset(&patient).await == 10_000).await;
    for _ in 0..4 {
        clock.advance(seconds(61));
        engine.look_now().await;
        assert_eq!(offset(&patient).await, 10_000, "it is not struck");
    }
    gate.release();
    holder.send(content(48 * 1024)).await.unwrap();
    assert_eq!(writer.finish().await.unwrap(), 30_000);
    assert_eq!(holder.finish().await.unwrap(), 96 * 1024);
}

/// What was written takes no part of the memory while its upload is being committed.
#[actix::test]
async fn a_commit_that_takes_long_holds_up_no_other_body() {
    let raw = memory();
    let faulty = Faulty::new(raw);
    let gate = Gate::new();
    faulty.inject(Fault::hang(&gate).at(Operation::Publish));
    let driver: SharedDriver = Arc::new(faulty);
    let uploads = UploadsConfig { max_memory: 64 * 1024, ..no_policies() };
    let engine = Engine::start(EngineOptions { uploads, ..engine_options(&driver, NEVER) });
    let (slow, quick) = (begin(&engine).await, begin(&engine).await);
    let content = content(64 * 1024);
    // A blob that came in one piece would be in memory until it is committed.
    write(&slow, Start::Current, &[content.slice(..1)]).await.unwrap();
    let mut writer = slow.write(options(Start::Current)).await.unwrap();
    writer.send(content.slice(1..)).await.unwrap();
    let digest = sha256(&content);
    let both = async {
        gate.reached(1).await;
        let written =
            tokio::time::timeout(seconds(20), write(&quick, Start::Current, std::slice::from_ref(&content))).await;
        gate.release();
        written
    };
    let (committed, written) = tokio::join!(writer.commit(&digest), both);
    assert_eq!(committed.unwrap(), 64 * 1024);
    assert_eq!(written.expect("it waits for a commit").unwrap(), 64 * 1024);
}

/// Claims that come before an upload is found in storage count as those that come later.
#[actix::test]
async fn a_revived_upload_counts_as_written_to() {
    let (driver, clock) = (memory(), manual_clock());
    let before = engine_with(&driver, &clock, no_policies());
    let ids = [begin(&before).await.id(), begin(&before).await.id()];
    let after = engine_with(&driver, &clock, UploadsConfig { max_writing: 1, ..no_policies() });
    let [first, second] = ids.map(|id| after.upload(&repository(), id));
    let writer = first.write(options(Start::Current)).await.unwrap();
    let told = second.write(options(Start::Current)).await.map(drop).unwrap_err();
    assert!(matches!(told, UploadError::OverLimit { limit: "max_writing", .. }), "{told:?}");
    writer.finish().await.unwrap();
    write(&second, Start::Current, &[content(10)]).await.unwrap();
}
