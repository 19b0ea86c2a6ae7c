use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::support::{
    LIMIT_BYTES, assert_absent, assert_kind, assert_no_folder, collect, delete, get, key, pattern, put, put_as,
    read_all, send_all,
};
use super::{Case, case};
use crate::storage::{Durability, PutMode, SharedDriver, StorageErrorKind, Version};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("an object is put, read and deleted", put_read_delete),
        case!("an empty object is an object", empty_object),
        case!("what is absent is not found, and a folder is no object", absence),
        case!("get refuses what is larger than its limit", get_limit),
        case!("several objects are looked at as each is alone", look_at_each),
        case!("overwriting replaces the bytes and the version", overwrite),
        case!("create-only refuses an object that is there", create_only),
        case!("compare-and-set refuses another version and absence", compare_and_set),
        case!("ranges are cut at the end", ranges),
        case!("a large object streams in bounded pieces", large_object),
        case!("a sender, where one is offered, sends what the stream gives", senders),
        case!("a reader keeps what it opened when that is replaced or deleted", read_while_changed),
        case!("deleting the last object deletes its folders, and no other", empty_folders_go),
        case!("delete_all deletes everything below, and nothing beside", delete_all),
        case!("free space is told always or never, before and after a put", free_space),
    ]
}

async fn put_read_delete(driver: SharedDriver) {
    let before = SystemTime::now() - Duration::from_secs(2);
    for durability in [Durability::Process, Durability::Power] {
        let key = key("suite/a/b");
        let data = pattern(1, 10_000);
        let version = driver.put(&key, data.clone(), PutMode::Overwrite, durability).await.unwrap();
        let object = driver.get(&key, LIMIT_BYTES).await.unwrap();
        assert_eq!(object.data, data);
        assert_eq!(object.version, version);
        assert_eq!(read_all(&*driver, "suite/a/b").await, data);
        let stat = driver.stat(&key).await.unwrap();
        assert_eq!(stat.size_bytes, 10_000);
        assert!(stat.modified >= before && stat.modified <= SystemTime::now() + Duration::from_secs(2), "{stat:?}");
        assert_eq!(driver.read(&key, None).await.unwrap().stat, stat);
        driver.delete(&key).await.unwrap();
        assert_absent(&*driver, "suite/a/b").await;
    }
}

async fn empty_object(driver: SharedDriver) {
    put(&*driver, "suite/empty", "").await;
    assert_eq!(get(&*driver, "suite/empty").await.data, Bytes::new());
    assert_eq!(driver.stat(&key("suite/empty")).await.unwrap().size_bytes, 0);
    assert_eq!(read_all(&*driver, "suite/empty").await, b"");
    let reader = driver.read(&key("suite/empty"), Some(0..10)).await.unwrap();
    assert_eq!(reader.range, 0..0);
    assert_eq!(collect(reader.stream).await.unwrap(), b"");
    delete(&*driver, "suite/empty").await;
}

async fn absence(driver: SharedDriver) {
    put(&*driver, "suite/folder/object", "1").await;
    for name in ["suite/absent", "suite/folder", "suite/absent/below", "suite/folder/object/below"] {
        assert_absent(&*driver, name).await;
        assert_kind(driver.delete(&key(name)).await, StorageErrorKind::NotFound);
        assert_kind(
            driver.open_partial(&key(name), &super::support::checkpoint_at(0)).await,
            StorageErrorKind::NotFound,
        );
    }
    assert_eq!(get(&*driver, "suite/folder/object").await.data, "1");
    delete(&*driver, "suite/folder/object").await;
    assert_kind(driver.delete(&key("suite/folder/object")).await, StorageErrorKind::NotFound);
}

async fn get_limit(driver: SharedDriver) {
    put(&*driver, "suite/object", pattern(1, 100)).await;
    assert_kind(driver.get(&key("suite/object"), 99).await, StorageErrorKind::WrongSize);
    assert_eq!(driver.get(&key("suite/object"), 100).await.unwrap().data.len(), 100);
    delete(&*driver, "suite/object").await;
}

