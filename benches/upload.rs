//! What the engine costs: bytes through a writer into the filesystem driver and to a verified blob, by the size of a
//! batch, beside a control that hashes and writes the same bytes by hand. CPU seconds are those of the whole process, so
//! hashing and writing threads are in them.
//!
//! `cargo bench --bench upload`

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use longshore::clock::SystemClock;
use longshore::config::UploadsConfig;
use longshore::content::{Content, ContentOptions};
use longshore::hashing::{HashPool, RunningDigest};
use longshore::oci::{Algorithm, Digest, RepositoryName};
use longshore::storage::filesystem::{Filesystem, FilesystemOptions};
use longshore::storage::{Durability, SharedDriver};
use longshore::telemetry::Metrics;
use longshore::upload::{Engine, EngineOptions, Start, WriteOptions};

const GIB: f64 = (1 << 30) as f64;
const UPLOAD_BYTES: usize = 256 << 20;
const SMALL_UPLOADS: usize = 500;
const ROUNDS: usize = 5;
/// As they come from a socket.
const PIECE_BYTES: usize = 64 << 10;

struct Measured {
    wall: Duration,
    cpu: Duration,
}

fn main() {
    let content: Bytes = (0..UPLOAD_BYTES).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let digest = digest_of(&content);
    println!(
        "{} MiB in pieces of {} KiB, files fresh, median of {ROUNDS} rounds",
        UPLOAD_BYTES >> 20,
        PIECE_BYTES >> 10
    );
    println!("{:<34} {:>8} {:>14}", "", "GB/s", "CPU-s per GiB");
    let control = median((0..ROUNDS).map(|_| by_hand(&content)));
    report("control: hash, then write, by hand", &control, UPLOAD_BYTES);
    for batch_bytes in [64 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20] {
        for at_once in [1, 4] {
            let measured = median((0..ROUNDS).map(|_| {
                by_engine(&content, &digest, EngineChoice { batch_bytes, ..EngineChoice::default() }, at_once)
            }));
            let name = format!("engine, batches of {} KiB, {at_once} at once", batch_bytes >> 10);
            report(&name, &measured, UPLOAD_BYTES * at_once);
        }
    }
    println!("\ncheckpoints within a body, batches of 512 KiB, one at once");
    for every in [u64::MAX, 256 << 20, 64 << 20, 16 << 20, 4 << 20, 1 << 20] {
        let options = EngineChoice { checkpoint_every: every, ..EngineChoice::default() };
        let measured = median((0..ROUNDS).map(|_| by_engine(&content, &digest, options, 1)));
        let name = match every {
            u64::MAX => "engine, no checkpoints".to_owned(),
            every => format!("engine, a checkpoint every {} MiB", every >> 20),
        };
        report(&name, &measured, UPLOAD_BYTES);
    }
    let small = median((0..ROUNDS).map(|_| small_pushes()));
    let per_push = |time: Duration| time.as_secs_f64() * 1e3 / SMALL_UPLOADS as f64;
    println!(
        "\n{SMALL_UPLOADS} blobs of 4 KiB, 16 at once, synced: {:.3} ms, {:.3} CPU-ms each",
        per_push(small.wall),
        per_push(small.cpu)
    );
}

fn report(name: &str, measured: &Measured, bytes: usize) {
    let gib = bytes as f64 / GIB;
    let rate = bytes as f64 / 1e9 / measured.wall.as_secs_f64();
    println!("{name:<34} {rate:>8.2} {:>14.3}", measured.cpu.as_secs_f64() / gib);
}

fn by_hand(content: &Bytes) -> Measured {
    let folder = tempfile::tempdir().expect("a folder for the control");
    let mut file = File::create(folder.path().join("data")).expect("a file for the control");
    measure(|| {
        let mut digest = RunningDigest::new(Algorithm::Sha256);
        for piece in content.chunks(256 << 10) {
            digest.update(piece);
            file.write_all(piece).expect("the control writes");
        }
        file.sync_data().expect("the control syncs");
        std::hint::black_box(digest.finish());
    })
}

