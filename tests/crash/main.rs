//! `kill -9` of the real program at random moments, while clients push; nothing that it acknowledged may be missing.
//!
//! Some clients go quiet or stall. In a share of its lives the registry has short policies and looks through its storage,
//! so that a kill strikes while uploads leave memory, expire or are adopted. An upload may be gone only if a policy can
//! have struck it.
//!
//! `LONGSHORE_CRASH_KILLS` says how often (30 without it), `LONGSHORE_CRASH_SEED` makes a run's choices again; the seed
//! is printed. When exactly a kill strikes, the machine decides.

mod client;
#[allow(dead_code, unused_imports, reason = "shared with tests/it, which uses all of it")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod ledger;
mod life;
mod process;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use longshore::storage::SharedDriver;
use longshore::storage::filesystem::{Filesystem, FilesystemOptions};
use reqwest::Method;
use tokio::time::Instant;

use client::Client;
use harness::pusher::policies::Policies;
use harness::pusher::{Place, Pusher};
use harness::seeded::{Random, number_from_environment};
use harness::{files_below, leftovers};
use ledger::{Autopsy, Ledger};
use life::Life;
use process::{Process, data_folder, free_address, purge_offline};

const CLIENTS: u64 = 10;

/// Longer than an upload stays in memory, and than short policies let it live.
const LONGEST_PAUSE: Duration = Duration::from_millis(3500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_however_often_the_registry_is_killed() {
    let kills = number_from_environment("LONGSHORE_CRASH_KILLS", 30);
    let mut random = Random::from_environment("LONGSHORE_CRASH_SEED");
    let folder = tempfile::tempdir().expect("a folder");
    let (root, address) = (data_folder(&folder), free_address(&mut random));
    let began_at = Instant::now();
    let ends_at = began_at + Duration::from_secs(60 + 5 * kills);
    let policies = Policies::default();
    // Slow enough that a kill mostly strikes in the middle of bodies.
    let pusher =
        Pusher::new(&Place::new(address), ends_at).with_slow_bodies(Duration::from_millis(8)).with_policies(&policies);
    let (pusher, ledger) = (Arc::new(pusher), Arc::new(Ledger::default()));
    let enough = Arc::new(AtomicBool::new(false));

    let mut life = Life::random(&mut random);
    policies.hold(life.held);
    let mut process = Process::start(&root, address, &life.uploads);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (pusher, ledger, random) = (pusher.clone(), ledger.clone(), random.fork());
            let client = Client { number, pusher, ledger, random, longest_pause: LONGEST_PAUSE };
            tokio::spawn(client.work(enough.clone()))
        })
        .collect();
    let mut autopsy = Autopsy::default();
    for kill in 1..=kills {
        life.pass(&process).await;
        process.kill();
        autopsy.of(&root);
        life = if kill == kills { Life::usual() } else { Life::random(&mut random) };
        policies.hold(life.held);
        process = Process::start(&root, address, &life.uploads);
        ledger.check(&pusher, Some((20, &mut random))).await;
        assert!(!clients.iter().any(|client| client.is_finished()), "a client has failed, see above");
    }
    enough.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("a client came to its end");
    }
    ledger.check(&pusher, None).await;
    look_for_told_uploads(&root, &pusher).await;
    process.stop();
    autopsy.of(&root);
    let purged = purge(&root).await;
    println!(
        "{kills} kills in {:?}: {} blobs and {} tags are there, {purged} uploads of which no client knows; {:?}",
        began_at.elapsed(),
        ledger.blobs(),
        ledger.tags(),
        pusher.counts(),
    );
    assert!(ledger.blobs() > 0 && ledger.tags() > 0);
}

/// What is left of an upload that a client knew is kept for a look, or the rest of a removal: it is unknown.
async fn look_for_told_uploads(root: &Path, pusher: &Pusher) {
    let told = pusher.told_ids();
    for file in uploads_below(root) {
        let (repository, rest) = file.split_once("/_uploads/").expect("it is of an upload");
        let id = rest.split('/').next().expect("an id");
        if told.iter().any(|told| told == id) {
            let repository = repository.strip_prefix("docker/registry/v2/repositories/").expect("a repository");
            let path = format!("/v2/{repository}/blobs/uploads/{id}");
            let reply = pusher.until_answered(Method::GET, &path).await;
            assert_eq!(reply.status, 404, "{path} was left, and its client was done with it");
        }
    }
}

/// Removes what nobody goes on with, as an operator does when time has passed: uploads whose id no client was ever told,
/// because the registry died before its answer, what is kept of expired ones, and what is left of broken removals.
/// Nothing but content may stay. Gives how many there were.
async fn purge(root: &Path) -> u64 {
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    for file in uploads_below(root) {
        let file = std::fs::File::open(root.join(file)).expect("a file");
        file.set_times(std::fs::FileTimes::new().set_modified(long_ago)).expect("it is our own");
    }
    let report = purge_offline(root, &Life::purge());
    assert_eq!(report["failed"], 0, "{report}");
    let rests = purge_rests(root).await;
    leftovers::of_files(root);
    report["removed"].as_u64().expect("a number") + rests
}

/// Removes what is left of removals that a kill broke off. How old that is, its content says, and it is left alone for an
/// hour: so this is a look at a later time.
async fn purge_rests(root: &Path) -> u64 {
    let driver: SharedDriver = Arc::new(Filesystem::open(FilesystemOptions::new(root)).expect("the folder opens"));
    let report = leftovers::purge(&driver).await;
    assert_eq!(report.failed, 0, "{report:?}");
    assert!(report.findings.iter().all(|finding| finding.reason == "leftover"), "{report:?}");
    report.removed
}

/// The files of all uploads, relative to the root.
fn uploads_below(root: &Path) -> Vec<String> {
    let files = files_below(root).into_iter().map(|path| path.to_str().expect("text").to_owned());
    files.filter(|path| path.contains("/_uploads/")).collect()
}
