use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::storage::{
    ByteStream, Checkpoint, Driver, Durability, EntryKind, Key, Object, ObjectSender, PutMode, SharedDriver,
    StorageError, StorageErrorKind, Version,
};

/// Larger than any object that the cases put whole.
pub(super) const LIMIT_BYTES: u64 = 8 * 1024 * 1024;

pub(super) fn key(text: &str) -> Key {
    text.parse().expect("the suite's keys are allowed")
}

/// `size` bytes that differ by place and by `seed`.
pub(super) fn pattern(seed: u8, size: usize) -> Bytes {
    (0..size).map(|at| (at / 251) as u8 ^ (at % 251) as u8 ^ seed).collect()
}

pub(super) async fn put(driver: &dyn Driver, name: &str, data: impl Into<Bytes>) -> Version {
    put_as(driver, name, data, PutMode::Overwrite).await.expect("the object is put")
}

pub(super) async fn put_as(
    driver: &dyn Driver,
    name: &str,
    data: impl Into<Bytes>,
    mode: PutMode,
) -> Result<Version, StorageError> {
    driver.put(&key(name), data.into(), mode, Durability::Power).await
}

pub(super) async fn get(driver: &dyn Driver, name: &str) -> Object {
    driver.get(&key(name), LIMIT_BYTES).await.expect("the object is there")
}

pub(super) async fn delete(driver: &dyn Driver, name: &str) {
    driver.delete(&key(name)).await.expect("the object is deleted");
}

#[track_caller]
pub(super) fn assert_kind<T>(result: Result<T, StorageError>, kind: StorageErrorKind) {
    match result {
        Ok(_) => panic!("it succeeded, but {kind:?} was expected"),
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
    }
}

pub(super) async fn assert_absent(driver: &dyn Driver, name: &str) {
    assert_kind(driver.stat(&key(name)).await, StorageErrorKind::NotFound);
    assert_kind(driver.get(&key(name), LIMIT_BYTES).await, StorageErrorKind::NotFound);
    assert_kind(driver.read(&key(name), None).await, StorageErrorKind::NotFound);
}

pub(super) async fn assert_no_folder(driver: &dyn Driver, name: &str) {
    assert_kind(driver.list(&key(name), None, 10).await, StorageErrorKind::NotFound);
}

/// All bytes of a stream whose pieces are bounded.
pub(super) async fn collect(mut stream: ByteStream) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        assert!(piece.len() <= 4 * 1024 * 1024, "a piece of {} bytes", piece.len());
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

pub(super) async fn read_all(driver: &dyn Driver, name: &str) -> Vec<u8> {
    let reader = driver.read(&key(name), None).await.expect("the object opens");
    collect(reader.stream).await.expect("the object reads")
}

/// What comes out of a socket that a sender sends `size_bytes` into, less than a mebibyte at a time.
pub(super) async fn send_all(mut sender: Box<dyn ObjectSender>, size_bytes: usize) -> Vec<u8> {
    const LIMIT_BYTES: u64 = 1_000_003;
    let (socket, mut other) = UnixStream::pair().expect("a pair of sockets");
    socket.set_nonblocking(true).expect("the socket does not block");
    let socket: Arc<UnixStream> = Arc::new(socket);
    let received = thread::spawn(move || {
        let mut received = Vec::new();
        other.read_to_end(&mut received).map(|_| received)
    });
    let mut sent_bytes = 0;
    while sent_bytes < size_bytes {
        let sent = sender.send(socket.clone(), LIMIT_BYTES).await.expect("the store sends").expect("the socket takes");
        assert!(sent <= LIMIT_BYTES);
        sent_bytes += sent as usize;
        tokio::task::yield_now().await;
    }
    assert_eq!(sent_bytes, size_bytes);
    drop(socket);
    received.join().expect("the reader ends").expect("the other end reads")
}

/// The names that a listing shows, read in pages of `limit`.
pub(super) async fn names(driver: &dyn Driver, folder: &str, limit: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    loop {
        let page = driver.list(&key(folder), names.last().map(String::as_str), limit).await.expect("the folder lists");
        assert!(page.entries.len() <= limit);
        assert!(!page.more || page.entries.len() == limit, "a page that is not full says that there is more");
        names.extend(page.entries.into_iter().map(|entry| entry.name));
        if !page.more {
            return names;
        }
    }
}

/// Every object that listings show at or below `folder`.
pub(super) async fn walk(driver: &SharedDriver, folder: &Key) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.clone()];
    while let Some(folder) = folders.pop() {
        let page = match driver.list(&folder, None, usize::MAX).await {
            Ok(page) => page,
            Err(error) if error.is_not_found() => continue,
            Err(error) => panic!("{error}"),
        };
        for entry in page.entries {
            let key = folder.child(&entry.name).expect("a listed name is allowed in a key");
            match entry.kind {
                EntryKind::Object => found.push(key.to_string()),
                EntryKind::Folder => folders.push(key),
            }
        }
    }
    found
}

/// A partial that holds `data`.
pub(super) async fn partial(driver: &dyn Driver, name: &str, data: Bytes) -> Box<dyn crate::storage::PartialWriter> {
    let mut writer = driver.create_partial(&key(name)).await.expect("the partial is created");
    writer.append(vec![data]).await.expect("the bytes are appended");
    writer
}

pub(super) fn checkpoint_at(offset: u64) -> Checkpoint {
    Checkpoint { offset, token: String::new() }
}

/// The bytes of a partial's range.
pub(super) async fn read_partial(
    writer: &mut dyn crate::storage::PartialWriter,
    range: std::ops::Range<u64>,
) -> Vec<u8> {
    let stream = writer.read(range).await.expect("the partial opens for reading");
    let pieces: Vec<Bytes> = stream.try_collect().await.expect("the partial reads");
    pieces.concat()
}
