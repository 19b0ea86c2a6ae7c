//! Every upload that this process knows, whether it is in memory or in storage only: how many there are of whom, what
//! an operator gets to see of them, and when each is to be looked at next.
//!
//! An entry is small (about 100 bytes), and so a million quiet uploads cost little. There is one schedule for all: an
//! ordered set of times, in which adding, moving and taking the next are O(log n), and nothing walks. The bytes of an
//! upload do not touch it: an entry says when to look, and who looks finds out whether it is too early.
//!
//! Times are milliseconds since the epoch of Unix by a clock that never goes back.

mod counts;
mod kept;
mod known;
pub(super) mod list;
mod live;
mod policies;
mod schedule;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::counts::Counts;
pub(super) use self::kept::Kept;
use self::kept::KeptUploads;
pub(super) use self::live::LiveUpload;
pub(super) use self::policies::Policies;
use self::policies::some_time;
pub(super) use self::schedule::Reap;
use self::schedule::{Schedule, When};
use super::machine::Rules;
use super::{Policy, UploadError};
use crate::clock::SharedClock;
use crate::config::UploadsConfig;
use crate::oci::{RepositoryName, UploadId};
use crate::telemetry::Metrics;

/// Names an upload: its id works in its own repository only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    pub id: UploadId,
    pub repository: Arc<RepositoryName>,
}

/// What failed is tried again after so long.
const RETRY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Roster {
    clock: SharedClock,
    /// The same moment on both clocks.
    origin: (SystemTime, Instant),
    known: Mutex<Known>,
    policies: RwLock<Arc<Policies>>,
    /// Where every acknowledged byte is to survive the loss of power.
    sync_offsets: bool,
    is_space_low: AtomicBool,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Known {
    uploads: BTreeMap<Name, Entry>,
    schedule: Schedule,
    counts: Counts,
    kept: KeptUploads,
    passive: u64,
    removals: u64,
}

#[derive(Debug)]
struct Entry {
    client: Option<IpAddr>,
    started_at: u64,
    progress_at: u64,
    offset: u64,
    /// When it is to be looked at, as it stands in the schedule.
    look_at: Option<u64>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// It has an actor.
    Live(Arc<LiveUpload>),
    /// It is in storage only.
    Passive,
    /// It has expired, and is kept for a look.
    Kept(Box<Kept>),
}

/// What is known of an upload that is found in storage.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundUpload {
    pub client: Option<IpAddr>,
    pub started_at: SystemTime,
    pub progress_at: SystemTime,
    pub offset: u64,
}

impl Roster {
    pub fn new(clock: SharedClock, config: UploadsConfig, sync_offsets: bool, metrics: Metrics) -> Self {
        Roster {
            origin: (clock.now_utc(), clock.now()),
            clock,
            known: Mutex::default(),
            policies: RwLock::new(Arc::new(Policies::new(config))),
            sync_offsets,
            is_space_low: AtomicBool::new(false),
            metrics,
        }
    }

    /// Now.
    pub fn now(&self) -> u64 {
        let elapsed = self.clock.now().saturating_duration_since(self.origin.1);
        to_millis(self.origin.0).saturating_add(millis(elapsed))
    }

