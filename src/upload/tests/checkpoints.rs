//! Checkpoints inside a body, and how little is read after a restart.

use super::*;
use crate::storage::PutMode;
use crate::storage::adapters::{Meter, Operation};
use crate::storage::filesystem::{Filesystem, FilesystemOptions};

const EVERY: u64 = 1_000_000;

fn config() -> UploadsConfig {
    UploadsConfig { checkpoint_every: EVERY, ..no_policies() }
}

/// An engine that writes small batches, and what it has of a long body when the process dies in its middle.
async fn died_in_a_body(driver: &SharedDriver, content: &Bytes) -> UploadHandle {
    let options = EngineOptions { uploads: config(), batch_bytes: 100_000, ..engine_options(driver, NEVER) };
    let engine = Engine::start(options);
    let upload = begin(&engine).await;
    let mut writer = upload.write(super::options(Start::Current)).await.unwrap();
    for at in (0..content.len()).step_by(100_000) {
        writer.send(content.slice(at..(at + 100_000).min(content.len()))).await.unwrap();
    }
    until(&engine, async || offset(&upload).await == content.len() as u64).await;
    std::mem::forget(writer);
    upload
}

fn metered(driver: &SharedDriver) -> (SharedDriver, Meter) {
    let meter = Meter::new(driver.clone(), &Metrics::unregistered());
    (Arc::new(meter.clone()), meter)
}

#[actix::test]
async fn a_death_in_a_long_body_costs_a_tail_and_not_the_whole() {
    let driver = memory();
    let content = content(10_450_000);
    let before = died_in_a_body(&driver, &content).await;
    let record = super::records::read(&driver, &before).await;
    let checkpoint = record.checkpoint;
    assert!(checkpoint.partial.offset >= 10_000_000 - EVERY, "{}", checkpoint.partial.offset);
    assert!(
        checkpoint.digest.offset() + 2 * 100_000 >= checkpoint.partial.offset,
        "the state is a batch behind at most"
    );
    let (metered, meter) = metered(&driver);
    let after = Engine::start(EngineOptions { uploads: config(), ..engine_options(&metered, NEVER) });
    let upload = after.upload(&repository(), before.id());
    assert_eq!(offset(&upload).await, 10_450_000);
    let told_after = meter.read_bytes();
    assert!(told_after < 10_000, "a status reads the record and no data: {told_after}");
    commit(&upload, &sha256(&content)).await.unwrap();
    let read = meter.read_bytes();
    assert!(read <= EVERY + 500_000, "{read} bytes were read for a tail");
    assert_eq!(stored(&driver, &sha256(&content)).await, content);
}

/// Ten GiB that nobody has to write or hash: a file with a hole, and the state of a digest that stands at its end.
#[actix::test]
async fn the_status_of_ten_gib_after_a_restart_reads_no_data() {
    const SIZE: u64 = 10 << 30;
    let folder = tempfile::tempdir().unwrap();
    let open = || -> SharedDriver { Arc::new(Filesystem::open(FilesystemOptions::new(folder.path())).unwrap()) };
    let driver = open();
    let before = Engine::start(EngineOptions { uploads: config(), ..engine_options(&driver, NEVER) });
    let upload = begin(&before).await;
    write(&upload, Start::Current, &[content(64)]).await.unwrap();
    before.drain().await;
    let mut record = super::records::read(&driver, &upload).await;
    let mut state = record.checkpoint.digest.to_bytes();
    let len = state.len();
    state[len - 8..].copy_from_slice(&SIZE.to_be_bytes());
    record.checkpoint.digest = crate::hashing::RunningDigest::from_bytes(Algorithm::Sha256, &state).unwrap();
    record.checkpoint.partial.offset = SIZE;
    let key = keys::upload_record(&repository(), upload.id());
    driver.put(&key, record.encode().into(), PutMode::Overwrite, Durability::Process).await.unwrap();
    let file = folder.path().join(keys::upload_data(&repository(), upload.id()).as_str());
    std::fs::File::options().write(true).open(file).unwrap().set_len(SIZE + EVERY / 2).unwrap();
    let (metered, meter) = metered(&driver);
    let after = Engine::start(EngineOptions { uploads: config(), ..engine_options(&metered, NEVER) });
    let upload = after.upload(&repository(), upload.id());
    assert_eq!(offset(&upload).await, SIZE + EVERY / 2);
    assert!(meter.read_bytes() < 10_000, "{}", meter.read_bytes());
    write(&upload, Start::Current, &[content(1000)]).await.unwrap();
    assert!(meter.read_bytes() <= EVERY, "only the tail is hashed again: {}", meter.read_bytes());
    assert_eq!(meter.calls_of(Operation::List), 0);
    upload.cancel().await.unwrap();
}

