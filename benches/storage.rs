//! What the filesystem driver costs beside the same work done by hand: `cargo bench --bench storage`.
//!
//! Every figure is a median. "fresh" means that the bytes go to a new file, whose page cache the machine may have to
//! find first, which can cost more than the write itself; "warm" means a file that is there and is overwritten. Compare a
//! figure with its control of the same run, not with another day's.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read as _, Seek as _, Write as _};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use longshore::storage::filesystem::{Filesystem, FilesystemOptions};
use longshore::storage::{Driver, Durability, Key, PutMode};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const UPLOAD_BYTES: usize = 256 * MIB;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    runtime.block_on(async {
        let driver = Filesystem::open(FilesystemOptions::new(folder.path())).expect("the driver opens");
        uploads(&driver, folder.path()).await;
        small_writes(&driver, folder.path()).await;
        reads(&driver, folder.path()).await;
        lists(&driver, folder.path()).await;
    });
}

fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn report(what: &str, label: &str, figure: f64, unit: &str) {
    println!("{what:<52} {label:<6} {figure:>10.3} {unit}");
}

fn gigabytes_per_second(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e9
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// How large a batch should be, and what is left to do at the end.
async fn uploads(driver: &Filesystem, folder: &Path) {
    let piece = Bytes::from(vec![0x5a; 64 * KIB]);
    for (label, keep) in [("fresh", false), ("warm", true)] {
        let times = (0..5).map(|_| raw_upload(folder, &piece, keep)).collect::<Vec<_>>();
        let (writes, syncs): (Vec<_>, Vec<_>) = times.into_iter().unzip();
        let rate = gigabytes_per_second(UPLOAD_BYTES, median(writes));
        report("control: write 256 MiB, 64 KiB at once", label, rate, "GB/s");
        report("control: sync of it at the end", label, milliseconds(median(syncs)), "ms");
    }
    fs::remove_file(folder.join("control")).expect("the control's file goes");
    for batch_bytes in [64 * KIB, 256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB] {
        let (mut appends, mut publishes) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let mut writer = driver.create_partial(&key("uploads/data")).await.expect("a partial");
            let start = Instant::now();
            for _ in 0..UPLOAD_BYTES / batch_bytes {
                writer.append(vec![piece.clone(); batch_bytes / piece.len()]).await.expect("appended");
            }
            appends.push(start.elapsed());
            let start = Instant::now();
            writer.publish(&key("blobs/data"), Durability::Power).await.expect("published");
            publishes.push(start.elapsed());
            driver.delete(&key("blobs/data")).await.expect("deleted");
        }
        let what = format!("append 256 MiB, {} KiB at once", batch_bytes / KIB);
        report(&what, "fresh", gigabytes_per_second(UPLOAD_BYTES, median(appends)), "GB/s");
        report("  publish of it, power", "fresh", milliseconds(median(publishes)), "ms");
    }
}

fn raw_upload(folder: &Path, piece: &[u8], keep: bool) -> (Duration, Duration) {
    let path = folder.join("control");
    if !keep {
        // There may be none yet.
        let _ = fs::remove_file(&path);
    }
    let mut file = File::options().write(true).create(true).truncate(false).open(path).expect("a file");
    let start = Instant::now();
    for _ in 0..UPLOAD_BYTES / piece.len() {
        file.write_all(piece).expect("written");
    }
    let written = start.elapsed();
    let start = Instant::now();
    file.sync_data().expect("synced");
    (written, start.elapsed())
}

async fn small_writes(driver: &Filesystem, folder: &Path) {
    let link = Bytes::from(format!("sha256:{}", "ab".repeat(32)));
    for (durability, name) in [(Durability::Power, "power"), (Durability::Process, "process")] {
        let sync = durability == Durability::Power;
        let mut times = Vec::new();
        for number in 0..300 {
            let start = Instant::now();
            raw_put(folder, &format!("raw-{number}"), &link, sync);
            times.push(start.elapsed());
        }
        report(&format!("control: small file, one folder, {name}"), "fresh", milliseconds(median(times)), "ms");
        let mut times = Vec::new();
        for number in 0..300 {
            let target = key(&format!("small/{name}/{number}"));
            let start = Instant::now();
            driver.put(&target, link.clone(), PutMode::Create, durability).await.expect("put");
            times.push(start.elapsed());
        }
        report(&format!("put, one folder, {name}"), "fresh", milliseconds(median(times)), "ms");
        let mut times = Vec::new();
        for number in 0..300 {
            let target = key(&format!("small/links-{name}/{number}/link"));
            let start = Instant::now();
            driver.put(&target, link.clone(), PutMode::Create, durability).await.expect("put");
            times.push(start.elapsed());
        }
        report(&format!("put, a folder of its own, {name}"), "fresh", milliseconds(median(times)), "ms");
    }
    driver.delete_all(&key("small"), None).await.expect("deleted");
}

