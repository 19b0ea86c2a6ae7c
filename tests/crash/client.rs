//! A client that has many things to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::harness::pusher::{Pauses, Pusher, Way};
use crate::harness::seeded::Random;
use crate::harness::{digest_of, image_manifest};
use crate::ledger::Ledger;

/// It pushes, cancels and tags at random, and enters into the ledger what was acknowledged.
pub struct Client {
    pub number: u64,
    pub pusher: Arc<Pusher>,
    pub ledger: Arc<Ledger>,
    pub random: Random,
    /// How long it may keep the registry waiting in the middle of an upload; never with zero.
    pub longest_pause: Duration,
}

impl Client {
    /// Works until it is enough, and brings to an end what it began.
    pub async fn work(mut self, enough: Arc<AtomicBool>) {
        while !enough.load(Ordering::Relaxed) {
            let repository = format!("crash/{}", self.random.below(3));
            match self.random.below(10) {
                0 => self.cancel(&repository).await,
                1 | 2 => self.tag(&repository).await,
                3 | 4 if !self.longest_pause.is_zero() => self.push_with_pauses(&repository).await,
                _ => {
                    let data = self.content();
                    self.push(&repository, &data).await;
                }
            }
        }
    }

    fn content(&mut self) -> Bytes {
        // A few contents are everybody's, so that pushes of one digest meet.
        if self.random.chance(15) {
            return Random::new(self.random.below(4)).bytes(300_000);
        }
        let end = [20_000, 100_000, 400_000, 1_500_000][self.random.below(4) as usize];
        let length = self.random.below(end) as usize;
        self.random.bytes(length)
    }

    async fn push(&mut self, repository: &str, data: &Bytes) -> (String, usize) {
        let way = Way::ALL[self.random.below(4) as usize];
        let digest = self.pusher.push(repository, data, way, &mut self.random).await;
        self.ledger.blob_is_there(repository, digest.clone());
        (digest, data.len())
    }

    /// Goes quiet between two requests, or stalls in a body; now and then both.
    async fn push_with_pauses(&mut self, repository: &str) {
        let data = self.content();
        let longest = self.longest_pause.as_millis() as u64;
        let mut pause = |per_cent| match self.random.chance(per_cent) {
            true => Duration::from_millis(self.random.below(longest)),
            false => Duration::ZERO,
        };
        let pauses = Pauses { quiet: pause(75), stall: pause(50) };
        let digest = self.pusher.push_with_pauses(repository, &data, pauses, &mut self.random).await;
        self.ledger.blob_is_there(repository, digest);
    }

    async fn cancel(&mut self, repository: &str) {
        let data = self.content();
        self.pusher.cancel(repository, &data).await;
    }

    async fn tag(&mut self, repository: &str) {
        let (config, layer) = (self.random.bytes(100), self.content());
        let (config, layer) = (self.push(repository, &config).await, self.push(repository, &layer).await);
        let manifest: Bytes = serde_json::to_vec(&image_manifest(&config, &[layer])).expect("JSON").into();
        let (tag, digest) = (format!("client-{}", self.number), digest_of(&manifest));
        self.ledger.tag_is_sent(repository, &tag, digest.clone());
        assert_eq!(self.pusher.put_manifest(repository, &tag, &manifest).await, digest);
        self.ledger.tag_is_there(repository, &tag);
    }
}
