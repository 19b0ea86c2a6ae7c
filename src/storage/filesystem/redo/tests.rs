use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tempfile::TempDir;

use super::entry::{self, Entry, Says};
use super::{MOST_BYTES, Note, OBJECTS_WITHOUT, Phase, Placing, REDO_FILES, RedoLog, Stage, Survives};
use crate::storage::StorageErrorKind;
use crate::storage::filesystem::tests::{files_below, key};
use crate::storage::filesystem::*;

const LOG_BYTES: u64 = 1024 * 1024;

fn open(root: &Path) -> Filesystem {
    Filesystem::open(FilesystemOptions { redo_log_bytes: LOG_BYTES, ..FilesystemOptions::new(root) }).unwrap()
}

impl RedoLog {
    /// Begins the log, as many objects would.
    fn begin(&self) {
        let mut state = self.0.lock();
        self.0.begin_to_keep(&mut state);
        while !matches!(state.stage, Stage::Ready) {
            drop(state);
            std::thread::yield_now();
            state = self.0.lock();
        }
    }

    fn settle(&self) {
        while self.0.lock().halves.iter().any(|half| matches!(half.phase, Phase::Full | Phase::Stuck)) {
            std::thread::yield_now();
        }
    }
}

fn new_root() -> (TempDir, Filesystem) {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path());
    driver.store.redo.begin();
    (root, driver)
}

async fn put(driver: &Filesystem, name: &str, data: impl Into<Bytes>, durability: Durability) {
    driver.put(&key(name), data.into(), PutMode::Overwrite, durability).await.unwrap();
}

async fn noted(driver: &Filesystem, name: &str, data: &'static str) {
    put(driver, name, data, Durability::Power).await;
}

fn on_disk(root: &Path, name: &str) -> Option<String> {
    fs::read_to_string(root.join(name)).ok()
}

/// The files as a process that is killed now would leave them.
fn kill(root: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let from = entry.unwrap().path();
            let to = to.join(from.file_name().unwrap());
            match from.is_dir() {
                true => copy(&from, &to),
                false => assert!(fs::copy(&from, &to).is_ok()),
            }
        }
    }
    let left = tempfile::tempdir().unwrap();
    copy(root, left.path());
    left
}

fn bytes_of(says: Says, epoch: u64, number: u64) -> Vec<u8> {
    says.encode(epoch, number).pieces().collect::<Vec<_>>().concat()
}

fn entries_in(root: &Path, half: usize) -> Vec<Entry> {
    entry::read(fs::read(root.join(REDO_FILES[half])).unwrap().into()).unwrap()
}

/// The same, and the machine was started anew since.
fn lose_power(root: &Path) -> TempDir {
    let left = kill(root);
    for (half, name) in REDO_FILES.iter().enumerate() {
        if let Some(Entry { epoch, number, says: Says::Begun { mount }, .. }) = entries_in(root, half).first() {
            let other_mount = Says::Begun { mount: vec![b'x'; mount.len()].into() };
            let file = OpenOptions::new().write(true).open(left.path().join(name)).unwrap();
            file.write_all_at(&bytes_of(other_mount, *epoch, *number), 0).unwrap();
        }
    }
    left
}

fn log_is_empty(root: &Path) -> bool {
    entries_in(root, 0).is_empty() && entries_in(root, 1).is_empty()
}

#[tokio::test]
async fn what_a_loss_of_power_took_is_put_again() {
    let (root, driver) = new_root();
    noted(&driver, "a/gone", "1").await;
    noted(&driver, "a/empty", "2").await;
    noted(&driver, "a/torn", "three").await;
    noted(&driver, "a/whole", "4").await;
    let left = lose_power(root.path());
    fs::remove_file(left.path().join("a/gone")).unwrap();
    fs::write(left.path().join("a/empty"), "").unwrap();
    fs::write(left.path().join("a/torn"), "thr\0\0").unwrap();
    drop(open(left.path()));
    for (name, data) in [("a/gone", "1"), ("a/empty", "2"), ("a/torn", "three"), ("a/whole", "4")] {
        assert_eq!(on_disk(left.path(), name).as_deref(), Some(data), "{name}");
    }
    assert!(log_is_empty(left.path()));
    assert_eq!(files_below(left.path()).len(), 5);
}

