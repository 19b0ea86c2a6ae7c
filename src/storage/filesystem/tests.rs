use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tempfile::TempDir;

use super::lock::LOCK_FILE;
use super::pending::JOURNAL_FILE;
use super::redo::REDO_FILES;
use super::*;
use crate::storage::StorageErrorKind;
use crate::storage::suite::{self, Subject};

pub(super) fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub(super) fn open(root: &Path, sync: bool) -> Filesystem {
    Filesystem::open(FilesystemOptions { sync, ..FilesystemOptions::new(root) }).unwrap()
}

/// Everything in the folder but what the driver keeps there for good.
pub(super) fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let own_names = [LOCK_FILE, TEMPORARY_FOLDER, JOURNAL_FILE, REDO_FILES[0], REDO_FILES[1]];
        let own = path.file_name().is_some_and(|name| own_names.iter().any(|own| name == *own));
        if !own {
            found.push(path.display().to_string());
        }
        if path.is_dir() {
            found.extend(files_below(&path));
        }
    }
    found
}

/// The files as a process that is killed now would leave them.
pub(super) fn left_by_a_kill(root: &Path) -> TempDir {
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

async fn run_suite(sync: bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    suite::run(|| {
        number += 1;
        let root: PathBuf = folder.path().join(number.to_string());
        let driver = open(&root, sync);
        let store = driver.store.clone();
        Subject::with_leftovers(Arc::new(driver), move || {
            let open_partials = store.fences.open_count();
            let fences = (open_partials > 0).then(|| format!("{open_partials} fences"));
            files_below(&root).into_iter().chain(fences).collect()
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_synced() {
    run_suite(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_unsynced() {
    run_suite(false).await;
}

pub(super) async fn put(driver: &Filesystem, name: &str, data: &'static str) {
    let data = Bytes::from_static(data.as_bytes());
    driver.put(&key(name), data, PutMode::Overwrite, Durability::Power).await.unwrap();
}

#[tokio::test]
async fn a_key_is_a_path_and_the_file_holds_the_bytes_alone() {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    put(&driver, "docker/registry/v2/a/link", "sha256:00").await;
    assert_eq!(fs::read(root.path().join("docker/registry/v2/a/link")).unwrap(), b"sha256:00");
    let mut partial = driver.create_partial(&key("docker/registry/v2/b/data")).await.unwrap();
    partial.append(vec![Bytes::from_static(b"abc")]).await.unwrap();
    assert_eq!(fs::read(root.path().join("docker/registry/v2/b/data")).unwrap(), b"abc");
}

#[tokio::test]
async fn temporary_files_of_a_crash_are_removed_when_it_is_opened() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path(), true));
    fs::write(root.path().join(TEMPORARY_FOLDER).join("0"), "half").unwrap();
    let driver = open(root.path(), true);
    assert_eq!(files_below(root.path()), [""; 0]);
    put(&driver, "a", "1").await;
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"1");
}

pub(super) fn upload(name: &str, record: &str) -> Change {
    let object = |file: &str, data: &str| (key(&format!("{name}/{file}")), Bytes::copy_from_slice(data.as_bytes()));
    let objects = vec![object("record", record), object("startedat", "now")];
    Change::PutFolder { folder: key(name), objects, durability: Durability::Process }
}

pub(super) fn removal(name: &str) -> Change {
    Change::DeleteAll { folder: key(name), last: Some("startedat") }
}

#[tokio::test]
async fn a_folder_that_is_put_whole_leaves_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    let read = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
    driver.apply(vec![upload("uploads/a", "1")]).await.unwrap();
    put(&driver, "uploads/a/data", "x").await;
    assert_eq!((read("uploads/a/record"), read("uploads/a/startedat")), ("1".into(), "now".into()));
    // It is there already: what is put goes into it, beside what is in it.
    driver.apply(vec![upload("uploads/a", "2")]).await.unwrap();
    assert_eq!((read("uploads/a/record"), read("uploads/a/data")), ("2".into(), "x".into()));
    driver.apply(vec![removal("uploads/a"), upload("uploads/b", "1"), removal("uploads/b")]).await.unwrap();
    assert_eq!(files_below(root.path()), [""; 0]);
}

#[tokio::test]
async fn folders_that_were_never_placed_go_when_the_root_is_opened() {
    let root = tempfile::tempdir().unwrap();
    let half = root.path().join(TEMPORARY_FOLDER).join("0");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("record"), "half").unwrap();
    let _driver = open(root.path(), true);
    assert_eq!(files_below(root.path()), [""; 0]);
}

#[tokio::test]
async fn one_driver_owns_a_root() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path(), true);
    let refusal = Filesystem::open(FilesystemOptions::new(root.path())).unwrap_err().to_string();
    assert!(refusal.contains("in use by pid"), "{refusal}");
    drop(first);
    open(root.path(), true);
}

