//! What a new process makes of the records that it finds: of another boot, half removed, half committed.

use std::sync::Mutex;

use super::super::record::Record;
use super::*;
use crate::storage::adapters::{Fault, Faulty, Gate, Operation};
use crate::storage::{PutMode, StorageErrorKind};

pub(super) async fn read(driver: &SharedDriver, upload: &UploadHandle) -> Record {
    let object = driver.get(&keys::upload_record(&repository(), upload.id()), 1 << 20).await.unwrap();
    Record::decode(&object.data).unwrap()
}

async fn put(driver: &SharedDriver, record: &Record) {
    let key = keys::upload_record(&repository(), record.id);
    driver.put(&key, record.encode().into(), PutMode::Overwrite, Durability::Process).await.unwrap();
}

/// An upload of 600,000 bytes in its checkpoint and 200,000 behind it, as another boot left it.
async fn left_by_another_boot(driver: &SharedDriver, content: &Bytes, synced: bool) -> UploadHandle {
    let before = engine(driver);
    let upload = begin(&before).await;
    write(&upload, Start::Current, &[content.slice(..600_000)]).await.unwrap();
    let mut record = read(driver, &upload).await;
    write(&upload, Start::Current, &[content.slice(600_000..800_000)]).await.unwrap();
    record.checkpoint.boot = "another boot".into();
    record.checkpoint.synced = synced;
    put(driver, &record).await;
    engine(driver).upload(&repository(), upload.id())
}

#[actix::test]
async fn after_another_boot_a_synced_checkpoint_is_gone_on_from() {
    let driver = memory();
    let content = content(1_000_000);
    let upload = left_by_another_boot(&driver, &content, true).await;
    assert_eq!(offset(&upload).await, 600_000, "what lies past it is cut off");
    write(&upload, Start::Exactly(600_000), &[content.slice(600_000..)]).await.unwrap();
    commit(&upload, &sha256(&content)).await.unwrap();
    assert_eq!(stored(&driver, &sha256(&content)).await, content);
}

#[actix::test]
async fn after_another_boot_a_checkpoint_that_was_not_synced_is_not_trusted() {
    let driver = memory();
    let content = content(1_000_000);
    let upload = left_by_another_boot(&driver, &content, false).await;
    assert_eq!(offset(&upload).await, 0);
    write(&upload, Start::Exactly(0), std::slice::from_ref(&content)).await.unwrap();
    commit(&upload, &sha256(&content)).await.unwrap();
    assert_eq!(stored(&driver, &sha256(&content)).await, content);
}

#[actix::test]
async fn what_this_boot_appends_after_another_ones_is_found_by_the_next_process() {
    let driver = memory();
    let content = content(1_000_000);
    let upload = left_by_another_boot(&driver, &content, true).await;
    let mut writer = upload.write(options(Start::Exactly(600_000))).await.unwrap();
    writer.send(content.slice(600_000..900_000)).await.unwrap();
    while offset(&upload).await < 900_000 {
        tokio::task::yield_now().await;
    }
    std::mem::forget(writer);
    let upload = engine(&driver).upload(&repository(), upload.id());
    assert_eq!(offset(&upload).await, 900_000);
    write(&upload, Start::Exactly(900_000), &[content.slice(900_000..)]).await.unwrap();
    commit(&upload, &sha256(&content)).await.unwrap();
}

/// A planned stop and a reboot lose nothing, whatever a checkpoint survives otherwise.
#[actix::test]
async fn a_drained_upload_is_whole_after_a_reboot() {
    let driver = memory();
    let before = engine(&driver);
    let upload = begin(&before).await;
    write(&upload, Start::Current, &[content(600_000)]).await.unwrap();
    assert!(!read(&driver, &upload).await.checkpoint.synced);
    before.drain().await;
    let record = read(&driver, &upload).await;
    assert!(record.checkpoint.synced);
    assert_eq!(record.checkpoint.partial.offset, 600_000);
}

/// What was synced when the upload came to rest is not given up for a checkpoint within a body that is not.
#[actix::test]
async fn what_was_synced_survives_a_reboot_in_the_middle_of_the_next_body() {
    let driver = memory();
    let content = content(1_500_000);
    let uploads = UploadsConfig { checkpoint_every: 100_000, ..no_policies() };
    let of_boot = |boot: &str| EngineOptions {
        uploads: uploads.clone(),
        batch_bytes: 50_000,
        boot: Some(boot.to_owned()),
        ..engine_options(&driver, NEVER)
    };
    let first = Engine::start(of_boot("one"));
    let upload = begin(&first).await;
    write(&upload, Start::Current, &[content.slice(..600_000)]).await.unwrap();
    first.drain().await;
    let before = Engine::start(of_boot("one"));
    let upload = before.upload(&repository(), upload.id());
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    for at in (600_000..1_000_000).step_by(50_000) {
        writer.send(content.slice(at..at + 50_000)).await.unwrap();
    }
    until(&before, async || read(&driver, &upload).await.checkpoint.partial.offset > 800_000).await;
    std::mem::forget(writer);
    let after = Engine::start(of_boot("another"));
    let upload = after.upload(&repository(), upload.id());
    assert_eq!(offset(&upload).await, 600_000, "what is past the synced checkpoint is cut off, and no more");
    write(&upload, Start::Exactly(600_000), &[content.slice(600_000..)]).await.unwrap();
    commit(&upload, &sha256(&content)).await.unwrap();
    assert_eq!(stored(&driver, &sha256(&content)).await, content);
}

