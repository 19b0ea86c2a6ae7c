//! The log is full, torn, of another version, or cannot be written.

use std::os::unix::fs::MetadataExt as _;

use super::super::file;
use super::*;

/// What is put again is as old as its entry, so that another loss of power finds it as the first one did.
#[tokio::test]
async fn power_may_be_lost_while_it_is_made_up_for() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    let left = lose_power(root.path());
    fs::remove_file(left.path().join("a")).unwrap();
    let written = entries_in(left.path(), 0)[1].written;
    drop(open(left.path()));
    assert_eq!(fs::metadata(left.path().join("a")).unwrap().modified().unwrap(), written);
}

/// A sync of the whole filesystem failed, and another one would not: what is in the cache may never get on the disk.
#[tokio::test]
async fn what_a_failed_sync_lost_is_written_anew() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    let shared = &driver.store.redo.0;
    let files = shared.lock().files.clone().unwrap();
    shared.keep_for_the_next_start(0, &files).unwrap();
    driver.delete(&key("a")).await.unwrap_err();
    noted(&driver, "b", "2").await;
    drop(driver);
    assert!(!log_is_empty(root.path()));
    let before = fs::metadata(root.path().join("a")).unwrap().ino();
    drop(open(root.path()));
    assert_ne!(fs::metadata(root.path().join("a")).unwrap().ino(), before);
    assert_eq!(on_disk(root.path(), "a").as_deref(), Some("1"));
    assert!(log_is_empty(root.path()));
}

#[tokio::test]
async fn a_put_that_failed_is_not_made_up_for() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    driver.put(&key("a/b"), "2".into(), PutMode::Overwrite, Durability::Power).await.unwrap_err();
    noted(&driver, "c", "3").await;
    let left = lose_power(root.path());
    fs::remove_file(left.path().join("a")).unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "a").as_deref(), Some("1"));
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_left() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    break_half(&driver, root.path(), 0);
    let refused = driver.put(&key("b"), "1".into(), PutMode::Overwrite, Durability::Power).await;
    assert_eq!(refused.unwrap_err().kind(), StorageErrorKind::Fault);
    assert_eq!(on_disk(root.path(), "b"), None);
    // From now on each file is synced by itself; only what the log knows cannot be changed for good.
    noted(&driver, "c", "1").await;
    driver.delete(&key("c")).await.unwrap();
    while !driver.store.redo.0.lock().halves.iter().any(|half| half.phase == Phase::Stuck) {
        tokio::task::yield_now().await;
    }
    driver.delete(&key("a")).await.unwrap_err();
    // It is tried again, and succeeds.
    break_half(&driver, root.path(), 1);
    while driver.store.redo.0.lock().halves[0].phase != Phase::Empty {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    driver.delete(&key("a")).await.unwrap();
    drop(driver);
    assert!(log_is_empty(root.path()));
}

#[tokio::test]
async fn the_log_ends_before_what_is_torn_or_of_an_earlier_time() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    noted(&driver, "b", "2").await;
    let end = driver.store.redo.0.lock().halves[0].end;
    for (at, byte) in [(end - 1, b'x'), (end - 10, b'x')] {
        let left = lose_power(root.path());
        let file = OpenOptions::new().write(true).open(left.path().join(REDO_FILES[0])).unwrap();
        file.write_all_at(&[byte], at).unwrap();
        fs::remove_file(left.path().join("a")).unwrap();
        fs::remove_file(left.path().join("b")).unwrap();
        drop(open(left.path()));
        assert_eq!((on_disk(left.path(), "a").as_deref(), on_disk(left.path(), "b")), (Some("1"), None), "{at}");
    }
    // Behind the end stands a whole entry, with the number that follows, of another time.
    let left = lose_power(root.path());
    let number = driver.store.redo.0.lock().last + 1;
    let old = Says::Gone { key: key("a") };
    let file = OpenOptions::new().write(true).open(left.path().join(REDO_FILES[0])).unwrap();
    file.write_all_at(&bytes_of(old, 1, number), end).unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "a").as_deref(), Some("1"));
}