#[tokio::test]
async fn nothing_outside_the_root_is_reached_through_a_link() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    std::os::unix::fs::symlink(outside.path(), root.path().join("out")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), root.path().join("link")).unwrap();
    for name in ["out/secret", "link"] {
        assert_eq!(driver.get(&key(name), 100).await.unwrap_err().kind(), StorageErrorKind::Fault);
        assert!(driver.read(&key(name), None).await.is_err());
        assert!(driver.stat(&key(name)).await.is_err());
    }
    let written = driver.put(&key("out/new"), Bytes::new(), PutMode::Overwrite, Durability::Process).await;
    assert_eq!(written.unwrap_err().kind(), StorageErrorKind::Fault);
    assert!(driver.list(&key("out"), None, 10).await.is_err());
    driver.delete_all(&key("out"), None).await.unwrap();
    driver.delete_all(&key("link"), None).await.unwrap();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(files_below(root.path()), [""; 0]);
}

#[tokio::test]
async fn the_drivers_own_files_are_no_objects() {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    for name in [LOCK_FILE, JOURNAL_FILE, TEMPORARY_FOLDER, "longshore-tmp/0"] {
        let put = driver.put(&key(name), Bytes::new(), PutMode::Overwrite, Durability::Process).await;
        assert_eq!(put.unwrap_err().kind(), StorageErrorKind::Fault);
        assert_eq!(driver.delete_all(&key(name), None).await.unwrap_err().kind(), StorageErrorKind::Fault);
    }
}

