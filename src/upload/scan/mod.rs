//! A look through the storage for uploads: makes known what an earlier process left, and removes what nobody can use.
//!
//! After a start it rebuilds counts and deadlines; later it finds what a crash or another program left. It is cheap: it
//! lists folders, reads only what it does not know yet, and rests between its steps. Nothing of a live upload is touched:
//! what expires does so through its own actor, and what is being begun is in the roster before it is in storage.

mod examine;
mod schedule;
mod walk;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::Addr;
use tokio::runtime::Handle;
use tokio::sync::watch;

use self::examine::Examined;
pub(super) use self::schedule::Pace;
use self::walk::{Step, Walk};
use super::index::Index;
use super::roster::{FoundUpload, Kept, Name, Roster, millis, to_millis};
use super::store::UploadStore;
use super::supervisor::Supervisor;
use super::{ScanFinding, ScanReport, UploadError, reaper};
use crate::oci::{RepositoryName, UploadId};

/// How many findings a report holds; a person reads no more, and all are in the log.
const MAX_FINDINGS: usize = 1000;

/// What no upload can be made of is left alone for so long: somebody may be making one.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

pub(super) struct Scanner {
    index: Arc<Index>,
    roster: Arc<Roster>,
    store: Arc<UploadStore>,
    supervisor: Addr<Supervisor>,
    report: Mutex<ScanReport>,
    running: watch::Sender<bool>,
    /// Where it runs, whoever starts it.
    runtime: Handle,
}

impl Scanner {
    pub fn new(index: Arc<Index>, roster: Arc<Roster>, store: Arc<UploadStore>, supervisor: Addr<Supervisor>) -> Self {
        let (running, _) = watch::channel(false);
        let runtime = Handle::current();
        Scanner { index, roster, store, supervisor, report: Mutex::default(), running, runtime }
    }

    /// Begins; `false` when one runs already.
    pub fn start(self: Arc<Self>, is_dry_run: bool, pace: Pace) -> bool {
        if !self.begin(is_dry_run) {
            return false;
        }
        let runtime = self.runtime.clone();
        runtime.spawn(async move { self.run(pace).await });
        true
    }

    pub fn report(&self) -> ScanReport {
        self.lock().clone()
    }

    pub async fn ended(&self) {
        // It fails only when the sender is gone, which is ours.
        let _ = self.running.subscribe().wait_for(|is_running| !is_running).await;
    }

    fn begin(&self, is_dry_run: bool) -> bool {
        let mut report = self.lock();
        if report.is_running {
            return false;
        }
        let started_at = Some(self.store.clock.now_utc());
        *report = ScanReport { is_running: true, is_dry_run, started_at, ..ScanReport::default() };
        self.running.send_replace(true);
        true
    }

    async fn run(&self, mut pace: Pace) {
        let ended = End(self);
        let mut walk = Walk::new(self.store.driver.clone());
        while !self.index.is_draining() {
            pace.begin();
            match walk.next().await {
                Ok(None) => break,
                Ok(Some(Step::Repository)) => self.lock().repositories += 1,
                Ok(Some(Step::Upload(repository, name))) => self.look_at(repository, name).await,
                Ok(Some(Step::Folder)) => {}
                Err(error) => {
                    log::warn!(error:%; "a folder could not be looked through for uploads");
                    self.lock().failed += 1;
                }
            }
            pace.rest().await;
        }
        drop(ended);
        let report = self.report();
        log::info!(
            repositories = report.repositories, uploads = report.uploads, adopted = report.adopted,
            removed = report.removed, failed = report.failed, dry_run = report.is_dry_run;
            "storage was looked through for uploads"
        );
    }

    async fn look_at(&self, repository: RepositoryName, file: String) {
        // What is no id is nobody's upload, and not ours to remove.
        let Ok(id) = file.parse::<UploadId>() else { return };
        self.lock().uploads += 1;
        let name = Name { id, repository: Arc::new(repository) };
        if self.is_known(&name) {
            return;
        }
        let removals = self.roster.removals();
        let outcome = match self.store.examine(&name.repository, id).await {
            Ok(examined) => self.settle(&name, examined, removals).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            log::warn!(repository:% = name.repository, upload:% = id, error:%; "upload could not be looked at");
            self.lock().failed += 1;
        }
    }

