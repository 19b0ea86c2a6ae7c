//! The handle: the only public entry to the engine. Callers never see a message or an actor.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot, watch};

use super::UploadError;
use super::actor::UploadActor;
use super::ask::ask;
use super::index::Index;
use super::machine::{Limits, Start};
use super::messages::{Begin, Cancel, Claim, DrainAll, GetStatus, Grant, Join, Reply, Revive, Status};
use super::pump::Pump;
use super::store::{UploadStore, current_boot};
use super::supervisor::Supervisor;
use super::writer::{Writer, WriterKind};
use crate::clock::SharedClock;
use crate::content::Blobs;
use crate::hashing::HashPool;
use crate::oci::{Algorithm, Digest, RepositoryName, UploadId};
use crate::storage::{Durability, SharedDriver};
use crate::telemetry::Metrics;

/// How many claims may wait for one upload. One is a client that resumes while its old connection hangs; a few more
/// may come of retries. Whoever comes after that is told to come again.
const MAX_WAITING_CLAIMS: usize = 8;

/// What the engine is made of.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Where records and partials are kept.
    pub driver: SharedDriver,
    /// Where published content is linked.
    pub blobs: Blobs,
    /// Who hashes.
    pub hashes: HashPool,
    /// Where counts go.
    pub metrics: Metrics,
    /// The time.
    pub clock: SharedClock,
    /// A writer from which no byte came for so long loses the upload to a newcomer, who waits a quarter longer at most.
    pub takeover_after: Duration,
    /// What an acknowledged offset survives. (A commit always asks the driver to survive the loss of power.)
    pub checkpoint_durability: Durability,
    /// How many bytes are written and hashed at once; see [`EngineOptions::BATCH_BYTES`].
    pub batch_bytes: usize,
    /// On how many threads of their own uploads run, at least one.
    pub threads: usize,
}

impl EngineOptions {
    /// A good size of a batch, as measured by `benches/upload.rs`.
    pub const BATCH_BYTES: usize = 512 * 1024;
}

/// The upload engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    batch_bytes: usize,
    index: Arc<Index>,
    supervisor: Addr<Supervisor>,
    arbiters: Arc<Vec<ArbiterHandle>>,
}

/// One upload in progress: found or just begun.
#[derive(Clone)]
pub struct UploadHandle {
    engine: Engine,
    repository: RepositoryName,
    id: UploadId,
}

/// Where an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes are kept.
    pub offset: u64,
    /// When it was started.
    pub started_at: SystemTime,
}

/// How a body wants to be written.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Where its first byte goes.
    pub start: Start,
    /// How many bytes it says it has.
    pub length: Option<u64>,
    /// The digest that it is to be committed as, when it is the last one: lets it follow a running commit of the same.
    pub digest: Option<Digest>,
    /// When it is cut, the whole upload goes.
    pub discard_on_cut: bool,
}

impl Engine {
    /// Starts the supervisor and the uploads' threads. Must be called within an actix system.
    pub fn start(options: EngineOptions) -> Engine {
        let index = Arc::new(Index::default());
        let arbiters: Vec<Arbiter> = (0..options.threads.max(1)).map(|_| Arbiter::new()).collect();
        let handles = arbiters.iter().map(Arbiter::handle).collect();
        let limits = Limits { takeover_after: options.takeover_after, max_waiting: MAX_WAITING_CLAIMS };
        let store = Arc::new(UploadStore {
            driver: options.driver,
            blobs: options.blobs,
            hashes: options.hashes,
            metrics: options.metrics,
            checkpoint_durability: options.checkpoint_durability,
            // Without a boot id every start counts as another boot, and only what was synced is trusted.
            boot: current_boot().unwrap_or_else(|| UploadId::random().to_string()).into(),
        });
        let supervisor = Supervisor::new(index.clone(), store, options.clock, limits, arbiters).start();
        Engine { batch_bytes: options.batch_bytes.max(1), index, supervisor, arbiters: Arc::new(handles) }
    }

