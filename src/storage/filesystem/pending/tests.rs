use std::fs;
use std::path::Path;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tempfile::TempDir;

use super::JOURNAL_FILE;
use crate::storage::filesystem::tests::{files_below, key, left_by_a_kill, open, put, removal, upload};
use crate::storage::filesystem::*;
use crate::storage::{Entry, EntryKind, StorageErrorKind};

async fn new_root() -> (TempDir, Filesystem) {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    driver.apply(vec![upload("repo/uploads/a", "1")]).await.unwrap();
    assert_eq!((driver.store.pending.count(), files_below(root.path())), (1, vec![]));
    (root, driver)
}

async fn get(driver: &Filesystem, name: &str) -> Bytes {
    driver.get(&key(name), 1000).await.unwrap_or_else(|error| panic!("{error}")).data
}

async fn names(driver: &Filesystem, folder: &str, start_after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let page = driver.list(&key(folder), start_after, limit).await.unwrap();
    let told = |entry: Entry| entry.name + if entry.kind == EntryKind::Folder { "/" } else { "" };
    (page.entries.into_iter().map(told).collect(), page.more)
}

fn on_disk(root: &Path, name: &str) -> Option<String> {
    fs::read_to_string(root.join(name)).ok()
}

/// A full disk has no room for the folder, and an upload is asked for, cancelled and expires there all the same.
#[tokio::test]
async fn a_look_for_a_partial_places_nothing() {
    let (root, driver) = new_root().await;
    let start = Checkpoint { offset: 0, token: String::new() };
    let refused = driver.open_partial(&key("repo/uploads/a/data"), &start).await.unwrap_err();
    assert_eq!(refused.kind(), StorageErrorKind::NotFound);
    assert_eq!((driver.store.pending.count(), files_below(root.path())), (1, vec![]));
    driver.apply(vec![removal("repo/uploads/a")]).await.unwrap();
    assert_eq!(driver.store.pending.count(), 0);
}

#[tokio::test]
async fn what_is_pending_is_read_and_listed() {
    let (root, driver) = new_root().await;
    let record = key("repo/uploads/a/record");
    let object = driver.get(&record, 1).await.unwrap();
    assert_eq!(object.data, "1");
    assert_eq!(driver.get(&record, 0).await.unwrap_err().kind(), StorageErrorKind::WrongSize);
    assert_eq!(driver.stat(&key("repo/uploads/a/startedat")).await.unwrap().size_bytes, 3);
    let reader = driver.read(&key("repo/uploads/a/startedat"), Some(1..9)).await.unwrap();
    assert_eq!((reader.stat.size_bytes, reader.range.clone()), (3, 1..3));
    assert_eq!(reader.stream.try_collect::<Vec<_>>().await.unwrap().concat(), b"ow");
    for absent in
        ["repo/uploads/a", "repo/uploads", "repo/uploads/a/none", "repo/uploads/a/record/below", "repo/uploads/"]
    {
        let Ok(absent) = absent.parse::<Key>() else { continue };
        assert!(driver.get(&absent, 9).await.unwrap_err().is_not_found(), "{absent}");
        assert!(driver.stat(&absent).await.unwrap_err().is_not_found(), "{absent}");
    }
    assert_eq!(names(&driver, "repo/uploads/a", None, 9).await, (vec!["record".into(), "startedat".into()], false));
    assert_eq!(names(&driver, "repo", None, 9).await, (vec!["uploads/".into()], false));
    assert!(driver.list(&key("rep"), None, 9).await.unwrap_err().is_not_found());
    let mark = driver.list_mark(&key("repo/uploads")).await.unwrap();
    assert_ne!(driver.list_mark(&key("repo/uploads")).await.unwrap(), mark);
    assert_eq!((driver.store.pending.count(), files_below(root.path())), (1, vec![]));
}

#[tokio::test]
async fn names_in_memory_and_on_disk_make_one_listing() {
    let (_root, driver) = new_root().await;
    for name in ["b", "d", "f"] {
        put(&driver, &format!("repo/uploads/{name}/record"), "1").await;
    }
    driver.apply(vec![upload("repo/uploads/e", "1"), upload("repo/uploads/c", "1")]).await.unwrap();
    assert_eq!(driver.store.pending.count(), 3);
    let mut found = Vec::new();
    loop {
        let start_after: Option<String> = found.last().map(|name: &String| name.trim_end_matches('/').to_owned());
        let (page, more) = names(&driver, "repo/uploads", start_after.as_deref(), 2).await;
        found.extend(page);
        if !more {
            break;
        }
    }
    assert_eq!(found, ["a/", "b/", "c/", "d/", "e/", "f/"]);
    assert_eq!(names(&driver, "repo/uploads", Some("b"), 0).await, (vec![], true));
}

