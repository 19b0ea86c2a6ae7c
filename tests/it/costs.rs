//! What requests cost in calls of the storage driver, and pushes in bytes written and read: figures that depend on no
//! machine. On an object store each call is a round trip.

use std::sync::Arc;

use bytes::Bytes;
use longshore::storage::SharedDriver;
use longshore::storage::adapters::{Meter, Operation};
use longshore::storage::filesystem::{Filesystem, FilesystemOptions};
use longshore::storage::memory::{Memory, MemoryOptions};
use longshore::telemetry::Metrics;
use reqwest::Method;
use tempfile::TempDir;

use crate::harness::{
    OCI_IMAGE, Registry, ReplyExt as _, Storage, begin_body, digest_of, eventually, image_manifest, random, raw_head,
    with_digest,
};

on_both_storages! {
    a_push_takes_few_calls,
    looks_take_few_calls_and_warm_ones_none,
    a_manifest_takes_few_calls,
    a_manifest_takes_fewer_calls_right_after_its_blobs,
    a_streamed_push_writes_each_byte_once_and_reads_none,
    a_chunked_push_writes_each_byte_once_and_reads_none,
    a_resumed_push_writes_each_byte_once_and_reads_none,
}

/// How many calls a request makes at most: whoever makes fewer do lowers the number.
mod most {
    pub const POST: u64 = 2;
    /// To create or open the partial, append, and put the record.
    pub const PATCH: u64 = 3;
    pub const PUT_AFTER_PATCH: u64 = 5;
    pub const HEAD_COLD: u64 = 2;
    pub const HEAD_WARM: u64 = 0;
    pub const MANIFEST_BY_TAG_COLD: u64 = 3;
    pub const MANIFEST_BY_TAG_WARM: u64 = 1;
    /// Two for all the blobs together, their links and their bytes, and four.
    pub const PUT_MANIFEST_COLD: u64 = 6;
    pub const PUT_MANIFEST_AFTER_ITS_BLOBS: u64 = 5;
}

/// What a push may write beside the blob, for each request: the upload's record and its small files.
const BESIDE_BYTES: u64 = 4096;

/// A registry on a storage that counts.
struct Counted {
    registry: Registry,
    meter: Meter,
    _folder: TempDir,
}

impl Counted {
    async fn start(storage: Storage) -> Counted {
        let folder = tempfile::tempdir().expect("a folder");
        let driver: SharedDriver = match storage {
            Storage::Memory => Arc::new(Memory::new(MemoryOptions { max_bytes: 1 << 30 })),
            Storage::Filesystem => {
                Arc::new(Filesystem::open(FilesystemOptions::new(folder.path())).expect("the folder opens"))
            }
        };
        let meter = Meter::new(driver, &Metrics::unregistered());
        let driver: SharedDriver = Arc::new(meter.clone());
        Counted { registry: Registry::start_on(&driver, |_| {}).await, meter, _folder: folder }
    }

    /// Calls so far, but for looks at the free space, which come each second.
    fn calls(&self) -> u64 {
        self.meter.calls() - self.meter.calls_of(Operation::FreeSpace)
    }

    /// Does `work`, which may make so many calls.
    async fn at_most<T>(&self, most: u64, what: &str, work: impl Future<Output = T>) -> T {
        let before = self.calls();
        let done = work.await;
        let calls = self.calls() - before;
        assert!(calls <= most, "{what}: {calls} calls, not {most} at most");
        done
    }

    /// The registry forgets what it knows.
    async fn forget(&mut self) {
        self.registry.restart().await;
    }

    /// `push` moves `bytes` in `requests` requests: as many are written, and none read but `again`, which were sent twice.
    async fn assert_written_once(&self, bytes: usize, again: usize, requests: u64, push: impl Future<Output = ()>) {
        let (written_before, read_before) = (self.meter.written_bytes(), self.meter.read_bytes());
        push.await;
        let written = self.meter.written_bytes() - written_before;
        let read = self.meter.read_bytes() - read_before;
        let (bytes, again, beside) = (bytes as u64, again as u64, BESIDE_BYTES * requests);
        assert!((bytes..=bytes + beside).contains(&written), "{written} bytes were written for {bytes}");
        assert!(read <= again + beside, "{read} bytes were read for {bytes} pushed, {again} of them twice");
    }
}

async fn a_push_takes_few_calls(storage: Storage) {
    let counted = Counted::start(storage).await;
    let registry = &counted.registry;
    let before = counted.calls();
    for _ in 0..5 {
        let data = random(1000);
        let location = counted.at_most(most::POST, "POST", registry.begin("repo1")).await;
        let patched = counted.at_most(most::PATCH, "PATCH", registry.patch(&location, data.clone(), None)).await;
        let finish = with_digest(&patched.expect(202).await.value("location"), &digest_of(&data));
        counted.at_most(most::PUT_AFTER_PATCH, "PUT after PATCH", registry.put(&finish, "")).await.expect(201).await;
    }
    // What is done behind an answer is in here.
    let (calls, most) = (counted.calls() - before, 5 * (most::POST + most::PATCH + most::PUT_AFTER_PATCH));
    assert!(calls <= most, "five pushes: {calls} calls, not {most} at most");
    counted.registry.finish().await;
}