#[tokio::test]
async fn nothing_is_synced_but_the_log() {
    let (root, driver) = new_root();
    let before = driver.store.redo.0.lock().syncs;
    let blob = Change::Put { key: key("blob"), data: vec!["1".into(), "2".into()], durability: Durability::Power };
    let link = Change::Put { key: key("link"), data: vec!["3".into()], durability: Durability::Power };
    driver.apply(vec![blob, link]).await.unwrap();
    assert_eq!(entries_in(root.path(), 0).len(), 3);
    // For both.
    assert_eq!(driver.store.redo.0.lock().syncs, before + 1);
    let left = lose_power(root.path());
    fs::remove_file(left.path().join("blob")).unwrap();
    fs::remove_file(left.path().join("link")).unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "blob").as_deref(), Some("12"));
    assert_eq!(on_disk(left.path(), "link").as_deref(), Some("3"));
}

#[tokio::test]
async fn a_small_partial_is_noted_when_it_is_published() {
    let (root, driver) = new_root();
    for (name, bytes) in [("small", 70_000), ("large", MOST_BYTES as usize + 1)] {
        let mut partial = driver.create_partial(&key("uploads/a")).await.unwrap();
        partial.append(vec![vec![7; bytes].into()]).await.unwrap();
        partial.publish(&key(name), Durability::Power).await.unwrap();
    }
    let left = lose_power(root.path());
    fs::remove_file(left.path().join("small")).unwrap();
    fs::remove_file(left.path().join("large")).unwrap();
    drop(open(left.path()));
    assert_eq!(fs::read(left.path().join("small")).unwrap(), vec![7; 70_000]);
    assert!(!left.path().join("large").exists());
}

#[tokio::test]
async fn after_a_kill_alone_the_log_is_emptied_and_nothing_else() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    noted(&driver, "b", "2").await;
    let left = kill(root.path());
    // Another registry served the folder meanwhile.
    fs::remove_file(left.path().join("a")).unwrap();
    fs::write(left.path().join("b"), "3").unwrap();
    drop(open(left.path()));
    assert_eq!((on_disk(left.path(), "a"), on_disk(left.path(), "b").as_deref()), (None, Some("3")));
    assert!(log_is_empty(left.path()));
}

#[tokio::test]
async fn what_another_registry_wrote_since_stays() {
    let (root, driver) = new_root();
    noted(&driver, "tag", "1").await;
    let left = lose_power(root.path());
    fs::write(left.path().join("tag"), "2").unwrap();
    let file = OpenOptions::new().write(true).open(left.path().join("tag")).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(120)).unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "tag").as_deref(), Some("2"));
}

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
    let before = fs::metadata(root.path().join("a")).unwrap().created().ok();
    drop(open(root.path()));
    assert_ne!(fs::metadata(root.path().join("a")).unwrap().created().ok(), before);
    assert_eq!(on_disk(root.path(), "a").as_deref(), Some("1"));
    assert!(log_is_empty(root.path()));
}

#[tokio::test]
async fn what_was_deleted_does_not_come_back() {
    let (root, driver) = new_root();
    for name in ["a", "b/c", "b/d", "e", "f"] {
        noted(&driver, name, "1").await;
    }
    driver.delete(&key("a")).await.unwrap();
    driver.delete_all(&key("b"), None).await.unwrap();
    driver.delete_all(&key("e"), None).await.unwrap();
    driver.delete(&key("f")).await.unwrap();
    noted(&driver, "f", "2").await;
    let left = lose_power(root.path());
    // The deletion itself did not get on disk, nor did the data.
    fs::create_dir(left.path().join("b")).unwrap();
    for name in ["a", "b/c", "f"] {
        fs::write(left.path().join(name), "").unwrap();
    }
    drop(open(left.path()));
    let found: Vec<_> = ["a", "b/c", "b/d", "e", "f"].map(|name| on_disk(left.path(), name)).into();
    assert_eq!(found, [None, None, None, None, Some("2".to_owned())]);
    assert!(!left.path().join("b").exists());
}

