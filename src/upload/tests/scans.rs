//! What a process finds of those before it.

use super::*;
use crate::storage::PutMode;
use crate::storage::adapters::{Fault, Faulty, Gate, Operation};

async fn scan(engine: &Engine, is_dry_run: bool) -> ScanReport {
    assert!(engine.start_scan(is_dry_run));
    engine.scan_ended().await;
    engine.scan_report()
}

fn names(report: &ScanReport) -> Vec<(String, String)> {
    let mut names: Vec<_> =
        report.findings.iter().map(|finding| (finding.name.clone(), finding.reason.clone())).collect();
    names.sort();
    names
}

async fn put(driver: &SharedDriver, key: &crate::storage::Key, bytes: &'static [u8]) {
    driver.put(key, Bytes::from_static(bytes), PutMode::Overwrite, Durability::Process).await.unwrap();
}

#[actix::test]
async fn uploads_of_an_earlier_process_are_known_again_with_their_clients_and_deadlines() {
    let (driver, clock) = (memory(), manual_clock());
    let client = Some("192.0.2.9".parse().unwrap());
    let before = engine_with(&driver, &clock, no_policies());
    let (upload, _) = before.begin(&repository(), Algorithm::Sha256, client).await.unwrap();
    write(&upload, Start::Current, &[content(1000)]).await.unwrap();
    let config = UploadsConfig { idle_timeout: seconds(3600), max_open_per_client: 1, ..no_policies() };
    let after = engine_with(&driver, &clock, config);
    assert_eq!(after.list(&super::lists::everything()).unwrap().total, 0);
    let report = scan(&after, false).await;
    assert_eq!((report.repositories, report.uploads, report.adopted, report.removed), (1, 1, 1, 0), "{report:?}");
    let [view] = &after.list(&super::lists::everything()).unwrap().uploads[..] else { panic!() };
    assert_eq!((view.id, view.state, view.offset, view.client), (upload.id(), UploadState::Passive, 1000, client));
    assert_eq!(view.deadline.unwrap().1, Policy::IdleTimeout);
    assert_eq!(after.live_uploads(), 0, "nothing is in memory for it");
    let told = after.begin(&repository(), Algorithm::Sha256, client).await.map(drop).unwrap_err();
    assert!(matches!(told, UploadError::OverLimit { .. }), "{told:?}");
    let again = scan(&after, false).await;
    assert_eq!((again.uploads, again.adopted), (1, 0), "what is known is not read again");
}

#[actix::test]
async fn what_is_over_goes_and_a_dry_run_only_says_so() {
    let (driver, clock) = (memory(), manual_clock());
    let before = engine_with(&driver, &clock, no_policies());
    let (idle, busy) = (begin(&before).await, begin(&before).await);
    write(&idle, Start::Current, &[content(1000)]).await.unwrap();
    clock.advance(seconds(7200));
    write(&busy, Start::Current, &[content(1000)]).await.unwrap();
    let after = engine_with(&driver, &clock, UploadsConfig { idle_timeout: seconds(3600), ..no_policies() });
    for is_dry_run in [true, false] {
        let report = scan(&after, is_dry_run).await;
        assert_eq!(names(&report), [(idle.id().to_string(), "idle_timeout".to_owned())]);
        assert_eq!((report.removed_bytes, report.is_dry_run), (1000, is_dry_run));
        assert_eq!(is_there(&driver, &idle).await, is_dry_run);
    }
    assert_eq!(after.upload(&repository(), busy.id()).status().await.unwrap().offset, 1000);
    assert_eq!(names(&scan(&after, false).await), []);
}

#[actix::test]
async fn leftovers_that_no_upload_can_be_made_of_go_when_they_are_old() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, no_policies());
    let ids: Vec<_> = (0..4).map(|_| crate::oci::UploadId::random()).collect();
    // A POST whose process died before its sign was there; an end of a removal; data without a beginning; no time.
    put(&driver, &keys::upload_record(&repository(), ids[0]), b"half a record").await;
    put(&driver, &keys::upload_started_at(&repository(), ids[1]), b"2026-02-02T02:40:00Z").await;
    put(&driver, &keys::upload_data(&repository(), ids[2]), b"data").await;
    put(&driver, &keys::upload_started_at(&repository(), ids[3]), b"yesterday").await;
    put(&driver, &keys::upload_record(&repository(), ids[3]), b"").await;
    let foreign = keys::uploads(&repository()).child("not-an-id").unwrap().child("file").unwrap();
    put(&driver, &foreign, b"somebody's").await;
    let report = scan(&engine, false).await;
    // What was touched just now may be on its way to become an upload.
    assert_eq!(names(&report), [(ids[1].to_string(), "leftover".to_owned())]);
    clock.advance(seconds(3601));
    let report = scan(&engine, false).await;
    assert_eq!(report.removed, 3, "{report:?}");
    let left = driver.list(&keys::uploads(&repository()), None, 10).await.unwrap().entries;
    assert_eq!(left.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["not-an-id"]);
}

