use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::support::{
    assert_absent, assert_kind, assert_no_folder, checkpoint_at, collect, delete, get, key, partial, pattern, put,
    read_all, read_partial,
};
use super::{Case, case};
use crate::storage::{Durability, SharedDriver, StorageErrorKind};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("a partial is appended to and published", append_and_publish),
        case!("an empty partial is published as an empty object", publish_empty),
        case!("publishing replaces an object, and its readers go on", publish_over),
        case!("a batch may hold many pieces, empty ones, or none", batches),
        case!("a partial is opened again at a checkpoint", reopen),
        case!("a partial that is opened again tells what it kept past the checkpoint", reopen_further),
        case!("a checkpoint that stands without a call is the one that a call gives", standing_checkpoint),
        case!("a partial is not opened past its end", reopen_past_end),
        case!("a partial is cut back", rewind),
        case!("a partial is read back", read_back),
        case!("creating a partial drops what stood there", create_over),
        case!("a deleted partial is gone", delete_partial),
        case!("a writer whose partial was opened again does no harm", fencing),
    ]
}

const DATA: &str = "suite/uploads/1/data";
const BLOB: &str = "suite/blobs/ab/data";

async fn append_and_publish(driver: SharedDriver) {
    let before = SystemTime::now() - Duration::from_secs(2);
    for durability in [Durability::Process, Durability::Power] {
        let mut writer = driver.create_partial(&key(DATA)).await.unwrap();
        assert_eq!(writer.offset(), 0);
        let whole = pattern(5, 3_000_000);
        for start in (0..whole.len()).step_by(700_000) {
            let end = whole.len().min(start + 700_000);
            writer.append(vec![whole.slice(start..start + 10), whole.slice(start + 10..end)]).await.unwrap();
            assert_eq!(writer.offset(), end as u64);
            assert_absent(&*driver, BLOB).await;
        }
        let stat = writer.publish(&key(BLOB), durability).await.unwrap();
        assert_eq!(stat.size_bytes, whole.len() as u64);
        assert!(stat.modified >= before && stat.modified <= SystemTime::now() + Duration::from_secs(2), "{stat:?}");
        assert_eq!(driver.stat(&key(BLOB)).await.unwrap(), stat);
        assert!(read_all(&*driver, BLOB).await == whole);
        assert_no_folder(&*driver, "suite/uploads").await;
        assert_kind(driver.open_partial(&key(DATA), &checkpoint_at(0)).await, StorageErrorKind::NotFound);
        delete(&*driver, BLOB).await;
    }
}

async fn publish_empty(driver: SharedDriver) {
    let writer = driver.create_partial(&key(DATA)).await.unwrap();
    let stat = writer.publish(&key(BLOB), Durability::Power).await.unwrap();
    assert_eq!(stat.size_bytes, 0);
    assert_eq!(get(&*driver, BLOB).await.data, Bytes::new());
    delete(&*driver, BLOB).await;
}

async fn publish_over(driver: SharedDriver) {
    let old = pattern(1, 5 * 1024 * 1024);
    put(&*driver, BLOB, old.clone()).await;
    let reader = driver.read(&key(BLOB), None).await.unwrap().stream;
    let writer = partial(&*driver, DATA, pattern(2, 3_000)).await;
    writer.publish(&key(BLOB), Durability::Power).await.unwrap();
    assert_eq!(get(&*driver, BLOB).await.data, pattern(2, 3_000));
    if let Ok(read) = collect(reader).await {
        assert!(read == old);
    }
    delete(&*driver, BLOB).await;
}

async fn batches(driver: SharedDriver) {
    let mut writer = driver.create_partial(&key(DATA)).await.unwrap();
    writer.append(Vec::new()).await.unwrap();
    writer.append(vec![Bytes::new()]).await.unwrap();
    assert_eq!(writer.offset(), 0);
    let many: Vec<Bytes> = (0..5_000_usize).map(|number| pattern(number as u8, number % 7)).collect();
    let whole = many.concat();
    writer.append(many).await.unwrap();
    assert_eq!(writer.offset(), whole.len() as u64);
    writer.publish(&key(BLOB), Durability::Process).await.unwrap();
    assert!(read_all(&*driver, BLOB).await == whole);
    delete(&*driver, BLOB).await;
}

async fn reopen(driver: SharedDriver) {
    for durability in [Durability::Process, Durability::Power] {
        let whole = pattern(6, 100_000);
        let mut writer = partial(&*driver, DATA, whole.slice(..60_000)).await;
        let checkpoint = writer.checkpoint(durability).await.unwrap();
        assert!(checkpoint.offset <= 60_000);
        assert!(!checkpoint.token.contains(char::is_control), "{checkpoint:?}");
        drop(writer);
        let mut writer = driver.open_partial(&key(DATA), &checkpoint).await.unwrap();
        let kept = writer.offset();
        assert!((checkpoint.offset..=60_000).contains(&kept), "{kept}");
        assert_eq!(read_partial(&mut *writer, 0..kept).await, &whole[..kept as usize]);
        writer.append(vec![whole.slice(kept as usize..)]).await.unwrap();
        writer.publish(&key(BLOB), durability).await.unwrap();
        assert!(read_all(&*driver, BLOB).await == whole);
        delete(&*driver, BLOB).await;
    }
}

