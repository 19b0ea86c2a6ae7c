use super::support::{assert_kind, assert_no_folder, delete, key, names, put};
use super::{Case, case};
use crate::storage::{Entry, EntryKind, SharedDriver, StorageErrorKind};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("a listing is sorted by the bytes of the names, whatever the page", sorted_pages),
        case!("a listing starts after any name, there or not", start_after),
        case!("a listing tells objects from folders", kinds),
        case!("a folder that is not there does not list", no_folder),
        case!("a listing sees every change at once", changes_are_seen),
        case!("a mark changes with the names, and only a change is forgotten", marks),
    ]
}

/// In the order of their bytes; several are each other's beginning, where a store that sorts paths errs.
const SORTED: [&str; 12] = ["0", "A", "Z", "_", "a", "a-b", "a.b", "a0", "aa", "b", "sha256-0", "\u{e9}t\u{e9}"];

async fn sorted_pages(driver: SharedDriver) {
    for (at, name) in SORTED.iter().enumerate().rev() {
        let below = if at % 2 == 0 { "/below/object" } else { "" };
        put(&*driver, &format!("suite/list/{name}{below}"), "x").await;
    }
    for limit in 1..=SORTED.len() + 1 {
        assert_eq!(names(&*driver, "suite/list", limit).await, SORTED, "pages of {limit}");
    }
    assert_eq!(names(&*driver, "suite/list", usize::MAX).await, SORTED);
    driver.delete_all(&key("suite/list"), None).await.unwrap();
}

async fn start_after(driver: SharedDriver) {
    for name in SORTED {
        put(&*driver, &format!("suite/list/{name}"), "x").await;
    }
    for start in SORTED.into_iter().chain(["", "!", "a!", "aaa", "zzz", "\u{10ffff}", "a/b"]) {
        let page = driver.list(&key("suite/list"), Some(start), 3).await.unwrap();
        let expected: Vec<&str> = SORTED.into_iter().filter(|name| *name > start).collect();
        let listed: Vec<&str> = page.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(listed, expected[..expected.len().min(3)], "after {start:?}");
        assert_eq!(page.more, expected.len() > 3, "after {start:?}");
    }
    driver.delete_all(&key("suite/list"), None).await.unwrap();
}

async fn kinds(driver: SharedDriver) {
    put(&*driver, "suite/list/object", "x").await;
    put(&*driver, "suite/list/folder/object", "x").await;
    let page = driver.list(&key("suite/list"), None, 10).await.unwrap();
    let expected = [("folder", EntryKind::Folder), ("object", EntryKind::Object)];
    assert_eq!(page.entries, expected.map(|(name, kind)| Entry { name: name.into(), kind }));
    driver.delete_all(&key("suite"), None).await.unwrap();
}

async fn no_folder(driver: SharedDriver) {
    put(&*driver, "suite/object", "x").await;
    for name in ["suite/absent", "suite/absent/below", "suite/object", "suite/object/below"] {
        assert_no_folder(&*driver, name).await;
        assert_kind(driver.list_mark(&key(name)).await, StorageErrorKind::NotFound);
    }
    delete(&*driver, "suite/object").await;
}

/// Quick changes, so that a cache that trusts a coarse clock is caught.
async fn changes_are_seen(driver: SharedDriver) {
    put(&*driver, "suite/list/always", "x").await;
    for round in 0..100 {
        let name = format!("n{round}");
        put(&*driver, &format!("suite/list/{name}"), "x").await;
        assert_eq!(names(&*driver, "suite/list", 10).await, ["always", &name]);
        assert_eq!(names(&*driver, "suite/list", 10).await, ["always", &name]);
        delete(&*driver, &format!("suite/list/{name}")).await;
        assert_eq!(names(&*driver, "suite/list", 10).await, ["always"]);
    }
    delete(&*driver, "suite/list/always").await;
}

async fn marks(driver: SharedDriver) {
    put(&*driver, "suite/list/always", "x").await;
    let mut seen = Vec::new();
    for round in 0..50 {
        let Some(mark) = driver.list_mark(&key("suite/list")).await.unwrap() else { break };
        assert!(!seen.contains(&mark), "round {round}: {mark:?} stood for other names");
        seen.push(mark);
        let name = format!("suite/list/n{}", round / 2);
        match round % 2 {
            0 => drop(put(&*driver, &name, "x").await),
            _ => delete(&*driver, &name).await,
        }
    }
    delete(&*driver, "suite/list/always").await;
}