async fn look_at_each(driver: SharedDriver) {
    assert!(driver.get_each(&[], LIMIT_BYTES).await.unwrap().is_empty());
    assert!(driver.stat_each(&[]).await.unwrap().is_empty());
    let names: Vec<String> = (0..20).map(|number| format!("suite/each/{number}")).collect();
    for (number, name) in names.iter().enumerate().filter(|(number, _)| number % 3 != 0) {
        // The larger ones are more than a driver may look at in passing.
        put(&*driver, name, pattern(number as u8, 10_000 * (number % 3))).await;
    }
    let keys: Vec<_> = names.iter().map(|name| key(name)).chain([key("suite/each")]).collect();
    let objects = driver.get_each(&keys, LIMIT_BYTES).await.unwrap();
    let stats = driver.stat_each(&keys).await.unwrap();
    assert_eq!((objects.len(), stats.len()), (keys.len(), keys.len()));
    for ((key, object), stat) in keys.iter().zip(objects).zip(stats) {
        let alone = driver.get(key, LIMIT_BYTES).await.ok();
        assert_eq!(object.map(|object| (object.data, object.version)), alone.map(|alone| (alone.data, alone.version)));
        assert_eq!(stat, driver.stat(key).await.ok());
    }
    assert_kind(driver.get_each(&keys, 10_000).await, StorageErrorKind::WrongSize);
    for (_, name) in names.iter().enumerate().filter(|(number, _)| number % 3 != 0) {
        delete(&*driver, name).await;
    }
}

async fn overwrite(driver: SharedDriver) {
    let first = put(&*driver, "suite/object", pattern(1, 5_000)).await;
    let second = put(&*driver, "suite/object", pattern(2, 50)).await;
    assert_ne!(first, second);
    let object = get(&*driver, "suite/object").await;
    assert_eq!(object.data, pattern(2, 50));
    assert_eq!(object.version, second);
    delete(&*driver, "suite/object").await;
}

async fn create_only(driver: SharedDriver) {
    put_as(&*driver, "suite/object", "first", PutMode::Create).await.unwrap();
    let again = put_as(&*driver, "suite/object", "second", PutMode::Create).await;
    assert_kind(again, StorageErrorKind::AlreadyExists);
    assert_eq!(get(&*driver, "suite/object").await.data, "first");
    delete(&*driver, "suite/object").await;
    put_as(&*driver, "suite/object", "third", PutMode::Create).await.unwrap();
    delete(&*driver, "suite/object").await;
}

async fn compare_and_set(driver: SharedDriver) {
    let absent = put_as(&*driver, "suite/object", "0", PutMode::Update(Version("any".into()))).await;
    assert_kind(absent, StorageErrorKind::VersionMismatch);
    assert_absent(&*driver, "suite/object").await;
    for size in [1, 71, 1_000, 100_000] {
        let first = put(&*driver, "suite/object", pattern(1, size)).await;
        let second = put_as(&*driver, "suite/object", pattern(2, size), PutMode::Update(first.clone())).await.unwrap();
        let stale = put_as(&*driver, "suite/object", pattern(3, size), PutMode::Update(first)).await;
        assert_kind(stale, StorageErrorKind::VersionMismatch);
        assert_eq!(get(&*driver, "suite/object").await.data, pattern(2, size));
        put_as(&*driver, "suite/object", pattern(4, size), PutMode::Update(second.clone())).await.unwrap();
        delete(&*driver, "suite/object").await;
        let gone = put_as(&*driver, "suite/object", pattern(5, size), PutMode::Update(second)).await;
        assert_kind(gone, StorageErrorKind::VersionMismatch);
    }
}

async fn ranges(driver: SharedDriver) {
    let data = pattern(7, 1_000_000);
    put(&*driver, "suite/object", data.clone()).await;
    let size = data.len() as u64;
    for range in
        [0..0, 0..1, 0..size, 5..5, 10..900_001, size - 1..size, size - 1..size + 5, size..size + 1, size + 5..size + 9]
    {
        let reader = driver.read(&key("suite/object"), Some(range.clone())).await.unwrap();
        let cut = range.start.min(size)..range.end.min(size);
        assert_eq!(reader.range, cut, "{range:?}");
        assert_eq!(reader.stat.size_bytes, size);
        let expected = &data[cut.start as usize..cut.end as usize];
        assert!(collect(reader.stream).await.unwrap() == expected, "{range:?}");
    }
    delete(&*driver, "suite/object").await;
}

async fn large_object(driver: SharedDriver) {
    let data = pattern(3, 6 * 1024 * 1024 + 1);
    put(&*driver, "suite/object", data.clone()).await;
    assert!(read_all(&*driver, "suite/object").await == data);
    let mut dropped = driver.read(&key("suite/object"), None).await.unwrap().stream;
    assert!(dropped.next().await.is_some_and(|piece| piece.is_ok()));
    drop(dropped);
    delete(&*driver, "suite/object").await;
}

