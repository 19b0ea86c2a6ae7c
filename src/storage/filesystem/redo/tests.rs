mod failures;
mod order;
mod random;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tempfile::TempDir;

use super::entry::{self, Entry, Says};
use super::{MOST_BYTES, Note, OBJECTS_WITHOUT, Phase, Placing, REDO_FILES, RedoLog, Stage, Survives};
use crate::storage::StorageErrorKind;
use crate::storage::filesystem::tests::{files_below, key, left_by_a_kill};
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

fn bytes_of(says: Says, epoch: u64, number: u64) -> Vec<u8> {
    says.encode(epoch, number).pieces().collect::<Vec<_>>().concat()
}

fn entries_in(root: &Path, half: usize) -> Vec<Entry> {
    entry::read(fs::read(root.join(REDO_FILES[half])).unwrap().into()).unwrap()
}

/// The same, and the machine was started anew since.
fn lose_power(root: &Path) -> TempDir {
    let left = left_by_a_kill(root);
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
    let left = left_by_a_kill(root.path());
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

/// Nothing can be written to the file of a half.
fn break_half(driver: &Filesystem, root: &Path, half: usize) {
    let mut state = driver.store.redo.0.lock();
    let mut files =
        [0, 1].map(|half: usize| OpenOptions::new().read(true).write(true).open(root.join(REDO_FILES[half])).unwrap());
    files[half] = fs::File::open(root.join(REDO_FILES[half])).unwrap();
    state.files = Some(files.into());
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
