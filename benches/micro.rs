//! What single steps cost: `cargo bench --bench micro`, ten seconds.
//!
//! Each figure is the median of some rounds of many runs, on one core. How fast long streams are hashed, and how many at
//! once, tells `--bench hashing`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter, Context, Handler, Message};
use longshore::benching::{KeptRecord, MachineRounds, parse_path};
use longshore::hashing::RunningDigest;
use longshore::oci::{Algorithm, Manifest};

const ROUNDS: usize = 15;
/// How long a round takes, about.
const ROUND: Duration = Duration::from_millis(20);
const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn main() {
    println!("{:<62} {:>12}", "", "nanoseconds");
    digests();
    machine();
    parsers();
    actix::System::new().block_on(hops());
}

/// Small ones, where beginning and ending weighs most.
fn digests() {
    for bytes in [64, 1 << 10, 4 << 10, 32 << 10, 1 << 20] {
        let data: Vec<u8> = (0..bytes).map(|index: usize| (index * 31) as u8).collect();
        let time = time_of(|| {
            let mut running = RunningDigest::new(Algorithm::Sha256);
            running.update(black_box(&data));
            black_box(running.finish());
        });
        report(&format!("sha256 of {bytes} bytes, from begin to digest"), time);
    }
}

fn machine() {
    let mut rounds = MachineRounds::begin();
    let time = time_of(|| rounds.patch());
    report("state machine: a step, mean of those of a PATCH", time / f64::from(MachineRounds::STEPS));
}

fn parsers() {
    for path in [
        "/v2/".to_owned(),
        format!("/v2/library/app/blobs/{DIGEST}"),
        "/v2/library/app/manifests/latest".to_owned(),
        "/v2/library/app/blobs/uploads/6b3c9a93-af5d-473f-a4ff-9710022185cd".to_owned(),
    ] {
        assert!(parse_path(&path), "{path} is one of the API's");
        let parse = || {
            black_box(parse_path(black_box(&path)));
        };
        report(&format!("path {}", shortened(&path)), time_of(parse));
    }
    let manifest = manifest();
    let parse = || Manifest::parse(black_box(&manifest), Some(OCI_IMAGE)).expect("a manifest");
    report(&format!("manifest of ten layers, {} bytes", manifest.len()), time_of(|| drop(black_box(parse()))));
    let kept = include_bytes!("../src/upload/golden/record-v2");
    let read = || KeptRecord::read(black_box(kept)).expect("a record");
    report(&format!("upload record read, {} bytes", kept.len()), time_of(|| drop(black_box(read()))));
    let record = read();
    report("upload record made", time_of(|| drop(black_box(record.write()))));
}

fn shortened(path: &str) -> String {
    if path.len() <= 50 { path.to_owned() } else { format!("{}…", &path[..49]) }
}

fn manifest() -> Vec<u8> {
    let descriptor = |media: &str| format!(r#"{{"mediaType":"{media}","digest":"{DIGEST}","size":102400}}"#);
    let layers = vec![descriptor("application/vnd.oci.image.layer.v1.tar+gzip"); 10].join(",");
    let config = descriptor("application/vnd.oci.image.config.v1+json");
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_IMAGE}","config":{config},"layers":[{layers}]}}"#).into_bytes()
}

/// Asks an actor and waits for its answer, as a request does with an upload's.
async fn hops() {
    let here = Echo.start();
    report("question to an actor on the same thread, with its answer", hop_time(&here).await);
    let arbiter = Arbiter::new();
    let there = Echo::start_in_arbiter(&arbiter.handle(), |_| Echo);
    report("question to an actor on another thread, with its answer", hop_time(&there).await);
    arbiter.stop();
    arbiter.join().expect("the thread ends");
}

async fn hop_time(actor: &Addr<Echo>) -> f64 {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let (mut hops, started) = (0_u32, Instant::now());
        while started.elapsed() < ROUND {
            actor.send(Ask(hops)).await.expect("it answers");
            hops += 1;
        }
        times.push(started.elapsed().as_secs_f64() * 1e9 / f64::from(hops));
    }
    median(times)
}

struct Echo;

#[derive(Message)]
#[rtype(result = "u32")]
struct Ask(u32);

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Ask> for Echo {
    type Result = u32;

    fn handle(&mut self, ask: Ask, _: &mut Self::Context) -> u32 {
        ask.0
    }
}

/// Nanoseconds of one run.
fn time_of(mut run: impl FnMut()) -> f64 {
    let mut runs = 1_u32;
    let mut timed = |runs: u32| {
        let started = Instant::now();
        (0..runs).for_each(|_| run());
        started.elapsed()
    };
    // As many runs as a round takes.
    while timed(runs) < ROUND {
        runs *= 2;
    }
    median((0..ROUNDS).map(|_| timed(runs).as_secs_f64() * 1e9 / f64::from(runs)).collect())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn report(what: &str, nanoseconds: f64) {
    println!("{what:<62} {nanoseconds:>12.0}");
}