    pub fn policies(&self) -> Arc<Policies> {
        self.policies.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn rules(&self, repository: &RepositoryName) -> Rules {
        self.policies().rules(repository, self.sync_offsets)
    }

    /// Admits a new upload.
    ///
    /// # Errors
    /// [`UploadError::OverLimit`], [`UploadError::LowSpace`].
    pub fn admit(
        &self,
        repository: &RepositoryName,
        id: UploadId,
        client: Option<IpAddr>,
    ) -> Result<(Name, Arc<LiveUpload>), UploadError> {
        if self.is_space_low() {
            return Err(UploadError::LowSpace);
        }
        let policies = self.policies();
        let now = self.now();
        let mut known = self.lock();
        let repository = known.shared_name(repository);
        known.counts.admit(&repository, client, policies.all(), policies.of(&repository)).inspect_err(|error| {
            if let UploadError::OverLimit { limit, .. } = error {
                self.metrics.count_refusal(limit);
            }
        })?;
        let name = Name { id, repository };
        let live = Arc::new(LiveUpload::new(now, now, 0, client));
        let stage = Stage::Live(live.clone());
        known
            .uploads
            .insert(name.clone(), Entry { client, started_at: now, progress_at: now, offset: 0, look_at: None, stage });
        self.show(&known);
        Ok((name, live))
    }

    /// An upload that was found in storage has an actor now.
    pub fn revive(&self, name: &Name, found: FoundUpload) -> Arc<LiveUpload> {
        let mut known = self.lock();
        // Times in storage are by a wall clock, which may have been set back meanwhile.
        let seen = known.uploads.get(name).map_or(0, |entry| entry.progress_at);
        let progress_at = to_millis(found.progress_at).max(seen);
        let found = FoundUpload { progress_at: from_millis(progress_at), ..found };
        let started_at = to_millis(found.started_at);
        let live = Arc::new(LiveUpload::new(started_at, progress_at, found.offset, found.client));
        known.forget(name);
        known.enter(name, found, Stage::Live(live.clone()), None);
        self.show(&known);
        live
    }

    /// An upload that was found in storage stays there. Gives `false` when it came into memory meanwhile, or is known.
    pub fn adopt(&self, name: &Name, found: FoundUpload) -> bool {
        let deadline = self.passive_deadline(name, to_millis(found.started_at), to_millis(found.progress_at));
        let mut known = self.lock();
        if known.uploads.contains_key(name) {
            return false;
        }
        known.enter(name, found, Stage::Passive, deadline);
        self.show(&known);
        true
    }

    /// Its actor leaves memory and the upload lives on in storage.
    pub fn passivate(&self, name: &Name, progress_at: u64, offset: u64) {
        let started_at = match self.lock().uploads.get(name) {
            Some(entry) => entry.started_at,
            None => return,
        };
        let deadline = self.passive_deadline(name, started_at, progress_at);
        let mut known = self.lock();
        let Some(entry) = known.uploads.get_mut(name) else { return };
        if !matches!(entry.stage, Stage::Live(_)) {
            return;
        }
        (entry.progress_at, entry.offset, entry.stage) = (progress_at, offset, Stage::Passive);
        known.passive += 1;
        known.put_off(name, deadline);
        self.show(&known);
    }

    /// Its actor died: what is left is looked at soon.
    pub fn lose(&self, name: &Name, live: &Arc<LiveUpload>) {
        let soon = self.now() + millis(RETRY);
        let mut known = self.lock();
        let Some(entry) = known.uploads.get_mut(name) else { return };
        if !matches!(&entry.stage, Stage::Live(held) if Arc::ptr_eq(held, live)) {
            return;
        }
        entry.stage = Stage::Passive;
        known.passive += 1;
        known.put_off(name, Some(soon));
        self.show(&known);
    }

    /// It was looked for in storage and could not be had.
    pub fn not_found(&self, name: &Name, cause: &UploadError) {
        match cause {
            UploadError::Unknown => self.remove(name),
            UploadError::Expired { .. } => self.remove_unless_kept(name),
            _ => self.try_again_later(name),
        }
    }

    /// It is open no more, whoever made it expire. The next scan gets to know what is kept of it.
    fn remove_unless_kept(&self, name: &Name) {
        let mut known = self.lock();
        if !matches!(known.uploads.get(name), Some(Entry { stage: Stage::Kept(_), .. })) {
            known.forget(name);
            self.show(&known);
        }
    }

    /// How many uploads were removed so far.
    pub fn removals(&self) -> u64 {
        self.lock().removals
    }

    /// It is there no more.
    pub fn remove(&self, name: &Name) {
        let mut known = self.lock();
        known.removals += 1;
        known.forget(name);
        self.show(&known);
    }

    /// It has expired, and is kept.
    pub fn keep(&self, name: &Name, found: FoundUpload, kept: Kept) {
        let until = self.kept_until(name, &kept);
        let mut known = self.lock();
        let name = known.with_shared_name(name);
        known.forget(&name);
        known.kept.add(&name, &kept);
        let entry = Entry {
            client: found.client,
            started_at: to_millis(found.started_at),
            progress_at: to_millis(found.progress_at),
            offset: found.offset,
            look_at: None,
            stage: Stage::Kept(Box::new(kept)),
        };
        known.uploads.insert(name.clone(), entry);
        known.put_off(&name, Some(until));
        self.show(&known);
    }

    /// Whether what expires now is kept.
    pub fn may_keep(&self, repository: &RepositoryName) -> bool {
        !self.is_space_low() && self.policies().of(repository).keep_failed_for > Duration::ZERO
    }

    pub fn knows(&self, name: &Name) -> bool {
        self.lock().uploads.contains_key(name)
    }

    /// Counts it as written to, by this client.
    ///
    /// # Errors
    /// [`UploadError::OverLimit`].
    pub fn start_writing(&self, name: &Name, client: Option<IpAddr>) -> Result<(), UploadError> {
        let policies = self.policies();
        let own = policies.of(&name.repository).clone();
        let mut known = self.lock();
        let started = known.counts.start_writing(&name.repository, client, policies.all(), &own);
        if let Err(UploadError::OverLimit { limit, .. }) = &started {
            self.metrics.count_refusal(limit);
        }
        self.show(&known);
        started
    }

    /// It counts for another client from now on, limits or not: it is one writer as before.
    pub fn hand_over_writing(&self, name: &Name, from: Option<IpAddr>, to: Option<IpAddr>) {
        self.lock().counts.hand_over_writing(&name.repository, from, to);
    }

    pub fn stop_writing(&self, name: &Name, client: Option<IpAddr>) {
        let mut known = self.lock();
        known.counts.stop_writing(&name.repository, client);
        self.show(&known);
    }

    /// Whether there is less free space than new uploads need. Gives whether that is news.
    pub fn set_space_low(&self, is_low: bool) -> bool {
        self.is_space_low.swap(is_low, Ordering::Relaxed) != is_low
    }

    pub fn is_space_low(&self) -> bool {
        self.is_space_low.load(Ordering::Relaxed)
    }

    /// When a policy strikes an upload that nobody writes to, and which.
    pub fn strikes_at(&self, name: &Name, found: &FoundUpload) -> Option<(u64, Policy)> {
        let policies = self.policies();
        deadline(policies.of(&name.repository), to_millis(found.started_at), to_millis(found.progress_at))
    }

    /// Until when an expired one is kept.
    pub fn kept_until(&self, name: &Name, kept: &Kept) -> u64 {
        kept.at.saturating_add(millis(self.policies().of(&name.repository).keep_failed_for))
    }

    fn passive_deadline(&self, name: &Name, started_at: u64, progress_at: u64) -> Option<u64> {
        deadline(self.policies().of(&name.repository), started_at, progress_at).map(|(at, _)| at)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, known: &Known) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.uploads_open.set(number(known.counts.open()));
        self.metrics.uploads_writing.set(number(known.counts.writing()));
        self.metrics.uploads_passive.set(number(known.passive));
        self.metrics.uploads_kept.set(number(known.kept.len()));
        self.metrics.uploads_kept_bytes.set(number(known.kept.bytes()));
    }
}

/// When an upload that nobody writes to expires, and why.
fn deadline(config: &UploadsConfig, started_at: u64, progress_at: u64) -> Option<(u64, Policy)> {
    let by_age = some_time(config.max_age).map(|age| (started_at.saturating_add(millis(age)), Policy::MaxAge));
    let by_idleness =
        some_time(config.idle_timeout).map(|idle| (progress_at.saturating_add(millis(idle)), Policy::IdleTimeout));
    by_age.into_iter().chain(by_idleness).min()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn to_millis(time: SystemTime) -> u64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(super) fn from_millis(at: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at)
}