    /// Whether it came into memory by now: then it is none of ours.
    fn is_known(&self, name: &Name) -> bool {
        self.roster.knows(name) || self.index.contains(name)
    }

    async fn settle(&self, name: &Name, examined: Examined, removals: u64) -> Result<(), UploadError> {
        let is_dry_run = self.lock().is_dry_run;
        if self.is_known(name) {
            return Ok(());
        }
        match examined {
            Examined::Foreign => Ok(()),
            Examined::Upload(found) => self.settle_upload(name, found, removals, is_dry_run).await,
            Examined::Kept(found, kept) => self.settle_kept(name, found, kept, is_dry_run).await,
            Examined::Leftover { bytes, since } => {
                let age = since.map(|since| self.roster.now().saturating_sub(to_millis(since)));
                if age.is_some_and(|age| age < millis(LEFTOVER_AGE)) {
                    return Ok(());
                }
                if !is_dry_run {
                    self.store.remove(&name.repository, name.id).await?;
                }
                self.note(name, bytes, since, "leftover");
                Ok(())
            }
        }
    }

    async fn settle_upload(
        &self,
        name: &Name,
        found: FoundUpload,
        removals: u64,
        is_dry_run: bool,
    ) -> Result<(), UploadError> {
        let due = self.roster.strikes_at(name, &found).filter(|(at, _)| *at <= self.roster.now());
        if !is_dry_run {
            if !self.roster.adopt(name, found) || self.has_just_ended(name, removals).await? {
                return Ok(());
            }
            if due.is_some() {
                // Its own actor decides, as for any other.
                reaper::look(&self.supervisor, name).await?;
            }
        }
        match due {
            Some((_, policy)) => self.note(name, found.offset, Some(found.progress_at), policy.as_str()),
            None => self.lock().adopted += 1,
        }
        Ok(())
    }

    /// Whether it came into memory and to its end while it was looked at; only if any did is it looked at again.
    async fn has_just_ended(&self, name: &Name, removals: u64) -> Result<bool, UploadError> {
        if self.roster.removals() == removals {
            return Ok(false);
        }
        match self.store.read_started_at(&name.repository, name.id).await {
            Err(UploadError::Unknown) => {
                self.roster.remove(name);
                Ok(true)
            }
            read => read.map(|_| false),
        }
    }

    async fn settle_kept(
        &self,
        name: &Name,
        found: FoundUpload,
        kept: Kept,
        is_dry_run: bool,
    ) -> Result<(), UploadError> {
        let is_over = self.roster.kept_until(name, &kept) <= self.roster.now();
        match (is_over, is_dry_run) {
            (false, true) => {}
            (false, false) => self.roster.keep(name, found, kept),
            (true, _) => {
                if !is_dry_run {
                    self.store.remove_kept(&name.repository, name.id).await?;
                }
                self.note(name, kept.bytes, Some(found.progress_at), kept.policy.as_str());
            }
        }
        Ok(())
    }

    fn note(&self, name: &Name, bytes: u64, progress_at: Option<std::time::SystemTime>, reason: &str) {
        let mut report = self.lock();
        let is_dry_run = report.is_dry_run;
        log::info!(repository:% = name.repository, upload:% = name.id, bytes, reason, is_dry_run; "scan found an upload to remove");
        report.removed += 1;
        report.removed_bytes += bytes;
        if report.findings.len() < MAX_FINDINGS {
            report.findings.push(ScanFinding {
                repository: (*name.repository).clone(),
                name: name.id.to_string(),
                bytes,
                progress_at,
                reason: reason.to_owned(),
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, ScanReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that a scan has ended, however it does.
struct End<'a>(&'a Scanner);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut report = self.0.lock();
        report.is_running = false;
        report.finished_at = Some(self.0.store.clock.now_utc());
        drop(report);
        self.0.running.send_replace(false);
    }
}