#[tokio::test]
async fn a_file_that_is_shorter_than_it_was_ends_with_an_error() {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    fs::write(root.path().join("large"), vec![1; 3 << 20]).unwrap();
    let mut stream = driver.read(&key("large"), None).await.unwrap().stream;
    fs::OpenOptions::new().write(true).open(root.path().join("large")).unwrap().set_len(2 << 20).unwrap();
    let mut read_bytes = 0;
    let error = loop {
        match stream.next().await.expect("it does not end without an error") {
            Ok(piece) => read_bytes += piece.len(),
            Err(error) => break error,
        }
    };
    assert!(read_bytes <= 2 << 20);
    assert_eq!(error.kind(), StorageErrorKind::WrongSize);
    assert_eq!(error.to_string(), "storage: read large: has a wrong size: it ends at 2097152, before 3145728");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_sender_tells_the_store_s_faults_from_the_socket_s() {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    fs::write(root.path().join("large"), vec![1; 3 << 20]).unwrap();
    let mut sender = driver.read(&key("large"), None).await.unwrap().sender.unwrap();
    let mut other_sender = driver.read(&key("large"), None).await.unwrap().sender.unwrap();
    let (socket, other) = std::os::unix::net::UnixStream::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket: Arc<std::os::unix::net::UnixStream> = Arc::new(socket);
    fs::OpenOptions::new().write(true).open(root.path().join("large")).unwrap().set_len(1000).unwrap();
    let error = sender.send(socket.clone(), 1 << 20).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::WrongSize);
    assert_eq!(error.to_string(), "storage: read large: has a wrong size: it ends at 1000, before 1048576");
    drop(other);
    let broken = other_sender.send(socket, 1 << 20).await.unwrap().unwrap_err();
    assert_eq!(broken.kind(), std::io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn what_is_cached_is_what_a_thread_would_find() {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    for (name, size_bytes) in [("a/empty", 0), ("a/link", 71), ("a/manifest", 10_000), ("a/large", 100_000)] {
        let data = Bytes::from(vec![7; size_bytes]);
        driver.put(&key(name), data, PutMode::Overwrite, Durability::Process).await.unwrap();
    }
    fs::create_dir(root.path().join("folder")).unwrap();
    std::os::unix::fs::symlink("a/link", root.path().join("symlink")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for name in ["a/empty", "a/link", "a/manifest", "a/large", "a", "folder", "symlink", "pipe", "none", "a/link/below"]
    {
        let key = key(name);
        for limit_bytes in [0, 70, 71, u64::MAX] {
            let Some(cached) = cached::get(&driver.store, &key, limit_bytes) else { continue };
            let found = object::get(&driver.store, &key, limit_bytes);
            let told = |result: Result<Object, StorageError>| {
                result.map(|object| (object.data, object.version)).map_err(|error| error.to_string())
            };
            assert_eq!(told(cached), told(found), "{name} of at most {limit_bytes} bytes");
        }
        let Some(cached) = cached::stat(&driver.store, &key) else { continue };
        let told = |result: Result<Stat, StorageError>| result.map_err(|error| error.to_string());
        assert_eq!(told(cached), told(object::stat(&driver.store, &key)), "{name}");
    }
    // Here everything is in memory, where the kernel can tell.
    if let Some(Ok(object)) = cached::get(&driver.store, &key("a/link"), 1000) {
        assert_eq!(object.data, vec![7; 71]);
        fs::remove_file(root.path().join("a/link")).unwrap();
        assert_eq!(driver.get(&key("a/link"), 1000).await.unwrap_err().kind(), StorageErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_small_object_is_read_when_it_is_opened() {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    put(&driver, "small", "1").await;
    let mut reader = driver.read(&key("small"), None).await.unwrap();
    assert!(reader.sender.is_none());
    fs::OpenOptions::new().write(true).open(root.path().join("small")).unwrap().set_len(0).unwrap();
    assert_eq!(reader.stream.next().await.unwrap().unwrap(), "1");
}

#[tokio::test]
async fn names_that_are_no_text_and_links_are_not_listed() {
    use std::os::unix::ffi::OsStrExt as _;
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    put(&driver, "folder/name", "1").await;
    fs::write(root.path().join("folder").join(std::ffi::OsStr::from_bytes(b"no\xfftext")), "").unwrap();
    std::os::unix::fs::symlink("name", root.path().join("folder/link")).unwrap();
    let page = driver.list(&key("folder"), None, 10).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["name"]);
    driver.delete_all(&key("folder"), None).await.unwrap();
    assert_eq!(files_below(root.path()), [""; 0]);
}

#[tokio::test]
async fn a_settled_folder_is_read_once_and_read_again_after_a_change() {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    put(&driver, "folder/a", "1").await;
    let folder = fs::File::open(root.path().join("folder")).unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    folder.set_modified(long_ago).unwrap();
    let names = |page: ListPage| page.entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>();
    assert_eq!(names(driver.list(&key("folder"), None, 10).await.unwrap()), ["a"]);
    let mark = driver.list_mark(&key("folder")).await.unwrap();
    assert_eq!(driver.list_mark(&key("folder")).await.unwrap(), mark);
    // A change that the time stamp hides is not seen: the names came from memory.
    fs::write(root.path().join("folder/b"), "").unwrap();
    folder.set_modified(long_ago).unwrap();
    assert_eq!(names(driver.list(&key("folder"), None, 10).await.unwrap()), ["a"]);
    put(&driver, "folder/c", "1").await;
    assert_eq!(names(driver.list(&key("folder"), None, 10).await.unwrap()), ["a", "b", "c"]);
    assert_ne!(driver.list_mark(&key("folder")).await.unwrap(), mark);
}

#[tokio::test]
async fn a_writer_is_of_no_more_use_after_it_was_fenced() {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    let mut old = driver.create_partial(&key("data")).await.unwrap();
    let mut new = driver.open_partial(&key("data"), &old.checkpoint(Durability::Power).await.unwrap()).await.unwrap();
    let refusal = old.append(vec![Bytes::from_static(b"x")]).await.unwrap_err().to_string();
    assert_eq!(refusal, "storage: append data: failed: another writer has opened it");
    let refusal = old.rewind(0).await.unwrap_err().to_string();
    assert!(refusal.contains("has to be opened again"), "{refusal}");
    new.append(vec![Bytes::from_static(b"y")]).await.unwrap();
    assert_eq!(fs::read(root.path().join("data")).unwrap(), b"y");
}

/// Waits until a call has come so far, while it cannot go on or soon will.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::await_holding_lock, reason = "the lock stands for a disk that hangs; nobody here waits for it")]
async fn a_put_that_was_given_up_does_not_happen_later() {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    put(&driver, "tag", "old").await;
    let temporary_files = || fs::read_dir(root.path().join(TEMPORARY_FOLDER)).unwrap().count();
    // As if the disk hung: it has written its temporary file and gets no further.
    let hanging = driver.store.lock("tag");
    let given_up = tokio::spawn({
        let driver = driver.clone();
        async move { put(&driver, "tag", "given up").await }
    });
    until(|| temporary_files() == 1).await;
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    drop(hanging);
    until(|| temporary_files() == 0).await;
    assert_eq!(fs::read(root.path().join("tag")).unwrap(), b"old");
    put(&driver, "tag", "new").await;
    assert_eq!(fs::read(root.path().join("tag")).unwrap(), b"new");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::await_holding_lock, reason = "the lock stands for a disk that hangs; nobody here waits for it")]
async fn a_delete_that_was_given_up_does_not_happen_later() {
    let root = tempfile::tempdir().unwrap();
    let driver = open(root.path(), true);
    let link = key("folder/link");
    for all in [false, true] {
        put(&driver, "folder/link", "1").await;
        let hanging = driver.store.lock("folder/link");
        let (begun, has_begun) = std::sync::mpsc::channel();
        let store = driver.store.clone();
        let mut given_up = Box::pin(driver.change("delete", &link, Takes::Little, move |store, key, cancelled| {
            begun.send(()).unwrap();
            match all {
                true => delete_all::delete_all(store, &"folder".parse().unwrap(), None, cancelled),
                false => object::delete(store, key, cancelled),
            }
        }));
        assert!(futures_util::poll!(&mut given_up).is_pending());
        has_begun.recv().unwrap();
        drop(given_up);
        drop(hanging);
        // Its thread lets go of the store at its end: the driver's own and this test's are left.
        until(|| Arc::strong_count(&store) == 2).await;
        assert_eq!(fs::read(root.path().join("folder/link")).unwrap(), b"1");
    }
}

#[test]
fn empty_folders_go_from_where_the_path_begins_to_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let root = root::Root::open(folder.path(), true).unwrap();
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    fs::create_dir_all(folder.path().join("c/d")).unwrap();
    fs::write(folder.path().join("c/file"), "").unwrap();
    root.prune(Some("a/b/never/made"));
    root.prune(Some("c/d"));
    root.prune(Some("c/file"));
    assert_eq!(files_below(folder.path()), ["c", "c/file"].map(|name| folder.path().join(name).display().to_string()));
}

#[test]
fn a_root_that_is_missing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a/b/c");
    drop(open(&root, true));
    assert!(root.join(LOCK_FILE).is_file());
}

#[tokio::test]
async fn free_space_is_that_of_the_filesystem() {
    let folder = tempfile::tempdir().unwrap();
    let free_bytes = open(folder.path(), true).free_space().await.unwrap().unwrap();
    let filesystem = rustix::fs::statvfs(folder.path()).unwrap();
    assert!(free_bytes > 0 && free_bytes <= filesystem.f_blocks * filesystem.f_frsize, "{free_bytes} bytes are free");
}