/// Bytes that came after the last checkpoint of a process that died are made to last by the next planned stop, also when
/// nobody wrote to the upload again, and nothing is hashed for that.
#[actix::test]
async fn what_was_only_asked_for_is_synced_at_a_planned_stop() {
    let driver = memory();
    let content = content(900_000);
    let of_boot = |boot: &str| EngineOptions { boot: Some(boot.to_owned()), ..engine_options(&driver, NEVER) };
    let died = Engine::start(of_boot("one"));
    let upload = begin(&died).await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content.clone()).await.unwrap();
    until(&died, async || offset(&upload).await == 900_000).await;
    std::mem::forget(writer);
    let stopped = Engine::start(of_boot("one"));
    assert_eq!(offset(&stopped.upload(&repository(), upload.id())).await, 900_000);
    stopped.drain().await;
    let record = read(&driver, &upload).await;
    assert_eq!((record.checkpoint.partial.offset, record.checkpoint.digest.offset()), (900_000, 0));
    let upload = Engine::start(of_boot("another")).upload(&repository(), upload.id());
    assert_eq!(offset(&upload).await, 900_000);
    assert_eq!(commit(&upload, &sha256(&content)).await.unwrap(), 900_000);
    assert_eq!(stored(&driver, &sha256(&content)).await, content);
}

/// A driver that syncs nothing leaves nothing that could be trusted after a loss of power.
#[actix::test]
async fn without_syncs_nothing_is_called_synced() {
    let driver = memory();
    let process = Engine::start(EngineOptions { syncs: false, ..engine_options(&driver, NEVER) });
    let upload = begin(&process).await;
    write(&upload, Start::Current, &[content(600_000)]).await.unwrap();
    process.drain().await;
    let record = read(&driver, &upload).await;
    assert_eq!((record.checkpoint.partial.offset, record.checkpoint.synced), (600_000, false));
}

/// What an interrupted commit leaves: the data under its digest, and the record that says so.
async fn published_and_died(driver: &SharedDriver, content: &Bytes) -> UploadHandle {
    let before = engine(driver);
    let upload = begin(&before).await;
    write(&upload, Start::Current, &[content.slice(..content.len() / 2)]).await.unwrap();
    let mut record = read(driver, &upload).await;
    write(&upload, Start::Current, &[content.slice(content.len() / 2..)]).await.unwrap();
    let digest = sha256(content);
    record.commit = Some((digest.clone(), content.len() as u64));
    let data = keys::upload_data(&repository(), upload.id());
    let at = record.checkpoint.partial.clone();
    let partial = driver.open_partial(&data, &at).await.unwrap();
    partial.publish(&keys::blob_data(&digest), Durability::Power).await.unwrap();
    put(driver, &record).await;
    engine(driver).upload(&repository(), upload.id())
}

#[actix::test]
async fn a_put_after_a_commit_that_died_behind_publishing_sends_no_byte_again() {
    let driver = memory();
    let content = content(300_000);
    let upload = published_and_died(&driver, &content).await;
    assert_eq!(offset(&upload).await, 300_000);
    assert_eq!(commit(&upload, &sha256(&content)).await.unwrap(), 300_000);
    assert_eq!(blobs(&driver).stat(&repository(), &sha256(&content)).await.unwrap(), Some(300_000));
}