    /// Begins an upload of `repository`.
    ///
    /// # Errors
    /// [`UploadError::Draining`], [`UploadError::Storage`].
    pub async fn begin(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<(UploadHandle, Progress), UploadError> {
        let repository = repository.clone();
        let begin = |reply| Begin { repository: repository.clone(), algorithm, reply };
        let (id, status) = ask(&self.supervisor, begin).await?;
        Ok((UploadHandle { engine: self.clone(), repository, id }, status.into()))
    }

    /// The handle of an upload that may exist; its first use tells.
    pub fn upload(&self, repository: &RepositoryName, id: UploadId) -> UploadHandle {
        UploadHandle { engine: self.clone(), repository: repository.clone(), id }
    }

    /// How many uploads have an actor now.
    pub fn live_uploads(&self) -> usize {
        self.index.len()
    }

    /// Admits nothing more, makes every upload last where it stands, and stops the threads. Uploads can be resumed by
    /// the next process.
    pub async fn drain(&self) {
        let (reply, drained) = oneshot::channel();
        if self.supervisor.send(DrainAll { reply }).await.is_ok() {
            let _ = drained.await;
        }
        for arbiter in self.arbiters.iter() {
            arbiter.stop();
        }
    }

    async fn address(&self, repository: &RepositoryName, id: UploadId) -> Result<Addr<UploadActor>, UploadError> {
        if let Some(address) = self.index.get(&(repository.clone(), id)).filter(Addr::connected) {
            return Ok(address);
        }
        ask(&self.supervisor, |reply| Revive { repository: repository.clone(), id, reply }).await
    }
}

impl UploadHandle {
    /// Its id.
    pub fn id(&self) -> UploadId {
        self.id
    }

    /// Where it stands; answered at once, also while a body is being received.
    ///
    /// # Errors
    /// [`UploadError::Unknown`], also when it belongs to another repository.
    pub async fn status(&self) -> Result<Progress, UploadError> {
        let question = |reply| GetStatus { reply };
        self.ask_upload(question).await.map(|(status, _)| status.into())
    }

    /// Takes the right to write a body.
    ///
    /// # Errors
    /// [`UploadError::RangeMismatch`], [`UploadError::Busy`], [`UploadError::Unknown`].
    pub async fn write(&self, options: WriteOptions) -> Result<Writer, UploadError> {
        let question = |reply| Claim {
            start: options.start,
            digest: options.digest.clone(),
            discard_on_cut: options.discard_on_cut,
            reply,
        };
        let (grant, address) = self.ask_upload(question).await?;
        let kind = match grant {
            Grant::Follow => WriterKind::Following { upload: self.clone(), address },
            Grant::Write { epoch, start, revoked } => {
                // One piece waits here, the pump holds a batch: that is all that a body has in memory on this side.
                let (commands, receiver) = mpsc::channel(1);
                let (failure_sender, failure) = watch::channel(None);
                let pump = Pump {
                    address,
                    epoch,
                    offset: start,
                    commands: receiver,
                    revoked,
                    failure: failure_sender,
                    batch_bytes: self.engine.batch_bytes,
                };
                tokio::spawn(pump.run());
                WriterKind::Pumped { commands, failure }
            }
        };
        Ok(Writer { kind, length: options.length, received: 0 })
    }

    /// Ends it and removes everything of it. Waits for a running commit, and fails as unknown when that succeeds.
    ///
    /// # Errors
    /// [`UploadError::Unknown`]; [`UploadError::Storage`] when something is left, which another cancel removes.
    pub async fn cancel(&self) -> Result<(), UploadError> {
        let question = |reply| Cancel { reply };
        self.ask_upload(question).await.map(|((), _)| ())
    }

    /// Waits for a commit that runs, or ran.
    pub(super) async fn join(&self, address: &Addr<UploadActor>, digest: Digest) -> Result<u64, UploadError> {
        match ask(address, |reply| Join { digest, reply }).await {
            // The commit has ended meanwhile and its actor with it: the upload is unknown then, unless it failed.
            Err(UploadError::Died) => {
                self.status().await?;
                Err(UploadError::Busy { retry_after: Duration::from_secs(1) })
            }
            answer => answer,
        }
    }

    /// Asks the upload's actor; asks once more when that one ended while the question was on its way.
    async fn ask_upload<M, T>(&self, question: impl Fn(Reply<T>) -> M) -> Result<(T, Addr<UploadActor>), UploadError>
    where
        M: Message<Result = ()> + Send + 'static,
        UploadActor: Handler<M>,
    {
        let address = self.engine.address(&self.repository, self.id).await?;
        match ask(&address, &question).await {
            Err(UploadError::Died) => {}
            answer => return answer.map(|answer| (answer, address)),
        }
        let address = self.engine.address(&self.repository, self.id).await?;
        ask(&address, &question).await.map(|answer| (answer, address))
    }
}

impl From<Status> for Progress {
    fn from(status: Status) -> Self {
        Progress { offset: status.offset, started_at: status.started_at }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("live_uploads", &self.live_uploads()).finish_non_exhaustive()
    }
}
