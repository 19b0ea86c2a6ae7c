//! What is swept on the engine alone: uploads that leave memory and come back, expire, are kept and go, are found by a look
//! through the storage, and are made to last in the middle of a body.

use std::time::Duration;

use bytes::Bytes;
use longshore::config::UploadsConfig;
use longshore::oci::{Algorithm, Digest, UploadId};
use longshore::storage::{Durability, Key, PutMode, keys};
use longshore::upload::{Engine, Start, UploadError, WriteOptions};

use crate::harness::digest_of;
use crate::harness::seeded::Random;
use crate::machine::{BATCH_BYTES, Machine, Setup, known, repository};

const PASSIVATE_AFTER: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const KEEP_FAILED_FOR: Duration = Duration::from_secs(6000);

/// More than what failed waits until it is tried again.
const STEP: Duration = Duration::from_secs(61);

/// How much an upload has before the blow.
const BROUGHT: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// A quiet upload leaves memory.
    Rest,
    /// It is gone on with.
    Revival,
    /// A live upload expires, and is kept.
    Expiry,
    /// The same, and nothing is kept.
    ExpiryWithoutKeeping,
    /// An upload expires that is in storage only.
    PassiveExpiry,
    /// What is kept is too much: its data goes.
    Strip,
    /// It was kept for long enough.
    Forget,
    /// An upload of an earlier process is found.
    Adoption,
    /// Uploads of an earlier process are found whose time is over: an open one, and one that was kept.
    LateFinds,
    /// Things are found that no upload can be made of.
    Leftovers,
    /// A body with many points from which it can be gone on with.
    Checkpoints,
    /// The same where every offset that was told survives the loss of power.
    SyncedOffsets,
}

/// What there is before the blow.
#[derive(Default)]
pub struct Prepared {
    uploads: Vec<Upload>,
}

/// An upload as its client knows it.
struct Upload {
    id: UploadId,
    data: Bytes,
    /// The newest offset that was told.
    told: u64,
    /// It was told that it is no more.
    is_over: bool,
}

impl Lifecycle {
    pub const ALL: [Lifecycle; 12] = [
        Lifecycle::Rest,
        Lifecycle::Revival,
        Lifecycle::Expiry,
        Lifecycle::ExpiryWithoutKeeping,
        Lifecycle::PassiveExpiry,
        Lifecycle::Strip,
        Lifecycle::Forget,
        Lifecycle::Adoption,
        Lifecycle::LateFinds,
        Lifecycle::Leftovers,
        Lifecycle::Checkpoints,
        Lifecycle::SyncedOffsets,
    ];

    pub fn setup(self) -> Setup {
        let none = UploadsConfig {
            takeover_after: Duration::from_millis(1),
            passivate_after: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            min_rate: 0,
            max_age: Duration::ZERO,
            keep_failed_for: KEEP_FAILED_FOR,
            min_free_space: 0,
            ..UploadsConfig::default()
        };
        let uploads = match self {
            Lifecycle::Rest | Lifecycle::Revival => UploadsConfig { passivate_after: PASSIVATE_AFTER, ..none },
            Lifecycle::Expiry | Lifecycle::LateFinds => UploadsConfig { idle_timeout: IDLE_TIMEOUT, ..none },
            Lifecycle::ExpiryWithoutKeeping => {
                UploadsConfig { idle_timeout: IDLE_TIMEOUT, keep_failed_for: Duration::ZERO, ..none }
            }
            Lifecycle::PassiveExpiry => {
                UploadsConfig { passivate_after: PASSIVATE_AFTER, idle_timeout: IDLE_TIMEOUT, ..none }
            }
            Lifecycle::Checkpoints | Lifecycle::SyncedOffsets => {
                UploadsConfig { checkpoint_every: 2 * BATCH_BYTES as u64, ..none }
            }
            Lifecycle::Strip | Lifecycle::Forget | Lifecycle::Adoption | Lifecycle::Leftovers => none,
        };
        let durability = if self == Lifecycle::SyncedOffsets { Durability::Power } else { Durability::Process };
        Setup { uploads, durability }
    }

