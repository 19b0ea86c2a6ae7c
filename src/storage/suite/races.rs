use bytes::Bytes;
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::support::{LIMIT_BYTES, assert_kind, delete, get, key, names, partial, pattern, put, put_as};
use super::{Case, case};
use crate::storage::{Durability, PutMode, SharedDriver, StorageErrorKind};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("of many that create at once, one wins", create_race),
        case!("of many that compare and set at once, one wins", update_race),
        case!("no update is lost", counting),
        case!("an object is seen whole or not at all", whole_or_not),
        case!("a put does not fail because others empty its folder", put_while_folder_empties),
        case!("delete_all deletes `last` last", last_goes_last),
        case!("all that publish under one key at once succeed", publish_race),
    ]
}

async fn join<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    join_all(tasks).await.into_iter().map(|task| task.expect("the task does not panic")).collect()
}

async fn create_race(driver: SharedDriver) {
    for round in 0..10 {
        let tasks = (0..16).map(|number: u8| {
            let driver = driver.clone();
            tokio::spawn(
                async move { put_as(&*driver, "suite/folder/object", pattern(number, 500), PutMode::Create).await },
            )
        });
        let results = join(tasks.collect()).await;
        let winners: Vec<usize> = (0..16).filter(|number| results[*number].is_ok()).collect();
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        for error in results.into_iter().filter_map(Result::err) {
            assert_eq!(error.kind(), StorageErrorKind::AlreadyExists, "{error}");
        }
        assert_eq!(get(&*driver, "suite/folder/object").await.data, pattern(winners[0] as u8, 500));
        delete(&*driver, "suite/folder/object").await;
    }
}

async fn update_race(driver: SharedDriver) {
    for round in 0..10 {
        let version = put(&*driver, "suite/object", "before").await;
        let tasks = (0..16).map(|number: u8| {
            let (driver, mode) = (driver.clone(), PutMode::Update(version.clone()));
            tokio::spawn(async move { put_as(&*driver, "suite/object", pattern(number, 500), mode).await })
        });
        let results = join(tasks.collect()).await;
        let winners: Vec<usize> = (0..16).filter(|number| results[*number].is_ok()).collect();
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        for error in results.into_iter().filter_map(Result::err) {
            assert_eq!(error.kind(), StorageErrorKind::VersionMismatch, "{error}");
        }
        assert_eq!(get(&*driver, "suite/object").await.data, pattern(winners[0] as u8, 500));
    }
    delete(&*driver, "suite/object").await;
}

async fn counting(driver: SharedDriver) {
    put(&*driver, "suite/count", "0").await;
    let tasks = (0..4).map(|_| {
        let driver = driver.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                count_up(&driver).await;
            }
        })
    });
    join(tasks.collect()).await;
    assert_eq!(get(&*driver, "suite/count").await.data, "40");
    delete(&*driver, "suite/count").await;
}

async fn count_up(driver: &SharedDriver) {
    loop {
        let object = get(&**driver, "suite/count").await;
        let count: u64 = std::str::from_utf8(&object.data).unwrap().parse().unwrap();
        let mode = PutMode::Update(object.version);
        match put_as(&**driver, "suite/count", (count + 1).to_string(), mode).await {
            Ok(_) => return,
            Err(error) => assert_eq!(error.kind(), StorageErrorKind::VersionMismatch, "{error}"),
        }
    }
}

async fn whole_or_not(driver: SharedDriver) {
    let writer = {
        let driver = driver.clone();
        tokio::spawn(async move {
            for round in 0..60_usize {
                let data = Bytes::from(vec![round as u8; 1_000 + round * 1_000]);
                put(&*driver, "suite/folder/object", data).await;
                if round % 5 == 0 {
                    delete(&*driver, "suite/folder/object").await;
                }
            }
        })
    };
    while !writer.is_finished() {
        match driver.get(&key("suite/folder/object"), LIMIT_BYTES).await {
            Ok(object) => {
                let round = object.data.first().copied().expect("never empty");
                assert_eq!(object.data, vec![round; 1_000 + usize::from(round) * 1_000]);
            }
            Err(error) => assert!(error.is_not_found(), "{error}"),
        }
        tokio::task::yield_now().await;
    }
    writer.await.expect("the writer does not panic");
    delete(&*driver, "suite/folder/object").await;
}

async fn put_while_folder_empties(driver: SharedDriver) {
    let tasks = (0..6).map(|number: u8| {
        let driver = driver.clone();
        tokio::spawn(async move {
            let name = format!("suite/a/b/c/{number}");
            for round in 0..40_u8 {
                if (number + round).is_multiple_of(3) {
                    let writer = partial(&*driver, &format!("suite/u/{number}/data"), pattern(round, 10)).await;
                    writer.publish(&key(&name), Durability::Process).await.expect("it is published");
                } else {
                    put_as(&*driver, &name, pattern(round, 10), PutMode::Create).await.expect("it is created");
                }
                assert_eq!(get(&*driver, &name).await.data, pattern(round, 10));
                delete(&*driver, &name).await;
            }
        })
    });
    join(tasks.collect()).await;
}

/// Whenever anything is left, the last one is among it.
async fn last_goes_last(driver: SharedDriver) {
    for _ in 0..10 {
        for number in 0..20 {
            put(&*driver, &format!("suite/folder/{number}"), "x").await;
            put(&*driver, &format!("suite/folder/below-{number}/object"), "x").await;
        }
        put(&*driver, "suite/folder/a-last", "x").await;
        let deleting = {
            let driver = driver.clone();
            tokio::spawn(async move { driver.delete_all(&key("suite/folder"), Some("a-last")).await })
        };
        loop {
            match driver.list(&key("suite/folder"), None, 100).await {
                Ok(page) if page.entries.is_empty() => break,
                Ok(page) => assert!(page.entries.iter().any(|entry| entry.name == "a-last"), "{page:?}"),
                Err(error) => {
                    assert!(error.is_not_found(), "{error}");
                    break;
                }
            }
        }
        deleting.await.expect("it does not panic").expect("it deletes");
        assert_kind(driver.list(&key("suite/folder"), None, 1).await, StorageErrorKind::NotFound);
    }
}

async fn publish_race(driver: SharedDriver) {
    let tasks = (0..8).map(|number: u8| {
        let driver = driver.clone();
        tokio::spawn(async move {
            let writer = partial(&*driver, &format!("suite/uploads/{number}/data"), pattern(9, 3_000)).await;
            writer.publish(&key("suite/blobs/1/data"), Durability::Power).await.expect("it is published").size_bytes
        })
    });
    assert_eq!(join(tasks.collect()).await, [3_000; 8]);
    assert_eq!(get(&*driver, "suite/blobs/1/data").await.data, pattern(9, 3_000));
    assert_eq!(names(&*driver, "suite", 5).await, ["blobs"]);
    delete(&*driver, "suite/blobs/1/data").await;
}