async fn reopen_further(driver: SharedDriver) {
    let mut writer = partial(&*driver, DATA, pattern(1, 1_000)).await;
    let checkpoint = writer.checkpoint(Durability::Process).await.unwrap();
    writer.append(vec![pattern(2, 500)]).await.unwrap();
    drop(writer);
    let mut writer = driver.open_partial(&key(DATA), &checkpoint).await.unwrap();
    let kept = writer.offset();
    assert!((checkpoint.offset..=1_500).contains(&kept), "{kept}");
    let appended = [pattern(1, 1_000), pattern(2, 500)].concat();
    assert_eq!(read_partial(&mut *writer, 0..kept).await, &appended[..kept as usize]);
    writer.rewind(checkpoint.offset).await.unwrap();
    writer.append(vec![pattern(3, 200)]).await.unwrap();
    let stat = writer.publish(&key(BLOB), Durability::Process).await.unwrap();
    assert_eq!(stat.size_bytes, checkpoint.offset + 200);
    let expected = [&appended[..checkpoint.offset as usize], &pattern(3, 200)].concat();
    assert_eq!(read_all(&*driver, BLOB).await, expected);
    delete(&*driver, BLOB).await;
}

async fn standing_checkpoint(driver: SharedDriver) {
    let mut writer = driver.create_partial(&key(DATA)).await.unwrap();
    for durability in [Durability::Process, Durability::Power, Durability::Process] {
        writer.append(vec![pattern(3, 70_000)]).await.unwrap();
        let standing = writer.standing_checkpoint(durability);
        let made = writer.checkpoint(durability).await.unwrap();
        assert!(standing.is_none_or(|standing| standing == made), "{made:?}");
    }
    let standing = writer.standing_checkpoint(Durability::Process);
    let offset = writer.offset();
    drop(writer);
    if let Some(standing) = standing {
        assert_eq!(driver.open_partial(&key(DATA), &standing).await.unwrap().offset(), offset);
    }
    delete(&*driver, DATA).await;
}

async fn reopen_past_end(driver: SharedDriver) {
    let mut writer = partial(&*driver, DATA, pattern(1, 1_000)).await;
    let mut checkpoint = writer.checkpoint(Durability::Process).await.unwrap();
    drop(writer);
    checkpoint.offset = 1_001;
    assert_kind(driver.open_partial(&key(DATA), &checkpoint).await, StorageErrorKind::WrongSize);
    checkpoint.offset = 1_000;
    drop(driver.open_partial(&key(DATA), &checkpoint).await.unwrap());
    delete(&*driver, DATA).await;
}

async fn rewind(driver: SharedDriver) {
    let mut writer = partial(&*driver, DATA, pattern(1, 100_000)).await;
    for offset in [100_000, 99_999, 50_000, 1] {
        writer.rewind(offset).await.unwrap();
        assert_eq!(writer.offset(), offset);
        assert!(read_partial(&mut *writer, 0..offset).await == pattern(1, 100_000)[..offset as usize]);
    }
    writer.append(vec![pattern(2, 9)]).await.unwrap();
    let expected = [&pattern(1, 1)[..], &pattern(2, 9)].concat();
    assert_eq!(read_partial(&mut *writer, 0..10).await, expected);
    writer.rewind(0).await.unwrap();
    writer.append(vec![pattern(3, 5)]).await.unwrap();
    writer.publish(&key(BLOB), Durability::Process).await.unwrap();
    assert_eq!(read_all(&*driver, BLOB).await, pattern(3, 5));
    delete(&*driver, BLOB).await;
}

async fn read_back(driver: SharedDriver) {
    let whole = pattern(4, 2_500_000);
    let mut writer = partial(&*driver, DATA, whole.clone()).await;
    for range in [0..0, 0..1, 0..2_500_000, 1_000_000..2_400_001, 2_499_999..2_500_000, 2_500_000..2_500_000] {
        let expected = &whole[range.start as usize..range.end as usize];
        let stream = writer.read(range.clone()).await.unwrap();
        assert!(collect(stream).await.unwrap() == expected, "{range:?}");
    }
    writer.append(vec![pattern(5, 10)]).await.unwrap();
    assert_eq!(read_partial(&mut *writer, 2_500_000..2_500_010).await, pattern(5, 10));
    drop(writer);
    delete(&*driver, DATA).await;
}

async fn create_over(driver: SharedDriver) {
    put(&*driver, DATA, pattern(1, 1_000)).await;
    drop(partial(&*driver, DATA, pattern(2, 900)).await);
    let writer = partial(&*driver, DATA, pattern(3, 10)).await;
    assert_eq!(writer.offset(), 10);
    writer.publish(&key(BLOB), Durability::Process).await.unwrap();
    assert_eq!(read_all(&*driver, BLOB).await, pattern(3, 10));
    assert_absent(&*driver, DATA).await;
    delete(&*driver, BLOB).await;
}

async fn delete_partial(driver: SharedDriver) {
    drop(partial(&*driver, DATA, pattern(1, 10)).await);
    delete(&*driver, DATA).await;
    assert_kind(driver.open_partial(&key(DATA), &checkpoint_at(0)).await, StorageErrorKind::NotFound);
    assert_kind(driver.delete(&key(DATA)).await, StorageErrorKind::NotFound);
    assert_no_folder(&*driver, "suite").await;
}

async fn fencing(driver: SharedDriver) {
    let mut old = partial(&*driver, DATA, pattern(1, 100)).await;
    let checkpoint = old.checkpoint(Durability::Process).await.unwrap();
    let mut new = driver.open_partial(&key(DATA), &checkpoint).await.unwrap();
    let kept = new.offset();
    // Whether it fails or goes nowhere is the store's affair.
    drop(old.append(vec![pattern(2, 50)]).await);
    drop(old);
    new.append(vec![pattern(3, 70)]).await.unwrap();
    new.publish(&key(BLOB), Durability::Process).await.unwrap();
    let expected = [&pattern(1, 100)[..kept as usize], &pattern(3, 70)].concat();
    assert_eq!(read_all(&*driver, BLOB).await, expected);
    delete(&*driver, BLOB).await;
}