#[tokio::test]
async fn the_last_of_several_stands() {
    let (root, driver) = new_root();
    let large = Bytes::from(vec![b'l'; MOST_BYTES as usize + 1]);
    noted(&driver, "small", "1").await;
    noted(&driver, "small", "2").await;
    noted(&driver, "synced", "1").await;
    put(&driver, "synced", large.clone(), Durability::Power).await;
    put(&driver, "noted", large.clone(), Durability::Power).await;
    noted(&driver, "noted", "2").await;
    noted(&driver, "updated", "1").await;
    let version = driver.get(&key("updated"), 10).await.unwrap().version;
    driver.put(&key("updated"), "2".into(), PutMode::Update(version), Durability::Power).await.unwrap();
    noted(&driver, "partial", "1").await;
    let mut partial = driver.create_partial(&key("partial")).await.unwrap();
    partial.append(vec!["2".into()]).await.unwrap();
    let left = lose_power(root.path());
    fs::write(left.path().join("small"), "").unwrap();
    fs::remove_file(left.path().join("noted")).unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "small").as_deref(), Some("2"));
    assert_eq!(fs::read(left.path().join("synced")).unwrap(), large);
    assert_eq!(on_disk(left.path(), "noted").as_deref(), Some("2"));
    assert_eq!(on_disk(left.path(), "updated").as_deref(), Some("2"));
    assert_eq!(on_disk(left.path(), "partial").as_deref(), Some("2"));
}

/// A put that nothing has to survive may go with the power; what survives before it does not.
#[tokio::test]
async fn what_is_not_to_survive_takes_nothing_with_it() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    put(&driver, "a", "2", Durability::Process).await;
    let left = lose_power(root.path());
    fs::write(left.path().join("a"), "").unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "a").as_deref(), Some("1"));
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

/// Between a note and its file, another put and a deletion were made.
#[tokio::test]
async fn a_note_that_is_overtaken_is_said_again_when_it_is_placed() {
    let (root, driver) = new_root();
    let store = &driver.store;
    let name = key("a");
    let note = |data: &'static str| store.redo.note(&[(&name, &[data.into()])]).unwrap().unwrap().pop().unwrap();
    let place = |survives| {
        let nobody_leaves = Cancelled::default();
        object::place_file(store, &name, &["late".into()], &PutMode::Overwrite, survives, &nobody_leaves).unwrap();
    };
    for overtaken_by_a_deletion in [false, true] {
        let late = note("late");
        noted(&driver, "a", "other").await;
        if overtaken_by_a_deletion {
            driver.delete(&name).await.unwrap();
        }
        place(Survives::Noted(late));
        let left = lose_power(root.path());
        fs::remove_file(left.path().join("a")).unwrap();
        drop(open(left.path()));
        assert_eq!(on_disk(left.path(), "a").as_deref(), Some("late"), "{overtaken_by_a_deletion}");
    }
    // What is synced by itself comes over a note, which is placed only then.
    let late = note("late");
    let large = Bytes::from(vec![b'l'; MOST_BYTES as usize + 1]);
    put(&driver, "a", large, Durability::Power).await;
    place(Survives::Noted(late));
    let left = lose_power(root.path());
    fs::remove_file(left.path().join("a")).unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "a").as_deref(), Some("late"));
}

/// A large object gets its name; before it is said that it survives, another comes over it.
#[tokio::test]
async fn what_is_synced_hides_nothing_that_came_after_it() {
    let (root, driver) = new_root();
    let (store, name) = (&driver.store, key("a"));
    for (is_noted_before, is_placed) in [(false, true), (true, true), (false, false), (true, false)] {
        noted(&driver, "a", "before").await;
        let note = || store.redo.note(&[(&name, &["late".into()])]).unwrap().unwrap().pop().unwrap();
        let early = is_noted_before.then(note);
        let mut placing = Placing::new(store, &name, Survives::LossOfPower).unwrap();
        placing.placed();
        let note = early.unwrap_or_else(note);
        if is_placed {
            let (survives, nobody_leaves) = (Survives::Noted(note), Cancelled::default());
            object::place_file(store, &name, &["late".into()], &PutMode::Overwrite, survives, &nobody_leaves).unwrap();
            placing.finish().unwrap();
        } else {
            // It fails, before or after it is said what survives.
            placing.finish().unwrap();
            drop(note);
        }
        noted(&driver, "b", "syncs the log").await;
        let left = lose_power(root.path());
        fs::write(left.path().join("a"), "synced").unwrap();
        drop(open(left.path()));
        let expected = if is_placed { "late" } else { "synced" };
        assert_eq!(on_disk(left.path(), "a").as_deref(), Some(expected), "{is_noted_before} {is_placed}");
    }
}