fn raw_put(folder: &Path, name: &str, data: &[u8], sync: bool) {
    let temporary = folder.join("control-temporary");
    let mut file = File::create(&temporary).expect("a file");
    file.write_all(data).expect("written");
    if sync {
        file.sync_data().expect("synced");
    }
    fs::create_dir_all(folder.join("raw")).expect("a folder");
    fs::rename(temporary, folder.join("raw").join(name)).expect("renamed");
    if sync {
        File::open(folder.join("raw")).expect("opened").sync_all().expect("synced");
    }
}

async fn reads(driver: &Filesystem, folder: &Path) {
    let small = key("reads/small");
    driver.put(&small, Bytes::from(vec![1; 71]), PutMode::Create, Durability::Process).await.expect("put");
    time_each("control: read 71 bytes", 2_000, || async {
        black_box(fs::read(folder.join("reads/small")).expect("read"));
    })
    .await;
    time_each("get of 71 bytes", 2_000, || async {
        black_box(driver.get(&small, 1_000).await.expect("got"));
    })
    .await;
    time_each("stat", 2_000, || async {
        black_box(driver.stat(&small).await.expect("there"));
    })
    .await;
    time_each("read of 71 bytes as a stream", 2_000, || async {
        black_box(drain(driver, &small, None).await);
    })
    .await;
    let large = key("reads/large");
    let mut writer = driver.create_partial(&large).await.expect("a partial");
    for _ in 0..UPLOAD_BYTES / MIB {
        writer.append(vec![Bytes::from(vec![1; MIB])]).await.expect("appended");
    }
    writer.publish(&large, Durability::Process).await.expect("published");
    let mut file = File::open(folder.join("reads/large")).expect("opened");
    let mut buffer = vec![0; 512 * KIB];
    let mut times = Vec::new();
    for _ in 0..7 {
        let start = Instant::now();
        file.rewind().expect("rewound");
        while file.read(&mut buffer).expect("read") > 0 {}
        times.push(start.elapsed());
    }
    let rate = gigabytes_per_second(UPLOAD_BYTES, median(times));
    report("control: read 256 MiB, 512 KiB at once, one buffer", "warm", rate, "GB/s");
    let mut times = Vec::new();
    for _ in 0..7 {
        let start = Instant::now();
        assert_eq!(drain(driver, &large, None).await, UPLOAD_BYTES);
        times.push(start.elapsed());
    }
    report("stream of 256 MiB", "warm", gigabytes_per_second(UPLOAD_BYTES, median(times)), "GB/s");
    driver.delete_all(&key("reads"), None).await.expect("deleted");
}

async fn drain(driver: &Filesystem, key: &Key, range: Option<Range<u64>>) -> usize {
    let stream = driver.read(key, range).await.expect("opened").stream;
    stream.try_fold(0, |sum, piece| async move { Ok(sum + piece.len()) }).await.expect("read")
}

async fn time_each<F: Future<Output = ()>>(what: &str, rounds: usize, mut work: impl FnMut() -> F) {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        work().await;
        times.push(start.elapsed());
    }
    report(what, "warm", median(times).as_secs_f64() * 1e6, "us");
}

/// Pages of a folder of 100,000.
async fn lists(driver: &Filesystem, folder: &Path) {
    let tags = folder.join("tags");
    for number in 0..100_000 {
        fs::create_dir_all(tags.join(format!("v{number:06}"))).expect("a folder");
    }
    let list = async |after: Option<&str>| {
        let start = Instant::now();
        let page = driver.list(&key("tags"), after, 100).await.expect("listed");
        assert!(page.entries.len() == 100 && page.more);
        start.elapsed()
    };
    let start = Instant::now();
    let mut names: Vec<_> =
        fs::read_dir(&tags).expect("listed").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort_unstable();
    report("control: read and sort 100,000 names", "fresh", milliseconds(start.elapsed()), "ms");
    report("list: first page of 100, after a change", "fresh", milliseconds(list(None).await), "ms");
    for after in ["v000000", "v050000", "v099800"] {
        let mut times = Vec::new();
        for _ in 0..200 {
            times.push(list(Some(after)).await);
        }
        report(&format!("list: page of 100 after {after}"), "warm", milliseconds(median(times)), "ms");
    }
}