    pub async fn prepare(self, machine: &Machine) -> Prepared {
        let mut uploads = Vec::new();
        let count = match self {
            Lifecycle::Checkpoints | Lifecycle::SyncedOffsets | Lifecycle::Leftovers => 0,
            Lifecycle::Strip | Lifecycle::LateFinds => 2,
            _ => 1,
        };
        for seed in 0..count {
            let mut upload = Upload::begin(machine, seed).await;
            upload.bring(machine, BROUGHT).await;
            uploads.push(upload);
        }
        let expire = async |upload: &Upload| machine.handle(upload.id).await.expire().await.expect("no fault yet");
        match self {
            Lifecycle::Revival | Lifecycle::PassiveExpiry => {
                machine.until(PASSIVATE_AFTER, "the rest", async |engine| engine.live_uploads() == 0).await;
            }
            Lifecycle::Strip => {
                for upload in &uploads {
                    expire(upload).await;
                }
            }
            Lifecycle::Forget => expire(&uploads[0]).await,
            Lifecycle::LateFinds => {
                expire(&uploads[1]).await;
                machine.restart().await;
            }
            Lifecycle::Adoption => machine.restart().await,
            Lifecycle::Leftovers => lay_leftovers(machine).await,
            _ => {}
        }
        Prepared { uploads }
    }

    /// Does it, with faults, until it has come about as far as it can.
    pub async fn happen(self, machine: &Machine, prepared: &mut Prepared) {
        match self {
            Lifecycle::Rest => {
                machine.until(PASSIVATE_AFTER, "the rest", async |engine| engine.live_uploads() == 0).await;
            }
            Lifecycle::Revival => {
                for upload in &mut prepared.uploads {
                    upload.complete(machine).await;
                }
            }
            Lifecycle::Expiry | Lifecycle::ExpiryWithoutKeeping | Lifecycle::PassiveExpiry => {
                let id = prepared.uploads[0].id;
                let is_over = async |engine: Engine| {
                    let told = engine.upload(&repository(), id).status().await;
                    matches!(told, Err(UploadError::Unknown | UploadError::Expired { .. }))
                };
                machine.until(STEP, "the expiry", is_over).await;
            }
            Lifecycle::Strip => {
                let uploads = UploadsConfig { keep_failed_max_size: 1, ..self.setup().uploads };
                machine.engine().await.set_policies(uploads);
                let step = Duration::from_secs(1);
                machine
                    .until(step, "the strip", async |_| machine.has_struck() || are_stripped(machine, prepared).await)
                    .await;
            }
            Lifecycle::Forget => {
                machine.clock.advance(KEEP_FAILED_FOR);
                machine.until(STEP, "the end", async |_| machine.left().await.is_empty()).await;
            }
            Lifecycle::Adoption => drop(machine.scan().await),
            Lifecycle::LateFinds => {
                machine.clock.advance(KEEP_FAILED_FOR);
                machine.scan().await;
            }
            Lifecycle::Leftovers => {
                // An hour makes a leftover. By much more: the store's times are the machine's, which goes on meanwhile.
                machine.clock.advance(Duration::from_secs(2 * 3600));
                machine.scan().await;
            }
            Lifecycle::Checkpoints | Lifecycle::SyncedOffsets => {
                let mut upload = Upload::begin(machine, 0).await;
                // What was told here holds whatever becomes of the rest.
                upload.bring(machine, BROUGHT).await;
                upload.complete(machine).await;
                prepared.uploads.push(upload);
            }
        }
    }

    /// Nothing goes wrong any more: what was told holds, and all comes to its end.
    pub async fn settle(self, machine: &Machine, prepared: &mut Prepared) {
        match self {
            Lifecycle::Rest => {
                let upload = &mut prepared.uploads[0];
                assert_eq!(upload.look(machine).await, Some(BROUGHT as u64), "it has what it had");
                upload.complete(machine).await;
            }
            Lifecycle::Adoption => {
                let report = machine.scan().await;
                assert_eq!((report.failed, report.removed), (0, 0), "{report:?}");
                assert_eq!(known(&machine.engine().await), 1);
                prepared.uploads[0].complete(machine).await;
            }
            Lifecycle::LateFinds | Lifecycle::Leftovers => {
                let report = machine.scan().await;
                assert_eq!(report.failed, 0, "{report:?}");
                machine.clock.advance(KEEP_FAILED_FOR);
            }
            Lifecycle::Strip => {
                for upload in &mut prepared.uploads {
                    let told = machine.ask(async |engine| engine.upload(&repository(), upload.id).status().await).await;
                    assert!(matches!(told, Err(UploadError::Expired { .. })), "the word of it stays: {told:?}");
                }
                machine.clock.advance(KEEP_FAILED_FOR);
            }
            Lifecycle::Expiry | Lifecycle::PassiveExpiry => {
                assert_eq!(prepared.uploads[0].look(machine).await, None);
                machine.clock.advance(KEEP_FAILED_FOR);
            }
            Lifecycle::Revival
            | Lifecycle::ExpiryWithoutKeeping
            | Lifecycle::Forget
            | Lifecycle::Checkpoints
            | Lifecycle::SyncedOffsets => {}
        }
        // A POST that failed may have begun an upload of which nobody was told.
        if !matches!(self, Lifecycle::Checkpoints | Lifecycle::SyncedOffsets) {
            machine.until(STEP, "the end of all uploads", async |_| machine.left().await.is_empty()).await;
        }
    }
}