async fn looks_take_few_calls_and_warm_ones_none(storage: Storage) {
    let mut counted = Counted::start(storage).await;
    let (layer, _) = counted.registry.push("repo1", &random(1000)).await;
    counted.registry.push_image("repo1", "v1").await;
    counted.forget().await;
    let registry = &counted.registry;
    let blob = format!("/v2/repo1/blobs/{layer}");
    counted.at_most(most::HEAD_COLD, "HEAD of a blob, cold", registry.head(&blob)).await.expect(200).await;
    counted.at_most(most::HEAD_WARM, "HEAD of a blob, warm", registry.head(&blob)).await.expect(200).await;
    let manifest = "/v2/repo1/manifests/v1";
    counted
        .at_most(most::MANIFEST_BY_TAG_COLD, "GET of a manifest by tag, cold", registry.get(manifest))
        .await
        .expect(200)
        .await;
    counted
        .at_most(most::MANIFEST_BY_TAG_WARM, "GET of a manifest by tag, warm", registry.get(manifest))
        .await
        .expect(200)
        .await;
    counted.registry.finish().await;
}

/// Pushes the blobs of an image of ten layers; gives its manifest.
async fn push_blobs(registry: &Registry) -> Vec<u8> {
    let config = registry.push("repo1", &random(100)).await;
    let mut layers = Vec::new();
    for _ in 0..10 {
        layers.push(registry.push("repo1", &random(1000)).await);
    }
    serde_json::to_vec(&image_manifest(&config, &layers)).expect("JSON")
}

async fn a_manifest_takes_few_calls(storage: Storage) {
    let mut counted = Counted::start(storage).await;
    let manifest = push_blobs(&counted.registry).await;
    counted.forget().await;
    let put = counted.registry.put_manifest("repo1", "v1", &manifest, OCI_IMAGE);
    counted.at_most(most::PUT_MANIFEST_COLD, "PUT of a manifest of ten layers, cold", put).await.expect(201).await;
    counted.registry.finish().await;
}

async fn a_manifest_takes_fewer_calls_right_after_its_blobs(storage: Storage) {
    let counted = Counted::start(storage).await;
    let manifest = push_blobs(&counted.registry).await;
    let put = counted.registry.put_manifest("repo1", "v1", &manifest, OCI_IMAGE);
    counted
        .at_most(most::PUT_MANIFEST_AFTER_ITS_BLOBS, "PUT of a manifest of ten layers right after them", put)
        .await
        .expect(201)
        .await;
    counted.registry.finish().await;
}

async fn a_streamed_push_writes_each_byte_once_and_reads_none(storage: Storage) {
    let counted = Counted::start(storage).await;
    let registry = &counted.registry;
    let data = random(20_000_000);
    let push = async {
        let location = registry.begin("repo1").await;
        let pieces = data.chunks(60_000).map(Bytes::copy_from_slice).collect();
        let patched = registry.send_streamed(Method::PATCH, &location, pieces, "application/octet-stream").await;
        let finish = with_digest(&patched.expect(202).await.value("location"), &digest_of(&data));
        registry.put(&finish, "").await.expect(201).await;
    };
    // A checkpoint within the body may come with it.
    counted.assert_written_once(data.len(), 0, 4, push).await;
    counted.registry.finish().await;
}

async fn a_chunked_push_writes_each_byte_once_and_reads_none(storage: Storage) {
    let counted = Counted::start(storage).await;
    let registry = &counted.registry;
    let data = random(10_000_000);
    let push = async {
        let mut location = registry.begin("repo1").await;
        for (number, chunk) in data.chunks(1_000_000).enumerate() {
            let range = format!("{}-{}", number * 1_000_000, (number + 1) * 1_000_000 - 1);
            let patched = registry.patch(&location, Bytes::copy_from_slice(chunk), Some(&range)).await;
            location = patched.expect(202).await.value("location");
        }
        registry.put(&with_digest(&location, &digest_of(&data)), "").await.expect(201).await;
    };
    counted.assert_written_once(data.len(), 0, 12, push).await;
    counted.registry.finish().await;
}

async fn a_resumed_push_writes_each_byte_once_and_reads_none(storage: Storage) {
    let counted = Counted::start(storage).await;
    for sends_all_again in [false, true] {
        let data = random(10_000_000);
        let again = if sends_all_again { data.len() / 2 } else { 0 };
        let push = push_cut(&counted.registry, &data, sends_all_again);
        counted.assert_written_once(data.len(), again, 5, push).await;
    }
    counted.registry.finish().await;
}

/// Pushes a blob whose first body is cut half-way. The second one goes on behind it, or begins anew.
async fn push_cut(registry: &Registry, data: &Bytes, sends_all_again: bool) {
    let (size, cut_at) = (data.len(), data.len() / 2);
    let location = registry.begin("repo1").await;
    let head = raw_head("PATCH", &location, &format!("Content-Length: {size}\r\n"));
    drop(begin_body(registry.address(), &head, &data[..cut_at]).await);
    let stands_at = format!("0-{}", cut_at - 1);
    eventually("the cut body's bytes", async || registry.stands_at(&location).await == stands_at).await;
    let patched = match sends_all_again {
        // The address that the first answer gave stands for the begin.
        true => registry.patch(&location, data.clone(), None).await,
        false => registry.patch(&location, data.slice(cut_at..), Some(&format!("{cut_at}-{}", size - 1))).await,
    };
    let finish = with_digest(&patched.expect(202).await.value("location"), &digest_of(data));
    registry.put(&finish, "").await.expect(201).await;
}
