//! A client that pushes whatever happens, and holds the registry to everything that it was told.

mod deeds;
pub mod policies;
mod steps;
mod wire;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use reqwest::Method;
use tokio::time::{Duration, Instant};

use self::policies::Policies;
use self::wire::Body;
use super::seeded::Random;
use super::{Alg, client_of_one_connection_each};

/// Where the registry is; it may move.
#[derive(Clone, Debug)]
pub struct Place(Arc<Mutex<SocketAddr>>);

impl Place {
    pub fn new(address: SocketAddr) -> Place {
        Place(Arc::new(Mutex::new(address)))
    }

    pub fn get(&self) -> SocketAddr {
        *self.0.lock().expect("no panic")
    }

    pub fn moves_to(&self, address: SocketAddr) {
        *self.0.lock().expect("no panic") = address;
    }
}

/// How a blob is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A PATCH of unknown length, then an empty PUT, as docker does.
    Streamed,
    /// Chunks with ranges, the last perhaps in the PUT, as regctl does.
    Chunks,
    /// POST, then one PUT with everything, which is sent again whole, as containerd does.
    OnePut,
    /// One POST with everything.
    SinglePost,
}

impl Way {
    pub const ALL: [Way; 4] = [Way::Streamed, Way::Chunks, Way::OnePut, Way::SinglePost];
}

/// Where a client keeps the registry waiting, once in an upload. A time of zero is no pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// Between two requests, when something was brought.
    pub quiet: Duration,
    /// In the middle of a body.
    pub stall: Duration,
}

/// What the registry may not break, whatever happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Its process may be killed: everything that was told holds.
    All,
    /// The machine may lose power: offsets and commits hold, and what was cancelled may be there again.
    Offsets,
    /// The machine may lose power: commits hold. An upload may go back, be gone, or hold something else than was sent,
    /// which is found out at its end.
    Commits,
}

/// The client. It asks again after every answer that is none, or that says so.
pub struct Pusher {
    http: reqwest::Client,
    /// Where everything is sent, but for what begins an upload.
    place: Place,
    /// Where uploads are begun: their answers come through, so that each upload has a client.
    begins_at: Place,
    promise: Promise,
    policies: Policies,
    ends_at: Instant,
    largest_chunk: u64,
    /// How long a body takes for each of its pieces.
    piece_takes: Duration,
    /// Whether what comes from an address is no answer: who gave it counts as dead.
    ignores: Box<dyn Fn(SocketAddr) -> bool + Send + Sync>,
    /// The ids of all uploads of which the client was told.
    told_ids: Mutex<Vec<String>>,
    counts: Counts,
}

/// What happened on the way.
#[derive(Debug, Default)]
pub struct Counts {
    /// Answers that came whole.
    pub answers: AtomicU64,
    /// Requests without an answer.
    pub unanswered: AtomicU64,
    /// POSTs without an answer: they may have begun an upload of which nobody knows.
    pub unanswered_posts: AtomicU64,
    /// Uploads that were gone on with, behind their first byte, after an answer that did not come or was no success.
    pub resumed: AtomicU64,
    /// Uploads that were gone after a loss of power.
    pub gone: AtomicU64,
    /// Uploads that a policy has ended.
    pub expired: AtomicU64,
    /// Uploads that held something else at their end, after a loss of power.
    pub spoiled: AtomicU64,
}

/// An upload as its client knows it.
struct Session {
    location: String,
    /// The newest offset that was told.
    told: u64,
    /// Whether a PUT was sent, whatever became of it.
    is_ended: bool,
    /// When it was begun, before it was asked for.
    begun_at: Instant,
    /// When the newest body was sent.
    sent_at: Instant,
    /// When the body was sent that brought the newest bytes, or it was begun: they came then or later.
    brought_at: Instant,
    pauses: Pauses,
}

impl Session {
    /// `begun_at`: before it was asked for.
    fn new(location: &str, told: u64, begun_at: Instant) -> Session {
        let (location, is_ended, pauses) = (location.to_owned(), false, Pauses::default());
        Session { location, told, is_ended, begun_at, sent_at: begun_at, brought_at: begun_at, pauses }
    }
}

impl Pusher {
    pub fn new(place: &Place, ends_at: Instant) -> Pusher {
        Pusher {
            http: client_of_one_connection_each(),
            place: place.clone(),
            begins_at: place.clone(),
            promise: Promise::All,
            policies: Policies::default(),
            ends_at,
            largest_chunk: 200_000,
            piece_takes: Duration::ZERO,
            ignores: Box::new(|_| false),
            told_ids: Mutex::default(),
            counts: Counts::default(),
        }
    }

    pub fn beginning_at(self, place: &Place) -> Pusher {
        Pusher { begins_at: place.clone(), ..self }
    }

    pub fn with_promise(self, promise: Promise) -> Pusher {
        Pusher { promise, ..self }
    }

    /// By which policies uploads may expire; by none without this.
    pub fn with_policies(self, policies: &Policies) -> Pusher {
        Pusher { policies: policies.clone(), ..self }
    }

    pub fn with_slow_bodies(self, piece_takes: Duration) -> Pusher {
        Pusher { piece_takes, ..self }
    }

    pub fn ignoring_answers(self, ignores: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) -> Pusher {
        Pusher { ignores: Box::new(ignores), ..self }
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub fn told_ids(&self) -> Vec<String> {
        self.told_ids.lock().expect("no panic").clone()
    }

    /// Pushes a blob to its end and reads it back; gives its digest.
    pub async fn push(&self, repository: &str, data: &Bytes, way: Way, random: &mut Random) -> String {
        let digest = Alg::Sha256.digest(data);
        if way == Way::SinglePost {
            self.push_at_once(repository, data, &digest).await;
        } else {
            let session = self.begin(repository).await;
            self.bring(session, repository, data, &digest, way, random).await;
        }
        self.check_blob(repository, &digest, data).await;
        digest
    }

    /// Pushes a blob with pauses.
    pub async fn push_with_pauses(
        &self,
        repository: &str,
        data: &Bytes,
        pauses: Pauses,
        random: &mut Random,
    ) -> String {
        let digest = Alg::Sha256.digest(data);
        let way = if pauses.stall.is_zero() { Way::Chunks } else { Way::Streamed };
        let session = Session { pauses, ..self.begin(repository).await };
        self.bring(session, repository, data, &digest, way, random).await;
        self.check_blob(repository, &digest, data).await;
        digest
    }

    async fn push_at_once(&self, repository: &str, data: &Bytes, digest: &str) {
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        loop {
            match self.ask(&self.place, Method::POST, &path, None, Body::Whole(data.clone())).await {
                Some(reply) if reply.status == 201 => return,
                Some(reply) => self.again_after("POST", &path, &reply).await,
                None => {
                    self.counts.unanswered_posts.fetch_add(1, Ordering::Relaxed);
                    self.pause().await;
                }
            }
        }
    }

    /// Goes on with an upload that stands at `told`, to its end, and reads the blob back.
    pub async fn go_on(&self, repository: &str, location: &str, told: u64, data: &Bytes, random: &mut Random) {
        let digest = Alg::Sha256.digest(data);
        let mut session = Session::new(location, told, Instant::now());
        assert!(!self.look(&mut session, repository, &digest).await);
        self.bring(session, repository, data, &digest, Way::Streamed, random).await;
        self.check_blob(repository, &digest, data).await;
    }
}