/// A state that is missing or wrong is never believed: the data is read, once.
#[actix::test]
async fn without_a_state_the_data_is_hashed_again_once() {
    let driver = memory();
    let content = content(3_300_000);
    let before = died_in_a_body(&driver, &content).await;
    let key = keys::upload_record(&repository(), before.id());
    let mut bytes = driver.get(&key, 1 << 20).await.unwrap().data.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    driver.put(&key, bytes.into(), PutMode::Overwrite, Durability::Process).await.unwrap();
    let (metered, meter) = metered(&driver);
    let after = Engine::start(EngineOptions { uploads: config(), ..engine_options(&metered, NEVER) });
    let upload = after.upload(&repository(), before.id());
    assert_eq!(offset(&upload).await, 3_300_000);
    commit(&upload, &sha256(&content)).await.unwrap();
    let read = meter.read_bytes();
    assert!((3_300_000..3_400_000).contains(&read), "{read}");
}

/// A body of the second PATCH has its checkpoints, and the power goes: what the first one was told is there.
#[actix::test]
async fn a_checkpoint_within_a_body_takes_nothing_back_that_was_told_to_survive() {
    let driver = memory();
    let options = |boot: &str| EngineOptions {
        uploads: config(),
        batch_bytes: 100_000,
        boot: Some(boot.into()),
        checkpoint_durability: Durability::Power,
        ..engine_options(&driver, NEVER)
    };
    let content = content(2_500_000);
    let before = Engine::start(options("one"));
    let upload = begin(&before).await;
    write(&upload, Start::Current, &[content.slice(..300_000)]).await.unwrap();
    let mut writer = upload.write(super::options(Start::Current)).await.unwrap();
    for at in (300_000..2_500_000).step_by(100_000) {
        writer.send(content.slice(at..at + 100_000)).await.unwrap();
    }
    // No status is asked: it would have it synced.
    until(&before, async || super::records::read(&driver, &upload).await.checkpoint.partial.offset > 300_000).await;
    std::mem::forget(writer);
    let after = Engine::start(options("two"));
    let told = offset(&after.upload(&repository(), upload.id())).await;
    assert!(told >= 300_000, "{told}");
}

/// One death after the other, each before a checkpoint was due, makes no tail that only grows.
#[actix::test]
async fn the_tail_does_not_grow_from_death_to_death() {
    let driver = memory();
    let content = content(2_700_000);
    let options = |driver: &SharedDriver| EngineOptions {
        uploads: config(),
        batch_bytes: 100_000,
        ..engine_options(driver, NEVER)
    };
    let id = begin(&Engine::start(options(&driver))).await.id();
    for death in 0..3 {
        let engine = Engine::start(options(&driver));
        let upload = engine.upload(&repository(), id);
        let mut writer = upload.write(super::options(Start::Exactly(death * 900_000))).await.unwrap();
        for at in (death * 900_000..(death + 1) * 900_000).step_by(100_000) {
            writer.send(content.slice(at as usize..at as usize + 100_000)).await.unwrap();
        }
        until(&engine, async || offset(&upload).await == (death + 1) * 900_000).await;
        std::mem::forget(writer);
    }
    let (metered, meter) = metered(&driver);
    let after = Engine::start(options(&metered));
    commit(&after.upload(&repository(), id), &sha256(&content)).await.unwrap();
    assert!(meter.read_bytes() <= EVERY + 500_000, "{} bytes were read for a tail", meter.read_bytes());
}

/// A partial that was closed because there are few descriptors has bytes, all the same.
#[actix::test]
async fn who_shares_few_open_files_has_checkpoints_too() {
    let driver = memory();
    let options =
        EngineOptions { uploads: config(), max_open_files: 2, batch_bytes: 100_000, ..engine_options(&driver, NEVER) };
    let engine = Engine::start(options);
    let content = content(2_400_000);
    let mut holders = Vec::new();
    for _ in 0..2 {
        let upload = begin(&engine).await;
        let mut writer = upload.write(super::options(Start::Current)).await.unwrap();
        writer.send(content.slice(..1000)).await.unwrap();
        until(&engine, async || offset(&upload).await == 1000).await;
        holders.push(writer);
    }
    let upload = begin(&engine).await;
    let mut writer = upload.write(super::options(Start::Current)).await.unwrap();
    for at in (0..2_400_000).step_by(100_000) {
        writer.send(content.slice(at..at + 100_000)).await.unwrap();
        until(&engine, async || offset(&upload).await == at as u64 + 100_000).await;
    }
    let within = super::records::read(&driver, &upload).await.checkpoint;
    assert!(within.partial.offset >= EVERY, "{}", within.partial.offset);
    assert_eq!(writer.finish().await.unwrap(), 2_400_000);
    let at_its_end = super::records::read(&driver, &upload).await.checkpoint;
    assert_eq!((at_its_end.partial.offset, at_its_end.digest.offset()), (2_400_000, 2_400_000));
}