#[tokio::test]
async fn an_object_is_put_into_a_pending_folder() {
    let (root, driver) = new_root().await;
    let changed = |name: &str, data: &'static str| Change::Put {
        key: key(name),
        data: vec![Bytes::from_static(data.as_bytes()), Bytes::from_static(b"!")],
        durability: Durability::Process,
    };
    driver.apply(vec![changed("repo/uploads/a/record", "2"), changed("repo/uploads/a/more", "3")]).await.unwrap();
    assert_eq!(
        (get(&driver, "repo/uploads/a/record").await, get(&driver, "repo/uploads/a/more").await),
        ("2!".into(), "3!".into())
    );
    assert_eq!((driver.store.pending.count(), files_below(root.path())), (1, vec![]));
    let left = left_by_a_kill(root.path());
    drop(open(left.path(), true));
    assert_eq!(on_disk(left.path(), "repo/uploads/a/record").as_deref(), Some("2!"));
    assert_eq!(on_disk(left.path(), "repo/uploads/a/more").as_deref(), Some("3!"));
    // What has to survive a loss of power goes to disk, and all with it.
    put(&driver, "repo/uploads/a/record", "4").await;
    assert_eq!(on_disk(root.path(), "repo/uploads/a/record").as_deref(), Some("4"));
    assert_eq!(on_disk(root.path(), "repo/uploads/a/startedat").as_deref(), Some("now"));
    assert_eq!(driver.store.pending.count(), 0);
}

#[tokio::test]
async fn whatever_needs_files_finds_them() {
    let nothing = Bytes::new;
    let at_zero = Checkpoint { offset: 0, token: String::new() };
    for round in 0..8 {
        let (root, driver) = new_root().await;
        let version = driver.get(&key("repo/uploads/a/record"), 9).await.unwrap().version;
        let mode = if round == 1 { PutMode::Update(version) } else { PutMode::Create };
        match round {
            0 | 1 => {
                let name = key(if round == 0 { "repo/uploads/a/new" } else { "repo/uploads/a/record" });
                drop(driver.put(&name, Bytes::from_static(b"1"), mode, Durability::Process).await.unwrap());
            }
            2 => {
                let put = driver.put(&key("repo/uploads/a/record"), nothing(), mode, Durability::Process).await;
                assert_eq!(put.unwrap_err().kind(), StorageErrorKind::AlreadyExists);
            }
            3 => {
                let name = key("repo/uploads/a/states/sha256/0");
                drop(driver.put(&name, nothing(), PutMode::Overwrite, Durability::Process).await.unwrap());
            }
            4 => drop(driver.create_partial(&key("repo/uploads/a/data")).await.unwrap()),
            5 => drop(driver.open_partial(&key("repo/uploads/a/record"), &at_zero).await.unwrap()),
            6 => {
                let partial = driver.create_partial(&key("partial")).await.unwrap();
                assert!(partial.publish(&key("repo/uploads/a/object"), Durability::Process).await.is_ok());
            }
            _ => driver.apply(vec![upload("repo/uploads/a", "1")]).await.unwrap(),
        }
        assert_eq!(driver.store.pending.count(), 0, "in round {round}");
        assert_eq!(on_disk(root.path(), "repo/uploads/a/record").as_deref(), Some("1"), "in round {round}");
        assert_eq!(on_disk(root.path(), "repo/uploads/a/startedat").as_deref(), Some("now"), "in round {round}");
        driver.apply(vec![removal("repo/uploads/a")]).await.unwrap();
        assert!(driver.list(&key("repo"), None, 9).await.unwrap_err().is_not_found());
        drop(driver);
        assert_eq!(files_below(root.path()), [""; 0], "in round {round}");
    }
}

