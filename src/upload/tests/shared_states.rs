//! States of the digest that other programs write and read.

use super::*;
use crate::hashing::RunningDigest;
use crate::storage::PutMode;
use crate::storage::adapters::Meter;

/// An upload as distribution leaves it: its beginning, its data, a state.
async fn begun_elsewhere(driver: &SharedDriver, data: &Bytes, state_of: &[u8], state_at: u64) -> UploadHandle {
    let (engine, id) = (engine(driver), crate::oci::UploadId::random());
    let upload = engine.upload(&repository(), id);
    // Just now: of an old one it would be a matter of time whether a policy strikes before the test is through.
    let started_at = Bytes::from(record::format_started_at(std::time::SystemTime::now()));
    let put = async |key, bytes: Bytes| {
        driver.put(&key, bytes, PutMode::Overwrite, Durability::Process).await.unwrap();
    };
    put(keys::upload_started_at(&repository(), id), started_at).await;
    let mut partial = driver.create_partial(&keys::upload_data(&repository(), id)).await.unwrap();
    partial.append(vec![data.clone()]).await.unwrap();
    let mut state = RunningDigest::new(Algorithm::Sha256);
    state.update(state_of);
    put(keys::upload_hash_state(&repository(), id, Algorithm::Sha256, state_at), state.to_bytes().into()).await;
    upload
}

fn metered(driver: &SharedDriver, upload: &UploadHandle) -> (UploadHandle, Meter) {
    let meter = Meter::new(driver.clone(), &Metrics::unregistered());
    let shared: SharedDriver = Arc::new(meter.clone());
    (engine(&shared).upload(&repository(), upload.id()), meter)
}

#[actix::test]
async fn an_upload_begun_elsewhere_goes_on_from_its_state() {
    let driver = memory();
    let content = content(900_000);
    let upload = begun_elsewhere(&driver, &content.slice(..600_000), &content[..600_000], 600_000).await;
    let (upload, meter) = metered(&driver, &upload);
    assert_eq!(offset(&upload).await, 600_000);
    write(&upload, Start::Exactly(600_000), &[content.slice(600_000..)]).await.unwrap();
    commit(&upload, &sha256(&content)).await.unwrap();
    assert!(meter.read_bytes() < 10_000, "nothing is hashed again: {}", meter.read_bytes());
    assert_eq!(stored(&driver, &sha256(&content)).await, content);
}

#[actix::test]
async fn a_state_that_is_not_of_this_data_is_found_out_before_the_400() {
    let driver = memory();
    let content = content(900_000);
    let upload = begun_elsewhere(&driver, &content.slice(..600_000), &[7; 600_000], 600_000).await;
    write(&upload, Start::Exactly(600_000), &[content.slice(600_000..)]).await.unwrap();
    // Also by the next process: its record says that nothing proves the state.
    let (upload, meter) = metered(&driver, &upload);
    let told = commit(&upload, &sha256(b"other")).await.unwrap_err();
    let UploadError::DigestMismatch { actual, .. } = told else { panic!("{told:?}") };
    assert_eq!(actual, sha256(&content), "what is told is the digest of the data");
    let once = meter.read_bytes();
    assert!(once < 1_000_000, "{once}");
    commit(&upload, &sha256(&content)).await.unwrap();
    assert!(meter.read_bytes() < once + 10_000, "it is read once");
    assert_eq!(stored(&driver, &sha256(&content)).await, content);
}

#[actix::test]
async fn a_state_of_another_length_is_not_believed() {
    let driver = memory();
    let content = content(600_000);
    for (state_of, at) in [(&content[..500_000], 500_000), (&content[..500_000], 600_000)] {
        let upload = begun_elsewhere(&driver, &content, state_of, at).await;
        let (upload, meter) = metered(&driver, &upload);
        commit(&upload, &sha256(&content)).await.unwrap();
        assert!(meter.read_bytes() >= 600_000, "the data is hashed: {}", meter.read_bytes());
    }
}

/// At rest, the newest state stands where distribution looks for it, and no other one.
#[actix::test]
async fn an_upload_at_rest_shares_its_state() {
    let driver = memory();
    let content = content(900_000);
    let mut upload = begin(&engine(&driver)).await;
    for end in [600_000, 900_000] {
        let process = engine(&driver);
        upload = process.upload(&repository(), upload.id());
        let start = offset(&upload).await;
        write(&upload, Start::Current, &[content.slice(start as usize..end)]).await.unwrap();
        process.drain().await;
        let states = keys::upload_hash_states(&repository(), upload.id(), Algorithm::Sha256);
        let names = driver.list(&states, None, 10).await.unwrap().entries;
        assert_eq!(names.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), [end.to_string()]);
        let key = keys::upload_hash_state(&repository(), upload.id(), Algorithm::Sha256, end as u64);
        let state = driver.get(&key, 1000).await.unwrap().data;
        assert_eq!(state.len(), 108);
        let state = RunningDigest::from_bytes(Algorithm::Sha256, &state).unwrap();
        assert_eq!(state.finish(), sha256(&content[..end]));
    }
}

/// A state of bytes that are cut off would be wrong for those that come in their place.
#[actix::test]
async fn states_of_bytes_that_are_cut_off_go_with_them() {
    let driver = memory();
    let process = engine(&driver);
    let upload = begin(&process).await;
    write(&upload, Start::Current, &[content(600_000)]).await.unwrap();
    process.drain().await;
    let mut record = super::records::read(&driver, &upload).await;
    record.checkpoint.boot = "another boot".into();
    record.checkpoint.synced = false;
    let key = keys::upload_record(&repository(), upload.id());
    driver.put(&key, record.encode().into(), PutMode::Overwrite, Durability::Process).await.unwrap();
    let upload = engine(&driver).upload(&repository(), upload.id());
    assert_eq!(offset(&upload).await, 0);
    let states = keys::upload_hash_states(&repository(), upload.id(), Algorithm::Sha256);
    assert!(driver.list(&states, None, 10).await.is_err());
}