#[actix::test]
async fn the_same_put_with_its_body_answers_after_a_commit_that_died_behind_publishing() {
    let driver = memory();
    let content = content(1_300_000);
    let digest = sha256(&content);
    let upload = published_and_died(&driver, &content).await;
    let with_digest = WriteOptions { digest: Some(digest.clone()), ..options(Start::Replay(650_000)) };
    let mut writer = upload.write(with_digest.clone()).await.unwrap();
    let mut other = content.slice(650_000..).to_vec();
    other[600_000] ^= 1;
    // The second batch differs from what was published.
    let sent = writer.send(other.into()).await;
    let refused = match sent {
        Ok(()) => writer.commit(&digest).await.unwrap_err(),
        Err(refused) => refused,
    };
    assert!(matches!(refused, UploadError::RangeMismatch { offset: 1_300_000 }), "{refused:?}");
    let mut longer = upload.write(options(Start::Replay(1_299_999))).await.unwrap();
    longer.send(content.slice(1_299_999..)).await.unwrap();
    longer.send(Bytes::from_static(b"more")).await.unwrap();
    let refused = longer.finish().await.unwrap_err();
    assert!(matches!(refused, UploadError::RangeMismatch { offset: 1_300_000 }), "{refused:?}");
    let mut writer = upload.write(with_digest).await.unwrap();
    writer.send(content.slice(650_000..)).await.unwrap();
    assert_eq!(writer.commit(&digest).await.unwrap(), 1_300_000);
    assert_eq!(blobs(&driver).stat(&repository(), &digest).await.unwrap(), Some(1_300_000));
}

#[actix::test]
async fn a_put_after_a_commit_that_died_behind_linking_removes_what_is_left() {
    let driver = memory();
    let content = content(300_000);
    let upload = published_and_died(&driver, &content).await;
    blobs(&driver).link(&repository(), &sha256(&content), 300_000).await.unwrap();
    commit(&upload, &sha256(&content)).await.unwrap();
    match driver.list(&keys::upload(&repository(), upload.id()), None, 10).await {
        Err(error) if error.is_not_found() => {}
        listed => panic!("left in storage: {listed:?}"),
    }
}

/// `startedat` goes last: what is left with it alone has been committed or cancelled, and does not begin anew at zero.
#[actix::test]
async fn an_upload_that_was_removed_but_for_its_sign_is_unknown_and_goes() {
    let driver = memory();
    let content = content(300_000);
    let upload = published_and_died(&driver, &content).await;
    blobs(&driver).link(&repository(), &sha256(&content), 300_000).await.unwrap();
    driver.delete(&keys::upload_record(&repository(), upload.id())).await.unwrap();
    let refused = commit(&upload, &sha256(&content)).await;
    assert!(matches!(refused, Err(UploadError::Unknown)), "{refused:?}");
    match driver.list(&keys::upload(&repository(), upload.id()), None, 10).await {
        Err(error) if error.is_not_found() => {}
        listed => panic!("left in storage: {listed:?}"),
    }
}