#[tokio::test]
async fn what_is_deleted_before_it_was_on_disk_never_is() {
    let (root, driver) = new_root().await;
    driver.apply(vec![removal("repo/uploads/a")]).await.unwrap();
    assert!(driver.list(&key("repo"), None, 9).await.unwrap_err().is_not_found());
    // By a folder above, name for name, and as what it is.
    driver.apply(vec![upload("repo/uploads/b", "1"), upload("repo/uploads/c", "1")]).await.unwrap();
    driver.delete_all(&key("repo"), None).await.unwrap();
    driver.apply(vec![upload("repo/uploads/d", "1")]).await.unwrap();
    driver.delete(&key("repo/uploads/d/record")).await.unwrap();
    assert!(driver.delete(&key("repo/uploads/d/record")).await.unwrap_err().is_not_found());
    assert!(driver.delete(&key("repo/uploads/d")).await.unwrap_err().is_not_found());
    assert_eq!(names(&driver, "repo/uploads/d", None, 9).await, (vec!["startedat".into()], false));
    driver.delete_all(&key("repo/uploads/d/startedat"), None).await.unwrap();
    assert!(driver.list(&key("repo/uploads/d"), None, 9).await.unwrap_err().is_not_found());
    let left = left_by_a_kill(root.path());
    drop((driver, open(left.path(), true)));
    assert_eq!((files_below(root.path()), files_below(left.path())), (vec![], vec![]));
}

#[tokio::test]
async fn a_kill_loses_nothing_that_is_pending_and_brings_nothing_back() {
    let (root, driver) = new_root().await;
    driver.apply(vec![upload("repo/uploads/b", "2"), upload("repo/uploads/c", "3")]).await.unwrap();
    driver.apply(vec![removal("repo/uploads/a")]).await.unwrap();
    drop(driver.create_partial(&key("repo/uploads/c/data")).await.unwrap());
    driver.delete_all(&key("repo/uploads/c"), None).await.unwrap();
    let left = left_by_a_kill(root.path());
    let next = open(left.path(), true);
    assert_eq!(next.store.pending.count(), 0);
    assert_eq!(names(&next, "repo/uploads", None, 9).await, (vec!["b/".into()], false));
    assert_eq!(on_disk(left.path(), "repo/uploads/b/record").as_deref(), Some("2"));
    next.delete_all(&key("repo/uploads/b"), None).await.unwrap();
    // Killed again, before anything else was written down.
    let left = left_by_a_kill(left.path());
    drop(open(left.path(), true));
    assert_eq!(files_below(left.path()), [""; 0]);
}

#[tokio::test]
async fn a_folder_that_got_on_disk_right_before_a_kill_is_left_as_it_is() {
    let (root, driver) = new_root().await;
    let before = fs::read(root.path().join(JOURNAL_FILE)).unwrap();
    put(&driver, "repo/uploads/a/record", "newer, and synced").await;
    driver.delete(&key("repo/uploads/a/startedat")).await.unwrap();
    let left = left_by_a_kill(root.path());
    fs::write(left.path().join(JOURNAL_FILE), before).unwrap();
    drop(open(left.path(), true));
    assert_eq!(on_disk(left.path(), "repo/uploads/a/record").as_deref(), Some("newer, and synced"));
    assert_eq!(on_disk(left.path(), "repo/uploads/a/startedat").as_deref(), Some("now"));
}

#[tokio::test]
async fn the_driver_s_end_leaves_files() {
    let (root, driver) = new_root().await;
    let partial = driver.create_partial(&key("partial")).await.unwrap();
    drop(driver);
    assert_eq!(on_disk(root.path(), "repo/uploads/a/record"), None, "somebody still uses it");
    drop(partial);
    assert_eq!(on_disk(root.path(), "repo/uploads/a/record").as_deref(), Some("1"));
    fs::remove_dir_all(root.path().join("repo")).unwrap();
    drop(open(root.path(), true));
    assert_eq!(on_disk(root.path(), "repo/uploads/a/record"), None, "it was brought back");
}

#[tokio::test]
async fn a_torn_entry_and_what_is_behind_it_is_nothing() {
    let (root, driver) = new_root().await;
    let journal = root.path().join(JOURNAL_FILE);
    let written = |journal: &Path| fs::read(journal).unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let first_bytes = written(&journal);
    driver.apply(vec![upload("repo/uploads/b", "2")]).await.unwrap();
    let whole = fs::read(&journal).unwrap();
    let end = written(&journal);
    for cut in first_bytes..end {
        let left = tempfile::tempdir().unwrap();
        let mut torn = whole.clone();
        torn[cut] ^= 0x40;
        fs::write(left.path().join(JOURNAL_FILE), torn).unwrap();
        let next = open(left.path(), false);
        assert_eq!(names(&next, "repo/uploads", None, 9).await, (vec!["a/".into()], false), "byte {cut}");
        // It goes on over it.
        next.apply(vec![upload("repo/uploads/c", "2")]).await.unwrap();
        drop(next);
        assert_eq!(on_disk(left.path(), "repo/uploads/c/record").as_deref(), Some("2"));
    }
}