/// Where the log has no room, what is put is synced as a file, and stands over what the log says.
#[test]
fn a_log_that_cannot_be_made_takes_no_room() {
    let root = tempfile::tempdir().unwrap();
    let temporary = root.path().join(TEMPORARY_FOLDER);
    fs::create_dir(&temporary).unwrap();
    // The second half cannot be put in its place.
    fs::create_dir_all(root.path().join(REDO_FILES[1]).join("in the way")).unwrap();
    file::make(root.path(), LOG_BYTES, u64::MAX).unwrap_err();
    assert!(!root.path().join(REDO_FILES[0]).exists());
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0);
}

#[tokio::test]
async fn a_full_log_is_gone_round() {
    let (root, driver) = new_root();
    let (name, data) = (key("hold"), ["x".into()]);
    let first = driver.store.redo.note(&[(&name, &data)]).unwrap().unwrap();
    let filler = Bytes::from(vec![0; MOST_BYTES as usize]);
    let mut second = None;
    for number in 0..20 {
        put(&driver, &format!("filler/{number}"), filler.clone(), Durability::Power).await;
        if driver.store.redo.0.lock().current == Some(1) && second.is_none() {
            second = driver.store.redo.note(&[(&name, &data)]).unwrap();
        }
    }
    assert!(second.is_some() && driver.store.redo.note(&[(&name, std::slice::from_ref(&filler))]).unwrap().is_none());
    drop((first, second));
    driver.store.redo.settle();
    assert!(driver.store.redo.note(&[(&name, &[filler])]).unwrap().is_some());
    drop(driver);
    assert!(log_is_empty(root.path()));
}

#[tokio::test]
async fn there_is_always_room_to_say_a_note_again() {
    let (root, driver) = new_root();
    let store = &driver.store;
    let name = key("a");
    let held: Vec<Note> =
        (0..20).flat_map(|_| store.redo.note(&[(&name, &["late".into()])]).unwrap().unwrap()).collect();
    for size in [MOST_BYTES as usize, 10_000, 1_000, 100, 1] {
        let (filler, data) = (key(&format!("filler/{size}")), [vec![0; size].into()]);
        let mut fillers = Vec::new();
        while let Some(note) = store.redo.note(&[(&filler, &data)]).unwrap() {
            fillers.extend(note);
            if store.redo.0.lock().current == Some(1) {
                // Neither half can be emptied.
                std::mem::forget(fillers.pop());
            }
        }
        fillers.into_iter().for_each(std::mem::forget);
    }
    let nobody_leaves = Cancelled::default();
    // Each but the last is overtaken.
    for note in held {
        object::place_file(store, &name, &["late".into()], &PutMode::Overwrite, Survives::Noted(note), &nobody_leaves)
            .unwrap();
    }
    let is_within_bounds = driver.store.redo.0.lock().halves.iter().all(|half| half.end <= LOG_BYTES / 2);
    let left = lose_power(root.path());
    // Those that were forgotten would be waited for.
    std::mem::forget(driver);
    assert!(is_within_bounds);
    fs::remove_file(left.path().join("a")).unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "a").as_deref(), Some("late"));
}

#[tokio::test]
async fn a_log_of_a_newer_version_is_not_touched() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    let left = left_by_a_kill(root.path());
    let mut newer = bytes_of(Says::Begun { mount: Bytes::new() }, 5, 1);
    let body_at = newer.len() - 4;
    newer[body_at + 3] = 2;
    let sum = crc32fast::hash(&newer[body_at..]);
    newer[4..8].copy_from_slice(&sum.to_le_bytes());
    let header = crc32fast::hash(&newer[..body_at - 4]);
    newer[body_at - 4..body_at].copy_from_slice(&header.to_le_bytes());
    let file = OpenOptions::new().write(true).open(left.path().join(REDO_FILES[0])).unwrap();
    file.write_all_at(&newer, 0).unwrap();
    let before = fs::read(left.path().join(REDO_FILES[0])).unwrap();
    let refused = Filesystem::open(FilesystemOptions::new(left.path())).unwrap_err();
    assert!(format!("{refused}").contains("newer version"), "{refused}");
    assert_eq!(fs::read(left.path().join(REDO_FILES[0])).unwrap(), before);
}