async fn senders(driver: SharedDriver) {
    let data = pattern(5, 6 * 1024 * 1024 + 1);
    put(&*driver, "suite/object", data.clone()).await;
    let size = data.len() as u64;
    for range in [0..size, 1000..5_000_000, size - 200_000..size + 5] {
        let reader = driver.read(&key("suite/object"), Some(range.clone())).await.unwrap();
        let expected = data.slice(range.start as usize..reader.range.end as usize);
        if let Some(sender) = reader.sender {
            assert!(send_all(sender, expected.len()).await == expected, "{range:?}");
        }
    }
    delete(&*driver, "suite/object").await;
}

/// A store may end the stream with an error instead, but never early.
async fn read_while_changed(driver: SharedDriver) {
    let data = pattern(1, 5 * 1024 * 1024);
    for replace in [true, false] {
        put(&*driver, "suite/folder/object", data.clone()).await;
        let mut opened = driver.read(&key("suite/folder/object"), None).await.unwrap().stream;
        let first = opened.next().await.unwrap().unwrap();
        let untouched = driver.read(&key("suite/folder/object"), None).await.unwrap().stream;
        if replace {
            put(&*driver, "suite/folder/object", pattern(2, 6 * 1024 * 1024)).await;
        }
        delete(&*driver, "suite/folder/object").await;
        if let Ok(rest) = collect(opened).await {
            assert!([&first[..], &rest].concat() == data, "replaced: {replace}");
        }
        if let Ok(whole) = collect(untouched).await {
            assert!(whole == data, "replaced: {replace}");
        }
    }
}

async fn empty_folders_go(driver: SharedDriver) {
    put(&*driver, "suite/a/b/c/object", "1").await;
    put(&*driver, "suite/a/other", "2").await;
    delete(&*driver, "suite/a/b/c/object").await;
    assert_no_folder(&*driver, "suite/a/b/c").await;
    assert_no_folder(&*driver, "suite/a/b").await;
    assert_eq!(get(&*driver, "suite/a/other").await.data, "2");
    put(&*driver, "suite/a/b/c/object", "3").await;
    delete(&*driver, "suite/a/other").await;
    assert_eq!(get(&*driver, "suite/a/b/c/object").await.data, "3");
    delete(&*driver, "suite/a/b/c/object").await;
    assert_no_folder(&*driver, "suite").await;
}

async fn delete_all(driver: SharedDriver) {
    driver.delete_all(&key("suite/nothing"), None).await.unwrap();
    driver.delete_all(&key("suite/nothing/here"), Some("last")).await.unwrap();
    for last in [None, Some("b"), Some("not-there")] {
        for name in ["a/x", "a/b", "a/c/d/e", "a/c/f", "a-b/x", "aa", "a.b"] {
            put(&*driver, &format!("suite/{name}"), name.to_owned()).await;
        }
        let mut partial = driver.create_partial(&key("suite/a/p/data")).await.unwrap();
        partial.append(vec![pattern(1, 10)]).await.unwrap();
        drop(partial);
        driver.delete_all(&key("suite/a"), last).await.unwrap();
        assert_no_folder(&*driver, "suite/a").await;
        let gone = driver.open_partial(&key("suite/a/p/data"), &super::support::checkpoint_at(0)).await;
        assert_kind(gone, StorageErrorKind::NotFound);
        for name in ["a-b/x", "aa", "a.b"] {
            assert_eq!(get(&*driver, &format!("suite/{name}")).await.data, name);
        }
        driver.delete_all(&key("suite/aa"), last).await.unwrap();
        assert_absent(&*driver, "suite/aa").await;
        driver.delete_all(&key("suite"), last).await.unwrap();
        driver.delete_all(&key("suite"), last).await.unwrap();
    }
    put(&*driver, "suite/deep/er/object", "1").await;
    driver.delete_all(&key("suite/deep/er"), None).await.unwrap();
    assert_no_folder(&*driver, "suite").await;
}

/// Others write to the same disk meanwhile, so that no two numbers can be compared.
async fn free_space(driver: SharedDriver) {
    let size = 100_000;
    let before = driver.free_space().await.unwrap();
    put(&*driver, "suite/object", pattern(1, size)).await;
    let after = driver.free_space().await.unwrap();
    assert_eq!(before.is_some(), after.is_some());
    for bytes in [before, after].into_iter().flatten() {
        assert!(bytes < 1 << 60, "{bytes} bytes are free");
    }
    delete(&*driver, "suite/object").await;
}