#[tokio::test]
async fn a_full_journal_is_begun_again() {
    let (root, driver) = new_root().await;
    driver.store.pending.set_journal_size(64 * 1024);
    let mut placed = 0;
    for round in 0..2000 {
        let before = driver.store.pending.count();
        let (new, old) = (format!("repo/uploads/{round}"), format!("repo/uploads/{}", round - 7));
        driver.apply(vec![upload(&new, &round.to_string()), removal(&old)]).await.unwrap();
        placed += usize::from(driver.store.pending.count() < before);
        for kept in (0.max(round - 6))..=round {
            assert_eq!(get(&driver, &format!("repo/uploads/{kept}/record")).await, kept.to_string());
        }
        if round % 97 == 0 {
            let left = left_by_a_kill(root.path());
            let next = open(left.path(), true);
            let expected = names(&driver, "repo/uploads", None, 100).await;
            assert_eq!(names(&next, "repo/uploads", None, 100).await, expected);
        }
    }
    assert!((2..200).contains(&placed), "it was begun again {placed} times");
}

#[tokio::test]
async fn what_is_too_large_or_too_much_goes_to_disk() {
    let (root, driver) = new_root().await;
    driver.apply(vec![upload("repo/uploads/large", &"1".repeat(20_000))]).await.unwrap();
    assert_eq!(on_disk(root.path(), "repo/uploads/large/startedat").as_deref(), Some("now"));
    let deep = ["a".repeat(250), "b".repeat(250), "c".repeat(250)].join("/");
    driver.apply(vec![upload(&deep, "1")]).await.unwrap();
    assert!(root.path().join(&deep).join("record").exists());
    let large = Change::Put {
        key: key("repo/uploads/a/record"),
        data: vec![vec![b'1'; 20_000].into()],
        durability: Durability::Process,
    };
    driver.apply(vec![large]).await.unwrap();
    assert_eq!(on_disk(root.path(), "repo/uploads/a/record").unwrap().len(), 20_000);
    let many = (0..5000).map(|number| upload(&format!("repo/uploads/{number}"), "1")).collect();
    driver.apply(many).await.unwrap();
    assert!(driver.store.pending.count() <= 4096);
    assert_eq!(names(&driver, "repo/uploads", None, 10_000).await.0.len(), 5002);
}

#[tokio::test]
async fn without_a_journal_everything_goes_to_disk() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join(JOURNAL_FILE)).unwrap();
    let driver = open(root.path(), true);
    driver.apply(vec![upload("repo/uploads/a", "1")]).await.unwrap();
    assert_eq!(on_disk(root.path(), "repo/uploads/a/record").as_deref(), Some("1"));
    driver.apply(vec![removal("repo/uploads/a")]).await.unwrap();
    assert_eq!(files_below(root.path()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_finds_a_folder_missing_or_half_while_it_is_placed() {
    let (root, driver) = new_root().await;
    for round in 0..200 {
        let folder = format!("repo/uploads/{round}");
        driver.apply(vec![upload(&folder, "1")]).await.unwrap();
        let placed = std::sync::atomic::AtomicBool::new(false);
        let place = async {
            let created = tokio::spawn({
                let (driver, data) = (driver.clone(), key(&format!("{folder}/data")));
                async move { driver.create_partial(&data).await.map(drop) }
            });
            let replaced = tokio::spawn({
                let (driver, record) = (driver.clone(), key(&format!("{folder}/record")));
                async move { driver.put(&record, Bytes::from_static(b"2"), PutMode::Overwrite, Durability::Process).await }
            });
            created.await.unwrap().unwrap();
            replaced.await.unwrap().unwrap();
            placed.store(true, std::sync::atomic::Ordering::SeqCst);
        };
        let look = async {
            while !placed.load(std::sync::atomic::Ordering::SeqCst) {
                assert_eq!(get(&driver, &format!("{folder}/startedat")).await, "now");
                let (names, _) = names(&driver, &folder, None, 9).await;
                assert!(names.iter().filter(|name| *name != "data").eq(["record", "startedat"]), "{names:?}");
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(place, look);
        assert_eq!(get(&driver, &format!("{folder}/record")).await, "2");
        driver.apply(vec![removal(&folder)]).await.unwrap();
    }
    driver.apply(vec![removal("repo/uploads/a")]).await.unwrap();
    assert_eq!(files_below(root.path()), [""; 0]);
}
