//! The handle: the only public entry to the engine. Callers never see a message or an actor.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix::prelude::*;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::actor::UploadActor;
use super::ask::ask;
use super::index::Index;
use super::machine::Start;
use super::memory::Memory;
use super::messages::{Cancel, Claim, DrainAll, Expire, GetStatus, Grant, Join, LookNow, Reply, Revive, Status};
use super::pump::Pump;
use super::roster::{Name, Roster};
use super::scan::{Pace, Scanner};
use super::starter::Starter;
use super::store::{FileSlots, UploadStore, current_boot};
use super::supervisor::{REAPS_AT_ONCE, Supervisor};
use super::writer::{Pumped, Writer, WriterKind};
use super::{ListUploads, ScanReport, UploadError, UploadPage, UploadView};
use crate::clock::SharedClock;
use crate::config::UploadsConfig;
use crate::content::Blobs;
use crate::hashing::HashPool;
use crate::oci::{Algorithm, Digest, RepositoryName, UploadId};
use crate::storage::{Durability, SharedDriver};
use crate::telemetry::Metrics;

/// How many actors of one upload are asked one after the other. One may just be leaving memory; that the next one does so
/// too takes more than a minute as a rule.
const ASKED_AT_MOST: usize = 4;

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
    /// Time-outs, limits and what is kept; see also [`Engine::set_policies`].
    pub uploads: UploadsConfig,
    /// What an acknowledged offset survives. (A commit always asks the driver to survive the loss of power.)
    pub checkpoint_durability: Durability,
    /// Whether the driver syncs what it is asked to; where it does not, nothing is trusted after another boot.
    pub syncs: bool,
    /// How many partials may be open at once; uploads that wait for bytes take turns.
    pub max_open_files: usize,
    /// How many bytes are written and hashed at once; see [`EngineOptions::BATCH_BYTES`].
    pub batch_bytes: usize,
    /// On how many threads of their own uploads run, at least one.
    pub threads: usize,
    /// Which boot of the machine this is; `None`: it is asked.
    pub boot: Option<String>,
    /// Whether the storage is looked through for uploads that nobody knows, as `uploads.scan_every` says.
    pub scans: bool,
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
    roster: Arc<Roster>,
    store: Arc<UploadStore>,
    scanner: Arc<Scanner>,
    memory: Memory,
    /// An address of its own costs memory each time that it is cloned.
    supervisor: Arc<Addr<Supervisor>>,
    starter: Arc<Starter>,
}

/// One upload in progress: found or just begun.
#[derive(Clone)]
pub struct UploadHandle {
    engine: Engine,
    name: Name,
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
    /// Who writes it.
    pub client: Option<IpAddr>,
}

impl Engine {
    /// Starts the supervisor and the uploads' threads. Must be called within an actix system.
    pub fn start(options: EngineOptions) -> Engine {
        let index = Arc::new(Index::default());
        let arbiters = (0..options.threads.max(1)).map(|_| Arbiter::new().handle()).collect();
        let sync_offsets = options.checkpoint_durability == Durability::Power && options.syncs;
        let memory = Memory::new(options.uploads.max_memory);
        let roster =
            Arc::new(Roster::new(options.clock.clone(), options.uploads, sync_offsets, options.metrics.clone()));
        let store = Arc::new(UploadStore {
            driver: options.driver,
            blobs: options.blobs,
            hashes: options.hashes,
            metrics: options.metrics,
            checkpoint_durability: options.checkpoint_durability,
            syncs: options.syncs,
            // Without a boot id every start counts as another boot, and only what was synced is trusted.
            boot: options.boot.or_else(current_boot).unwrap_or_else(|| UploadId::random().to_string()).into(),
            clock: options.clock,
            files: FileSlots::new(options.max_open_files),
        });
        let starter = Arc::new(Starter {
            index: index.clone(),
            roster: roster.clone(),
            store: store.clone(),
            reaps: Arc::new(Semaphore::new(REAPS_AT_ONCE)),
            arbiters,
        });
        let supervisor = Arc::new(Supervisor::new(starter.clone()).start());
        let scanner = Arc::new(Scanner::new(index.clone(), roster.clone(), store.clone(), (*supervisor).clone()));
        if options.scans {
            actix::spawn(scanner.clone().run_as_scheduled());
        }
        let batch_bytes = options.batch_bytes.max(1);
        Engine { batch_bytes, index, roster, store, scanner, memory, supervisor, starter }
    }

    /// Begins an upload of `repository`.
    ///
    /// # Errors
    /// [`UploadError::Draining`], [`UploadError::Storage`].
    pub async fn begin(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
        client: Option<IpAddr>,
    ) -> Result<(UploadHandle, Progress), UploadError> {
        let (reply, begun) = oneshot::channel();
        self.starter.begin(repository, algorithm, client, reply);
        let (id, status) = begun.await.unwrap_or(Err(UploadError::Died))?;
        Ok((self.upload(repository, id), status.into()))
    }

    /// The handle of an upload that may exist; its first use tells.
    pub fn upload(&self, repository: &RepositoryName, id: UploadId) -> UploadHandle {
        let name = Name { id, repository: Arc::new(repository.clone()) };
        UploadHandle { engine: self.clone(), name }
    }

    /// One page of the uploads that this process knows; `None` when `request.after` is no token of a page.
    pub fn list(&self, request: &ListUploads) -> Option<UploadPage> {
        self.roster.list(request)
    }

