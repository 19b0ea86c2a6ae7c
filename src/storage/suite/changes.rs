//! Several changes in one call.

use bytes::Bytes;

use super::support::*;
use super::{Case, case};
use crate::storage::{Change, Durability, Entry, EntryKind, ListPage, SharedDriver};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("changes are made in order", in_order),
        case!("of changes that fail the first ones are made and the rest is not", up_to_the_first_that_fails),
        case!("a folder of objects is put, dropped and put again", folders),
        case!("a folder that is there already is added to", a_folder_that_is_there),
        case!("a dropped folder takes with it whatever is in it", whatever_is_in_it),
    ]
}

fn put_of(name: &str, data: &'static str) -> Change {
    // In two pieces.
    let (one, other) = data.split_at(data.len() / 2);
    let data = vec![Bytes::from_static(one.as_bytes()), Bytes::from_static(other.as_bytes())];
    Change::Put { key: key(name), data, durability: Durability::Power }
}

fn folder_of(name: &str, objects: &[(&str, String)], durability: Durability) -> Change {
    let objects =
        objects.iter().map(|(object, data)| (key(&format!("{name}/{object}")), data.clone().into())).collect();
    Change::PutFolder { folder: key(name), objects, durability }
}

fn drop_of(name: &str) -> Change {
    Change::DeleteAll { folder: key(name), last: Some("sign") }
}

async fn in_order(driver: SharedDriver) {
    driver.apply(Vec::new()).await.unwrap();
    put(&*driver, "suite/a", "old").await;
    let changes =
        vec![put_of("suite/a", "first"), put_of("suite/b/c", "x"), put_of("suite/a", "second"), drop_of("suite/b")];
    driver.apply(changes).await.unwrap();
    assert_eq!(get(&*driver, "suite/a").await.data, "second");
    assert_no_folder(&*driver, "suite/b").await;
    driver.apply(vec![drop_of("suite/b"), drop_of("suite/never/there"), drop_of("suite/a")]).await.unwrap();
    assert_no_folder(&*driver, "suite").await;
}

/// Nothing can be put below an object on a filesystem; where it can, there is nothing to be seen here.
async fn up_to_the_first_that_fails(driver: SharedDriver) {
    let changes = vec![put_of("suite/a", "1"), put_of("suite/a/below", "2"), put_of("suite/c", "3")];
    if let Err(interrupted) = driver.apply(changes).await {
        assert_eq!(interrupted.done, 1, "{interrupted:?}");
        assert!(!interrupted.cause.is_not_found(), "{interrupted:?}");
        assert_eq!(get(&*driver, "suite/a").await.data, "1");
        assert_absent(&*driver, "suite/c").await;
    }
    driver.delete_all(&key("suite"), None).await.unwrap();
}

async fn folders(driver: SharedDriver) {
    for durability in [Durability::Process, Durability::Power] {
        // Longer, shorter, and one name less, each in a folder that takes the place of one that was dropped.
        for (round, length) in [300, 9_000, 20, 0, 5].into_iter().enumerate() {
            let folder = format!("suite/folder-{round}");
            let mut objects = vec![("record", round.to_string().repeat(length)), ("sign", format!("round {round}"))];
            objects.truncate(if round == 2 { 1 } else { 2 });
            driver.apply(vec![folder_of(&folder, &objects, durability)]).await.unwrap();
            let entries = objects.iter().map(|(name, _)| Entry { name: (*name).into(), kind: EntryKind::Object });
            let page = driver.list(&key(&folder), None, 10).await.unwrap();
            assert_eq!(page, ListPage { entries: entries.collect(), more: false });
            for (name, data) in &objects {
                assert_eq!(get(&*driver, &format!("{folder}/{name}")).await.data, data.as_bytes(), "{folder}/{name}");
            }
            let stream = driver.read(&key(&format!("{folder}/record")), None).await.unwrap().stream;
            driver.apply(vec![drop_of(&folder)]).await.unwrap();
            assert_no_folder(&*driver, &folder).await;
            let next = [("record", "other".to_owned()), ("sign", "other".to_owned())];
            driver.apply(vec![folder_of("suite/next", &next, durability)]).await.unwrap();
            let read = collect(stream).await;
            assert!(read.as_ref().is_err() || read.as_deref().is_ok_and(|read| read == objects[0].1.as_bytes()));
            driver.apply(vec![drop_of("suite/next")]).await.unwrap();
        }
    }
}

async fn a_folder_that_is_there(driver: SharedDriver) {
    put(&*driver, "suite/folder/record", "old").await;
    put(&*driver, "suite/folder/other", "kept").await;
    let objects = [("record", "new".to_owned()), ("sign", "s".to_owned())];
    driver.apply(vec![folder_of("suite/folder", &objects, Durability::Process)]).await.unwrap();
    for (name, data) in [("record", "new"), ("sign", "s"), ("other", "kept")] {
        assert_eq!(get(&*driver, &format!("suite/folder/{name}")).await.data, data);
    }
    driver.apply(vec![drop_of("suite/folder")]).await.unwrap();
}

async fn whatever_is_in_it(driver: SharedDriver) {
    for name in ["a/record", "a/sign", "a/states/sha256/100", "a/large", "b"] {
        put(&*driver, &format!("suite/{name}"), pattern(1, 10_000)).await;
    }
    drop(partial(&*driver, "suite/a/data", pattern(2, 100_000)).await);
    driver.apply(vec![drop_of("suite/a")]).await.unwrap();
    assert_no_folder(&*driver, "suite/a").await;
    let objects = [("record", "1".to_owned()), ("sign", "2".to_owned())];
    driver.apply(vec![folder_of("suite/a", &objects, Durability::Process)]).await.unwrap();
    assert_eq!(names(&*driver, "suite/a", 10).await, ["record", "sign"]);
    driver.apply(vec![drop_of("suite/a"), drop_of("suite/b")]).await.unwrap();
}
