//! A sweep of an operation that a client does with the whole registry.

use std::sync::Arc;

use longshore::storage::adapters::Faulty;
use longshore::storage::{SharedDriver, keys};
use tokio::time::Instant;

use crate::blow::Blow;
use crate::harness::pusher::{Place, Pusher};
use crate::harness::seeded::Random;
use crate::harness::{PATIENCE, Registry, eventually, leftovers};
use crate::operations::{Operation, Prepared};
use crate::store::Store;
use crate::{MOST_CALLS, Point};

/// One operation with one kind of blow, at each of its calls.
pub struct Sweep {
    operation: Operation,
    blow: Blow,
    store: Store,
    /// Uploads that were left and of which no client ever knew.
    strays: u64,
}

impl Sweep {
    pub fn new(operation: Operation, blow: Blow, store: Store) -> Sweep {
        Sweep { operation, blow, store, strays: 0 }
    }

    /// Gives how many points were tried, and the strays.
    pub async fn run(mut self) -> (u64, u64) {
        let mut points = 0;
        if self.blow.is_death() {
            while self.die_at(points + 1).await {
                points += 1;
            }
        } else {
            let faulty = Faulty::new(self.store.driver.clone());
            let shared: SharedDriver = Arc::new(faulty.clone());
            let registry = Registry::start_on(&shared, |_| {}).await;
            while self.fail_at(points + 1, &faulty, &registry).await {
                points += 1;
            }
            registry.finish().await;
        }
        assert!(points > 0, "{:?} makes no call", self.operation);
        println!("{:?}, {}: {points} points, {} strays", self.operation, self.blow, self.strays);
        (points, self.strays)
    }

    async fn prepare(&self, repository: &str, nth: u64) -> Prepared {
        self.operation.prepare(&self.store.driver, repository, Random::new(nth)).await
    }

    fn point(&self, nth: u64) -> String {
        assert!(nth <= MOST_CALLS, "{:?} does not come to an end", self.operation);
        format!("{:?}, {} at call {nth}", self.operation, self.blow)
    }

    /// The n-th call fails, the same process goes on; false when there is no such call.
    async fn fail_at(&mut self, nth: u64, faulty: &Faulty, registry: &Registry) -> bool {
        let _point = Point(self.point(nth));
        let repository = format!("sweep/n{nth}");
        let mut prepared = self.prepare(&repository, nth).await;
        let pusher = Pusher::new(&Place::new(registry.address()), Instant::now() + PATIENCE);
        self.blow.plan(faulty, nth);
        self.operation.run(&pusher, &mut prepared).await;
        let has_struck = faulty.struck() > 0;
        faulty.clear();
        self.operation.check(&self.store.driver, &prepared).await;
        self.look_for_leftovers(&repository, &pusher, &prepared).await;
        let metric = "longshore_uploads_open";
        eventually(&format!("{metric} 0"), async || registry.metric(metric).await == Some(0.0)).await;
        has_struck
    }

    /// The process dies at the n-th call, and the client goes on with another one.
    async fn die_at(&mut self, nth: u64) -> bool {
        let _point = Point(self.point(nth));
        let repository = format!("sweep/n{nth}");
        let mut prepared = self.prepare(&repository, nth).await;
        let faulty = Faulty::new(self.store.driver.clone());
        let shared: SharedDriver = Arc::new(faulty.clone());
        let (dying, next) =
            (Registry::start_on(&shared, |_| {}).await, Registry::start_on(&self.store.driver, |_| {}).await);
        let (place, first) = (Place::new(dying.address()), dying.address());
        let is_dead = {
            let faulty = faulty.clone();
            move || faulty.struck() > 0
        };
        let answers_no_more = is_dead.clone();
        let pusher = Pusher::new(&place, Instant::now() + PATIENCE)
            .ignoring_answers(move |from| from == first && answers_no_more());
        self.blow.plan(&faulty, nth);
        let moves_on = async {
            eventually("the death", async || is_dead()).await;
            place.moves_to(next.address());
            std::future::pending().await
        };
        tokio::select! {
            () = self.operation.run(&pusher, &mut prepared) => {}
            () = moves_on => {}
        }
        let has_died = is_dead();
        // Nothing that it still has in mind has an effect.
        dying.stop_unchecked().await;
        self.operation.check(&self.store.driver, &prepared).await;
        self.look_for_leftovers(&repository, &pusher, &prepared).await;
        next.stop_unchecked().await;
        has_died
    }

    /// Nothing of an upload is left whose client is done with it, and no file is open.
    async fn look_for_leftovers(&mut self, repository: &str, pusher: &Pusher, prepared: &Prepared) {
        let folder = keys::uploads(&repository.parse().expect("a name"));
        let told = [pusher.told_ids(), prepared.told_ids()].concat();
        let left = async || match self.store.driver.list(&folder, None, 100).await {
            Ok(page) => page.entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>(),
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => panic!("{folder}: {error}"),
        };
        if self.blow.leaves_no_strays() {
            eventually("the end of all uploads", async || left().await.is_empty()).await;
        } else {
            eventually("the end of the clients' uploads", async || !left().await.iter().any(|id| told.contains(id)))
                .await;
            let strays = left().await.len() as u64;
            if strays > 0 {
                self.strays += strays;
                let report = leftovers::purge(&self.store.driver).await;
                assert_eq!((report.failed, left().await), (0, Vec::<String>::new()), "{report:?}");
            }
        }
        eventually("no open file", async || self.store.open_files().is_empty()).await;
    }
}
