//! The machine loses power at random driver calls, while clients push; what was promised to last is there when it is on
//! again.
//!
//! The store keeps what was synced for certain, and of the rest what a seed decides. `LONGSHORE_POWER_CUTS` says how
//! often the power fails, `LONGSHORE_POWER_SEED` makes a run's choices again; the seed is printed. In which order the
//! calls of different clients come, the machine decides.

#[allow(dead_code, reason = "shared with tests/crash, which uses all of it")]
#[path = "../crash/client.rs"]
mod client;
#[allow(dead_code, unused_imports, reason = "shared with tests/it, which uses all of it")]
#[path = "../it/harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "shared with tests/crash, which uses all of it")]
#[path = "../crash/ledger.rs"]
mod ledger;
mod mains;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore::config::DurabilityPolicy;
use longshore::storage::SharedDriver;
use longshore::storage::adapters::{Adapter, PowerCut};
use longshore::storage::memory::MemoryOptions;
use tokio::time::Instant;

use client::Client;
use harness::pusher::{Place, Promise, Pusher};
use harness::seeded::{Random, number_from_environment};
use harness::{Registry, eventually, leftovers};
use ledger::Ledger;
use mains::{Mains, Shared, age_records, check_content};

const CLIENTS: u64 = 5;

/// A machine that is on.
struct Life {
    registry: Registry,
    mains: Arc<Mains>,
}

impl Life {
    async fn start(store: PowerCut, durability: DurabilityPolicy, calls: u64, seed: u64) -> Life {
        let mains = Arc::new(Mains::new(store.clone(), calls, seed));
        let driver: SharedDriver = Arc::new(Adapter::around(Arc::new(store), Shared(mains.clone())));
        let registry = Registry::start_on(&driver, |config| config.storage.durability = durability).await;
        Life { registry, mains }
    }
}

async fn lose_power(durability: DurabilityPolicy, promise: Promise) {
    let _ = env_logger::builder().filter_level(log::LevelFilter::Off).parse_default_env().try_init();
    let cuts = number_from_environment("LONGSHORE_POWER_CUTS", 25);
    let mut random = Random::from_environment("LONGSHORE_POWER_SEED");
    let began_at = Instant::now();
    let store = PowerCut::new(MemoryOptions { max_bytes: 4 << 30 });
    let mut life = Life::start(store, durability, 1 + random.below(300), random.next()).await;
    let place = Place::new(life.registry.address());
    let alive = Arc::new(std::sync::Mutex::new((life.registry.address(), life.mains.clone())));
    let ignores = {
        let alive = alive.clone();
        move |from| {
            let (address, mains) = &*alive.lock().expect("no panic");
            from != *address || mains.is_dead()
        }
    };
    let ends_at = began_at + Duration::from_secs(60 + 5 * cuts);
    let pusher = Pusher::new(&place, ends_at).with_promise(promise).ignoring_answers(ignores);
    let (pusher, ledger) = (Arc::new(pusher), Arc::new(Ledger::default()));
    let enough = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (pusher, ledger, random) = (pusher.clone(), ledger.clone(), random.fork());
            let client = Client { number, pusher, ledger, random, longest_pause: Duration::ZERO };
            tokio::spawn(client.work(enough.clone()))
        })
        .collect();
    for cut in 1..=cuts {
        eventually("the power fails", async || {
            assert!(!clients.iter().any(|client| client.is_finished()), "a client has failed, see above");
            life.mains.is_dead()
        })
        .await;
        let mut found = None;
        eventually("what is found", async || {
            found = found.take().or_else(|| life.mains.take_found());
            found.is_some()
        })
        .await;
        let found = found.expect("it was found");
        age_records(&found).await;
        let driver: SharedDriver = Arc::new(found.clone());
        check_content(&driver).await;
        let calls = if cut == cuts { u64::MAX } else { 1 + random.below(600) };
        let next = Life::start(found, durability, calls, random.next()).await;
        *alive.lock().expect("no panic") = (next.registry.address(), next.mains.clone());
        place.moves_to(next.registry.address());
        std::mem::replace(&mut life, next).registry.stop_unchecked().await;
    }
    enough.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("a client came to its end");
    }
    ledger.check(&pusher, None).await;
    let Life { registry, .. } = life;
    let driver = registry.driver().clone();
    registry.stop_unchecked().await;
    let report = leftovers::purge(&driver).await;
    leftovers::of_keys(&driver).await;
    assert_eq!(report.failed, 0, "{report:?}");
    println!(
        "{cuts} power cuts with {durability:?} in {:?}: {} blobs and {} tags are there, {} uploads were left; {:?}",
        began_at.elapsed(),
        ledger.blobs(),
        ledger.tags(),
        report.removed,
        pusher.counts(),
    );
    assert!(ledger.blobs() > 0 && ledger.tags() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_durability_commit_every_commit_survives() {
    lose_power(DurabilityPolicy::Commit, Promise::Commits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_durability_ack_every_offset_that_was_told_survives_too() {
    lose_power(DurabilityPolicy::Ack, Promise::Offsets).await;
}