/// Nothing can be written to the file of a half.
fn break_half(driver: &Filesystem, root: &Path, half: usize) {
    let mut state = driver.store.redo.0.lock();
    let mut files =
        [0, 1].map(|half: usize| OpenOptions::new().read(true).write(true).open(root.join(REDO_FILES[half])).unwrap());
    files[half] = fs::File::open(root.join(REDO_FILES[half])).unwrap();
    state.files = Some(files.into());
}

#[tokio::test]
async fn the_newer_half_is_not_emptied_before_the_older_one() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    let (name, data) = (key("hold"), ["x".into()]);
    let held = driver.store.redo.note(&[(&name, &data)]).unwrap();
    driver.store.redo.0.lock().end_current();
    noted(&driver, "a", "2").await;
    break_half(&driver, root.path(), 0);
    drop(held);
    drop(driver);
    assert!(!entries_in(root.path(), 1).is_empty());
    let left = lose_power(root.path());
    fs::remove_file(left.path().join("a")).unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "a").as_deref(), Some("2"));
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

#[tokio::test]
async fn the_newer_half_is_replayed_over_the_older_one() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    noted(&driver, "b", "1").await;
    // It is full, and cannot be emptied while a note waits for its file.
    let (name, data) = (key("hold"), ["x".into()]);
    let held = driver.store.redo.note(&[(&name, &data)]).unwrap().unwrap();
    let filler = Bytes::from(vec![0; MOST_BYTES as usize]);
    let mut number = 0;
    while driver.store.redo.0.lock().current == Some(0) {
        number += 1;
        put(&driver, &format!("filler/{number}"), filler.clone(), Durability::Power).await;
    }
    noted(&driver, "a", "2").await;
    driver.delete(&key("b")).await.unwrap();
    assert!(!entries_in(root.path(), 0).is_empty() && !entries_in(root.path(), 1).is_empty());
    let left = lose_power(root.path());
    fs::write(left.path().join("a"), "").unwrap();
    fs::write(left.path().join("b"), "").unwrap();
    drop(open(left.path()));
    assert_eq!((on_disk(left.path(), "a").as_deref(), on_disk(left.path(), "b")), (Some("2"), None));
    drop(held);
    driver.store.redo.settle();
    assert!(entries_in(root.path(), 0).is_empty());
    // What the half that is left knows is still known.
    driver.delete(&key("a")).await.unwrap();
    let left = lose_power(root.path());
    fs::write(left.path().join("a"), "").unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "a"), None);
}

/// Where the log has no room, what is put is synced as a file, and stands over what the log says.
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
        (0..3).flat_map(|_| store.redo.note(&[(&name, &["late".into()])]).unwrap().unwrap()).collect();
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
    assert!(driver.store.redo.0.lock().halves.iter().all(|half| half.end <= LOG_BYTES / 2));
    let left = lose_power(root.path());
    fs::remove_file(left.path().join("a")).unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "a").as_deref(), Some("late"));
    // Those that were forgotten would be waited for.
    std::mem::forget(driver);
}

#[tokio::test]
async fn it_is_made_when_enough_was_put_and_used_again() {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path());
    for number in 0..OBJECTS_WITHOUT - 1 {
        noted(&driver, &format!("a/{number}"), "1").await;
    }
    assert!(!root.path().join(REDO_FILES[0]).exists());
    noted(&driver, "b", "1").await;
    while !matches!(driver.store.redo.0.lock().stage, Stage::Ready) {
        tokio::task::yield_now().await;
    }
    noted(&driver, "c", "1").await;
    assert_eq!(entries_in(root.path(), 0).len(), 2);
    drop(driver);
    assert!(log_is_empty(root.path()));
    let made = fs::metadata(root.path().join(REDO_FILES[0])).unwrap().created().ok();
    let driver = open(root.path());
    driver.store.redo.begin();
    noted(&driver, "d", "1").await;
    assert_eq!(entries_in(root.path(), 0).len(), 2);
    assert_eq!(fs::metadata(root.path().join(REDO_FILES[0])).unwrap().created().ok(), made);
    drop(driver);
    // Another size, or none.
    drop(Filesystem::open(FilesystemOptions { redo_log_bytes: 0, ..FilesystemOptions::new(root.path()) }).unwrap());
    assert!(!root.path().join(REDO_FILES[0]).exists() && !root.path().join(REDO_FILES[1]).exists());
}