/// So ends a removal that was broken off, or a power cut that brought back a part of what was removed: nobody can go on.
#[actix::test]
async fn a_record_whose_data_is_gone_is_a_leftover_and_not_adopted() {
    let (driver, clock) = (memory(), manual_clock());
    let before = engine_with(&driver, &clock, no_policies());
    let (lost, fresh) = (begin(&before).await, begin(&before).await);
    write(&lost, Start::Current, &[content(1000)]).await.unwrap();
    driver.delete(&keys::upload_data(&repository(), lost.id())).await.unwrap();
    let after = engine_with(&driver, &clock, no_policies());
    let report = scan(&after, false).await;
    assert_eq!((report.adopted, report.removed, report.failed), (1, 0, 0), "what is new is left alone: {report:?}");
    clock.advance(seconds(3601));
    assert_eq!(names(&scan(&after, false).await), [(lost.id().to_string(), "leftover".to_owned())]);
    assert!(!is_there(&driver, &lost).await);
    assert_eq!(offset(&fresh).await, 0, "one to which nothing came yet is no leftover");
}

#[actix::test]
async fn an_upload_of_distribution_is_adopted_and_expires_by_our_policy() {
    let (driver, clock) = (memory(), manual_clock());
    let id = crate::oci::UploadId::random();
    let started_at = time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap();
    let key = keys::upload_started_at(&repository(), id);
    driver.put(&key, started_at.into(), PutMode::Overwrite, Durability::Process).await.unwrap();
    put(&driver, &keys::upload_data(&repository(), id), b"some bytes").await;
    let engine = engine_with(&driver, &clock, UploadsConfig { idle_timeout: seconds(3600), ..no_policies() });
    assert_eq!(scan(&engine, false).await.adopted, 1);
    clock.advance(seconds(3601));
    let upload = engine.upload(&repository(), id);
    until(&engine, async || !is_there(&driver, &upload).await).await;
}

#[actix::test]
async fn what_was_kept_by_an_earlier_process_stays_kept_for_the_rest_of_its_time() {
    let (driver, clock) = (memory(), manual_clock());
    let config = UploadsConfig { keep_failed_for: seconds(600), ..no_policies() };
    let before = engine_with(&driver, &clock, config.clone());
    let upload = begin(&before).await;
    write(&upload, Start::Current, &[content(1000)]).await.unwrap();
    upload.expire().await.unwrap();
    clock.advance(seconds(300));
    let after = engine_with(&driver, &clock, config.clone());
    scan(&after, false).await;
    let [view] = &after.list(&super::lists::everything()).unwrap().uploads[..] else { panic!() };
    assert_eq!((view.state, view.expired.unwrap().kept_bytes), (UploadState::Expired, 1000));
    clock.advance(seconds(302));
    until(&after, async || !is_there(&driver, &upload).await).await;
    assert_eq!(scan(&engine_with(&driver, &clock, config), false).await.uploads, 0);
}

#[actix::test]
async fn a_live_upload_is_none_of_a_scans_business() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, UploadsConfig { idle_timeout: seconds(60), ..no_policies() });
    let upload = begin(&engine).await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content(1000)).await.unwrap();
    let report = scan(&engine, false).await;
    assert_eq!((report.uploads, report.adopted, report.removed), (1, 0, 0));
    assert_eq!(writer.finish().await.unwrap(), 1000);
}

#[actix::test]
async fn one_of_a_newer_version_is_left_alone() {
    let (driver, clock) = (memory(), manual_clock());
    let id = crate::oci::UploadId::random();
    put(&driver, &keys::upload_record(&repository(), id), b"longshore upload record 9\nwhatever\n").await;
    put(&driver, &keys::upload_started_at(&repository(), id), b"2020-02-02T02:40:00Z").await;
    clock.advance(seconds(100_000));
    let engine = engine_with(&driver, &clock, UploadsConfig { idle_timeout: seconds(1), ..no_policies() });
    let report = scan(&engine, false).await;
    assert_eq!((report.uploads, report.removed, report.failed), (1, 0, 0));
    assert!(is_there(&driver, &engine.upload(&repository(), id)).await);
}

/// A scan has just looked at an upload of an earlier process when a request commits it.
#[actix::test]
async fn one_that_ends_while_a_scan_looks_at_it_is_not_known_as_open() {
    let raw = memory();
    let before = engine(&raw);
    let content = content(1000);
    let upload = begin(&before).await;
    write(&upload, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    let faulty = Faulty::new(raw);
    let gate = Gate::new();
    faulty.inject(Fault::hang(&gate).at(Operation::Get).on("/startedat").after_effect());
    let driver: SharedDriver = Arc::new(faulty);
    let after = engine(&driver);
    assert!(after.start_scan(false));
    gate.reached(1).await;
    commit(&after.upload(&repository(), upload.id()), &sha256(&content)).await.unwrap();
    gate.release();
    after.scan_ended().await;
    assert_eq!(after.list(&super::lists::everything()).unwrap().total, 0);
    assert_no_upload_left(&driver, &after).await;
}