fn by_engine(content: &Bytes, digest: &Digest, choice: EngineChoice, at_once: usize) -> Measured {
    let folder = tempfile::tempdir().expect("a folder for the engine");
    actix::System::new().block_on(async {
        let engine = start(folder.path(), choice);
        let started = (Instant::now(), cpu_time());
        let pushes = (0..at_once).map(|_| push(&engine, content, digest));
        futures_util::future::join_all(pushes).await;
        let measured = Measured { wall: started.0.elapsed(), cpu: cpu_time() - started.1 };
        engine.drain().await;
        measured
    })
}

fn small_pushes() -> Measured {
    let folder = tempfile::tempdir().expect("a folder for the engine");
    let blobs: Vec<Bytes> = (0..SMALL_UPLOADS).map(|at| Bytes::from(at.to_le_bytes().repeat(512))).collect();
    let digests: Vec<Digest> = blobs.iter().map(|blob| digest_of(blob)).collect();
    actix::System::new().block_on(async {
        let engine = start(folder.path(), EngineChoice::default());
        let started = (Instant::now(), cpu_time());
        for (blobs, digests) in blobs.chunks(16).zip(digests.chunks(16)) {
            let pushes = blobs.iter().zip(digests).map(|(blob, digest)| push(&engine, blob, digest));
            futures_util::future::join_all(pushes).await;
        }
        let measured = Measured { wall: started.0.elapsed(), cpu: cpu_time() - started.1 };
        engine.drain().await;
        measured
    })
}

async fn push(engine: &Engine, content: &Bytes, digest: &Digest) {
    let repository: RepositoryName = "bench/upload".parse().expect("a name");
    let (upload, _) = engine.begin(&repository, Algorithm::Sha256, None).await.expect("an upload begins");
    let options = WriteOptions {
        start: Start::Current,
        length: None,
        digest: Some(digest.clone()),
        discard_on_cut: false,
        client: None,
    };
    let mut writer = upload.write(options).await.expect("a writer");
    let mut rest = content.clone();
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        writer.send(piece).await.expect("a piece is taken");
    }
    writer.commit(digest).await.expect("the upload is committed");
}

/// What differs between the rows.
#[derive(Clone, Copy)]
struct EngineChoice {
    batch_bytes: usize,
    checkpoint_every: u64,
}

impl Default for EngineChoice {
    fn default() -> Self {
        EngineChoice {
            batch_bytes: EngineOptions::BATCH_BYTES,
            checkpoint_every: UploadsConfig::default().checkpoint_every,
        }
    }
}

fn start(root: &Path, choice: EngineChoice) -> Engine {
    let driver: SharedDriver =
        Arc::new(Filesystem::open(FilesystemOptions::new(root)).expect("the filesystem driver opens"));
    let metrics = Metrics::unregistered();
    let content = Content::new(driver.clone(), ContentOptions::default(), metrics.clone());
    Engine::start(EngineOptions {
        driver,
        blobs: content.blobs().clone(),
        hashes: HashPool::start(2).expect("hashing threads"),
        metrics,
        clock: Arc::new(SystemClock),
        uploads: UploadsConfig { checkpoint_every: choice.checkpoint_every, ..UploadsConfig::default() },
        max_open_files: 1000,
        checkpoint_durability: Durability::Process,
        batch_bytes: choice.batch_bytes,
        threads: 2,
        boot: None,
        syncs: true,
        scans: false,
    })
}

fn digest_of(content: &[u8]) -> Digest {
    let mut digest = RunningDigest::new(Algorithm::Sha256);
    digest.update(content);
    digest.finish()
}

fn measure(work: impl FnOnce()) -> Measured {
    let started = (Instant::now(), cpu_time());
    work();
    Measured { wall: started.0.elapsed(), cpu: cpu_time() - started.1 }
}

fn median(measured: impl Iterator<Item = Measured>) -> Measured {
    let all: Vec<Measured> = measured.collect();
    let mut walls: Vec<Duration> = all.iter().map(|one| one.wall).collect();
    let mut cpus: Vec<Duration> = all.iter().map(|one| one.cpu).collect();
    walls.sort();
    cpus.sort();
    Measured { wall: walls[walls.len() / 2], cpu: cpus[cpus.len() / 2] }
}

/// User and system time of the whole process, all threads.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