#[tokio::test]
async fn without_a_log_what_it_says_is_put_again_all_the_same() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    let left = lose_power(root.path());
    fs::remove_file(left.path().join("a")).unwrap();
    let options = FilesystemOptions { redo_log_bytes: 0, sync: false, ..FilesystemOptions::new(left.path()) };
    drop(Filesystem::open(options).unwrap());
    assert_eq!(on_disk(left.path(), "a").as_deref(), Some("1"));
    assert!(!left.path().join(REDO_FILES[0]).exists());
}

#[tokio::test]
async fn a_log_of_a_newer_version_is_not_touched() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    let left = kill(root.path());
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

/// Many keys are changed in every way while halves fill up; then the power goes, and takes of what the log has what it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_any_changes_the_files_are_what_they_were() {
    let (root, driver) = new_root();
    let tasks: Vec<_> = (0..6).map(|task| tokio::spawn(change_at_random(driver.clone(), task))).collect();
    let mut expected = Vec::new();
    for task in tasks {
        expected.extend(task.await.unwrap());
    }
    let left = lose_power(root.path());
    let known: Vec<Key> = (0..2).flat_map(|half| entries_in(root.path(), half)).filter_map(key_of).collect();
    assert!(!known.is_empty());
    for (number, key) in known.iter().enumerate() {
        let path = left.path().join(key.as_str());
        if expected
            .iter()
            .any(|(of, data)| of == key && data.as_ref().is_some_and(|data| data.len() as u64 > MOST_BYTES))
        {
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match number % 3 {
            0 => drop(fs::remove_file(path)),
            1 => fs::write(path, "").unwrap(),
            _ => {}
        }
    }
    drop(open(left.path()));
    for (key, data) in expected {
        assert_eq!(fs::read(left.path().join(key.as_str())).ok().map(Bytes::from), data, "{key}");
    }
}

fn key_of(entry: Entry) -> Option<Key> {
    match entry.says {
        Says::Begun { .. } => None,
        Says::Put { key, .. } | Says::Again { key, .. } | Says::Revoked { key, .. } => Some(key),
        Says::Gone { key } | Says::OnDisk { key } => Some(key),
    }
}

/// What stands in the end under each key of one task.
async fn change_at_random(driver: Filesystem, task: u64) -> Vec<(Key, Option<Bytes>)> {
    let mut random = task + 1;
    let mut expected: Vec<_> = (0..8).map(|number| (key(&format!("{task}/{number}/data")), None)).collect();
    for step in 0..250_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (key, stands) = &mut expected[(random >> 33) as usize % 8];
        let small = Bytes::from(vec![step as u8; 1 + (random >> 40) as usize % 20_000]);
        match (random >> 60) % 8 {
            0 => {
                driver.delete_all(key, None).await.unwrap();
                *stands = None;
            }
            1 => {
                let large = Bytes::from(vec![step as u8; MOST_BYTES as usize + 1]);
                driver.put(key, large.clone(), PutMode::Overwrite, Durability::Power).await.unwrap();
                *stands = Some(large);
            }
            2 => {
                let mut partial =
                    driver.create_partial(&key.as_str().replace("data", "partial").parse().unwrap()).await.unwrap();
                partial.append(vec![small.clone()]).await.unwrap();
                partial.publish(key, Durability::Power).await.unwrap();
                *stands = Some(small);
            }
            _ => {
                driver.put(key, small.clone(), PutMode::Overwrite, Durability::Power).await.unwrap();
                *stands = Some(small);
            }
        }
    }
    expected
}