#[actix::test]
async fn data_that_is_lost_is_not_taken_for_an_upload_that_begins() {
    let driver = memory();
    let before = engine(&driver);
    let upload = begin(&before).await;
    let content = content(300_000);
    write(&upload, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    driver.delete(&keys::upload_data(&repository(), upload.id())).await.unwrap();
    let upload = engine(&driver).upload(&repository(), upload.id());
    assert!(matches!(upload.status().await, Err(UploadError::Unknown)));
}

/// A record that came here by a copy of folders says nothing of this upload.
#[actix::test]
async fn the_record_of_another_upload_is_not_believed() {
    let driver = memory();
    let before = engine(&driver);
    let (upload, other) = (begin(&before).await, begin(&before).await);
    let content = content(300_000);
    write(&upload, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    write(&other, Start::Current, &[Bytes::from(vec![7; 300_000])]).await.unwrap();
    let foreign = read(&driver, &other).await.encode();
    let key = keys::upload_record(&repository(), upload.id());
    driver.put(&key, foreign.into(), PutMode::Overwrite, Durability::Process).await.unwrap();
    let upload = engine(&driver).upload(&repository(), upload.id());
    assert_eq!(commit(&upload, &sha256(&content)).await.unwrap(), 300_000);
}

/// The store has lost bytes beneath a live upload: nothing is written behind the hole.
#[actix::test]
async fn data_that_shrank_takes_no_byte_where_it_does_not_end() {
    let driver = memory();
    let before = engine(&driver);
    let upload = begin(&before).await;
    let content = content(300_000);
    write(&upload, Start::Current, &[content.slice(..200_000)]).await.unwrap();
    let mut partial = driver.create_partial(&keys::upload_data(&repository(), upload.id())).await.unwrap();
    partial.append(vec![content.slice(..50_000)]).await.unwrap();
    let refused = write(&upload, Start::Exactly(200_000), &[content.slice(200_000..)]).await;
    assert!(matches!(refused, Err(UploadError::Gap)), "{refused:?}");
    let refused = write(&upload, Start::Exactly(200_000), &[content.slice(200_000..)]).await;
    assert!(matches!(refused, Err(UploadError::RangeMismatch { offset: 50_000 })), "{refused:?}");
    write(&upload, Start::Exactly(50_000), &[content.slice(50_000..)]).await.unwrap();
    commit(&upload, &sha256(&content)).await.unwrap();
    assert_eq!(stored(&driver, &sha256(&content)).await, content);
}

/// An engine whose hashing does as a test says.
fn engine_that_hashes(driver: &SharedDriver, hashes: HashPool) -> Engine {
    Engine::start(EngineOptions { hashes, ..engine_options(driver, NEVER) })
}

#[actix::test]
async fn a_digest_that_failed_is_made_again_from_what_is_kept() {
    let driver = memory();
    let blows = Arc::new(Mutex::new(1));
    let left = blows.clone();
    let hashes = HashPool::start_with(
        1,
        Arc::new(move |digest, pieces| {
            let mut left = left.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if *left > 0 {
                *left -= 1;
                panic!("as the test wants");
            }
            pieces.iter().for_each(|piece| digest.update(piece));
        }),
    );
    let engine = engine_that_hashes(&driver, hashes.unwrap());
    let upload = begin(&engine).await;
    let content = content(900_000);
    let failed = write(&upload, Start::Replay(0), std::slice::from_ref(&content)).await;
    assert!(matches!(failed, Err(UploadError::Hashing(_))), "{failed:?}");
    assert_eq!(write(&upload, Start::Replay(0), std::slice::from_ref(&content)).await.unwrap(), 900_000);
    *blows.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = 1;
    // A fault of hashing is none of the client's digest.
    let failed = write(&upload, Start::Current, std::slice::from_ref(&content)).await;
    assert!(matches!(failed, Err(UploadError::Hashing(_))), "{failed:?}");
    let twice = Bytes::from([content.clone(), content.clone()].concat());
    write(&upload, Start::Replay(900_000), &[content]).await.unwrap();
    assert_eq!(commit(&upload, &sha256(&twice)).await.unwrap(), 1_800_000);
    assert_no_upload_left(&driver, &engine).await;
}

#[actix::test]
async fn a_status_does_not_wait_for_what_must_be_hashed_again() {
    let driver = memory();
    let before = engine(&driver);
    let upload = begin(&before).await;
    let mut writer = upload.write(options(Start::Current)).await.unwrap();
    writer.send(content(900_000)).await.unwrap();
    while offset(&upload).await < 900_000 {
        tokio::task::yield_now().await;
    }
    // The process dies before a checkpoint.
    std::mem::forget(writer);
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let hashes = HashPool::start_with(
        1,
        Arc::new(move |digest, pieces| {
            // Hashing stands until the test is over with its question.
            let _ = wait.lock().unwrap().recv();
            pieces.iter().for_each(|piece| digest.update(piece));
        }),
    );
    let after = engine_that_hashes(&driver, hashes.unwrap());
    let upload = after.upload(&repository(), upload.id());
    let answered = tokio::time::timeout(Duration::from_secs(20), upload.status()).await;
    drop(go_on);
    assert_eq!(answered.expect("a status waits for no hash").unwrap().offset, 900_000);
    assert_eq!(commit(&upload, &sha256(&content(900_000))).await.unwrap(), 900_000);
}

/// So that a death behind the publishing is told from a loss of the data.
#[actix::test]
async fn what_is_about_to_be_published_is_written_down_before() {
    let raw = memory();
    let faulty = Faulty::new(raw.clone());
    let gate = Gate::new();
    faulty.inject(Fault::hang(&gate).at(Operation::Publish));
    let engine = engine(&(Arc::new(faulty) as SharedDriver));
    let upload = begin(&engine).await;
    let content = content(300_000);
    write(&upload, Start::Current, std::slice::from_ref(&content)).await.unwrap();
    let digest = sha256(&content);
    let look = async {
        gate.reached(1).await;
        let record = read(&raw, &upload).await;
        gate.release();
        record
    };
    let (committed, record) = tokio::join!(commit(&upload, &digest), look);
    assert_eq!(committed.unwrap(), 300_000);
    assert_eq!(record.commit, Some((digest, 300_000)));
}

#[actix::test]
async fn a_fault_while_an_upload_is_looked_for_is_no_absence() {
    let raw = memory();
    let before = engine(&raw);
    let begun = begin(&before).await;
    write(&begun, Start::Current, &[content(1000)]).await.unwrap();
    let calls = [(Operation::Get, "/startedat"), (Operation::Get, "/record"), (Operation::OpenPartial, "/data")];
    for (operation, key_part) in calls {
        let faulty = Faulty::new(raw.clone());
        faulty.inject(Fault::fail(StorageErrorKind::Fault).at(operation).on(key_part).nth(1));
        let engine = engine(&(Arc::new(faulty.clone()) as SharedDriver));
        let upload = engine.upload(&repository(), begun.id());
        let told = upload.status().await;
        assert!(matches!(told, Err(UploadError::Storage(_))), "{operation:?} {key_part}: {told:?}");
        assert_eq!(faulty.struck(), 1);
        assert_eq!(offset(&upload).await, 1000);
    }
}