    /// The known uploads with this id: one as a rule, more where folders were copied.
    pub fn find(&self, id: UploadId) -> Vec<UploadView> {
        self.roster.find(id)
    }

    /// Other policies hold from now on, for running uploads, too. It looks at every known upload once: with very many it
    /// should not be called on a thread that others wait for.
    pub fn set_policies(&self, uploads: UploadsConfig) {
        self.memory.set_limit(uploads.max_memory);
        self.roster.set_policies(uploads);
        // Whether there is room is a question of policy, too.
        self.supervisor.do_send(LookNow { reply: oneshot::channel().0 });
    }

    /// Begins to look through the storage for uploads that nobody knows; `false` when somebody does so already.
    ///
    /// Those that are as they should be are known from then on; those that a policy strikes expire, and what no upload
    /// can be made of is removed. With `is_dry_run` nothing is changed, and the report says what would be.
    pub fn start_scan(&self, is_dry_run: bool) -> bool {
        self.scanner.clone().start(is_dry_run, Pace::default())
    }

    /// The same as fast as it goes, where nobody else needs the machine.
    pub fn start_scan_without_rests(&self, is_dry_run: bool) -> bool {
        self.scanner.clone().start(is_dry_run, Pace::none())
    }

    /// The running look through the storage, or the last one.
    pub fn scan_report(&self) -> ScanReport {
        self.scanner.report()
    }

    /// Resolves when no look through the storage runs.
    pub async fn scan_ended(&self) {
        self.scanner.ended().await;
    }

    /// Looks now at what is due, and at the free space; otherwise this happens a few times a second.
    pub async fn look_now(&self) {
        let (reply, looked) = oneshot::channel();
        if self.supervisor.send(LookNow { reply }).await.is_ok() {
            let _ = looked.await;
        }
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
        for arbiter in &self.starter.arbiters {
            arbiter.stop();
        }
    }

    async fn address(&self, name: &Name) -> Result<Addr<UploadActor>, UploadError> {
        if let Some(address) = self.index.get(name).filter(Addr::connected) {
            return Ok(address);
        }
        ask(&self.supervisor, |reply| Revive { name: name.clone(), reply }).await
    }
}

impl UploadHandle {
    /// Its id.
    pub fn id(&self) -> UploadId {
        self.name.id
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
            length: options.length,
            discard_on_cut: options.discard_on_cut,
            client: options.client,
            reply,
        };
        let (grant, address) = self.ask_upload(question).await?;
        let kind = match grant {
            Grant::Follow => WriterKind::Following { upload: self.clone(), address },
            Grant::Write { epoch, start, revoked } => {
                // One piece waits here, the pump holds a batch: that is all that a body has in memory on this side.
                let (commands, receiver) = mpsc::channel(1);
                let (failure_sender, failure) = watch::channel(None);
                let longest_interval = self.engine.roster.rules(&self.name.repository).longest_batch_interval();
                let pump = Pump {
                    address,
                    epoch,
                    offset: start,
                    commands: receiver,
                    revoked,
                    failure: failure_sender,
                    batch_bytes: self.engine.batch_bytes,
                    longest_interval,
                    last_sent: None,
                    memory: self.engine.memory.body(),
                };
                tokio::spawn(pump.run());
                WriterKind::Pumped(Pumped {
                    commands,
                    failure,
                    start,
                    memory: self.engine.memory.clone(),
                    batch_bytes: self.engine.batch_bytes,
                    turn: None,
                    not_before: None,
                    longest_interval,
                })
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

    /// The same for whatever there is of it: of one that has expired, what is kept is removed.
    ///
    /// # Errors
    /// As [`UploadHandle::cancel`].
    pub async fn discard(&self) -> Result<(), UploadError> {
        match self.cancel().await {
            Err(UploadError::Expired { .. }) => {
                self.engine.store.remove_kept(&self.name.repository, self.name.id).await?;
                self.engine.roster.remove(&self.name);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Makes it expire now, as a policy would. Waits for a running commit, and fails as unknown when that succeeds.
    ///
    /// # Errors
    /// [`UploadError::Unknown`], [`UploadError::Expired`] when it has already, [`UploadError::Storage`].
    pub async fn expire(&self) -> Result<(), UploadError> {
        let question = |reply| Expire { reply };
        self.ask_upload(question).await.map(|((), _)| ())
    }

    /// Waits for a commit that runs, or ran.
    pub(super) async fn join(&self, address: &Addr<UploadActor>, digest: Digest) -> Result<u64, UploadError> {
        match ask(address, |reply| Join { digest, reply }).await {
            // The commit has ended meanwhile and its actor with it: the upload is unknown then, unless it failed.
            Err(UploadError::Died | UploadError::Passivated) => {
                self.status().await?;
                Err(UploadError::Busy { retry_after: Duration::from_secs(1) })
            }
            answer => answer,
        }
    }

    /// Asks the upload's actor; asks the next one when that one ended while the question was on its way.
    async fn ask_upload<M, T>(&self, question: impl Fn(Reply<T>) -> M) -> Result<(T, Addr<UploadActor>), UploadError>
    where
        M: Message<Result = ()> + Send + 'static,
        UploadActor: Handler<M>,
    {
        let mut last = UploadError::Died;
        for _ in 0..ASKED_AT_MOST {
            let address = self.engine.address(&self.name).await?;
            match ask(&address, &question).await {
                Err(cause @ (UploadError::Died | UploadError::Passivated)) => last = cause,
                answer => return answer.map(|answer| (answer, address)),
            }
        }
        Err(last)
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
