use super::*;

/// As after `kill -9`: a new engine over the storage that the old one left as it was.
async fn restarted(driver: &SharedDriver, upload: &UploadHandle) -> (Engine, UploadHandle) {
    let engine = engine(driver);
    let upload = engine.upload(&repository(), upload.id());
    (engine, upload)
}

#[actix::test]
async fn an_upload_is_found_again_after_a_restart() {
    let driver = memory();
    let before = engine(&driver);
    let upload = begin(&before).await;
    let started_at = upload.status().await.unwrap().started_at;
    let content = content(1_234_567);
    write(&upload, Start::Current, &[content.slice(..1_000_000)]).await.unwrap();
    let (after, upload) = restarted(&driver, &upload).await;
    let progress = upload.status().await.unwrap();
    assert_eq!(progress.offset, 1_000_000);
    assert!(started_at.duration_since(progress.started_at).unwrap() < Duration::from_secs(1), "kept in whole seconds");
    write(&upload, Start::Exactly(1_000_000), &[content.slice(1_000_000..)]).await.unwrap();
    commit(&upload, &sha256(&content)).await.unwrap();
    assert_no_upload_left(&driver, &after).await;
}

#[actix::test]
async fn bytes_past_the_last_checkpoint_are_kept_and_hashed() {
    let driver = memory();
    let before = engine(&driver);
    let upload = begin(&before).await;
    let content = content(900_000);
    write(&upload, Start::Current, &[content.slice(..400_000)]).await.unwrap();
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content.slice(400_000..)).await.unwrap();
    while offset(&upload).await < 900_000 {
        tokio::task::yield_now().await;
    }
    // No end of the body, no checkpoint: the process dies here.
    std::mem::forget(writer);
    let (after, upload) = restarted(&driver, &upload).await;
    assert_eq!(offset(&upload).await, 900_000, "an offset that was reported never goes down");
    commit(&upload, &sha256(&content)).await.unwrap();
    drop(before);
    assert_no_upload_left(&driver, &after).await;
}

#[actix::test]
async fn an_upload_id_works_in_its_own_repository_only() {
    let driver = memory();
    let before = engine(&driver);
    let upload = begin(&before).await;
    let other: RepositoryName = "library/other".parse().unwrap();
    for engine in [before.clone(), engine(&driver)] {
        let stolen = engine.upload(&other, upload.id());
        assert!(matches!(stolen.status().await, Err(UploadError::Unknown)));
        assert!(matches!(stolen.cancel().await, Err(UploadError::Unknown)));
        let refused = stolen.write(options(Start::Current)).await.map(drop);
        assert!(matches!(refused, Err(UploadError::Unknown)));
    }
    assert_eq!(offset(&upload).await, 0);
}

#[actix::test]
async fn a_broken_record_costs_a_read_and_no_byte() {
    let driver = memory();
    let before = engine(&driver);
    let upload = begin(&before).await;
    let content = content(700_000);
    write(&upload, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    let record = keys::upload_record(&repository(), upload.id());
    let broken = Bytes::from_static(b"longshore upload record 1\n{}\n");
    driver.put(&record, broken, crate::storage::PutMode::Overwrite, Durability::Process).await.unwrap();
    let (after, upload) = restarted(&driver, &upload).await;
    assert_eq!(offset(&upload).await, 700_000);
    commit(&upload, &sha256(&content)).await.unwrap();
    assert_no_upload_left(&driver, &after).await;
}

#[actix::test]
async fn an_upload_of_a_newer_version_is_left_alone() {
    let driver = memory();
    let before = engine(&driver);
    let upload = begin(&before).await;
    let record = keys::upload_record(&repository(), upload.id());
    let newer = Bytes::from_static(b"longshore upload record 3\nsomething else\n");
    driver.put(&record, newer.clone(), crate::storage::PutMode::Overwrite, Durability::Process).await.unwrap();
    let (_after, upload) = restarted(&driver, &upload).await;
    assert!(matches!(upload.status().await, Err(UploadError::RecordTooNew)));
    assert_eq!(driver.get(&record, 1000).await.unwrap().data, newer);
}

#[actix::test]
async fn a_drained_engine_leaves_every_upload_resumable() {
    let driver = memory();
    let before = engine(&driver);
    let upload = begin(&before).await;
    let content = content(500_000);
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content.slice(..300_000)).await.unwrap();
    while offset(&upload).await < 300_000 {
        tokio::task::yield_now().await;
    }
    before.drain().await;
    assert!(matches!(writer.lost().await, UploadError::Draining));
    assert!(before.begin(&repository(), Algorithm::Sha256, None).await.is_err());
    let (after, upload) = restarted(&driver, &upload).await;
    assert_eq!(offset(&upload).await, 300_000);
    write(&upload, Start::Current, &[content.slice(300_000..)]).await.unwrap();
    commit(&upload, &sha256(&content)).await.unwrap();
    assert_no_upload_left(&driver, &after).await;
}

/// An upload that was begun before a reboot and gets its first bytes after it: a death of the process costs none of them.
#[actix::test]
async fn the_first_bytes_after_a_reboot_survive_a_death() {
    let driver = memory();
    let in_boot = |boot: &str| EngineOptions { boot: Some(boot.into()), ..engine_options(&driver, NEVER) };
    let id = begin(&Engine::start(in_boot("one"))).await.id();
    let before = Engine::start(in_boot("two"));
    let upload = before.upload(&repository(), id);
    let content = content(300_000);
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content.clone()).await.unwrap();
    while offset(&upload).await < 300_000 {
        tokio::task::yield_now().await;
    }
    std::mem::forget(writer);
    let after = Engine::start(in_boot("two"));
    let upload = after.upload(&repository(), id);
    assert_eq!(offset(&upload).await, 300_000, "an offset that was reported never goes down");
    commit(&upload, &sha256(&content)).await.unwrap();
}