impl Upload {
    async fn begin(machine: &Machine, seed: u64) -> Upload {
        let begin = async |engine: Engine| engine.begin(&repository(), Algorithm::Sha256, None).await;
        let (handle, _) = machine.ask(begin).await.expect("nothing forbids it");
        let data = Random::new(seed).bytes(2 * BROUGHT);
        Upload { id: handle.id(), data, told: 0, is_over: false }
    }

    /// Where it stands; `None`: it is no more.
    async fn look(&mut self, machine: &Machine) -> Option<u64> {
        let answer = machine.ask(async |engine| engine.upload(&repository(), self.id).status().await).await;
        match answer {
            Ok(progress) => {
                assert!(!self.is_over, "it was told that it is no more");
                assert!(progress.offset >= self.told, "{progress:?} after {} was told", self.told);
                assert!(progress.offset <= self.data.len() as u64);
                self.told = progress.offset;
                Some(progress.offset)
            }
            Err(UploadError::Unknown | UploadError::Expired { .. }) => {
                self.is_over = true;
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Brings its data up to `end`, in as many tries as it takes.
    async fn bring(&mut self, machine: &Machine, end: usize) {
        while let Some(at) = self.look(machine).await.filter(|at| *at < end as u64) {
            let rest = self.data.slice(at as usize..end);
            let patch = async || {
                let start = Start::Exactly(at);
                let mut writer = machine.handle(self.id).await.write(options(start, None)).await?;
                for piece in rest.chunks(BATCH_BYTES) {
                    writer.send(rest.slice_ref(piece)).await?;
                }
                writer.finish().await
            };
            let was_dead = machine.has_struck();
            if let Ok(offset) = patch().await
                && (was_dead || !machine.has_struck() || !machine.blow().is_death())
            {
                assert_eq!(offset, end as u64);
                self.told = offset;
            }
        }
        assert_eq!(self.told, end as u64, "over: {}", self.is_over);
    }

    /// Brings what is missing and makes it a blob.
    async fn complete(&mut self, machine: &Machine) {
        self.bring(machine, self.data.len()).await;
        let digest: Digest = digest_of(&self.data).parse().expect("a digest");
        let commit = async |engine: Engine| {
            let upload = engine.upload(&repository(), self.id);
            let writer = upload.write(options(Start::Current, Some(digest.clone()))).await?;
            writer.commit(&digest).await
        };
        match machine.ask(commit).await {
            Ok(size) => assert_eq!(size, self.data.len() as u64),
            // An earlier try, whose answer was lost, has done it; what follows tells.
            Err(UploadError::Unknown) => assert!(machine.has_struck(), "it is unknown"),
            Err(error) => panic!("{error}"),
        }
        let object = machine.raw().get(&keys::blob_data(&digest), u64::MAX).await.expect("it is there");
        assert!(object.data == self.data, "{digest} holds something else");
        assert!(machine.has(&keys::layer_link(&repository(), &digest)).await, "the repository has it");
    }
}

fn options(start: Start, digest: Option<Digest>) -> WriteOptions {
    WriteOptions { start, length: None, digest, discard_on_cut: false, client: None }
}

async fn are_stripped(machine: &Machine, prepared: &Prepared) -> bool {
    for upload in &prepared.uploads {
        if machine.has(&keys::upload_data(&repository(), upload.id)).await {
            return false;
        }
    }
    true
}

/// What a POST leaves whose process died before its sign was there, the end of a removal, data without a beginning, a
/// time that is none, and a removal that lost its data first.
async fn lay_leftovers(machine: &Machine) {
    let put = async |key: Key, data: Bytes| {
        machine.raw().put(&key, data, PutMode::Overwrite, Durability::Process).await.expect("it is put");
    };
    let name = repository();
    let ids: Vec<UploadId> = (0..4).map(|_| UploadId::random()).collect();
    put(keys::upload_record(&name, ids[0]), Bytes::from_static(b"half a record")).await;
    put(keys::upload_started_at(&name, ids[1]), Bytes::from_static(b"2026-02-02T02:40:00Z")).await;
    put(keys::upload_data(&name, ids[2]), Bytes::from_static(b"data")).await;
    put(keys::upload_started_at(&name, ids[3]), Bytes::from_static(b"yesterday")).await;
    let mut upload = Upload::begin(machine, 9).await;
    upload.bring(machine, BROUGHT).await;
    machine.restart().await;
    machine.raw().delete(&keys::upload_data(&name, upload.id)).await.expect("it is there");
}
